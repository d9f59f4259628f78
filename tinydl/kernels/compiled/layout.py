"""The memory layouts that compiled kernels know: images channels-last, weights as the tiles of conv.py read them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled.memory import plain
from tinydl.kernels.compiled.transpose import transpose
from tinydl.shapes import Array

__all__: list[str] = []

SIDE = 16
"""Rows that a thread takes at least: whole squares of transpose.py."""

GRAIN = 1 << 18
"""Numbers that are worth handing to another thread: some 50 µs of work."""

FLOATS = np.dtype(np.float32), np.dtype(np.float64)


def channels_last(x: Array) -> Array:
    """Return x (N, C, H, W) as a C-contiguous array (N, H, W, C): a view if it is stored like that, else a copy.

    Numba compiles anew for read-only and for misaligned arrays, so those are copied as well.
    """
    view = x.transpose(0, 2, 3, 1)
    if view.flags.carray and view.dtype.isnative:
        return view
    n, h, w, c = view.shape
    copy = buffers.empty(view.shape, view.dtype.newbyteorder("="))
    if x.flags.carray and x.dtype in FLOATS:
        transpose(x.reshape(-1), copy.reshape(-1), _by_tap(1, h * w, c), _ones(c, x.dtype), n, 1, 0, c, h * w, 0, c)
    else:
        np.copyto(copy, view)
    return copy


def patches_first(weight: Array, groups: int, dtype: np.dtype[Any], scale: Array | None = None) -> Array:
    """Return weight (O, c, kh, kw) as (groups, kh·kw·c, o), its output channels perhaps scaled, in working space."""
    o, c, taps = len(weight) // groups, weight.shape[1], weight.shape[2] * weight.shape[3]
    packed = buffers.scratch("weight", (groups, taps * c, o), dtype)
    factors = _ones(len(weight), dtype) if scale is None else plain(scale, dtype)
    rows = _by_tap(c, taps, o)
    flat, flat_packed = plain(weight, dtype).reshape(-1), packed.reshape(-1)

    def some(first: int, last: int, worker: int) -> None:
        begin, end = first * SIDE, min(last * SIDE, o)
        transpose(flat, flat_packed, rows, factors, groups, 1, 0, o, c * taps, begin, end)

    threads.run(some, -(-o // SIDE), GRAIN // max(1, SIDE * c * taps * groups) + 1)
    return packed


def taps_first(weight: Array, groups: int, dtype: np.dtype[Any]) -> Array:
    """Return weight (O, c, kh, kw) as (groups, kh·kw·o, c): itself if it lies like that, else in working space."""
    o, c, taps = len(weight) // groups, weight.shape[1], weight.shape[2] * weight.shape[3]
    given = plain(weight, dtype)
    if taps == 1:
        return given.reshape(groups, o, c)
    packed = buffers.scratch("weight", (groups, taps * o, c), dtype)
    rows = _by_tap(1, taps, o * c)
    transpose(given.reshape(-1), packed.reshape(-1), rows, _ones(c, dtype), groups, o, c, c, taps, 0, c)
    return packed


@functools.lru_cache(maxsize=256)
def _by_tap(c: int, taps: int, length: int) -> Array:
    """Return where the row of (channel, tap) starts, when the taps come first and a row has `length` numbers."""
    return (np.arange(taps) * c + np.arange(c)[:, None]).reshape(-1) * length


@functools.lru_cache(maxsize=256)
def _ones(n: int, dtype: np.dtype[Any]) -> Array:
    return np.ones(n, dtype)
