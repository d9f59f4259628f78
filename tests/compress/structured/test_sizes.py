import numpy as np
import pytest

from tinydl import nn
from tinydl.compress import structured
from tinydl.compress.structured.sizes import evenly, multiply_adds, ranked, rounded, shapes
from tinydl.cost import summary

IMAGE = (1, 28, 28)


@pytest.fixture
def found():
    net = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Conv2d(16, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    return structured.dependencies(net, (1, 6, 6))


@pytest.mark.parametrize(
    "parts, multiple, expected",
    [(8.4, 1, 8), (0.2, 1, 1), (16, 1, 16), (8.5, 1, 9), (11, 8, 8), (13, 8, 16), (3, 8, 8), (9, 5, 10), (1, 32, 16)],
)
def test_parts_are_rounded(found, parts, multiple, expected):
    assert rounded(found["0"], parts, multiple) == expected


def test_multiples_hold_for_every_layer_of_a_group(small):
    found = structured.dependencies(small("shufflenet_v1", groups=2), IMAGE)
    for group in found.groups:
        kept = rounded(group, group.parts / 2, 2)
        sizes = [len(axis.members(group.classes)) * kept // group.parts for axis in group.axes if axis.axis == 0]
        assert kept == group.parts or not any(size % 2 for size in sizes)


def test_shares_and_rankings(found):
    second = found.groups[1]
    assert evenly(found.groups, {"0": 0.5, "1": 0.25}, 1) == {"0": 8, "1": 3}
    scores = {"0": np.arange(16.0), "1": np.array([3.0, 20, 21, 22])}
    assert ranked(found.groups, scores, 0.5, 1) == {"0": 7, "1": 3}
    assert ranked(found.groups, {"0": np.zeros(16), "1": np.ones(4)}, 0.9, 1) == {"0": 1, "1": 4}
    assert ranked([second], {"1": np.arange(4.0)}, 0.0, 1) == {"1": 4}


def test_shapes_and_multiply_adds(found):
    kept = shapes(found, {"0": 8, "1": 1})
    assert kept == {
        "0.weight": (8, 1, 3, 3),
        "0.bias": (8,),
        "1.weight": (1, 8, 3, 3),
        "1.bias": (1,),
        "3.weight": (2, 4),
        "3.bias": (2,),
    }
    assert multiply_adds(found, kept) == 16 * 8 * 9 + 4 * 8 * 9 + 8
    assert multiply_adds(found, shapes(found, {})) == summary(found.model, (1, 6, 6)).macs


@pytest.mark.parametrize("name", ["shufflenet_v1", "mobilenet_v3_small", "squeezenet1_0"])
def test_nothing_removed_is_nothing_changed(small, name):
    model = small(name)
    found = structured.dependencies(model, IMAGE)
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    assert all(own[tensor].shape == shape for tensor, shape in shapes(found, {}).items())
    assert multiply_adds(found, {}) == summary(model, IMAGE).macs
