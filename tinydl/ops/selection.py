"""Choosing element by element: maximum, minimum, where and clamp.

A choice is a constant to the derivative: the slope of a step is 0, so only the chosen side gets a gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.dtypes import FLOAT32, FLOAT64
from tinydl.methods import plain
from tinydl.op import op
from tinydl.ops.movement import sum_to
from tinydl.shapes import Array, Shape


@op("..., ...")
def maximum(a: Any, b: Any) -> Any:
    """Return the larger of a and b; NaN wins; where they are equal each gets half the gradient.

    >>> maximum(np.array([1.0, 5.0]), 3.0)
    array([3., 5.])
    """
    return np.maximum(a, b)


@maximum.vjp("a")
def maximum_vjp_a(g: Any, a: Any, b: Any, a_shape: Shape) -> Any:
    """∂y/∂a = 1 where a > b, ½ where equal, else 0."""
    return sum_to(g * _share(a, b), a_shape)


@maximum.vjp("b")
def maximum_vjp_b(g: Any, a: Any, b: Any, b_shape: Shape) -> Any:
    """∂y/∂b = 1 where b > a, ½ where equal, else 0."""
    return sum_to(g * _share(b, a), b_shape)


def _share(a: Any, b: Any) -> Array:
    """Return 1 where a > b, ½ where a = b, 0 where a < b, and 1 beside NaN: constant, as the slope of a step is 0."""
    a, b = plain(a), plain(b)
    share: Array = 1 - np.less(a, b) - np.multiply(0.5, np.equal(a, b))
    return share.astype(np.result_type(a, b))


@op("..., ...")
def minimum(a: Any, b: Any) -> Any:
    """Return the smaller of a and b; NaN wins; where they are equal each gets half the gradient.

    >>> minimum(np.array([1.0, 5.0]), 3.0)
    array([1., 3.])
    """
    return np.minimum(a, b)


@minimum.vjp("a")
def minimum_vjp_a(g: Any, a: Any, b: Any, a_shape: Shape) -> Any:
    """∂y/∂a = 1 where a < b, ½ where equal, else 0."""
    return sum_to(g * _share(b, a), a_shape)


@minimum.vjp("b")
def minimum_vjp_b(g: Any, a: Any, b: Any, b_shape: Shape) -> Any:
    """∂y/∂b = 1 where b < a, ½ where equal, else 0."""
    return sum_to(g * _share(a, b), b_shape)


@op("..., ..., ...")
def where(condition: Any, a: Any, b: Any) -> Any:
    """Return a where `condition` holds, else b; no gradient flows to the side not taken.

    >>> where(np.array([True, False]), 1.0, np.array([5.0, 6.0]))
    array([1., 6.])
    """
    y = np.where(condition, a, b)
    two_numbers = {type(a), type(b)} <= {float, int, bool}
    return y.astype(FLOAT32) if two_numbers and y.dtype == FLOAT64 else y


@where.vjp("a")
def where_vjp_a(g: Any, condition: Any, a_shape: Shape) -> Any:
    """∂y/∂a = 1 where the condition holds."""
    return sum_to(where(condition, g, 0.0), a_shape)


@where.vjp("b")
def where_vjp_b(g: Any, condition: Any, b_shape: Shape) -> Any:
    """∂y/∂b = 1 where it does not."""
    return sum_to(where(condition, 0.0, g), b_shape)


@op("...")
def clamp(x: Any, min: float | None = None, max: float | None = None) -> Any:
    """Return x limited to [min, max]; the slope is 1 on the closed interval, 0 outside; NaN stays.

    Raises: ValueError when neither bound is given.

    >>> clamp(np.array([-2.0, 0.5, 2.0]), -1.0, 1.0)
    array([-1. ,  0.5,  1. ])
    """
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max is needed, got None for both")
    return np.clip(x, min, max)


@clamp.vjp()
def clamp_vjp(g: Any, x: Any, min: float | None, max: float | None) -> Any:
    """∂y/∂x = 1 where min ≤ x ≤ max."""
    x = plain(x)
    inside = (x >= (-np.inf if min is None else min)) & (x <= (np.inf if max is None else max))
    return where(inside, g, 0.0)
