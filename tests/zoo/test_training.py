"""Narrow networks with the small stem: what changes between training and evaluation, and that every weight learns."""

from collections import Counter

import numpy as np
import pytest

from tinydl import nn, no_grad, zoo
from tinydl.nn.activation import Activation
from tinydl.nn.functional import cross_entropy
from tinydl.random import manual_seed
from tinydl.tensor import Tensor

FAMILIES = {
    "lenet_300_100": {},
    "lenet5": {},
    "mobilenet_v1": {"width": 0.25},
    "mobilenet_v2": {"width": 0.25},
    "mobilenet_v3_small": {"width": 0.25},
    "mobilenet_v3_large": {"width": 0.25},
    "shufflenet_v1": {"width": 0.25, "groups": 4},
    "shufflenet_v2_x0_5": {"width": 0.5},
    "squeezenet1_0": {"width": 0.25},
    "squeezenet1_1": {"width": 0.25},
    "xception": {"width": 0.06},
    "resnet18": {"width": 0.125},
    "efficientnet_b0": {"width": 0.25},
}


def network(name, **more):
    small = {"small": True} if "small" in zoo.options(name) else {}
    return zoo.build(name, num_classes=10, in_channels=1, **FAMILIES[name], **small, **more)


def digits(n=4):
    return Tensor(np.random.default_rng(0).standard_normal((n, 1, 28, 28)).astype(np.float32))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_gets_a_gradient(name):
    manual_seed(1)
    model = network(name, dropout=0.0)
    cross_entropy(model(digits()), Tensor(np.array([3, 1, 4, 1]))).backward()
    for key, p in model.named_parameters():
        assert p.grad is not None, key
        assert np.isfinite(p.grad.data).all(), key


@pytest.mark.parametrize("name", FAMILIES)
def test_only_training_is_random(name):
    manual_seed(2)
    model, x = network(name, dropout=0.5), digits()
    with no_grad():
        assert not np.array_equal(model(x).data, model(x).data)
        model.eval()
        before = {key: b.data.copy() for key, b in model.named_buffers()}
        np.testing.assert_array_equal(model(x).data, model(x).data)
    assert all(np.array_equal(before[key], b.data) for key, b in model.named_buffers())


@pytest.mark.parametrize("name", FAMILIES)
def test_one_image_in_evaluation_is_as_in_a_batch(name):
    model, x = network(name).eval(), digits()
    np.testing.assert_allclose(model(x).data[2:3], model(Tensor(x.data[2:3])).data, rtol=1e-4, atol=1e-6)


def test_stochastic_depth_grows_linearly():
    model = zoo.efficientnet_b0(stochastic_depth=0.2)
    rates = [block.stochastic_depth.p for block in model.modules() if isinstance(block, zoo.blocks.MBConv)]
    np.testing.assert_allclose(rates, [0.2 * i / 16 for i in range(16)])
    residual = [block.residual for block in model.modules() if isinstance(block, zoo.blocks.MBConv)]
    assert sum(residual) == 9


def test_mobilenet_v2_has_ten_shortcuts():
    blocks = [block for block in zoo.mobilenet_v2().modules() if isinstance(block, zoo.blocks.InvertedResidual)]
    assert (len(blocks), sum(block.residual for block in blocks)) == (17, 10)


@pytest.mark.parametrize(
    "name, eps, momentum",
    [
        ("mobilenet_v1", 1e-3, 0.01),
        ("mobilenet_v2", 1e-5, 0.1),
        ("mobilenet_v3_large", 1e-3, 0.01),
        ("shufflenet_v1", 1e-5, 0.1),
        ("shufflenet_v2_x1_0", 1e-5, 0.1),
        ("xception", 1e-3, 0.01),
        ("resnet18", 1e-5, 0.1),
        ("efficientnet_b0", 1e-5, 0.1),
        ("efficientnet_b4", 1e-5, 0.1),
        ("efficientnet_b5", 1e-3, 0.01),
    ],
)
def test_batch_norm_is_the_authors(name, eps, momentum):
    """In a small network it forgets faster, as short runs need it."""
    for small, expected in ((False, momentum), (True, 0.1)):
        model = zoo.build(name, width=0.1, small=small)
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        assert {(norm.eps, norm.momentum) for norm in norms} == {(eps, expected)}


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_squeezenet_pools_in_ceil_mode(name):
    assert all(m.ceil_mode for m in zoo.build(name).modules() if isinstance(m, nn.MaxPool2d))


def test_only_the_first_pointwise_convolution_of_shufflenet_has_one_group():
    groups = [unit.block[0][0].groups for unit in zoo.shufflenet_v1(groups=4).features]
    assert groups == [1] + [4] * 15


ACTIVATIONS = {
    "lenet_300_100": {"ReLU": 2},
    "lenet5": {"ReLU": 1},
    "mobilenet_v1": {"ReLU6": 1 + 13 * 2},
    "mobilenet_v2": {"ReLU6": 1 + 16 * 2 + 1 + 1},
    "mobilenet_v3_large": {"ReLU": 1 + 5 * 2 + 8, "Hardswish": 1 + 9 * 2 + 2, "Hardsigmoid": 8},
    "mobilenet_v3_small": {"ReLU": 1 + 2 * 2 + 9, "Hardswish": 1 + 8 * 2 + 2, "Hardsigmoid": 9},
    "shufflenet_v1": {"ReLU": 1 + 16 * 2},
    "shufflenet_v2_x0_5": {"ReLU": 2 + 16 * 2 + 3},
    "squeezenet1_0": {"ReLU": 1 + 8 * 3 + 1},
    "squeezenet1_1": {"ReLU": 1 + 8 * 3 + 1},
    "xception": {"ReLU": 2 + 1 + 2 * 2 + 8 * 3 + 2 + 2},
    "resnet18": {"ReLU": 1 + 8},
    "efficientnet_b0": {"SiLU": 1 + 1 + 15 * 2 + 16 + 1, "Sigmoid": 16},
}


@pytest.mark.parametrize("name", FAMILIES)
def test_activations_are_the_papers(name):
    """By kind: stem, blocks, squeeze and excitation, head. A projection has none."""
    found = Counter(type(m).__name__ for m in network(name).modules() if isinstance(m, Activation))
    assert found == ACTIVATIONS[name]
