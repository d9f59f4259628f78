"""The loops around the tiles of integer convolutions: over bands of rows, groups, panels of channels, and pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinydl.kernels.compiled.int8_tile import dense_tile, depthwise_tile, weaver
from tinydl.kernels.compiled.int8_writer import FEW_PIXELS, LANES, PIXELS, ROWS, UNIT
from tinydl.kernels.compiled.jit import inline, njit
from tinydl.kernels.compiled.requantize import IN_REGISTERS, Constants, finish
from tinydl.kernels.compiled.tile import WIDE
from tinydl.shapes import Array

__all__: list[str] = []

BLOCK = 96
"""Pixels that meet a panel of the weights before the next panel is read."""

_wide, _middle, _narrow = (dense_tile(width, ROWS[width]) for width in (WIDE, 2, 1))
_wide_row = dense_tile(WIDE, 1)
_WIDE_ROWS, _MIDDLE_ROWS, _NARROW_ROWS = ROWS[WIDE], ROWS[2], ROWS[1]
_some_pixels, _few_pixels, _weave = depthwise_tile(PIXELS), depthwise_tile(FEW_PIXELS), weaver()


class Sizes(NamedTuple):
    """The sizes of a convolution; x (N, H, W, C) with `c` channels in all, y (N, H', W', O) with `o` in a group."""

    h: int
    w: int
    c: int
    y_h: int
    y_w: int
    o: int
    kh: int
    kw: int
    sh: int
    sw: int
    ph: int
    pw: int
    dh: int
    dw: int
    groups: int
    zero: int
    band: int
    """Rows of y that are made at a time."""
    padded_w: int
    """The width of x with what lies outside of it and is seen."""


@njit
def dense(
    x: Array, padded: Array, y: Array, rows: Array, sums: Array, steps: Array, panels: Array, b: Array, start: Array,
    constants: Constants, first: int, last: int, sizes: Sizes,
) -> None:  # fmt: skip
    """Make the rows first…last−1 of y, counted through all images.

    A panel is (group, first channel, vectors of channels, place in b, place in the constants).
    """
    seen, pads, row = x, sizes.ph + sizes.pw > 0, first
    if pads:
        seen = padded
    width = sizes.padded_w if pads else sizes.w
    while row < last:
        n = min(sizes.band, last - row)
        if pads:
            n = min(n, sizes.y_h - row % sizes.y_h)
            _pad(x, padded, row, n, sizes)
        for r in range(n):
            place = r * sizes.sh
            if not pads:
                place = (row + r) // sizes.y_h * sizes.h + (row + r) % sizes.y_h * sizes.sh
            for j in range(sizes.y_w):
                rows[r * sizes.y_w + j] = (place * width + j * sizes.sw) * sizes.c
        for block in range(0, n * sizes.y_w, BLOCK):
            end = min(block + BLOCK, n * sizes.y_w)
            for p in range(panels.shape[0]):
                _panel(
                    seen, y, rows, sums, steps, b, start, constants, panels[p], block, end,
                    row * sizes.y_w * sizes.o * sizes.groups, sizes,
                )  # fmt: skip
        row += n


@inline
def _pad(x: Array, padded: Array, row: int, n: int, sizes: Sizes) -> None:
    """Copy what the n rows of y from `row` on see of x, with the zero point around it."""
    h, w, c = sizes.h, sizes.w, sizes.c
    image, top = row // sizes.y_h, row % sizes.y_h * sizes.sh - sizes.ph
    for i in range((n - 1) * sizes.sh + sizes.dh * (sizes.kh - 1) + 1):
        to, x_row = i * sizes.padded_w * c, top + i
        inside = 0 <= x_row < h
        before, between = (sizes.pw * c, w * c) if inside else (sizes.padded_w * c, 0)
        between = min(between, sizes.padded_w * c - before)
        here, around = padded[to : to + sizes.padded_w * c], np.int8(sizes.zero)
        for k in range(before):
            here[k] = around
        if inside:
            source = (image * h + x_row) * w * c
            seen, middle, behind = x[source : source + between], here[before:], here[before + between :]
            for k in range(between):
                middle[k] = seen[k]
            for k in range(len(behind)):
                behind[k] = around


@inline
def _panel(
    x: Array, y: Array, rows: Array, sums: Array, steps: Array, b: Array, start: Array, constants: Constants,
    panel: Array, block: int, end: int, y_at: int, sizes: Sizes,
) -> None:  # fmt: skip
    """Run tiles over the pixels block…end−1 for the channels of one panel."""
    group, column, vectors, b_at, channel = panel[0], panel[1], panel[2], panel[3], panel[4]
    n, n_steps, y_row = min(sizes.o - column, vectors * LANES), len(steps), sizes.o * sizes.groups
    x_at, y_at = group * (sizes.c // sizes.groups), y_at + group * sizes.o + column
    in_registers = int(constants.kind == IN_REGISTERS)
    row = block
    while row < end:
        size = _WIDE_ROWS
        if vectors == WIDE and end - row <= 2:
            size = 1
            _wide_row(
                x, x_at, rows, row, end, steps, n_steps, b, b_at, start, constants.multiplier, constants.offset,
                constants.shift, channel, constants.low, constants.high, in_registers, sums, y, y_at, y_row, n,
            )  # fmt: skip
        elif vectors == WIDE:
            _wide(
                x, x_at, rows, row, end, steps, n_steps, b, b_at, start, constants.multiplier, constants.offset,
                constants.shift, channel, constants.low, constants.high, in_registers, sums, y, y_at, y_row, n,
            )  # fmt: skip
        elif vectors == 2:
            size = _MIDDLE_ROWS
            _middle(
                x, x_at, rows, row, end, steps, n_steps, b, b_at, start, constants.multiplier, constants.offset,
                constants.shift, channel, constants.low, constants.high, in_registers, sums, y, y_at, y_row, n,
            )  # fmt: skip
        else:
            size = _NARROW_ROWS
            _narrow(
                x, x_at, rows, row, end, steps, n_steps, b, b_at, start, constants.multiplier, constants.offset,
                constants.shift, channel, constants.low, constants.high, in_registers, sums, y, y_at, y_row, n,
            )  # fmt: skip
        row += size
    if not in_registers:
        for row in range(block, end):
            finish(sums, row * vectors * LANES, y, y_at + row * y_row, n, channel, constants)


@njit
def depthwise(
    x: Array, blank: Array, y: Array, woven: Array, at: Array, sums: Array, steps: Array, b: Array, start: Array,
    constants: Constants, first: int, last: int, sizes: Sizes,
) -> None:  # fmt: skip
    """Make the rows first…last−1 of y, counted through all images, some channels at a time.

    For a row of y, UNIT rows of x at a time are woven into a strip, in which the numbers that stand above each other
    lie side by side. A window then is kw steps through each strip.
    """
    strips, some, padded_c = -(-sizes.kh // UNIT), sizes.band, len(start)
    sums_row = -(-some // LANES) * LANES
    in_registers = int(constants.kind == IN_REGISTERS)
    for row in range(first, last):
        image, top = row // sizes.y_h, row % sizes.y_h * sizes.sh - sizes.ph
        for c in range(0, sizes.c, some):
            n = min(some, sizes.c - c)
            for strip in range(strips):
                _strip(x, blank, at, woven, strip, image, top, c, n, sizes)
            y_at = row * sizes.y_w * sizes.c + c
            for v in range(0, n, LANES):
                pixel = 0
                while pixel < sizes.y_w:
                    if sizes.y_w - pixel > FEW_PIXELS:
                        _some_pixels(
                            woven, v * UNIT, sizes.sw * some * UNIT, pixel, sizes.y_w, steps, len(steps), b,
                            (c + v) * UNIT, padded_c * UNIT, start, constants.multiplier, constants.offset,
                            constants.shift, c + v, constants.low, constants.high, in_registers, sums, v, sums_row,
                            y, y_at + v, sizes.c, min(LANES, n - v),
                        )  # fmt: skip
                        pixel += PIXELS
                    else:
                        _few_pixels(
                            woven, v * UNIT, sizes.sw * some * UNIT, pixel, sizes.y_w, steps, len(steps), b,
                            (c + v) * UNIT, padded_c * UNIT, start, constants.multiplier, constants.offset,
                            constants.shift, c + v, constants.low, constants.high, in_registers, sums, v, sums_row,
                            y, y_at + v, sizes.c, min(LANES, n - v),
                        )  # fmt: skip
                        pixel += FEW_PIXELS
            if not in_registers:
                for pixel in range(sizes.y_w):
                    finish(sums, pixel * sums_row, y, y_at + pixel * sizes.c, n, c, constants)


@inline
def _strip(
    x: Array, blank: Array, at: Array, woven: Array, strip: int, image: int, top: int, c: int, n: int, sizes: Sizes
) -> None:  # fmt: skip
    """Weave UNIT rows of x. With all channels at once, pixels lie behind each other, and a row is woven in one go."""
    start, left = strip * sizes.padded_w * sizes.band * UNIT, min(sizes.pw, sizes.padded_w)
    inside = min(sizes.w, sizes.padded_w - left)
    right = sizes.padded_w - left - inside
    pixels, times = (inside, 1) if sizes.band == sizes.c else (1, inside)
    at[:] = -1
    _weave(x, blank, at, woven, start, left * sizes.band)
    _weave(x, blank, at, woven, start + (left + inside) * sizes.band * UNIT, right * sizes.band)
    for col in range(times):
        for u in range(UNIT):
            k = strip * UNIT + u
            row = top + k * sizes.dh
            seen = k < sizes.kh and 0 <= row < sizes.h
            at[u] = ((image * sizes.h + row) * sizes.w + col) * sizes.c + c if seen else -1
        _weave(x, blank, at, woven, start + (left + col) * sizes.band * UNIT, pixels * n)


def constant_width(channels: int) -> int:
    """Return the number of channels, made up to whole vectors."""
    return -(-channels // LANES) * LANES


def panels_of(o: int) -> list[tuple[int, int]]:
    """Cut o channels into panels (first channel, vectors), each as wide as a tile.

    >>> panels_of(2 * WIDE * LANES + 1) == [(0, WIDE), (WIDE * LANES, WIDE), (2 * WIDE * LANES, 1)]
    True
    """
    panels, column = [], 0
    while column < o:
        left = o - column
        vectors = WIDE if left > (WIDE - 1) * LANES else 2 if left > LANES else 1
        panels.append((column, vectors))
        column += vectors * LANES
    return panels


def empty_row() -> Array:
    """Return working space for the places of UNIT rows."""
    return np.empty(UNIT, np.int64)
