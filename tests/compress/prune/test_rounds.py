import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.prune import Pruner, Rewind, geometric, iterate, masks, remove
from tinydl.optim import SGD
from tinydl.tensor import Tensor
from tinydl.train import fit


def model(seed=0):
    draw = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(4, 6, generator=draw), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2, generator=draw))


def data():
    draw = np.random.default_rng(0)
    x = draw.standard_normal((40, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    return [(Tensor(x[i : i + 8]), Tensor(y[i : i + 8])) for i in range(0, 40, 8)]


def state(net):
    return {name: np.array(value.data) for name, value in net.state_dict().items()}


def train(net, callbacks=(), epochs=2):
    return fit(net, data(), epochs=epochs, optimizer=SGD(net.parameters(), 0.1, 0.9), callbacks=callbacks)


def test_geometric():
    assert geometric(3) == pytest.approx([0.2, 0.36, 0.488])
    for rounds, fraction in ((0, 0.2), (3, 0.0), (3, 1.0)):
        with pytest.raises(ValueError, match=r"rounds|fraction"):
            geometric(rounds, fraction)


def test_prune_and_fine_tune():
    net = model()
    pruner = Pruner(net)
    train(net)
    seen = []
    for sparsity, row in iterate(pruner, [0.25, 0.5, 0.75], lambda net: train(net)[-1]["train_loss"]):
        seen.append(sparsity)
        assert np.isfinite(row)
        assert all(not p.data[~p.mask.data].any() for p in net.parameters() if p.mask is not None)
    assert seen == [0.25, 0.5, 0.75]


@pytest.mark.parametrize("step", [0, 3])
def test_the_lottery_ticket_begins_where_the_network_did(step):
    net, reference = model(), model()
    rewind = Rewind(step)
    train(net, [rewind])
    if step:
        fit(reference, data()[:step], epochs=1, optimizer=SGD(reference.parameters(), 0.1, 0.9))
    start, trained = state(reference), state(net)
    starts = []

    def again(net):
        starts.append(state(net))
        train(net, [rewind])

    pruner = Pruner(net, layers="0")
    rounds = [sparsity for sparsity, _ in iterate(pruner, geometric(2, 0.5), again, rewind)]
    assert rounds == [0.5, 0.75]
    small = np.sort(np.abs(trained["0.weight"]).ravel())[:12]
    chosen = np.abs(trained["0.weight"])[~starts[0]["0.weight_mask"]]
    np.testing.assert_array_equal(np.sort(chosen), small)
    for found in starts:
        mask = found["0.weight_mask"]
        np.testing.assert_array_equal(found["0.weight"], np.where(mask, start["0.weight"], 0))
        for name in start.keys() - {"0.weight"}:
            np.testing.assert_array_equal(found[name], start[name])
    assert not (starts[1]["0.weight_mask"] & ~starts[0]["0.weight_mask"]).any()


def test_masks_are_those_of_the_network_not_of_the_memory():
    net = model()
    net[0].weight.mask = np.zeros((6, 4), bool)
    rewind = Rewind()
    train(net, [rewind])
    remove(net)
    rewind.restore(net)
    assert masks(net) == {}
    net[3].weight.mask = np.eye(2, 6, dtype=bool)
    rewind.restore(net)
    assert list(masks(net)) == ["3.weight"]


def test_a_step_that_was_not_reached_is_refused():
    net = model()
    rewind = Rewind(1000)
    train(net, [rewind])
    with pytest.raises(ValueError, match="step 1000 has not been reached"):
        rewind.restore(net)
    with pytest.raises(ValueError, match="step must be at least 0"):
        Rewind(-1)


def test_another_network_is_refused():
    rewind = Rewind()
    train(model(), [rewind])
    with pytest.raises(ValueError, match="missing from the state"):
        rewind.restore(nn.Linear(2, 2))
