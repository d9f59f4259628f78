import math

import numpy as np
import pytest

from tinydl import nn
from tinydl.nn.activation import Activation
from tinydl.tensor import Tensor


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def relu6(v):
    return min(max(v, 0.0), 6.0)


CASES = {
    nn.ReLU(): lambda v: max(v, 0.0),
    nn.ReLU6(inplace=True): relu6,
    nn.LeakyReLU(): lambda v: v if v > 0 else 0.01 * v,
    nn.LeakyReLU(0.3, inplace=True): lambda v: v if v > 0 else 0.3 * v,
    nn.ELU(0.7): lambda v: v if v > 0 else 0.7 * math.expm1(v),
    nn.GELU(): lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))),
    nn.GELU("tanh"): lambda v: 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))),
    nn.Sigmoid(): sigmoid,
    nn.Tanh(): math.tanh,
    nn.SiLU(): lambda v: v * sigmoid(v),
    nn.Swish(1.7): lambda v: v * sigmoid(1.7 * v),
    nn.Hardsigmoid(): lambda v: relu6(v + 3) / 6,
    nn.Hardswish(): lambda v: v * relu6(v + 3) / 6,
    nn.Softplus(2.0, 3.0): lambda v: v if 2 * v > 3 else math.log1p(math.exp(2 * v)) / 2,
    nn.Mish(): lambda v: v * math.tanh(math.log1p(math.exp(v))),
}
X = np.linspace(-7, 7, 28).reshape(4, 7)


def test_every_activation_is_here():
    tested = {type(layer) for layer in CASES} | {nn.Softmax, nn.LogSoftmax}
    exported = {c for c in vars(nn).values() if isinstance(c, type) and issubclass(c, Activation)}
    assert tested == exported


@pytest.mark.parametrize("layer", CASES, ids=repr)
def test_values_gradients_and_dtype(layer):
    expected = np.vectorize(CASES[layer])(X)
    np.testing.assert_allclose(layer(X), expected, rtol=1e-9, atol=1e-12)
    x = Tensor(X.astype(np.float32), requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32
    assert not layer.state_dict()


def test_softmax_and_its_logarithm():
    expected = np.exp(X) / np.exp(X).sum(0)
    np.testing.assert_allclose(nn.Softmax(dim=0)(X), expected)
    np.testing.assert_allclose(nn.LogSoftmax(dim=0)(X), np.log(expected))
    np.testing.assert_allclose(nn.Softmax(-1)(X).sum(1), np.ones(4))
    with pytest.raises(TypeError, match="dim"):
        nn.Softmax()


def test_a_setting_changed_later_counts():
    layer = nn.LeakyReLU()
    layer.negative_slope = 0.5
    assert layer(np.array([-2.0]))[0] == -1
    assert repr(layer) == "LeakyReLU(negative_slope=0.5)"
    assert repr(nn.GELU()) == "GELU(approximate='none')"


@pytest.mark.parametrize(
    "make, error, name",
    [
        (lambda v: nn.LeakyReLU(v), ValueError, "negative_slope"),
        (lambda v: nn.ELU(v), ValueError, "alpha"),
        (lambda v: nn.Swish(v), ValueError, "beta"),
        (lambda v: nn.Softplus(v), ValueError, "beta"),
        (lambda v: nn.Softplus(1.0, v), ValueError, "threshold"),
        (lambda v: nn.GELU(v), ValueError, "approximate"),
        (lambda v: nn.LeakyReLU([v]), TypeError, "negative_slope"),
    ],
)
def test_nan_is_refused_by_name(make, error, name):
    with pytest.raises(error, match=name):
        make(float("nan"))
