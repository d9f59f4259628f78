"""The rule of fake quantization: it is no derivative, so what it is is written here a second time, loop by loop."""

import numpy as np
import pytest

from tinydl import ops
from tinydl.autograd import grad
from tinydl.tensor import Tensor

RNG = np.random.default_rng(0)
X = RNG.uniform(-3, 3, (4, 5))
SCALE = np.array([[0.5], [0.3], [0.11], [1.0]])
ZERO = np.array([[0], [2], [-3], [1]])
LOW, HIGH = -4, 3


def by_hand(x, scale, zero_point):
    """Return (y, ∂y/∂x, ∂y/∂scale) of one number."""
    steps = round(x / scale)
    bounded = min(max(steps + zero_point, LOW), HIGH) - zero_point
    inside = bounded == steps
    return bounded * scale, float(inside), bounded - (x / scale if inside else 0.0)


def test_values_and_straight_through_gradients():
    table = np.array([[by_hand(x, s, z) for x in row] for row, (s,), (z,) in zip(X, SCALE, ZERO)])
    x, scale = Tensor(X, requires_grad=True), Tensor(SCALE, requires_grad=True)
    y = ops.fake_quantize(x, scale, ZERO, LOW, HIGH)
    g = RNG.standard_normal(y.shape)
    y.backward(g)
    assert 0 < table[..., 1].mean() < 1
    assert np.allclose(y.data, table[..., 0], rtol=1e-15)
    assert np.array_equal(x.grad.data, g * table[..., 1])
    assert np.allclose(scale.grad.data, (g * table[..., 2]).sum(1, keepdims=True), rtol=1e-12)


def test_the_rule_is_the_derivative_with_the_rounding_held_fixed():
    """scale · clamp(x / scale + ε): its exact gradients by our own ops are the rule's."""
    x, scale = Tensor(X, requires_grad=True), Tensor(SCALE, requires_grad=True)
    error = np.rint(X / SCALE) - X / SCALE
    steps = x / scale + error
    bounded = ops.minimum(ops.maximum(steps, (LOW - ZERO) - 1e-9), (HIGH - ZERO) + 1e-9)
    g = RNG.standard_normal(X.shape)
    wanted = grad(scale * bounded, [x, scale], g)
    found = grad(ops.fake_quantize(x, scale, ZERO, LOW, HIGH), [x, scale], g)
    for f, w in zip(found, wanted):
        assert np.allclose(f.data, w.data, rtol=1e-6, atol=1e-7)


def test_the_bounds_belong_to_the_inside():
    x = Tensor([-4.4, -4.6, 3.4, 3.6], requires_grad=True)
    ops.fake_quantize(x, 1.0, 0, LOW, HIGH).sum().backward()
    assert x.grad.data.tolist() == [1.0, 0.0, 1.0, 0.0]


def test_ties_go_to_even_and_what_is_on_the_grid_stays():
    assert ops.fake_quantize(np.array([0.5, 1.5, -2.5]), 1.0).tolist() == [0.0, 2.0, -2.0]
    grid = np.arange(-128, 128) * np.float32(0.1)
    assert np.array_equal(ops.fake_quantize(grid, np.float32(0.1)), grid)


def test_nan_stays_and_infinities_are_clamped():
    x = Tensor([np.nan, np.inf, -np.inf], requires_grad=True)
    y = ops.fake_quantize(x, 0.5, 0, -8, 7)
    y.sum().backward()
    assert np.isnan(y.data[0])
    assert y.data[1:].tolist() == [3.5, -4.0]
    assert x.grad.data.tolist() == [0.0, 0.0, 0.0]


def test_bounds_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="low must be below high, got 3 and 3"):
        ops.fake_quantize(np.ones(2), 1.0, 0, 3, 3)
