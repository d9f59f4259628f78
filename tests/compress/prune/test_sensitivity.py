import numpy as np
import pytest

from tinydl.compress.prune import Filter, Random, Sensitivity, masks, sensitivity
from tinydl.plots import sensitivity as plot


def living(net):
    """The share of weights that live, a figure that is easily foretold."""
    weights = [p.data for p in net.parameters() if p.ndim > 1]
    return sum(np.count_nonzero(w) for w in weights) / sum(w.size for w in weights)


def test_one_layer_at_a_time_on_a_copy(network):
    found = sensitivity(network, living, [0.25, 0.5])
    assert masks(network) == {}
    assert found.dense == 1
    sizes = {"0.weight": 36, "1.weight": 36, "4.weight": 32, "6.weight": 384}
    for name, size in sizes.items():
        assert found.values[name] == pytest.approx([1 - 0.25 * size / 488, 1 - 0.5 * size / 488])


def test_of_the_layers_and_units_that_are_asked_for(network):
    draw = np.random.default_rng(0)
    found = sensitivity(network, living, [0.5], Random(draw), Filter(), layers=["1", "4"], depthwise="skip")
    assert found.values == {"4.weight": (1 - 16 / 488,)}


def test_what_is_tolerated():
    found = Sensitivity((0.5, 0.7, 0.9), 0.99, {"a": (0.98, 0.9, 0.98), "b": (0.5, 0.99, 0.99), "c": (1, 1, 1)})
    assert found.tolerated(0.02) == {"a": 0.5, "b": 0.0, "c": 0.9}
    with pytest.raises(ValueError, match="loss must be in"):
        found.tolerated(-1)


def test_table_and_plot(network):
    found = sensitivity(network, living, [0.25, 0.5], layers=["0", "6"])
    lines = str(found).splitlines()
    assert lines[0].split() == ["sparsity", "0.25", "0.5"]
    assert [line.split()[0] for line in lines[1:]] == ["0.weight", "6.weight", "dense"]
    panel = plot(found.sparsities, found.values, found.dense)
    assert panel.get_title(loc="left") == "accuracy suffers most from pruning 6.weight"


@pytest.mark.parametrize("sparsities", [[], [0.5, 0.5], [0.5, 0.4], [0.5, 1.0], [-0.1]])
def test_bad_sparsities_are_refused(network, sparsities):
    def never(net):
        raise AssertionError

    with pytest.raises(ValueError, match="sparsities must"):
        sensitivity(network, never, sparsities)
