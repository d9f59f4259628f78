import numpy as np
import pytest

from tinydl import nn, ops
from tinydl.gradcheck import gradcheck, gradgradcheck
from tinydl.tensor import Tensor
from tinydl.zoo.blocks import ShuffleUnit, ShuffleUnitV2


def image(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def convolutions(unit):
    found = [m for m in unit.modules() if isinstance(m, nn.Conv2d)]
    return [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], m.groups) for m in found]


# ---- the first version


def test_unit_of_stride_1_adds():
    unit = ShuffleUnit(24, 24, 6, 3)
    assert convolutions(unit) == [(24, 6, 1, 1, 3), (6, 6, 3, 1, 6), (6, 24, 1, 1, 3)]
    unit.block[3][1].weight = nn.Parameter(np.zeros(24, np.float32))
    x = image(2, 24, 5, 5)
    np.testing.assert_array_equal(unit(x).data, np.maximum(x.data, 0))


def test_unit_of_stride_2_joins_a_pooled_shortcut():
    unit = ShuffleUnit(24, 60, 15, 3, 2, first_groups=1)
    assert convolutions(unit) == [(24, 15, 1, 1, 1), (15, 15, 3, 2, 15), (15, 36, 1, 1, 3)]
    x = image(2, 24, 6, 6)
    y = unit(x).data
    assert y.shape == (2, 60, 3, 3)
    np.testing.assert_array_equal(y[:, :24], np.maximum(ops.avg_pool2d(x, 3, 2, 1).data, 0))
    assert y[:, 24:].any()


def test_no_activation_after_the_depthwise_convolution():
    unit = ShuffleUnit(24, 24, 6, 3)
    kinds = [type(m).__name__ for m in unit.block.modules() if not list(m.children())]
    expected = ["Conv2d", "BatchNorm2d", "ReLU", "ChannelShuffle", "Conv2d", "BatchNorm2d", "Conv2d", "BatchNorm2d"]
    assert kinds == expected


def test_groups_hear_of_each_other_through_the_shuffle():
    """A change of one group's inputs reaches every group behind the second 1×1 convolution."""
    unit = ShuffleUnit(18, 18, 18, 3).eval()
    x = np.abs(image(1, 18, 3, 3).data)
    changed = x.copy()
    changed[:, :6] += 1
    difference = np.abs(unit.block(Tensor(x)).data - unit.block(Tensor(changed)).data).max((0, 2, 3))
    assert (difference.reshape(3, 6).max(1) > 0).all()


# ---- the second version


def test_second_version_passes_half_untouched():
    unit = ShuffleUnitV2(8, 8)
    assert convolutions(unit) == [(4, 4, 1, 1, 1), (4, 4, 3, 1, 4), (4, 4, 1, 1, 1)]
    x = image(2, 8, 5, 5)
    y = unit(x).data
    np.testing.assert_array_equal(y[:, ::2], x.data[:, :4])
    np.testing.assert_array_equal(y[:, 1::2], unit.branch2(Tensor(x.data[:, 4:])).data)


def test_second_version_with_stride_2_sees_everything_twice():
    unit = ShuffleUnitV2(8, 12, 2)
    assert convolutions(unit.branch1) == [(8, 8, 3, 2, 8), (8, 6, 1, 1, 1)]
    assert convolutions(unit.branch2) == [(8, 6, 1, 1, 1), (6, 6, 3, 2, 6), (6, 6, 1, 1, 1)]
    x = image(2, 8, 6, 6)
    y = unit(x).data
    assert y.shape == (2, 12, 3, 3)
    np.testing.assert_array_equal(y[:, ::2], unit.branch1(x).data)


# ---- the shuffle itself


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 6])
def test_shuffle_and_its_inverse(groups):
    x = image(2, 12, 2, 3)
    y = ops.channel_shuffle(x, groups)
    expected = x.data.reshape(2, groups, 12 // groups, 2, 3).swapaxes(1, 2).reshape(x.shape)
    np.testing.assert_array_equal(y.data, expected)
    np.testing.assert_array_equal(ops.channel_shuffle(y, 12 // groups).data, x.data)


@pytest.mark.parametrize("make", [lambda: ShuffleUnit(4, 4, 4, 2), lambda: ShuffleUnitV2(4, 4)])
def test_gradients(make):
    unit = make().double().eval()
    x = Tensor(np.random.default_rng(2).standard_normal((1, 4, 2, 3)), requires_grad=True)
    assert gradcheck(unit, [x])
    assert gradgradcheck(unit, [x])
