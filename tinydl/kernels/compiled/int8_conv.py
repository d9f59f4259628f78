"""Integer convolutions and linear layers: weights packed once for the tiles of int8_tile.py, and threads to share rows.

Whatever the geometry, nothing is lowered to columns: tiles read x itself through tables of offsets, or a copy of a
few rows of it with its zero point around.
"""

from __future__ import annotations

import functools
import weakref
from typing import NamedTuple

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled.int8_sweep import BLOCK, Sizes, constant_width, dense, depthwise, empty_row, panels_of
from tinydl.kernels.compiled.int8_tile import LANES, OFFSET, PACKED, UNIT
from tinydl.kernels.compiled.layout import channels_last
from tinydl.kernels.compiled.memory import plain
from tinydl.kernels.compiled.requantize import Constants, constants_of
from tinydl.kernels.integer import Filter
from tinydl.kernels.reference.conv import out_size
from tinydl.shapes import Array, Pair

__all__ = ["int8_conv2d", "int8_linear"]

GRAIN = 2_000_000
"""Multiplications that are worth the 7 µs of handing them to another thread; a number read or written counts for 24."""

CACHE = 1 << 15
"""Bytes of a padded or woven copy: they stay in the first-level cache, or nearly."""


class Packed(NamedTuple):
    """A filter in the order of the tiles; start and constants are made up to whole vectors in each group."""

    b: Array
    start: Array
    constants: Constants
    panels: Array


_known: weakref.WeakKeyDictionary[Filter, dict[tuple[int, int, int], Packed]] = weakref.WeakKeyDictionary()


