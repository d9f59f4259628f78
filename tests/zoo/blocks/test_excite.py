import numpy as np
import pytest

from tinydl import nn, ops
from tinydl.gradcheck import gradcheck, gradgradcheck
from tinydl.tensor import Tensor
from tinydl.zoo.blocks import SqueezeExcite


def example(seed=0):
    return np.random.default_rng(seed).standard_normal((2, 4, 2, 3))


def test_against_the_equations():
    block = SqueezeExcite(4, 2).double()
    w1, b1, w2, b2 = (p.data for p in block.parameters())
    x = example()
    z = x.mean((2, 3))
    hidden = np.maximum(z @ w1[:, :, 0, 0].T + b1, 0)
    s = 1 / (1 + np.exp(-(hidden @ w2[:, :, 0, 0].T + b2)))
    np.testing.assert_allclose(block(Tensor(x)).data, s[:, :, None, None] * x, rtol=1e-12)


def test_names_shapes_and_choices():
    block = SqueezeExcite(4, 2, nn.SiLU, nn.Hardsigmoid)
    assert {name: tuple(p.shape) for name, p in block.named_parameters()} == {
        "fc1.weight": (2, 4, 1, 1),
        "fc1.bias": (2,),
        "fc2.weight": (4, 2, 1, 1),
        "fc2.bias": (4,),
    }
    assert isinstance(block.activation, nn.SiLU)
    assert isinstance(block.scale_activation, nn.Hardsigmoid)
    for p in block.parameters():
        p.requires_grad_(False).zero_()
    x = example().astype(np.float32)
    np.testing.assert_array_equal(block(Tensor(x)).data, x / 2)


@pytest.mark.parametrize("activation, gate", [(nn.SiLU, nn.Sigmoid), (nn.ReLU, nn.Hardsigmoid)])
def test_gradients(activation, gate):
    """By every input, including the weights; MobileNetV3's and EfficientNet's choices."""
    block = SqueezeExcite(4, 2, activation, gate).double()

    def run(x, w1, b1, w2, b2):
        hidden = activation()(ops.conv2d(ops.adaptive_avg_pool2d(x, 1), w1, b1))
        return gate()(ops.conv2d(hidden, w2, b2)) * x

    inputs = [Tensor(example(), requires_grad=True), *block.parameters()]
    np.testing.assert_array_equal(run(*inputs).data, block(inputs[0]).data)
    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs)
    assert gradcheck(block, [inputs[0]])
