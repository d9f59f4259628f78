import numpy as np
import pytest

from tinydl import nn
from tinydl.random import manual_seed
from tinydl.tensor import Tensor
from tinydl.zoo.blocks import BasicBlock, InvertedResidual, MBConv, SeparableResidual, SqueezeExcite


def image(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def kinds(block):
    return [type(module).__name__ for module in block.modules() if not list(module.children())]


def silence_last_norm(block):
    """Make what the block adds to its shortcut 0."""
    last = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    last.weight = nn.Parameter(np.zeros(last.num_features, np.float32))


# ---- which blocks have a shortcut, and which not


@pytest.mark.parametrize(
    "make",
    [
        lambda inputs, outputs, stride: InvertedResidual(inputs, outputs, stride, 6),
        lambda inputs, outputs, stride: MBConv(inputs, 4 * inputs, outputs, 5, stride),
    ],
)
def test_inverted_residuals_skip_only_where_shapes_agree(make):
    x = image(2, 4, 6, 6)
    block = make(4, 4, 1)
    assert block.residual
    silence_last_norm(block)
    np.testing.assert_array_equal(block(x).data, x.data)
    for outputs, stride in ((6, 1), (4, 2)):
        block = make(4, outputs, stride)
        assert not block.residual
        silence_last_norm(block)
        y = block(x).data
        assert y.shape == (2, outputs, 6 // stride, 6 // stride)
        assert not y.any()


def test_basic_block_projects_where_shapes_differ():
    x = image(2, 4, 6, 6)
    block = BasicBlock(4, 4)
    assert block.downsample is None
    block.bn2.weight = nn.Parameter(np.zeros(4, np.float32))
    np.testing.assert_array_equal(block(x).data, np.maximum(x.data, 0))
    for outputs, stride in ((6, 1), (4, 2)):
        block = BasicBlock(4, outputs, stride)
        assert kinds(block.downsample) == ["Conv2d", "BatchNorm2d"]
        assert block(x).shape == (2, outputs, 6 // stride, 6 // stride)


def test_separable_residual():
    x = image(2, 4, 7, 6)
    block = SeparableResidual(4, (4, 4, 4))
    assert kinds(block.block) == ["ReLU", "Conv2d", "Conv2d", "BatchNorm2d"] * 3
    silence_last_norm(block.block)
    np.testing.assert_array_equal(block(x).data, x.data)
    block = SeparableResidual(4, (4, 6), 2, first_relu=False)
    separable = ["Conv2d", "Conv2d", "BatchNorm2d"]
    assert kinds(block.block) == [*separable, "ReLU", *separable, "MaxPool2d"]
    assert kinds(block.shortcut) == ["Conv2d", "BatchNorm2d"]
    assert block(x).shape == (2, 6, 4, 3)
    assert SeparableResidual(4, (6, 6))(x).shape == (2, 6, 7, 6)


# ---- what is inside


def test_bottlenecks_are_linear_and_t_1_does_not_widen():
    widened = ["Conv2d", "BatchNorm2d", "ReLU6"]
    assert kinds(InvertedResidual(4, 4, 1, 6)) == widened * 2 + ["Conv2d", "BatchNorm2d"]
    assert kinds(InvertedResidual(4, 4, 1, 1)) == widened + ["Conv2d", "BatchNorm2d"]
    assert InvertedResidual(8, 4, 1, 1.3).conv[0][0].out_channels == 10
    block = MBConv(4, 4, 4, activation=nn.Hardswish)
    assert kinds(block.block) == ["Conv2d", "BatchNorm2d", "Hardswish", "Conv2d", "BatchNorm2d"]


def test_excitation_acts_on_the_middle():
    block = MBConv(4, 16, 4, excite=SqueezeExcite(16, 3))
    names = [type(module).__name__ for module in block.block]
    assert names == ["ConvNormActivation", "ConvNormActivation", "SqueezeExcite", "ConvNormActivation"]
    assert block.block[1][0].groups == 16


# ---- stochastic depth


def test_stochastic_depth_skips_whole_samples_in_training_only():
    x = image(200, 4, 2, 2)
    block = MBConv(4, 4, 4, drop=0.25)
    full = MBConv(4, 4, 4)
    full.load_state_dict(block.state_dict())
    manual_seed(0)
    y = (block(x) - x).data
    expected = (full(x) - x).data / 0.75
    skipped = (y == 0).all((1, 2, 3))
    assert 0.15 < skipped.mean() < 0.35
    np.testing.assert_allclose(y[~skipped], expected[~skipped], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(block.eval()(x).data, full.eval()(x).data, atol=1e-6)


def test_without_a_shortcut_nothing_is_skipped():
    block = MBConv(4, 4, 6, drop=1.0)
    assert block(image(8, 4, 2, 2)).data.any((1, 2, 3)).all()
