"""Arithmetic and smooth functions, element by element, with NumPy's broadcasting.

What broadcasting stretched on the way forward, `sum_to` adds up on the way back. Division and functions like exp turn
integers into float32, as PyTorch does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl import kernels
from tinydl.dtypes import FLOAT32, DType, check_dtype
from tinydl.op import op
from tinydl.ops.comparison import eq
from tinydl.ops.movement import sum_to
from tinydl.ops.selection import where
from tinydl.shapes import Shape


def _floating(x: Any) -> Any:
    """Return integer arrays as float32; floats as they are."""
    return x.astype(FLOAT32) if isinstance(x, np.ndarray) and x.dtype.kind in "iub" else x


@op("..., ...")
def add(a: Any, b: Any) -> Any:
    """Return a + b.

    >>> import numpy as np
    >>> add(np.ones((2, 1)), np.ones(3)).shape
    (2, 3)
    """
    return kernels.add(a, b)


@add.vjp("a")
def add_vjp_a(g: Any, a_shape: Shape) -> Any:
    """∂y/∂a = 1."""
    return sum_to(g, a_shape)


@add.vjp("b")
def add_vjp_b(g: Any, b_shape: Shape) -> Any:
    """∂y/∂b = 1."""
    return sum_to(g, b_shape)


@op("..., ...")
def sub(a: Any, b: Any) -> Any:
    """Return a − b.

    >>> sub(3.0, 1.0)
    2.0
    """
    return a - b


@sub.vjp("a")
def sub_vjp_a(g: Any, a_shape: Shape) -> Any:
    """∂y/∂a = 1."""
    return sum_to(g, a_shape)


@sub.vjp("b")
def sub_vjp_b(g: Any, b_shape: Shape) -> Any:
    """∂y/∂b = −1."""
    return sum_to(-g, b_shape)


@op("..., ...")
def mul(a: Any, b: Any) -> Any:
    """Return a · b.

    >>> mul(3.0, 2.0)
    6.0
    """
    return kernels.mul(a, b)


@mul.vjp("a")
def mul_vjp_a(g: Any, b: Any, a_shape: Shape) -> Any:
    """∂y/∂a = b."""
    return sum_to(g * b, a_shape)


@mul.vjp("b")
def mul_vjp_b(g: Any, a: Any, b_shape: Shape) -> Any:
    """∂y/∂b = a."""
    return sum_to(g * a, b_shape)


@op("..., ...")
def div(a: Any, b: Any) -> Any:
    """Return a / b; integers give float32.

    >>> div(1.0, 4.0)
    0.25
    """
    return _floating(a) / _floating(b)


@div.vjp("a")
def div_vjp_a(g: Any, b: Any, a_shape: Shape) -> Any:
    """∂y/∂a = 1 / b."""
    return sum_to(g / b, a_shape)


@div.vjp("b")
def div_vjp_b(g: Any, b: Any, y: Any, b_shape: Shape) -> Any:
    """∂y/∂b = −a / b² = −y / b."""
    return sum_to(-(g * (y / b)), b_shape)


@op("...")
def neg(x: Any) -> Any:
    """Return −x.

    >>> neg(2.0)
    -2.0
    """
    return -x


@neg.vjp()
def neg_vjp(g: Any) -> Any:
    """∂y/∂x = −1."""
    return -g


@op("..., ...")
def pow(a: Any, b: Any) -> Any:
    """Return a to the power b; a negative base needs an integer exponent (else NaN).

    Raises: ValueError for integers to a negative integer power, as NumPy does.

    >>> pow(np.array([2.0, 3.0]), 2)
    array([4., 9.])
    """
    return a**b


@pow.vjp("a")
def pow_vjp_a(g: Any, a: Any, b: Any, a_shape: Shape) -> Any:
    """∂y/∂a = b · a^(b−1), which is 0 for b = 0 even at a = 0."""
    if isinstance(b, (int, float)):
        return g * (b * a ** (b - 1)) if b else g * 0.0
    constant = eq(b, 0)
    return sum_to(where(constant, 0.0, g * b * a ** (where(constant, 1.0, b) - 1)), a_shape)


@pow.vjp("b")
def pow_vjp_b(g: Any, a: Any, y: Any, b_shape: Shape) -> Any:
    """∂y/∂b = y · ln a, which is 0 at a = 0 (where y is 0 or the exponent's side is undefined)."""
    if isinstance(a, (int, float)):
        return g * (y * math.log(a)) if a > 0 else g * (0.0 if a == 0 else math.nan)
    zero = eq(a, 0)
    return sum_to(g * where(zero, 0.0, y * log(where(zero, 1.0, a))), b_shape)


@op("...")
def exp(x: Any) -> Any:
    """Return eˣ.

    >>> exp(np.zeros(2))
    array([1., 1.])
    """
    return np.exp(_floating(x))


@exp.vjp()
def exp_vjp(g: Any, y: Any) -> Any:
    """∂y/∂x = y."""
    return g * y


@op("...")
def log(x: Any) -> Any:
    """Return the natural logarithm ln x.

    >>> log(np.ones(2))
    array([0., 0.])
    """
    return np.log(_floating(x))


@log.vjp()
def log_vjp(g: Any, x: Any) -> Any:
    """∂y/∂x = 1 / x."""
    return g / x


@op("...")
def sqrt(x: Any) -> Any:
    """Return √x; its slope at 0 is infinite.

    >>> sqrt(np.array([4.0, 9.0]))
    array([2., 3.])
    """
    return np.sqrt(_floating(x))


@sqrt.vjp()
def sqrt_vjp(g: Any, y: Any) -> Any:
    """∂y/∂x = 1 / (2y)."""
    return g / (2.0 * y)


@op("...")
def sin(x: Any) -> Any:
    """Return sin x (x in radians).

    >>> sin(np.zeros(1))
    array([0.])
    """
    return np.sin(_floating(x))


@sin.vjp()
def sin_vjp(g: Any, x: Any) -> Any:
    """∂y/∂x = cos x."""
    return g * cos(x)


@op("...")
def cos(x: Any) -> Any:
    """Return cos x (x in radians).

    >>> cos(np.zeros(1))
    array([1.])
    """
    return np.cos(_floating(x))


@cos.vjp()
def cos_vjp(g: Any, x: Any) -> Any:
    """∂y/∂x = −sin x."""
    return -g * sin(x)


@op("...")
def erf(x: Any) -> Any:
    """Return the error function (2/√π) ∫₀ˣ e^(−t²) dt.

    >>> round(float(erf(np.array(1.0))), 6)
    0.842701
    """
    return kernels.erf(_floating(x))


@erf.vjp()
def erf_vjp(g: Any, x: Any) -> Any:
    """∂y/∂x = (2/√π) e^(−x²)."""
    return g * (2.0 / np.pi**0.5 * exp(-x * x))


@op("...")
def abs(x: Any) -> Any:
    """Return |x|; its slope at 0 is 0.

    >>> abs(np.array([-1.0, 2.0]))
    array([1., 2.])
    """
    return np.abs(x)


@abs.vjp()
def abs_vjp(g: Any, x: Any) -> Any:
    """∂y/∂x = sign x."""
    return g * sign(x)


@op("...")
def sign(x: Any) -> Any:
    """Return −1, 0 or 1; its slope is 0 everywhere.

    >>> sign(np.array([-3.0, 0.0, 2.0]))
    array([-1.,  0.,  1.])
    """
    return np.sign(x)


@sign.vjp()
def sign_vjp(g: Any) -> Any:
    """∂y/∂x = 0."""
    return g * 0.0


@op("...", view=True)
def to(x: Any, target: Any) -> Any:
    """Return the same values in the dtype `target`; the name of the device, "cpu", leaves them as they are.

    Raises: TypeError for a dtype that the engine does not compute in, and for other devices.

    >>> to(np.array([1.7]), "int64")
    array([1])
    """
    if isinstance(target, str) and target == "cpu":
        return x
    return x.astype(check_dtype(target), copy=False)


@to.vjp()
def to_vjp(g: Any, x_dtype: DType) -> Any:
    """∂y/∂x = 1, in the dtype that x had."""
    return to(g, x_dtype)


@op("...")
def clone(x: Any) -> Any:
    """Return a copy.

    >>> clone(np.ones(2))
    array([1., 1.])
    """
    return np.array(x, order="K")


@clone.vjp()
def clone_vjp(g: Any) -> Any:
    """∂y/∂x = 1."""
    return g
