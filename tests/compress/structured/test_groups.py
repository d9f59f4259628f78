import pytest

from tinydl import nn
from tinydl.compress import structured
from tinydl.compress.structured.groups import ranges

IMAGE = (1, 28, 28)


def test_groups_print_all_that_is_cut(small):
    found = structured.dependencies(small("mobilenet_v3_small"), IMAGE)
    text = str(found["features.4.block.0.0"])
    lines = text.splitlines()
    assert lines[0] == "features.4.block.0.0: 32 channels"
    assert "  features.4.block.1.0.weight, axis 0: 0-31 of 32" in lines, "depthwise"
    assert "  features.4.block.2.fc1.weight, axis 1: 0-31 of 32" in lines, "squeeze"
    assert "  features.4.block.2.fc2.bias, axis 0: 0-31 of 32" in lines, "excite"
    assert "  features.4.block.3.0.weight, axis 1: 0-31 of 32" in lines, "projection"
    assert text in str(found)


def test_a_trunk_is_one_group(small):
    found = structured.dependencies(small("resnet18"), IMAGE)
    trunk = next(group for group in found.groups if group.name == "conv1.0" or "conv1" in group.name)
    cut = {(axis.tensor, axis.axis) for axis in trunk.axes}
    assert {("layer1.0.conv2.weight", 0), ("layer1.1.conv2.weight", 0), ("layer2.0.conv1.weight", 1)} <= cut
    assert ("layer1.0.conv1.weight", 0) not in cut


def test_shuffled_channels_shrink_in_proportion(small):
    found = structured.dependencies(small("shufflenet_v2_x1_0"), IMAGE)
    stage = found["stage2.0.branch1.2"]
    assert stage.parts == 14
    assert len(stage.kinds) > 5
    assert "70 channels, 14 kinds of them, in steps of 1/14" in str(stage)
    grouped = structured.dependencies(small("shufflenet_v1", groups=2), IMAGE)
    assert ", its 2 groups side by side: " in str(grouped)


def test_every_class_is_in_one_group(small):
    for name in ("shufflenet_v1", "squeezenet1_1", "mobilenet_v2"):
        found = structured.dependencies(small(name), IMAGE)
        every = [label for group in found.groups for label in group.classes.tolist()]
        assert len(every) == len(set(every))
        assert not set(every) & found.coupling.pinned
        assert len({group.name for group in found.groups}) == len(found.groups)


def test_unknown_groups_and_shapes_are_refused():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    found = structured.dependencies(model, (1, 4, 4))
    with pytest.raises(ValueError, match="no group is called 'one'; there are 0"):
        found["one"]
    with pytest.raises(TypeError, match="input_shape"):
        structured.dependencies(model, 4)
    assert str(structured.dependencies(nn.Linear(3, 2), (3,))) == "no channels can be removed"


def test_ranges():
    assert ranges([]) == ""
    assert ranges([3]) == "3"
    assert ranges([0, 2, 3, 4, 9, 10]) == "0, 2-4, 9-10"
