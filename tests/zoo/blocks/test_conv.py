from functools import partial

import numpy as np
import pytest

from tinydl import nn
from tinydl.zoo.blocks import ConvNormActivation, DepthwiseSeparable, SeparableConv, make_divisible, spare_downsampling


def kinds(block):
    return [type(module).__name__ for module in block.modules() if not list(module.children())]


def test_make_divisible_is_near_and_never_far_below():
    assert [make_divisible(c) for c in (1, 8, 11.9, 12, 19, 44, 1280 * 1.4)] == [8, 8, 16, 16, 24, 48, 1792]
    assert [make_divisible(c, 4) for c in (1, 5, 6, 7)] == [4, 8, 8, 8]
    for channels in range(1, 500):
        found = make_divisible(channels)
        assert found % 8 == 0
        assert found >= 0.9 * channels
        assert channels < 8 or abs(found - channels) < 8


def test_spare_downsampling():
    assert spare_downsampling((2, 1, 2, 2)) == [1, 1, 1, 2]
    assert spare_downsampling([1, 2]) == [1, 1]
    assert spare_downsampling([]) == []


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride, size", [(1, (9, 6)), (2, (5, 3))])
def test_conv_norm_activation(kernel, stride, size):
    block = ConvNormActivation(4, 8, kernel, stride, 2)
    assert kinds(block) == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert block[0].bias is None
    assert block[0].groups == 2
    assert block(np.zeros((2, 4, 9, 6), np.float32)).shape == (2, 8, *size)


def test_norm_and_activation_can_be_chosen():
    block = ConvNormActivation(4, 8, norm=partial(nn.BatchNorm2d, eps=0.5), activation=nn.Hardswish)
    assert kinds(block) == ["Conv2d", "BatchNorm2d", "Hardswish"]
    assert block[1].eps == 0.5
    assert kinds(ConvNormActivation(4, 8, activation=None)) == ["Conv2d", "BatchNorm2d"]


def test_depthwise_separable():
    block = DepthwiseSeparable(4, 6, 2)
    assert kinds(block) == ["Conv2d", "BatchNorm2d", "ReLU6"] * 2
    assert [(m.groups, m.stride, m.kernel_size) for m in block.modules() if isinstance(m, nn.Conv2d)] == [
        (4, (2, 2), (3, 3)),
        (1, (1, 1), (1, 1)),
    ]
    assert block(np.zeros((1, 4, 8, 8), np.float32)).shape == (1, 6, 4, 4)


def test_separable_conv_has_nothing_in_between():
    block = SeparableConv(4, 6)
    assert kinds(block) == ["Conv2d", "Conv2d", "BatchNorm2d"]
    assert block[0].groups == 4
    assert block(np.zeros((1, 4, 8, 8), np.float32)).shape == (1, 6, 8, 8)
    x = np.random.default_rng(0).standard_normal((1, 4, 5, 5)).astype(np.float32)
    y = block[1](block[0](x))
    assert np.allclose((block[1](block[0](-x)) + y).data, 0, atol=1e-6), "linear before the norm"
