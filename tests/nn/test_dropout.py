import numpy as np
import pytest

from tinydl import nn
from tinydl.random import manual_seed
from tinydl.tensor import Tensor

KINDS = [nn.Dropout, nn.Dropout2d, nn.DropPath]


def ones():
    return np.ones((64, 32, 3, 2), np.float32)


@pytest.mark.parametrize("kind, axes", [(nn.Dropout, (0, 1, 2, 3)), (nn.Dropout2d, (0, 1)), (nn.DropPath, (0,))])
def test_what_is_dropped_is_dropped_whole(kind, axes):
    layer = kind(0.25, generator=np.random.default_rng(0))
    y = layer(ones())
    assert y.dtype == np.float32
    assert set(np.unique(y)) == {0, np.float32(4 / 3)}
    decisions = y[tuple(slice(None) if i in axes else slice(1) for i in range(4))]
    np.testing.assert_array_equal(y, np.broadcast_to(decisions, y.shape))
    assert abs((decisions == 0).mean() - 0.25) < 3 * (0.25 * 0.75 / decisions.size) ** 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_modes_and_extremes(kind):
    x = ones()
    assert kind(0.5).eval()(x) is x
    assert kind(1.0).eval()(x) is x
    np.testing.assert_array_equal(kind(0.0)(x), x)
    assert not kind(1.0)(x).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_takes_the_same_way(kind):
    x = Tensor(ones(), requires_grad=True)
    y = kind(0.5)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, y.data)


@pytest.mark.parametrize("kind", KINDS)
def test_generators(kind):
    one, two = (kind(0.5, generator=np.random.default_rng(7))(ones()) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    layer = kind(0.5)
    manual_seed(3)
    one = layer(ones())
    assert (layer(ones()) != one).any()
    manual_seed(3)
    np.testing.assert_array_equal(layer(ones()), one)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_bad_probabilities_are_named(kind, p):
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\]"):
        kind(p)


def test_defaults_and_a_wrong_input():
    assert [kind().p for kind in KINDS] == [0.5, 0.5, 0.0]
    assert repr(nn.Dropout(0.25)) == "Dropout(p=0.25)"
    assert nn.Dropout(0.5, inplace=True).p == 0.5
    with pytest.raises(ValueError, match="dropout2d"):
        nn.Dropout2d()(np.ones(3))
