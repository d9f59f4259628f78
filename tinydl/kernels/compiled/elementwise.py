"""Activations and their gradients: each formula below becomes one vectorised loop, shared out over the threads.

A formula maps numbers to a number. `unary` and `binary` make it a kernel with the signature of its reference twin,
where its meaning and source are written. T is the type of number: see scalar.py. Comparisons are written such
that NaN takes the branch that keeps it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels import threads
from tinydl.kernels.buffers import empty_like_layout
from tinydl.kernels.compiled import scalar
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import inline, njit
from tinydl.kernels.compiled.memory import flat, ranges_of, share_out
from tinydl.kernels.reference import elementwise as reference
from tinydl.shapes import Array

__all__ = reference.__all__

Formula = Callable[..., Any]

FORMULAS: dict[str, Formula] = {}
"""The compiled formula of each unary kernel."""


def unary(formula: Formula) -> Callable[..., Array]:
    """Return the kernel y = formula(T, x, *parameters)."""
    number = inline(formula)

    def loop(worker: int, boss: int, crew: Array, shares: Array, y: Array, x: Array, *parameters: float) -> bool:
        give(boss, crew)
        first, last = shares[worker]
        y, x = y[first:last], x[first:last]
        T = y.dtype.type
        for i in range(y.size):
            y[i] = number(T, x[i], *parameters)
        return wait(boss, crew)

    compiled = _named_njit(loop, formula)

    @functools.wraps(getattr(reference, formula.__name__))
    def kernel(x: Array, *parameters: float) -> Array:
        y = empty_like_layout(x)
        shares = ranges_of(y.size, y.size)
        threads.share(compiled, len(shares), shares, y.ravel(order="K"), flat(x, y), *map(float, parameters))
        return y

    FORMULAS[formula.__name__] = number
    return kernel


def in_place(made_by: Callable[..., Array]) -> Callable[..., Array]:
    """Return the kernel that writes to x what the unary kernel `made_by` makes of it."""
    number, twin = FORMULAS[made_by.__name__], getattr(reference, f"{made_by.__name__}_in_place")

    def loop(worker: int, boss: int, crew: Array, shares: Array, x: Array, *parameters: float) -> bool:
        give(boss, crew)
        x = x[shares[worker, 0] : shares[worker, 1]]
        T = x.dtype.type
        for i in range(x.size):
            x[i] = number(T, x[i], *parameters)
        return wait(boss, crew)

    # of a loop for two arrays that turn out to be one, LLVM takes the version without vectors: 10 times slower
    compiled = _named_njit(loop, twin)

    @functools.wraps(twin)
    def kernel(x: Array, *parameters: float) -> Array:
        flat_x = x.ravel(order="K")
        if np.may_share_memory(x, flat_x) and x.flags.behaved and x.dtype.isnative:
            shares = ranges_of(x.size, x.size)
            threads.share(compiled, len(shares), shares, flat_x, *map(float, parameters))
        else:
            x[...] = made_by(x, *parameters)
        return x

    return kernel


def binary(formula: Formula) -> Callable[..., Array]:
    """Return the kernel gx = formula(T, g, x, *parameters) in the memory order of x."""
    number = inline(formula)

    def loop(
        worker: int, boss: int, crew: Array, shares: Array, gx: Array, g: Array, x: Array, *parameters: float
    ) -> bool:
        give(boss, crew)
        first, last = shares[worker]
        gx, g, x = gx[first:last], g[first:last], x[first:last]
        T = gx.dtype.type
        for i in range(gx.size):
            gx[i] = number(T, g[i], x[i], *parameters)
        return wait(boss, crew)

    compiled = _named_njit(loop, formula)

    @functools.wraps(getattr(reference, formula.__name__))
    def kernel(g: Array, x: Array, *parameters: float) -> Array:
        gx = empty_like_layout(x)
        shares, arrays = ranges_of(gx.size, gx.size), (gx.ravel(order="K"), flat(g, gx), flat(x, gx))
        threads.share(compiled, len(shares), shares, *arrays, *map(float, parameters))
        return gx

    return kernel


def _named_njit(loop: Formula, formula: Formula) -> Formula:
    """Compile `loop` under the name of its formula, by which its machine code is found again on disk."""
    loop.__qualname__ = formula.__qualname__
    return njit(loop)


# --- pieces of straight lines ---


@unary
def relu(T: Any, x: Any) -> Any:
    return T(0) if x <= 0 else x


@binary
def relu_grad(T: Any, g: Any, y: Any) -> Any:
    return T(0) if y <= 0 else g


@inline
def _clamp_0_6(T: Any, x: Any) -> Any:
    return T(0) if x <= 0 else (T(6) if x >= 6 else x)


@unary
def relu6(T: Any, x: Any) -> Any:
    return _clamp_0_6(T, x)


@binary
def relu6_grad(T: Any, g: Any, x: Any) -> Any:
    return T(0) if x <= 0 or x >= 6 else g


@unary
def leaky_relu(T: Any, x: Any, slope: Any) -> Any:
    return x if x > 0 else T(slope) * x


@binary
def leaky_relu_grad(T: Any, g: Any, x: Any, slope: Any) -> Any:
    return g if x > 0 else T(slope) * g


@unary
def hard_sigmoid(T: Any, x: Any) -> Any:
    return _clamp_0_6(T, x + T(3)) * T(1 / 6)


@binary
def hard_sigmoid_grad(T: Any, g: Any, x: Any) -> Any:
    return T(0) if x <= -3 or x >= 3 else g * T(1 / 6)


@unary
def hard_swish(T: Any, x: Any) -> Any:
    return x * (_clamp_0_6(T, x + T(3)) * T(1 / 6))


@binary
def hard_swish_grad(T: Any, g: Any, x: Any) -> Any:
    inside = T(1) if x >= 3 else (T(2) * x + T(3)) * T(1 / 6)
    return T(0) if x <= -3 else g * inside


# --- built on the exponential ---


@inline
def _sigmoid(T: Any, x: Any) -> Any:
    e = scalar.exp_negative(T, -abs(x))
    return (e if x < 0 else T(1)) / (T(1) + e)


@inline
def _tanh(T: Any, x: Any) -> Any:
    e = scalar.expm1_negative(T, T(-2) * abs(x))
    return math.copysign(e / (T(2) + e), x)


@unary
def elu(T: Any, x: Any, alpha: Any) -> Any:
    return x if x > 0 else T(alpha) * scalar.expm1_negative(T, T(0) if x > 0 else x)


@binary
def elu_grad(T: Any, g: Any, x: Any, alpha: Any) -> Any:
    return g if x > 0 else g * T(alpha) * scalar.exp_negative(T, T(0) if x > 0 else x)


@unary
def sigmoid(T: Any, x: Any) -> Any:
    return _sigmoid(T, x)


@binary
def sigmoid_grad(T: Any, g: Any, y: Any) -> Any:
    return g * (y * (T(1) - y))


@unary
def tanh(T: Any, x: Any) -> Any:
    return _tanh(T, x)


@binary
def tanh_grad(T: Any, g: Any, y: Any) -> Any:
    return g * (T(1) - y * y)


@unary
def swish(T: Any, x: Any, beta: Any) -> Any:
    return x * _sigmoid(T, T(beta) * x)


@binary
def swish_grad(T: Any, g: Any, x: Any, beta: Any) -> Any:
    s = _sigmoid(T, T(beta) * x)
    return g * (s + T(beta) * x * s * (T(1) - s))


@unary
def softplus(T: Any, x: Any, beta: Any, threshold: Any) -> Any:
    z = T(beta) * x
    curve = (T(0) if z < 0 else z) + scalar.log1p_unit(T, scalar.exp_negative(T, -abs(z)))
    return x if z > T(threshold) else curve / T(beta)


@binary
def softplus_grad(T: Any, g: Any, x: Any, beta: Any, threshold: Any) -> Any:
    z = T(beta) * x
    return g if z > T(threshold) else g * _sigmoid(T, z)


@inline
def _tanh_softplus(T: Any, x: Any) -> Any:
    """Return t = tanh(log(1 + eˣ)) = p/q and 1 − t², with p = e^2x + 2e^x, q = p + 2, in powers of e^−|x|."""
    e = scalar.exp_negative(T, -abs(x))
    p = e * (e + T(2)) if x < 0 else T(1) + T(2) * e
    rest = T(2) if x < 0 else T(2) * e * e
    q = p + rest
    return p / q, rest * (p + q) / (q * q)


@unary
def mish(T: Any, x: Any) -> Any:
    return x * _tanh_softplus(T, x)[0]


@binary
def mish_grad(T: Any, g: Any, x: Any) -> Any:
    t, slope = _tanh_softplus(T, x)
    return g * (t + x * slope * _sigmoid(T, x))


# --- built on the error function ---


@unary
def erf(T: Any, x: Any) -> Any:
    return scalar.erf(T, x)


@inline
def _normal(T: Any, x: Any) -> Any:
    return (T(1) + scalar.erf(T, x * T(math.sqrt(0.5)))) * T(0.5)


@unary
def gelu(T: Any, x: Any) -> Any:
    return x * _normal(T, x)


@binary
def gelu_grad(T: Any, g: Any, x: Any) -> Any:
    density = scalar.exp_negative(T, T(-0.5) * x * x) * T(1 / math.sqrt(2 * math.pi))
    return g * (_normal(T, x) + x * density)


SLOPE = math.sqrt(2 / math.pi)


@unary
def gelu_tanh(T: Any, x: Any) -> Any:
    t = _tanh(T, T(SLOPE) * (x + T(0.044715) * x * x * x))
    return x * T(0.5) * (T(1) + t)


@binary
def gelu_tanh_grad(T: Any, g: Any, x: Any) -> Any:
    t = _tanh(T, T(SLOPE) * (x + T(0.044715) * x * x * x))
    slope = T(SLOPE) * (T(1) + T(3 * 0.044715) * x * x)
    return g * T(0.5) * (T(1) + t + x * (T(1) - t * t) * slope)


# --- dropout ---


@njit
def _scale_mask(y: Array, x: Array, mask: Array, scale: float) -> None:
    T = y.dtype.type
    for i in range(y.size):
        y[i] = x[i] * T(scale) if mask[i] else T(0)


@functools.wraps(reference.scale_mask)
def scale_mask(x: Array, mask: Array, scale: float) -> Array:
    y = empty_like_layout(x)
    bits = flat(mask.view(np.uint8), empty_like_layout(y, np.uint8))
    share_out(_scale_mask, (y.ravel(order="K"), flat(x, y), bits), float(scale))
    return y


# --- instead of their argument ---

hard_swish_in_place = in_place(hard_swish)
swish_in_place = in_place(swish)
