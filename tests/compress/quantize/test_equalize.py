from itertools import pairwise

import numpy as np
import pytest
from networks import FAMILIES, build, images

from tinydl import nn, no_grad
from tinydl.compress import flow, fold_batch_norm
from tinydl.compress.quantize import equalize
from tinydl.compress.quantize.equalize import _pairs


def run(model, x):
    with no_grad():
        return model(x).data


def reach(weight, axis):
    return np.abs(weight.data).max(tuple(i for i in range(weight.data.ndim) if i != axis))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_computes_the_same(name):
    model, x = build(name), images(4)
    with no_grad():
        wanted = model(x).data
    even = equalize(model, x, relu6="leave")
    assert np.abs(run(even, x) - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("name, pairs", [("mobile", 11), ("mobilenet_v2", 35), ("mlp", 2), ("convnet", 2)])
def test_how_many_pairs_there_are(name, pairs):
    """mobile: 12 layers in a row. MobileNetV2: two in each of 17 blocks (one in the first), two around the head's."""
    model, x = build(name), images(2)
    assert len(_pairs(flow(equalize(model, x), x))) == pairs


def test_channels_are_even_afterwards():
    model, x = build("mobile"), images(2)
    even = equalize(model, x, rounds=300)
    convs = [m for m in even.modules() if isinstance(m, nn.Conv2d)]
    for first, second in pairwise(convs):
        axis = 0 if second.groups > 1 else 1
        assert np.allclose(reach(first.weight, 0), reach(second.weight, axis), rtol=0.01)


def test_relu6_is_replaced_or_left_alone():
    model, x = build("mobilenet_v1"), images(2)
    assert not any(isinstance(m, nn.ReLU6) for m in equalize(model, x).modules())
    left = equalize(model, x, relu6="leave")
    before = fold_batch_norm(model)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(left.parameters(), before.parameters()))
    assert sum(isinstance(m, nn.ReLU6) for m in left.modules()) == sum(isinstance(m, nn.ReLU6) for m in model.modules())


def test_dead_channels_keep_their_scale():
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    with no_grad():
        model[0].weight[0] = 0.0
        model[2].weight[:, 1] = 0.0
    x = np.ones((2, 3), np.float32)
    even = equalize(model, x)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(even.parameters(), model.parameters()))


def test_pairs_need_a_single_way_between_and_a_weight_of_their_own():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            y = self.a(x)
            return self.b(y) + y

    linear = nn.Linear(3, 3)
    x = np.ones((2, 3), np.float32)
    for model in (
        Branch(),
        nn.Sequential(linear, nn.ReLU(), linear),
        nn.Sequential(nn.Linear(3, 3), nn.Sigmoid(), nn.Linear(3, 3)),
        nn.Sequential(nn.Linear(3, 3)),
    ):
        assert _pairs(flow(model, x)) == []
    grouped = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1, groups=2))
    assert _pairs(flow(grouped, np.ones((2, 4, 3, 3), np.float32))) == []


def test_arguments_out_of_range_are_refused():
    model, x = build("mlp"), images(2)
    with pytest.raises(ValueError, match="relu6 must be one of"):
        equalize(model, x, relu6="clip")
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        equalize(model, x, rounds=0)
