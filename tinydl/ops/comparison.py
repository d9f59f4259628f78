"""What is true of elements: comparisons and tests. Nothing here is differentiated."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.methods import plain
from tinydl.op import composite
from tinydl.tensor import alike


def _truth(ufunc: np.ufunc, *operands: Any) -> Any:
    """Return what a ufunc says of the operands: a Tensor if one of them is one, outside of the graph."""
    return alike(ufunc(*map(plain, operands)), *operands)


@composite
def eq(a: Any, b: Any) -> Any:
    """Return where a = b.

    >>> eq(np.array([1.0, 2.0, 3.0]), 2.0)
    array([False,  True, False])
    """
    return _truth(np.equal, a, b)


@composite
def ne(a: Any, b: Any) -> Any:
    """Return where a ≠ b.

    >>> ne(np.array([1.0, 2.0, 3.0]), 2.0)
    array([ True, False,  True])
    """
    return _truth(np.not_equal, a, b)


@composite
def lt(a: Any, b: Any) -> Any:
    """Return where a < b.

    >>> lt(np.array([1.0, 2.0, 3.0]), 2.0)
    array([ True, False, False])
    """
    return _truth(np.less, a, b)


@composite
def le(a: Any, b: Any) -> Any:
    """Return where a ≤ b.

    >>> le(np.array([1.0, 2.0, 3.0]), 2.0)
    array([ True,  True, False])
    """
    return _truth(np.less_equal, a, b)


@composite
def gt(a: Any, b: Any) -> Any:
    """Return where a > b.

    >>> gt(np.array([1.0, 2.0, 3.0]), 2.0)
    array([False, False,  True])
    """
    return _truth(np.greater, a, b)


@composite
def ge(a: Any, b: Any) -> Any:
    """Return where a ≥ b.

    >>> ge(np.array([1.0, 2.0, 3.0]), 2.0)
    array([False,  True,  True])
    """
    return _truth(np.greater_equal, a, b)


@composite
def isnan(x: Any) -> Any:
    """Return where x is NaN.

    >>> isnan(np.array([1.0, np.nan]))
    array([False,  True])
    """
    return _truth(np.isnan, x)


@composite
def isfinite(x: Any) -> Any:
    """Return where x is neither infinite nor NaN.

    >>> isfinite(np.array([1.0, np.inf]))
    array([ True, False])
    """
    return _truth(np.isfinite, x)


@composite
def logical_not(x: Any) -> Any:
    """Return where x is false, or 0.

    >>> logical_not(np.array([True, False]))
    array([False,  True])
    """
    return _truth(np.logical_not, x)


@composite
def bitwise_not(x: Any) -> Any:
    """Return booleans negated, or integers with every bit flipped.

    >>> bitwise_not(np.array([True, False]))
    array([False,  True])
    """
    return _truth(np.invert, x)


@composite
def bitwise_and(a: Any, b: Any) -> Any:
    """Return where both booleans are true, or the bits that two integers share.

    >>> bitwise_and(np.array([True, False]), True)
    array([ True, False])
    """
    return _truth(np.bitwise_and, a, b)


@composite
def bitwise_or(a: Any, b: Any) -> Any:
    """Return where a boolean of the two is true, or the bits of both integers.

    >>> bitwise_or(np.array([True, False]), False)
    array([ True, False])
    """
    return _truth(np.bitwise_or, a, b)
