"""The memory layouts that compiled kernels know: images channels-last, weights as the tiles of conv.py read them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import njit
from tinydl.kernels.compiled.memory import FLOATS, filled, plain, ranges_of
from tinydl.kernels.compiled.rows import copy_pixels, interleave, rows_of
from tinydl.kernels.compiled.tile import VECTOR_BYTES
from tinydl.kernels.compiled.transpose import transpose
from tinydl.shapes import Array, Pair, Shape

__all__: list[str] = []

SIDE = 16
"""Rows that a thread takes at least: whole squares of transpose.py."""

SCATTERED = 1 << 12
"""Numbers from which on transposing by squares (4 µs, and 0.3 ns each) beats NumPy (1 µs, and 0.7 ns each)."""

GRAIN = 1 << 14
"""Numbers that are worth handing to another thread: some 3 µs of work. Where threads share the channels of an image,
each then finds the weights of its own channels in its cache."""


def channels_last(x: Array) -> Array:
    """Return x (N, C, H, W) as a C-contiguous array (N, H, W, C): a view if it is stored like that, else a copy.

    Numba compiles anew for read-only and for misaligned arrays, so those are copied as well.
    """
    view = x.transpose(0, 2, 3, 1)
    if view.flags.carray and view.dtype.isnative:
        return view
    n, h, w, c = view.shape
    copy = buffers.empty(view.shape, view.dtype.newbyteorder("="))
    if x.dtype not in FLOATS:
        np.copyto(copy, view)
    elif x.flags.carray and c == 3:
        interleave(copy, x)
    elif x.flags.carray:
        given = x.reshape(-1), copy.reshape(-1), _by_tap(1, h * w, c), filled(c, 1, x.dtype)
        threads.share(transpose, 1, _all_of(c), *given, n, c * h * w, 1, 0, c, h * w)
    elif rows := rows_of(x):
        copy_pixels(copy.reshape(-1), 0, c, *rows, n * h * w, c)
    else:
        np.copyto(copy, view)
    return copy


def patches_first(
    weight: Array, groups: int, dtype: np.dtype[Any], scale: Array | None = None, aligned: bool = False
) -> Array:
    """Return weight (O, c, kh, kw) as (groups, kh·kw·c, o), its output channels perhaps scaled, in working space.

    If they are to be aligned, there is room behind the rows, so that no vector lies across two lines of the cache:
    otherwise every second one does with 728 channels, and a pointwise convolution takes 7 % longer.
    """
    o, c, taps = len(weight) // groups, weight.shape[1], weight.shape[2] * weight.shape[3]
    row = _line(o, dtype) if aligned else o
    packed = buffers.scratch("weight", (groups, taps * c, row), dtype)
    if weight.size < SCATTERED and scale is None:
        parts = packed.reshape(groups, taps, c, row)[..., :o]
        parts[...] = weight.reshape(groups, o, c, taps).transpose(0, 3, 2, 1)
        return packed
    factors = filled(len(weight), 1, dtype) if scale is None else plain(scale, dtype)
    size = GRAIN // max(1, SIDE * c * taps * groups)
    ranges = _ranges(o, size, threads.num_threads())
    given = plain(weight, dtype).reshape(-1), packed.reshape(-1), _by_tap(c, taps, row), factors
    threads.share(transpose, len(ranges), ranges, *given, groups, row * c * taps, 1, 0, o, c * taps)
    return packed


def patch_rows(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, y_size: Pair) -> Array:
    """Return the patches of x (N, H, W, C) as (N·H'·W', C·kh·kw), in the order of a weight's rows, in working space."""
    n, c, taps = len(x), x.shape[3], kernel[0] * kernel[1]
    rows = buffers.scratch("patches", (n * y_size[0] * y_size[1], c, taps), x.dtype)
    shares = ranges_of(len(rows), rows.size)
    threads.share(_patch_rows, len(shares), shares, x, rows, kernel, stride, padding, dilation, y_size)
    return rows.reshape(len(rows), c * taps)


