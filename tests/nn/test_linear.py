import numpy as np
import pytest

from tinydl import nn
from tinydl.tensor import Tensor

rng = np.random.default_rng(0)


def test_linear_is_x_wt_plus_b():
    layer = nn.Linear(3, 2)
    x = rng.standard_normal((4, 5, 3)).astype(np.float32)
    y = layer(x)
    for i in np.ndindex(4, 5):
        expected = [sum(x[i][k] * layer.weight.data[o, k] for k in range(3)) + layer.bias.data[o] for o in range(2)]
        np.testing.assert_allclose(y.data[i], expected, rtol=1e-5)
    y.sum().backward()
    np.testing.assert_allclose(layer.weight.grad.data, np.tile(x.sum((0, 1)), (2, 1)), rtol=1e-5)
    np.testing.assert_array_equal(layer.bias.grad.data, [20, 20])


def test_linear_without_bias():
    layer = nn.Linear(3, 2, bias=False)
    assert layer.bias is None
    assert list(layer.state_dict()) == ["weight"]
    assert not layer(np.zeros((1, 3), np.float32)).data.any()


def test_linear_starts_uniform_within_one_over_root_fan_in():
    layer = nn.Linear(16, 2000, generator=np.random.default_rng(1))
    for p in (layer.weight, layer.bias):
        assert np.abs(p.data).max() <= 0.25
        assert np.abs(p.data).max() > 0.24
        assert abs(p.data.mean()) < 0.01
    same = nn.Linear(16, 2000, generator=np.random.default_rng(1))
    np.testing.assert_array_equal(layer.weight.data, same.weight.data)
    same.reset_parameters()
    assert (layer.weight.data != same.weight.data).any()


@pytest.mark.parametrize(
    "arguments, error, name",
    [
        ((0, 1), ValueError, "in_features"),
        ((1, -2), ValueError, "out_features"),
        ((2.0, 1), TypeError, "in_features"),
        ((1, float("nan")), TypeError, "out_features"),
    ],
)
def test_linear_refuses(arguments, error, name):
    with pytest.raises(error, match=name):
        nn.Linear(*arguments)


def test_a_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"linear: .*axis I is 4 .* weight \(2, 3\)"):
        nn.Linear(3, 2)(np.zeros((1, 4), np.float32))


def test_identity_flatten_unflatten():
    x = Tensor(rng.standard_normal((2, 3, 4, 5)))
    assert nn.Identity()(x) is x
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    back = nn.Unflatten(-1, (4, -1))(nn.Flatten(2)(x))
    np.testing.assert_array_equal(back.data, x.data)
    with pytest.raises(ValueError, match="reshape"):
        nn.Unflatten(1, (2, 2))(x)
    with pytest.raises(IndexError, match="Unflatten"):
        nn.Unflatten(4, (2, 2))(x)
