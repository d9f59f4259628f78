"""Sums of two large arrays that lie alike, and images scaled channel by channel; NumPy does everything else.

Both only move memory. Threads share that, and the result goes to memory that was used before, where NumPy asks the
system for new pages.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinydl.kernels import threads
from tinydl.kernels.buffers import empty_like_layout
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import njit
from tinydl.kernels.compiled.memory import FEW, FLOATS, ranges_of
from tinydl.kernels.reference import arithmetic as reference
from tinydl.shapes import Array

__all__ = reference.__all__


@functools.wraps(reference.add)
def add(a: Any, b: Any, low: float = -math.inf, high: float = math.inf) -> Any:
    if not (_is_large(a) and _is_large(b)) or (a.shape, a.strides, a.dtype) != (b.shape, b.strides, b.dtype):
        return reference.add(a, b, low, high)
    y = empty_like_layout(a)
    if y.strides != a.strides:
        return reference.add(a, b, low, high)
    shares, arrays = ranges_of(y.size, y.size), [x.ravel(order="K") for x in (y, a, b)]
    threads.share(_add, len(shares), shares, *arrays, float(low), float(high))
    return y


@njit
def _add(
    worker: int, boss: int, crew: Array, shares: Array, y: Array, a: Array, b: Array, low: float, high: float
) -> bool:
    """Add and clamp the worker's numbers: the clamp is free, since the sum waits for memory."""
    give(boss, crew)
    first, last = shares[worker]
    y, a, b = y[first:last], a[first:last], b[first:last]
    T = y.dtype.type
    least, most = T(low), T(high)
    for i in range(y.size):
        total = a[i] + b[i]
        total = least if total < least else total
        y[i] = most if total > most else total
    return wait(boss, crew)


@functools.wraps(reference.mul)
def mul(a: Any, b: Any) -> Any:
    if _is_large(b) and np.size(a) < b.size:
        a, b = b, a
    if not _is_large(a) or a.ndim != 4 or np.shape(b) != (*a.shape[:2], 1, 1) or b.dtype != a.dtype:
        return reference.mul(a, b)
    seen = a.transpose(0, 2, 3, 1)
    if not seen.flags.c_contiguous:
        return reference.mul(a, b)
    n, h, w, c = seen.shape
    y = empty_like_layout(a)
    shares = ranges_of(n * h * w, y.size)
    rows = (x.transpose(0, 2, 3, 1).reshape(n * h * w, c) for x in (y, a))
    threads.share(_scale_channels, len(shares), shares, *rows, np.array(b.reshape(n, c), order="C"))
    return y


@njit
def _scale_channels(worker: int, boss: int, crew: Array, shares: Array, y: Array, x: Array, scale: Array) -> bool:
    """Scale the worker's pixels by the numbers of their image."""
    give(boss, crew)
    size = len(y) // len(scale)
    for pixel in range(shares[worker, 0], shares[worker, 1]):
        y_row, row, factors = y[pixel], x[pixel], scale[pixel // size]
        for i in range(row.size):
            y_row[i] = row[i] * factors[i]
    return wait(boss, crew)


def _is_large(a: Any) -> bool:
    """Tell whether a number, array or Tensor is an array that kernels are compiled for, and worth handing over."""
    return type(a) is np.ndarray and a.size >= 2 * FEW and a.dtype in FLOATS and a.flags.behaved
