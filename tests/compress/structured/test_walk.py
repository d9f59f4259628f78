import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.flow import flow
from tinydl.compress.structured.walk import Axis, Walk, refuse


@pytest.fixture
def walk():
    return Walk(flow(nn.Sequential(nn.Linear(2, 3)), np.zeros((1, 2), np.float32)), frozenset())


def test_members_of_an_axis():
    axis = Axis("a.weight", 1, np.array([5, 6, 5, 7]))
    assert axis.members(np.array([5, 7])).tolist() == [0, 2, 3]
    assert axis.members(np.array([], np.int64)).tolist() == []


def test_a_tensor_that_is_attached_twice_joins_its_labels(walk):
    first, second = walk.classes.new(2), walk.classes.new(2)
    walk.attach("0.weight", 0, first)
    walk.attach("0.weight", 0, second)
    assert walk.classes.of(second).tolist() == first.tolist()
    walk.attach("0.weight", 1, second)
    assert list(walk.axes) == [("0.weight", 0, 1), ("0.weight", 1, 1)]


def test_channels_join_what_shares_their_place(walk):
    labels = walk.classes.new(4).reshape(2, 2)
    assert walk.varies(labels, 1)
    assert walk.channels(labels).tolist() == [0, 2]
    assert walk.classes.of(labels).tolist() == [[0, 0], [2, 2]]
    assert walk.varies(labels, 0)
    assert not walk.varies(labels, 1)


def test_what_is_fixed_is_pinned(walk):
    labels = walk.fixed((2, 3))
    assert labels.shape == (2, 3)
    assert walk.classes.pinned() == set(labels.ravel().tolist())


def test_refusals_name_step_layer_and_reason(walk):
    with pytest.raises(ValueError, match=r"model: linear \(step 0, 0\), in a Linear, is odd; channels cannot be"):
        refuse(walk.flow.steps[0], "is odd")
