"""Functions of one element against Python's `math`, and their conventions at kinks, infinities and NaN."""

import math

import numpy as np
import pytest

from tinydl import ops
from tinydl.autograd import grad
from tinydl.tensor import Tensor

X = [-30.0, -4.0, -3.0, -1.5, -1e-3, 0.0, 1e-3, 0.5, 2.0, 3.0, 5.9, 6.0, 7.0, 30.0]


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


FORMULAS = {
    "exp": math.exp,
    "sin": math.sin,
    "cos": math.cos,
    "erf": math.erf,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "neg": lambda x: -x,
    "sigmoid": sigmoid,
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "softplus": lambda x: max(x, 0) + math.log1p(math.exp(-abs(x))),
    "mish": lambda x: x * math.tanh(max(x, 0) + math.log1p(math.exp(-abs(x)))),
    "hardsigmoid": lambda x: min(max(x + 3, 0), 6) / 6,
    "hardswish": lambda x: x * min(max(x + 3, 0), 6) / 6,
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 1e-6)])
def test_values(name, dtype, tolerance):
    found = getattr(ops, name)(np.array(X, dtype))
    wanted = [FORMULAS[name](float(dtype(x))) for x in X]
    assert found.dtype == dtype
    assert np.allclose(found, wanted, rtol=tolerance, atol=tolerance)


def test_values_with_options():
    x = np.array(X)
    assert np.allclose(ops.leaky_relu(x, 0.2), [v if v > 0 else 0.2 * v for v in X])
    assert np.allclose(ops.elu(x, 0.7), [v if v > 0 else 0.7 * math.expm1(v) for v in X])
    assert np.allclose(ops.swish(x, 2.5), [v * sigmoid(2.5 * v) for v in X])
    assert np.allclose(ops.softplus(x, 2.0, 3.0), [v if 2 * v > 3 else math.log1p(math.exp(2 * v)) / 2 for v in X])
    inner = [math.sqrt(2 / math.pi) * (v + 0.044715 * v**3) for v in X]
    assert np.allclose(ops.gelu(x, "tanh"), [v / 2 * (1 + math.tanh(u)) for v, u in zip(X, inner)])


def test_the_figure_of_the_swish_paper():
    assert float(ops.silu(np.array(-2.0))) == pytest.approx(-0.2384, abs=1e-4)


@pytest.mark.parametrize("name", ["log", "sqrt"])
def test_values_of_positive_numbers(name):
    x = np.array([1e-300, 0.25, 1.0, 7.0, 1e300])
    assert np.allclose(getattr(ops, name)(x), [getattr(math, name)(v) for v in x], rtol=1e-14)


def slope(function, x):
    leaf = Tensor(np.array(x), requires_grad=True)
    return grad(function(leaf), leaf)[0].item()


@pytest.mark.parametrize(
    "name, kink, wanted",
    [
        ("relu", 0.0, 0.0),
        ("relu6", 0.0, 0.0),
        ("relu6", 6.0, 0.0),
        ("leaky_relu", 0.0, 0.01),
        ("abs", 0.0, 0.0),
        ("hardsigmoid", -3.0, 0.0),
        ("hardsigmoid", 3.0, 0.0),
        ("hardswish", -3.0, 0.0),
        ("hardswish", 3.0, 1.0),
        ("sign", 0.0, 0.0),
        ("sqrt", 0.0, math.inf),
    ],
)
def test_slopes_at_kinks(name, kink, wanted):
    assert slope(getattr(ops, name), kink) == wanted


def test_slopes_where_two_operands_are_equal():
    for function in (ops.maximum, ops.minimum):
        a, b = (Tensor([1.0, 2.0, 3.0], requires_grad=True) for _ in range(2))
        function(a, b).sum().backward()
        assert a.grad.tolist() == b.grad.tolist() == [0.5, 0.5, 0.5]


def test_clamp_has_slope_1_on_the_closed_interval():
    x = Tensor([-2.0, -1.0, 0.0, 1.0, 2.0], requires_grad=True)
    x.clamp(-1, 1).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "elu", "gelu", "sigmoid", "tanh", "softplus", "mish"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_let_nan_through_and_take_any_number_without_a_warning(name, dtype):
    x = Tensor(np.array([np.nan, -1e4, 1e4, -np.inf, np.inf, -1e-40], dtype), requires_grad=True)
    y = getattr(ops, name)(x)
    y.sum().backward()
    assert np.isnan(y.data[0])
    assert np.isfinite(y.data[1:3]).all()
    assert np.isfinite(x.grad.data[1:3]).all()


