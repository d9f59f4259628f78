import numpy as np
import pytest

from tinydl import Tensor, nn, no_grad
from tinydl.checkpoint import load_weights, save_weights
from tinydl.compress import structured
from tinydl.compress.structured.resize import resized

IMAGE = (1, 28, 28)


@pytest.mark.parametrize("name", ["mobile", "mobilenet_v3_small", "shufflenet_v1", "lenetish"])
def test_a_pruned_network_comes_back_from_its_file(tmp_path, small, image, name):
    pruned = structured.prune_channels(small(name), IMAGE, 0.5)
    save_weights(pruned, tmp_path / "pruned.safetensors")
    fresh = small(name)
    again = structured.shrink_like(fresh, load_weights(tmp_path / "pruned.safetensors"))
    assert repr(again) == repr(pruned)
    assert repr(fresh) == repr(small(name))
    with no_grad():
        x = Tensor(image(2, *IMAGE))
        # to rounding: the weights may lie in another order in memory, in which NumPy sums otherwise
    np.testing.assert_allclose(again.eval()(x).data, pruned.eval()(x).data, rtol=1e-5, atol=1e-3)


def test_nothing_is_shared_with_the_state_that_is_given():
    given = nn.Linear(2, 3).state_dict()
    again = structured.shrink_like(nn.Linear(4, 3), given)
    again.weight.data[:] = 7.0
    assert not (given["weight"].data == 7.0).any()


@pytest.mark.parametrize(
    "layer, arrays, shown",
    [
        (nn.Conv2d(4, 6, 3), {"weight": (3, 2, 3, 3), "bias": (3,)}, "Conv2d(2, 3, "),
        (nn.Conv2d(4, 6, 3, groups=2), {"weight": (4, 1, 3, 3), "bias": (4,)}, "Conv2d(2, 4, "),
        (nn.DepthwiseConv2d(4, 3, multiplier=2), {"weight": (6, 1, 3, 3), "bias": (6,)}, "DepthwiseConv2d(3, 6, "),
        (nn.DepthwiseConv2d(4, 3), {"weight": (1, 1, 3, 3), "bias": (1,)}, "DepthwiseConv2d(1, 1, "),
        (nn.Linear(4, 6), {"weight": (3, 2), "bias": (3,)}, "Linear(in_features=2, out_features=3, "),
        (nn.BatchNorm1d(4, affine=False), {"running_mean": (3,), "running_var": (3,)}, "BatchNorm1d(3, "),
        (nn.BatchNorm2d(4, track_running_stats=False), {"weight": (3,), "bias": (3,)}, "BatchNorm2d(3, "),
    ],
)
def test_layers_say_what_they_are_afterwards(layer, arrays, shown):
    before = repr(layer)
    narrow = resized(layer, {name: np.zeros(shape, np.float32) for name, shape in arrays.items()})
    assert repr(narrow).startswith(shown)
    assert repr(layer) == before
    groups = getattr(narrow, "groups", None)
    assert groups is None or (groups == narrow.in_channels if "Depthwise" in shown else groups == layer.groups)


def test_layers_without_a_size_to_change_and_unknown_names_are_refused():
    model = nn.Sequential(nn.LayerNorm(4))
    with pytest.raises(ValueError, match="0: the size of a LayerNorm cannot be changed; those of convolutions"):
        structured.shrink_like(model, {"0.weight": np.ones(3), "0.bias": np.ones(3)})
    with pytest.raises(ValueError, match=r"Sequential has no parameter or buffer 1\.weight"):
        resized(model, {"1.weight": np.ones(3)})
    with pytest.raises(ValueError, match=r"0.bias: missing from the state"):
        structured.shrink_like(model, {"0.weight": np.ones(4)})


@pytest.mark.parametrize(
    "state, message",
    [
        ({"weight": (3, 4), "bias": (3, 1)}, r"bias: 1 axes are needed, got shape \(3, 1\)"),
        ({"weight": (3, 4), "bias": (2,)}, r"bias must be \(3,\) beside the other tensors, got \(2,\)"),
        ({"weight": (3, 4), "bias": (6,)}, r"bias must be \(3,\)"),
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(state, message):
    model = nn.Linear(4, 6)
    with pytest.raises(ValueError, match=message):
        structured.shrink_like(model, {name: np.ones(shape, np.float32) for name, shape in state.items()})
    assert (model.out_features, model.bias.shape) == (6, (6,))
