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
from tinydl.kernels.compiled.int8_writer import LANES, OFFSET, PACKED, UNIT
from tinydl.kernels.compiled.layout import channels_last
from tinydl.kernels.compiled.memory import plain
from tinydl.kernels.compiled.requantize import IN_REGISTERS, Constants, constants_of
from tinydl.kernels.compiled.tile import WIDE
from tinydl.kernels.integer import Filter
from tinydl.kernels.reference.conv import out_size
from tinydl.shapes import Array, Pair, Shape

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


_known: weakref.WeakKeyDictionary[Filter, dict[tuple[bool, int, int], Packed]] = weakref.WeakKeyDictionary()


class Plan(NamedTuple):
    """What a geometry alone decides."""

    sizes: Sizes
    out: Pair
    depthwise: bool
    steps: Array
    kernel: Pair
    run: int
    """How many numbers of a window lie side by side."""
    copied: int
    """Numbers in the padded copy of a band, or in the woven strips of a row."""
    rows: int
    """Rows of y that are worth handing to another thread."""


def int8_conv2d(x: Array, filter: Filter, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """Slide a filter over x: as in the reference twin."""
    plan = _plan(x.shape, filter.weight.shape, stride, padding, dilation, groups, filter.zero)
    y = buffers.empty_nhwc(len(x), len(filter.weight), *plan.out, np.int8)
    if y.size:
        _run(plan, channels_last(x), filter, y.transpose(0, 2, 3, 1))
    return y


def int8_linear(x: Array, filter: Filter) -> Array:
    """Return requantize(start + x Wᵀ): as in the reference twin."""
    (m, i), o = x.shape, len(filter.weight)
    y = buffers.empty((m, o), np.int8)
    if y.size:
        plan = _plan((m, i, 1, 1), (o, i, 1, 1), (1, 1), (0, 0), (1, 1), 1, filter.zero)
        _run(plan, plain(x, np.int8), filter, y.reshape(m, 1, 1, o))
    return y


def _run(plan: Plan, x: Array, filter: Filter, y: Array) -> None:
    """Share the rows of y (N, H', W', O) among threads."""
    flat, n_rows, packed = y.reshape(-1), y.shape[0] * y.shape[1], _packed(filter, plan)
    task = (_depthwise_task if plan.depthwise else _dense_task)(plan, x, filter, packed, flat)
    threads.run(task, n_rows, plan.rows)


def _dense_task(plan: Plan, x: Array, filter: Filter, packed: Packed, y: Array) -> threads.Task:
    sizes, pads = plan.sizes, any((plan.sizes.ph, plan.sizes.pw))
    source = x.reshape(-1) if pads or plan.run % UNIT == 0 else _with_slack(x.reshape(-1))
    n_pixels = sizes.band * sizes.y_w
    n_sums = 0 if packed.constants.kind == IN_REGISTERS else n_pixels * LANES * WIDE

    def some(first: int, last: int, worker: int) -> None:
        rows = buffers.scratch("int8 rows", (n_pixels,), np.int64)
        sums = buffers.scratch("int8 sums", (n_sums,), np.int32)
        padded = buffers.scratch("int8 padded", (plan.copied,), np.int8)
        dense(
            source, padded, y, rows, sums, plan.steps, packed.panels, packed.b, packed.start, packed.constants,
            first, last, sizes,
        )  # fmt: skip

    return some


def _depthwise_task(plan: Plan, x: Array, filter: Filter, packed: Packed, y: Array) -> threads.Task:
    sizes = plan.sizes
    copies = sizes.c // x.shape[3]
    source = x.reshape(-1) if copies == 1 else np.repeat(x, copies, axis=3).reshape(-1)
    blank = np.full(sizes.padded_w * sizes.band, filter.zero, np.int8)

    def some(first: int, last: int, worker: int) -> None:
        woven = buffers.scratch("int8 woven", (plan.copied,), PACKED)
        sums = buffers.scratch("int8 sums", (sizes.y_w * constant_width(sizes.band),), np.int32)
        depthwise(
            source, blank, y, woven, empty_row(), sums, plan.steps, packed.b, packed.start, packed.constants,
            first, last, sizes,
        )  # fmt: skip

    return some


@functools.lru_cache(maxsize=1024)
def _plan(
    x_shape: Shape, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int, zero: int
) -> Plan:
    """Return the plan of a convolution; one with a channel a group reads m copies of x, for m filters a channel."""
    _, c, h, w = x_shape
    o, c_group, *kernel = weight_shape
    alone = groups > 1 and c_group == 1
    y_h, y_w = out_size(x_shape, (kernel[0], kernel[1]), stride, padding, dilation)
    padded_w = max((y_w - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1, padding[1] + 1)
    sizes = Sizes(
        *(h, w, o if alone else c, y_h, y_w, o if alone else o // groups, kernel[0], kernel[1]),
        *(*stride, *padding, *dilation, 1 if alone else groups, zero, 0, padded_w),
    )
    work = y_w * o * (c_group * kernel[0] * kernel[1] + 24) + 24 * h * w * c // max(1, y_h)
    rest = (kernel[0], kernel[1]), -(-GRAIN // max(1, work))
    return (_depthwise_plan if alone else _dense_plan)(sizes, *rest)


def _dense_plan(sizes: Sizes, kernel: Pair, rows: int) -> Plan:
    """Let a band be as many rows as make a block of pixels; where x is copied, as many as the cache holds."""
    pads, reach = any((sizes.ph, sizes.pw)), sizes.dh * (sizes.kh - 1) + 1
    band = max(1, BLOCK // max(1, sizes.y_w))
    if pads:
        band = max(band, min(sizes.y_h, (CACHE // (sizes.padded_w * sizes.c) - reach) // sizes.sh + 1))
    sizes = sizes._replace(band=band)
    run = sizes.kw * sizes.c if sizes.groups == 1 and sizes.dw == 1 else sizes.c // sizes.groups
    width = sizes.padded_w if pads else sizes.w
    steps = _window_steps(run, width, sizes.c, sizes.kh, sizes.kw, sizes.dh, sizes.dw)
    copied = ((band - 1) * sizes.sh + reach) * sizes.padded_w * sizes.c + UNIT if pads else 0
    return Plan(sizes, (sizes.y_h, sizes.y_w), False, steps, kernel, run, copied, rows)


def _depthwise_plan(sizes: Sizes, kernel: Pair, rows: int) -> Plan:
    """Take all channels at once, or as many as let the woven strips of a row stay in the cache."""
    strips, item = -(-sizes.kh // UNIT), UNIT * np.dtype(PACKED).itemsize
    most = CACHE // (strips * sizes.padded_w * item)
    band = sizes.c if sizes.c <= most else max(LANES, most // LANES * LANES)
    steps = _strip_steps(strips, sizes.kw, sizes.dw, sizes.padded_w, band)
    copied = (strips * sizes.padded_w * band + LANES) * UNIT
    return Plan(sizes._replace(band=band), (sizes.y_h, sizes.y_w), True, steps, kernel, 0, copied, rows)


def _window_steps(run: int, width: int, c: int, kh: int, kw: int, dh: int, dw: int) -> Array:
    """Return where the units of a window stand, relative to its first number."""
    whole_rows = run == kw * c and dw == 1
    columns = [0] if whole_rows else [j * dw * c for j in range(kw)]
    return np.array(
        [i * dh * width * c + column + k for i in range(kh) for column in columns for k in range(0, run, UNIT)],
        np.int64,
    )


def _strip_steps(strips: int, kw: int, dw: int, width: int, channels: int) -> Array:
    places = [(strip * width + j * dw) * channels * UNIT for strip in range(strips) for j in range(kw)]
    return np.array(places, np.int64)


def _with_slack(x: Array) -> Array:
    """Return a copy of x behind which a unit more may be read."""
    copy = buffers.empty((x.size + UNIT,), np.int8)
    copy[: x.size] = x
    copy[x.size :] = 0
    return copy


def _packed(filter: Filter, plan: Plan) -> Packed:
    """Return the filter in the order of the tiles; that is done once."""
    found, key = _known.setdefault(filter, {}), (plan.depthwise, plan.sizes.groups, plan.run)
    if key not in found:
        run = plan.sizes.groups, plan.run, plan.kernel
        found[key] = _pack_depthwise(filter) if plan.depthwise else _pack_dense(filter, *run)
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

    every = constants._replace(
        multiplier=padded(constants.multiplier),
        offset=padded(constants.offset),
        shift=padded(constants.shift),
        factor=padded(constants.factor),
    )
    return padded(start.astype(np.int32)), every