def int8_conv2d(x: Array, filter: Filter, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """Slide a filter over x: as in the reference twin."""
    o, c, kh, kw = filter.weight.shape
    h, w = out_size(x.shape, (kh, kw), stride, padding, dilation)
    y = buffers.empty_nhwc(len(x), o, h, w, np.int8)
    if not y.size:
        return y
    seen = channels_last(x)
    if groups > 1 and c == 1:
        seen = seen if groups == o else np.repeat(seen, o // groups, axis=3)
        _run_depthwise(seen, filter, y.transpose(0, 2, 3, 1), (kh, kw), stride, padding, dilation)
    else:
        _run_dense(seen, filter, y.transpose(0, 2, 3, 1), (kh, kw), stride, padding, dilation, groups)
    return y


def int8_linear(x: Array, filter: Filter) -> Array:
    """Return requantize(start + x Wᵀ): as in the reference twin."""
    y = buffers.empty((len(x), len(filter.weight)), np.int8)
    if y.size:
        pixels = plain(x, np.int8)[:, None, None, :]
        _run_dense(pixels, filter, y[:, None, None, :], (1, 1), (1, 1), (0, 0), (1, 1), 1)
    return y


def _run_dense(
    x: Array, filter: Filter, y: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> None:
    """Share the rows of y (N, H', W', O) among threads."""
    sizes = _sizes(x, y, kernel, stride, padding, dilation, groups, filter.zero)
    run = _run_length(sizes)
    steps = _steps(sizes, any(padding))
    packed = _packed(filter, kernel, groups, run)
    source = x.reshape(-1)
    if run % UNIT and not any(padding):
        source = _with_slack(source)
    n_pixels = sizes.band * sizes.y_w
    flat = y.reshape(-1)

    def some(first: int, last: int, worker: int) -> None:
        rows = buffers.scratch("int8 rows", (n_pixels,), np.int64)
        sums = buffers.scratch("int8 sums", (n_pixels * LANES * 4,), np.int32)
        reach = (sizes.band - 1) * sizes.sh + sizes.dh * (sizes.kh - 1) + 1
        padded = buffers.scratch("int8 padded", (reach * sizes.padded_w * sizes.c + UNIT,), np.int8)
        dense(
            source, padded, flat, rows, sums, steps, packed.panels, packed.b, packed.start, packed.constants,
            first, last, sizes,
        )  # fmt: skip

    _share_out(some, y, x.size, filter.weight.size // len(filter.weight))


def _run_depthwise(
    x: Array, filter: Filter, y: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    """Share the rows of y (N, H', W', C) among threads."""
    sizes = _sizes(x, y, kernel, stride, padding, dilation, 1, filter.zero)
    strips, item = -(-kernel[0] // UNIT), UNIT * np.dtype(PACKED).itemsize
    most = CACHE // (strips * sizes.padded_w * item)
    sizes = sizes._replace(band=sizes.c if sizes.c <= most else max(LANES, most // LANES * LANES))
    steps = _strip_steps(strips, sizes.kw, sizes.dw, sizes.padded_w, sizes.band)
    packed = _packed(filter, kernel, 0, 0)
    source, flat = x.reshape(-1), y.reshape(-1)
    blank = np.full(sizes.padded_w * sizes.band, filter.zero, np.int8)

    def some(first: int, last: int, worker: int) -> None:
        woven = buffers.scratch("int8 woven", ((strips * sizes.padded_w * sizes.band + LANES) * UNIT,), PACKED)
        sums = buffers.scratch("int8 sums", (sizes.y_w * constant_width(sizes.band),), np.int32)
        depthwise(
            source, blank, flat, woven, empty_row(), sums, steps, packed.b, packed.start, packed.constants,
            first, last, sizes,
        )  # fmt: skip

    _share_out(some, y, x.size, kernel[0] * kernel[1])


def _share_out(some: threads.Task, y: Array, x_size: int, terms: int) -> None:
    n_rows = y.shape[0] * y.shape[1]
    work = (y.size * terms + 24 * (x_size + y.size)) // n_rows
    threads.run(some, n_rows, -(-GRAIN // max(1, work)))


def _sizes(
    x: Array, y: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int, zero: int
) -> Sizes:
    _, h, w, c = x.shape
    _, y_h, y_w, o = y.shape
    padded_w = (y_w - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1
    padded_w = max(padded_w, padding[1] + 1)
    band = max(1, BLOCK // y_w)
    if any(padding):
        extra = dilation[0] * (kernel[0] - 1) + 1 - stride[0]
        band = max(band, min(y_h, (CACHE // (padded_w * c) - extra) // stride[0]))
    return Sizes(
        h, w, c, y_h, y_w, o // groups, *kernel, *stride, *padding, *dilation, groups, zero, int(band), padded_w
    )


def _run_length(sizes: Sizes) -> int:
    """Return how many numbers of a window lie side by side: a row of it, or where that has gaps a pixel."""
    return sizes.kw * sizes.c if sizes.groups == 1 and sizes.dw == 1 else sizes.c // sizes.groups


def _steps(sizes: Sizes, pads: bool) -> Array:
    return _window_steps(
        _run_length(sizes), sizes.padded_w if pads else sizes.w, sizes.c, sizes.kh, sizes.kw, sizes.dh, sizes.dw
    )


@functools.lru_cache(maxsize=512)
def _window_steps(run: int, width: int, c: int, kh: int, kw: int, dh: int, dw: int) -> Array:
    """Return where the units of a window stand, relative to its first number."""
    whole_rows = run == kw * c and dw == 1
    columns = [0] if whole_rows else [j * dw * c for j in range(kw)]
    return np.array(
        [i * dh * width * c + column + k for i in range(kh) for column in columns for k in range(0, run, UNIT)],
        np.int64,
    )


@functools.lru_cache(maxsize=512)
def _strip_steps(strips: int, kw: int, dw: int, width: int, channels: int) -> Array:
    places = [(strip * width + j * dw) * channels * UNIT for strip in range(strips) for j in range(kw)]
    return np.array(places, np.int64)


def _with_slack(x: Array) -> Array:
    """Return a copy of x behind which a unit more may be read."""
    copy = buffers.empty((x.size + UNIT,), np.int8)
    copy[: x.size] = x
    copy[x.size :] = 0
    return copy


def _packed(filter: Filter, kernel: Pair, groups: int, run: int) -> Packed:
    """Return the filter in the order of the tiles, for this many groups, or 0 for a depthwise one; made once."""
    found, key = _known.setdefault(filter, {}), (groups, run, kernel[1])
    if key not in found:
        found[key] = _pack_dense(filter, groups, run, kernel) if groups else _pack_depthwise(filter)
    return found[key]


def _pack_dense(filter: Filter, groups: int, run: int, kernel: Pair) -> Packed:
    """Order the weights by panels, in them by units of the window, channels, and the numbers of a unit."""
    o = len(filter.weight) // groups
    weight = filter.weight.reshape(groups, o, -1, *kernel).transpose(0, 3, 4, 2, 1).reshape(groups, -1, run, o)
    missing = -run % UNIT
    weight = np.pad(weight, ((0, 0), (0, 0), (0, missing), (0, -o % LANES)))
    units = weight.reshape(groups, -1, UNIT, weight.shape[-1]).transpose(0, 1, 3, 2)
    pieces, panels, place = [], [], 0
    for group in range(groups):
        for column, vectors in panels_of(o):
            piece = units[group, :, column : column + vectors * LANES]
            panels.append((group, column, vectors, place, group * constant_width(o) + column))
            pieces.append(np.ascontiguousarray(piece, PACKED).reshape(-1))
            place += piece.size
    return Packed(np.concatenate(pieces), *_per_channel(filter, groups), np.array(panels, np.int64))


def _pack_depthwise(filter: Filter) -> Packed:
    """Order the weights by strips, columns, channels, and the rows of a strip."""
    o, _, kh, kw = filter.weight.shape
    weight = np.pad(filter.weight[:, 0], ((0, -o % LANES), (0, -kh % UNIT), (0, 0)))
    b = weight.reshape(len(weight), -1, UNIT, kw).transpose(1, 3, 0, 2)
    none = np.empty((0, 5), np.int64)
    return Packed(np.ascontiguousarray(b, PACKED).reshape(-1), *_per_channel(filter, 1), none)


def _per_channel(filter: Filter, groups: int) -> tuple[Array, Constants]:
    """Return the starts, with OFFSET worked into them, and the constants."""
    o = len(filter.weight)
    start = filter.start - OFFSET * filter.weight.reshape(o, -1).sum(1, dtype=np.int64)
    constants = constants_of(filter.output, o)

    def padded(a: Array) -> Array:
        return np.pad(a.reshape(groups, -1), ((0, 0), (0, -(o // groups) % LANES))).reshape(-1)

    names = "multiplier", "offset", "shift", "factor"
    return padded(start.astype(np.int32)), constants._replace(**{n: padded(getattr(constants, n)) for n in names})