@njit
def _patch_rows(
    worker: int, boss: int, crew: Array, shares: Array, x: Array, rows: Array, kernel: Pair, stride: Pair,
    padding: Pair, dilation: Pair, y_size: Pair,
) -> bool:  # fmt: skip
    """Write the worker's patches; 0 for what lies outside of an image."""
    give(boss, crew)
    (height, width), T = y_size, x.dtype.type
    for place in range(shares[worker, 0], shares[worker, 1]):
        n, i, j = place // (height * width), place // width % height, place % width
        for tap in range(kernel[0] * kernel[1]):
            row = i * stride[0] + tap // kernel[1] * dilation[0] - padding[0]
            column = j * stride[1] + tap % kernel[1] * dilation[1] - padding[1]
            inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
            if inside:
                for c in range(x.shape[3]):
                    rows[place, c, tap] = x[n, row, column, c]
            else:
                for c in range(x.shape[3]):
                    rows[place, c, tap] = T(0)
    return wait(boss, crew)


@functools.lru_cache(maxsize=256)
def _ranges(n: int, size: int, n_threads: int) -> Array:
    """Return the rows, of n, that each worker transposes: whole squares, at least `size` of them."""
    cut = threads.slices(-(-n // SIDE), size)
    return np.array([(first * SIDE, min(last * SIDE, n)) for first, last in cut])


def taps_first(weight: Array, groups: int, dtype: np.dtype[Any], aligned: bool = False) -> Array:
    """Return weight (O, c, kh, kw) as (groups, kh·kw·o, c): itself if it lies like that, else in working space.

    Rows are aligned as in `patches_first`.
    """
    o, c, taps = len(weight) // groups, weight.shape[1], weight.shape[2] * weight.shape[3]
    given, row = plain(weight, dtype), _line(c, dtype) if aligned else c
    if taps == 1 and row == c:
        return given.reshape(groups, o, c)
    packed = buffers.scratch("weight", (groups, taps * o, row), dtype)
    if taps == 1:
        packed[..., :c] = given.reshape(groups, o, c)
        return packed
    rows = _by_tap(1, taps, o * row)
    flat = given.reshape(-1), packed.reshape(-1), rows, filled(c, 1, dtype)
    threads.share(transpose, 1, _all_of(c), *flat, groups, o * row * taps, o, row, c, taps)
    return packed


def patches_last(gw: Array, weight_shape: Shape) -> Array:
    """Return gw (groups, kh·kw·c, o), made of the patches that `patches_first` makes, as a new array (O, c, kh, kw)."""
    groups, _, o = gw.shape
    c, taps = weight_shape[1], weight_shape[2] * weight_shape[3]
    result = buffers.empty(weight_shape, gw.dtype)
    if gw.size < SCATTERED:
        result.reshape(groups, o, c, taps)[...] = gw.reshape(groups, taps, c, o).transpose(0, 3, 2, 1)
        return result
    rows, y_rows = (c, _by_tap(1, o, c)) if taps == 1 else (taps, _by_output(c, taps, o))
    flat = gw.reshape(-1), result.reshape(-1), y_rows, filled(rows, 1, gw.dtype)
    threads.share(transpose, 1, _all_of(rows), *flat, groups, o * c * taps, 1, 0, rows, len(y_rows))
    return result


@functools.lru_cache(maxsize=32)
def _by_output(c: int, taps: int, o: int) -> Array:
    """Return where the taps of each (channel, output channel) start in a weight (O, c, kh, kw)."""
    return ((np.arange(o) * c + np.arange(c)[:, None]) * taps).reshape(-1)


def _line(n: int, dtype: np.dtype[Any]) -> int:
    """Return how long rows of n numbers must be for no vector to lie across two lines of the cache."""
    lanes = VECTOR_BYTES // dtype.itemsize
    return n if n == 0 or lanes % n == 0 else -(-n // lanes) * lanes


@functools.lru_cache(maxsize=256)
def _by_tap(c: int, taps: int, length: int) -> Array:
    """Return where the row of (channel, tap) starts, when the taps come first and a row has `length` numbers."""
    return (np.arange(taps) * c + np.arange(c)[:, None]).reshape(-1) * length


@functools.lru_cache(maxsize=256)
def _all_of(n: int) -> Array:
    """Return the one worker's rows: all of them."""
    return np.array([[0, n]])
