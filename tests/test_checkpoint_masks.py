import numpy as np
import pytest
from states import Net, Position, same, state_of

from tinydl import nn, random
from tinydl.checkpoint import CheckpointError, capture, load_weights, restore, save_weights
from tinydl.tensor import Tensor


def masked_net(seed=5):
    random.manual_seed(seed)
    net = Net()
    net.weight.mask = np.array([[True, False, True], [False, False, True]])
    return net


def test_masks_are_saved_and_come_into_a_network_without(tmp_path):
    net, fresh = masked_net(), Net()
    save_weights(net, tmp_path / "w")
    load_weights(tmp_path / "w", fresh)
    assert same(state_of(fresh), state_of(net))
    fresh.weight.data = np.ones((2, 3), np.float32)
    assert fresh.weight.data.sum() == 3
    other = masked_net(6)
    other.weight.mask = np.ones((2, 3), bool)
    load_weights(tmp_path / "w", other)
    assert same(state_of(other), state_of(net))


def test_a_pruned_network_refuses_weights_without_masks(tmp_path):
    net, dense = masked_net(), Net()
    before = {name: np.array(value) for name, value in state_of(net).items()}
    save_weights(dense, tmp_path / "w")
    with pytest.raises(ValueError, match="weight_mask: missing from the state"):
        load_weights(tmp_path / "w", net)
    assert same(state_of(net), before)
    with pytest.raises(ValueError, match="weight_mask: missing"):
        net.load_state_dict(dense.state_dict())
    assert same(state_of(net), before)
    assert net.load_state_dict(dense.state_dict(), strict=False).missing_keys == ["weight_mask"]
    np.testing.assert_array_equal(net.weight.data, np.where(before["weight_mask"], dense.weight.data, 0))


@pytest.mark.parametrize("mask", [np.ones((3, 2), bool), np.ones((2, 3), np.float32)])
def test_masks_that_do_not_fit_are_refused(mask):
    net = Net()
    with pytest.raises(ValueError, match=r"weight_mask: (shape|dtype)"):
        net.load_state_dict(net.state_dict() | {"weight_mask": mask})
    assert net.weight.mask is None
    with pytest.raises(ValueError, match="count_mask: not known here"):
        net.load_state_dict(net.state_dict() | {"count_mask": np.ones((), bool)})


def test_zeros_are_put_back_when_a_state_contradicts_its_masks():
    net, fresh = masked_net(), Net()
    state = {name: np.array(value) for name, value in state_of(net).items()}
    state["weight"][...] = 7
    for model in (net, fresh):
        model.load_state_dict(state)
        assert model.weight.data.sum() == 7 * 3


def test_a_buffer_may_have_the_name_of_a_mask():
    net = Net()
    net.register_buffer("weight_mask", Tensor([2.0]))
    net.load_state_dict(net.state_dict())
    assert net.weight.mask is None


def test_a_refused_restore_leaves_no_masks_behind():
    state = capture(model=masked_net(), position=Position())
    fresh = Net()
    before = {name: np.array(value) for name, value in state_of(fresh).items()}
    state["position"] = {}
    with pytest.raises(CheckpointError, match="position"):
        restore(state, model=fresh, position=Position())
    assert same(state_of(fresh), before)


def test_tied_weights_share_their_mask():
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    tied[0].weight.mask = np.eye(2, dtype=bool)
    assert {"0.weight_mask", "1.weight_mask"} <= set(tied.state_dict())
    fresh = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    fresh[1].weight = fresh[0].weight
    fresh.load_state_dict(tied.state_dict())
    assert same(state_of(fresh), state_of(tied))