def test_arithmetic_makes_infinities_and_nan_without_a_warning():
    zero, big = np.zeros(2, np.float32), np.full(2, 1e38, np.float32)
    for wrap in (Tensor, np.asarray):
        assert np.isinf(np.asarray(ops.div(wrap(big), wrap(zero)))).all()
        assert np.isnan(np.asarray(ops.div(wrap(zero), wrap(zero)))).all()
        assert np.isinf(np.asarray(ops.mul(wrap(big), wrap(big)))).all()
        assert np.isinf(np.asarray(ops.add(wrap(big), ops.mul(wrap(big), 10.0)))).all()
        assert np.isinf(np.asarray(ops.exp(wrap(big)))).all()
        assert np.asarray(ops.log(wrap(zero))).tolist() == [-np.inf, -np.inf]
        assert np.isnan(np.asarray(ops.log(ops.neg(wrap(big))))).all()
        assert np.isnan(np.asarray(ops.sqrt(ops.neg(wrap(big))))).all()
        assert np.isinf(np.asarray(ops.pow(wrap(zero), -1))).all()
        assert np.isinf(np.asarray(ops.bmm(wrap(big[:, None]), wrap(big[None])))).all()
        assert np.isinf(np.asarray(ops.sum(wrap(np.full(100, 1e38, np.float32)))))


@pytest.mark.parametrize("exponent", [0, 1, 2, 0.5])
def test_powers_of_0_have_finite_slopes_where_they_exist(exponent):
    wanted = {0: 0.0, 1: 1.0, 2: 0.0, 0.5: math.inf}[exponent]
    assert slope(lambda x: x**exponent, 0.0) == wanted
    base, power = Tensor(np.zeros(1), requires_grad=True), Tensor(np.full(1, float(exponent)), requires_grad=True)
    (base**power).sum().backward()
    assert base.grad.item() == wanted
    assert power.grad.item() == 0.0


def test_powers_of_negative_numbers():
    x = np.array([-2.0, -3.0])
    assert ops.pow(x, 3).tolist() == [-8, -27]
    assert np.isnan(ops.pow(x, 0.5)).all()
    assert slope(lambda x: x**3, -2.0) == 12.0
    with pytest.raises(ValueError, match="negative integer powers"):
        ops.pow(np.array([2]), -1)


def test_integers_become_float32_where_the_result_is_no_integer():
    whole = np.array([1, 2, 3])
    for function in (ops.exp, ops.log, ops.sqrt, ops.sin, ops.cos, ops.erf, lambda x: x / np.array([2, 2, 2])):
        assert function(Tensor(whole)).dtype == np.float32
    assert ops.div(Tensor(whole), 2).tolist() == [0.5, 1.0, 1.5]
    assert ops.abs(Tensor(-whole)).dtype == np.int64


def test_comparisons():
    a, b = Tensor([1.0, 2.0, np.nan]), Tensor([2.0, 2.0, np.nan])
    assert (a == b).tolist() == [False, True, False]
    assert (a != b).tolist() == [True, False, True]
    assert (a < b).tolist() == [True, False, False]
    assert (a <= b).tolist() == [True, True, False]
    assert (b > a).tolist() == [True, False, False]
    assert (a >= 2).tolist() == [False, True, False]
    assert ((a < b) | (a == b)).tolist() == [True, True, False]
    assert (~(a < b) & (a == b)).tolist() == [False, True, False]
    assert a.isnan().tolist() == [False, False, True]
    assert ops.isfinite(np.array([1.0, np.inf, np.nan])).tolist() == [True, False, False]
    assert (Tensor([6, 5]) & Tensor([3, 3])).tolist() == [2, 1]
    assert (a == None) is False  # noqa: E711 — what `in` and careless programs do
    assert (a != None) is True  # noqa: E711


def test_where_chooses_and_sends_the_gradient_to_the_chosen():
    condition = Tensor([True, False, True])
    a, b = (Tensor(np.arange(3.0) + k, requires_grad=True) for k in (0, 10))
    y = ops.where(condition, a, b)
    y.backward(Tensor([1.0, 2.0, 3.0]))
    assert y.tolist() == [0, 11, 2]
    assert a.grad.tolist() == [1, 0, 3]
    assert b.grad.tolist() == [0, 2, 0]
    assert ops.where(condition, 1.0, 0.0).dtype == np.float32
    assert ops.where(condition, 1, 0).dtype == np.int64
    assert a.masked_fill(condition, -1).tolist() == [-1, 1, -1]


def test_no_gradient_of_the_side_not_taken_can_spoil_the_other():
    """0 · ∞ would be NaN: the side that is not taken gets 0, whatever its slope."""
    x = Tensor(np.array([0.0, 4.0]), requires_grad=True)
    ops.where(x > 0, ops.sqrt(ops.where(x > 0, x, 1.0)), 0.0).sum().backward()
    assert x.grad.tolist() == [0, 0.25]


def test_a_cast_sends_the_gradient_back_in_the_old_dtype():
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    y = x.double()
    assert y.dtype == np.float64
    (y * 3).sum().backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [3, 3]
    assert not x.long().requires_grad
    assert x.to(np.float32).data is x.data or np.shares_memory(x.to(np.float32).data, x.data)
    assert x.to("cpu").data is x.data
    with pytest.raises(TypeError, match="dtype 'cuda' is not supported"):
        x.to("cuda")
