"""Arrays of any layout as one- or two-dimensional memory, and the sharing out of a loop over it.

Whatever the axes' order, strides, byte order or flags of the arguments, kernels see C-contiguous, native, aligned
and writeable arrays: so each is compiled once for float32 and once for float64. (To Numba a read-only array is
one more type; it is copied.)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinydl.kernels.threads import num_threads, run, slices
from tinydl.shapes import Array, Shape

GRAIN = 1 << 17
"""Numbers that make a second thread worth its while: some 15 µs of work for the cheapest kernels."""

FLOATS = frozenset([np.dtype(np.float32), np.dtype(np.float64)])
"""The types of number that kernels are compiled for."""

FEW = 1 << 15
"""The same for kernels of crew.py, which lose less when they hand over: some 4 µs of work."""


def flat(a: Array, like: Array) -> Array:
    """Return the numbers of `a` as 1-d, of like's dtype and in the memory order of `like`, which must be dense.

    It is a view if the layouts agree already.
    """
    if a.strides != like.strides or a.dtype != like.dtype or not a.flags.behaved:
        copy = np.empty_like(like)
        copy[...] = a
        a = copy
    return a.ravel(order="K")


def plain(a: Array, dtype: DTypeLike) -> Array:
    """Return `a` in the one form that kernels are compiled for: `a` itself, or a copy."""
    return a if a.flags.carray and a.dtype == dtype else np.array(a, dtype, order="C")


@functools.lru_cache(maxsize=256)
def filled(n: int, value: float, dtype: np.dtype[Any]) -> Array:
    """Return n times a value, for a kernel to read in the place of something that is not there; the same each time."""
    return np.full(n, value, dtype)


def to_rows(a: Array, axis: int, dtype: DTypeLike) -> Array:
    """Return `a` as (rows, a.shape[axis]), with `axis` last; a view if that is how the memory is ordered.

    >>> to_rows(np.arange(6.0).reshape(2, 3), 0, np.float64)
    array([[0., 3.],
           [1., 4.],
           [2., 5.]])
    """
    a = a.reshape(a.shape or 1)
    moved = a.transpose(*range(axis), *range(axis + 1, a.ndim), axis)
    return plain(moved.reshape(math.prod(moved.shape[:-1]), a.shape[axis]), dtype)


def from_rows(matrix: Array, shape: Shape, axis: int) -> Array:
    """Return the view of `matrix` whose `to_rows(…, axis)` it is, of the given shape.

    >>> from_rows(np.array([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]), (2, 3), 0)
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    if not shape:
        return matrix.reshape(())
    last = len(shape) - 1
    moved = matrix.reshape(*shape[:axis], *shape[axis + 1 :], shape[axis])
    return moved.transpose(*range(axis), last, *range(axis, last))


@functools.lru_cache(maxsize=1024)
def ranges(n: int, grain: int, n_threads: int) -> Array:
    """Return the (first, last) of the items, of n, that each worker of a kernel of crew.py takes: at least `grain`."""
    return np.array(slices(n, grain))


def ranges_of(n: int, size: int) -> Array:
    """Return `ranges` for n items that are `size` numbers, each of which costs little."""
    return _cheap_ranges(n, size, num_threads())


@functools.lru_cache(maxsize=1024)
def _cheap_ranges(n: int, size: int, n_threads: int) -> Array:
    return ranges(n, max(1, FEW * n // max(size, 1)), n_threads)


def share_out(loop: Callable[..., None], arrays: Sequence[Array | None], *others: Any, unit: int = 1) -> None:
    """Call `loop(*arrays, *others)`; if that pays, each thread calls it on its slices of the arrays' first axis.

    Every array has the same length, the first is never None, and slices begin at multiples of `unit`.
    """
    first = arrays[0]
    assert first is not None
    if first.size < 2 * GRAIN:
        loop(*arrays, *others)
        return

    def task(start: int, stop: int, worker: int) -> None:
        loop(*[None if a is None else a[start * unit : stop * unit] for a in arrays], *others)

    n_units = -(-len(first) // unit)
    run(task, n_units, max(1, GRAIN * n_units // first.size))
