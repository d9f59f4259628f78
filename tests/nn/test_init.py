from math import erf, sqrt

import numpy as np
import pytest

from tinydl import nn
from tinydl.nn import init
from tinydl.ops import relu, tanh
from tinydl.random import manual_seed
from tinydl.tensor import Tensor


def weight(*shape):
    return Tensor(np.zeros(shape, np.float32), requires_grad=True)


def fresh():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    "name, param, gain",
    [
        ("linear", None, 1),
        ("sigmoid", None, 1),
        ("conv2d", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, 2**0.5),
        ("leaky_relu", None, (2 / 1.0001) ** 0.5),
        ("leaky_relu", 0.0, 2**0.5),
        ("leaky_relu", 5**0.5, (1 / 3) ** 0.5),
        ("selu", None, 0.75),
    ],
)
def test_gains(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain)


def test_fans():
    assert init.fans(weight(8, 3)) == (3, 8)
    assert init.fans(weight(8, 3, 5, 2)) == (30, 80)
    assert init.fans(nn.DepthwiseConv2d(16, 3).weight) == (9, 144)


@pytest.mark.parametrize(
    "fill, variance",
    [
        (init.xavier_uniform_, 2 / 600),
        (init.xavier_normal_, 2 / 600),
        (lambda t, generator: init.xavier_normal_(t, 3.0, generator), 18 / 600),
        (init.kaiming_uniform_, 2 / 200),
        (lambda t, generator: init.kaiming_normal_(t, generator=generator), 2 / 200),
        (lambda t, generator: init.kaiming_normal_(t, mode="fan_out", generator=generator), 2 / 400),
        (lambda t, generator: init.kaiming_uniform_(t, 0, "fan_out", "tanh", generator), 25 / 9 / 400),
        (lambda t, generator: init.kaiming_uniform_(t, a=5**0.5, generator=generator), 1 / 600),
        (lambda t, generator: init.uniform_(t, -3, 3, generator), 3),
        (lambda t, generator: init.normal_(t, 0.0, 0.5, generator), 0.25),
    ],
)
def test_variances(fill, variance):
    t = weight(400, 200)
    assert fill(t, generator=fresh()) is t
    assert t.dtype == np.float32
    assert abs(t.data.mean()) < 4 * (variance / t.numel()) ** 0.5
    assert t.data.var() == pytest.approx(variance, rel=0.02)
    assert (fill(weight(400, 200), generator=fresh()).data == t.data).all()


def test_uniform_ones_have_bounds_and_normal_ones_tails():
    uniform, normal = init.xavier_uniform_(weight(400, 200)), init.xavier_normal_(weight(400, 200))
    assert 0.99 * 0.1 < np.abs(uniform.data).max() <= np.float32(0.1)
    assert np.abs(normal.data).max() > 3.5 * (2 / 600) ** 0.5


def signal_deviation(fill, function):
    generator = fresh()
    x = generator.standard_normal((128, 512)).astype(np.float32)
    for _ in range(20):
        x = function(x @ fill(weight(512, 512), generator=generator).data.T)
    return x.std()


def test_kaiming_is_for_relu_and_xavier_is_not():
    assert 0.4 < signal_deviation(init.kaiming_normal_, relu) < 1.5
    assert 2e-4 < signal_deviation(init.xavier_normal_, relu) < 2e-3
    assert 0.4 < signal_deviation(lambda t, generator: init.xavier_normal_(t, 5 / 3, generator), tanh) < 0.9


@pytest.mark.parametrize(
    "a, b, std", [(-2.0, 2.0, 1.0), (-2.0, 2.0, 0.02), (0.0, 0.5, 1.0), (3.0, 9.0, 1.0), (-1.0, 4.0, 2.0)]
)
def test_trunc_normal(a, b, std):
    """The draws' distribution function against the exact one, by Kolmogorov's distance."""
    t = init.trunc_normal_(weight(100, 400), 0.0, std, a, b, fresh())
    drawn = np.sort(t.data.ravel().astype(np.float64))
    assert drawn[0] >= a
    assert drawn[-1] <= b

    def below(v):
        return 0.5 * (1 + erf(v / std / sqrt(2)))

    exact = np.array([(below(v) - below(a)) / (below(b) - below(a)) for v in drawn[::40]])
    assert np.abs(exact - np.linspace(0, 1, exact.size, endpoint=False)).max() < 1.63 / 200


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (4, 2, 3, 3)])
def test_orthogonal(shape):
    w = init.orthogonal_(weight(*shape), gain=2.0, generator=fresh()).data.reshape(shape[0], -1)
    product = w @ w.T if shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


def test_orthogonal_prefers_no_direction():
    corners = [init.orthogonal_(weight(2, 2), generator=np.random.default_rng(i)).data[0, 0] for i in range(200)]
    assert abs(np.mean(np.sign(corners))) < 0.25
    assert abs(np.mean(np.square(corners)) - 0.5) < 0.1


def test_constants():
    t = weight(2, 3)
    for fill, value in ((init.ones_, 1), (init.zeros_, 0), (lambda t: init.constant_(t, 7.0), 7)):
        assert fill(t) is t
        assert (t.data == value).all()
        assert t.requires_grad


def test_the_default_generator_is_seeded_by_manual_seed():
    manual_seed(5)
    one = nn.Conv2d(3, 4, 3).state_dict()
    manual_seed(5)
    two = nn.Conv2d(3, 4, 3).state_dict()
    for name in one:
        np.testing.assert_array_equal(one[name].data, two[name].data)


def test_a_change_under_a_live_graph_is_noticed():
    t = weight(2, 2)
    y = (t * t).sum()
    init.ones_(t)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_aliases():
    assert init.glorot_uniform_ is init.xavier_uniform_
    assert init.glorot_normal_ is init.xavier_normal_
    assert init.he_uniform_ is init.kaiming_uniform_
    assert init.he_normal_ is init.kaiming_normal_


NAN = float("nan")


@pytest.mark.parametrize(
    "fill, name",
    [
        (lambda t: init.calculate_gain("swish"), "nonlinearity"),
        (lambda t: init.calculate_gain("leaky_relu", NAN), "param"),
        (lambda t: init.kaiming_normal_(t, mode="fan_avg"), "mode"),
        (lambda t: init.kaiming_normal_(t, nonlinearity="none"), "nonlinearity"),
        (lambda t: init.xavier_normal_(t, NAN), "gain"),
        (lambda t: init.normal_(t, 0.0, -1.0), "std"),
        (lambda t: init.normal_(t, NAN), "mean"),
        (lambda t: init.uniform_(t, 1.0, 0.0), "uniform_"),
        (lambda t: init.uniform_(t, NAN, 0.0), "uniform_"),
        (lambda t: init.trunc_normal_(t, std=0.0), "std"),
        (lambda t: init.trunc_normal_(t, a=1.0, b=1.0), "trunc_normal_"),
        (lambda t: init.trunc_normal_(t, a=7.0, b=9.0), "trunc_normal_"),
        (lambda t: init.trunc_normal_(t, mean=NAN), "mean"),
        (lambda t: init.orthogonal_(t, NAN), "gain"),
        (lambda t: init.orthogonal_(weight(3)), "2 axes"),
        (lambda t: init.xavier_uniform_(weight(3)), "2 axes"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_changed(fill, name):
    t = init.ones_(weight(2, 2))
    with pytest.raises(ValueError, match=name):
        fill(t)
    assert (t.data == 1).all()
