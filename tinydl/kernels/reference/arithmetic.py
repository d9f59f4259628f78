"""Sums and products of two arrays, as NumPy takes them; those of large images have compiled twins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["add", "mul"]


def add(a: Any, b: Any, low: float = -math.inf, high: float = math.inf) -> Any:
    """Return min(max(a + b, low), high), with NumPy's broadcasting; NaN stays NaN.

    >>> add(np.array([-2.0, 1.0]), 1.0, low=0.0)
    array([0., 2.])
    """
    total = a + b
    return total if (low, high) == (-math.inf, math.inf) else np.clip(total, low, high)


def mul(a: Any, b: Any) -> Any:
    """Return a · b, with NumPy's broadcasting.

    >>> mul(np.array([1.0, 2.0]), 3.0)
    array([3., 6.])
    """
    return a * b
