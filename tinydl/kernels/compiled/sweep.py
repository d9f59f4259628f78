"""The loops around the tiles of a convolution: over blocks of images, terms, output channels and rows."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import njit, splice
from tinydl.kernels.compiled.pointers import Address, address_of
from tinydl.kernels.compiled.slide import PIXELS, slide_function
from tinydl.kernels.compiled.tile import DEPTHWISE_ROWS, ROWS, VECTOR_BYTES, WIDE, Tile, tile_function
from tinydl.shapes import Array

__all__: list[str] = []

_wide, _middle, _narrow = (tile_function(width, dense=True) for width in (WIDE, 2, 1))
_deep_wide, _deep_middle, _deep_narrow = (tile_function(width, dense=False) for width in (WIDE, 2, 1))
_slide, _deep_slide = slide_function(dense=True), slide_function(dense=False)
_ROWS = ROWS[WIDE], ROWS[2], ROWS[1]
_DEEP_ROWS = DEPTHWISE_ROWS[WIDE], DEPTHWISE_ROWS[2], DEPTHWISE_ROWS[1]


@splice
def _sweep(
    wide: Tile, middle: Tile, narrow: Tile, slide: Tile, tile_rows: tuple[int, int, int], x_lane: int,
    x: Array, b: Array, y: Array, start: Array, share: Array, rows: Array, y_rows: Array, steps: Array, b_steps: Array,
    terms: Array, x_run: int, b_run: int, accumulate: int, x_jump: int, b_jump: int, y_jump: int, n_blocks: int,
    last: int, low: float, high: float,
) -> None:  # fmt: skip
    """Run tiles over the rows and columns of every term of a share, for every block of images.

    A share is what one worker does: (offset in x, in b, in y, in start, number of columns, first and end of its terms,
    first and end of the rows of each term).
    A term is (offset in x, in b, in y, in start, first and end of its rows, first and end of its steps, how many of
    them make a run, in which x moves by x_run and b by b_run with each, how many rows make a line of an image, and, if
    tiles may slide along it, the channels of a tap, with a minus if they go backward). With accumulate = 1, `start` is
    y itself. The last piece of a sum is clamped to low…high.
    """
    lanes = VECTOR_BYTES // x.itemsize
    T = x.dtype.type
    least, most = T(low if last else -math.inf), T(high if last else math.inf)
    for block in range(n_blocks):
        for t in range(share[5], share[6]):
            x_at = share[0] + block * x_jump + terms[t, 0]
            b_at = share[1] + block * b_jump + terms[t, 1]
            y_at = share[2] + block * y_jump + terms[t, 2]
            start_at = y_at if accumulate else share[3] + terms[t, 3]
            first_row, row_end = terms[t, 4] + share[7], min(terms[t, 4] + share[8], terms[t, 5])
            k, k_end, run = terms[t, 6], terms[t, 7], terms[t, 8]
            left = share[4]
            while left > 0:
                if (left <= lanes or x_lane != 0) and terms[t, 10] != 0:
                    n, width = min(left, lanes), terms[t, 9]
                    for line in range(first_row, row_end, width):
                        for pixel in range(0, width, PIXELS):
                            slide(
                                x, x_at, rows, y_rows, line + min(pixel, width - PIXELS), b, b_at, steps, b_steps,
                                k, k_end, abs(terms[t, 10]), 1 if terms[t, 10] > 0 else -1, b_run,
                                y, y_at, start, start_at, n, least, most,
                            )  # fmt: skip
                elif left > (WIDE - 1) * lanes:
                    n = min(left, WIDE * lanes)
                    for row in range(first_row, row_end, tile_rows[0]):
                        fetch = accumulate if row == first_row else 0
                        wide(
                            x, x_at, rows, y_rows, row, row_end, b, b_at, steps, b_steps, k, k_end,
                            run, x_run, b_run, y, y_at, start, start_at, accumulate, n, fetch, least, most,
                        )  # fmt: skip
                elif left > lanes:
                    n = min(left, 2 * lanes)
                    for row in range(first_row, row_end, tile_rows[1]):
                        fetch = accumulate if row == first_row else 0
                        middle(
                            x, x_at, rows, y_rows, row, row_end, b, b_at, steps, b_steps, k, k_end,
                            run, x_run, b_run, y, y_at, start, start_at, accumulate, n, fetch, least, most,
                        )  # fmt: skip
                else:
                    n = left
                    for row in range(first_row, row_end, tile_rows[2]):
                        fetch = accumulate if row == first_row else 0
                        narrow(
                            x, x_at, rows, y_rows, row, row_end, b, b_at, steps, b_steps, k, k_end,
                            run, x_run, b_run, y, y_at, start, start_at, accumulate, n, fetch, least, most,
                        )  # fmt: skip
                left -= n
                x_at, b_at, y_at, start_at = x_at + n * x_lane, b_at + n, y_at + n, start_at + n


@njit
def dense(
    worker: int, boss: int, crew: Array, shares: Array, x: Array, b: Array, y: Array, start: Array,
    rows: Array, y_rows: Array, steps: Array, b_steps: Array, terms: Array, x_run: int, b_run: int, accumulate: int,
    x_jump: int, b_jump: int, y_jump: int, n_blocks: int, last: int, low: float, high: float,
) -> bool:  # fmt: skip
    """Every output channel is a sum over all channels of x."""
    give(boss, crew)
    _sweep(
        _wide, _middle, _narrow, _slide, _ROWS, 0, x, b, y, start, shares[worker],
        rows, y_rows, steps, b_steps, terms, x_run, b_run, accumulate, x_jump, b_jump, y_jump, n_blocks,
        last, low, high,
    )  # fmt: skip
    return wait(boss, crew)


@njit
def _depthwise(
    worker: int, boss: int, crew: Array, shares: Array, x: Array, b: Array, y: Array, start: Array,
    rows: Array, y_rows: Array, steps: Array, b_steps: Array, terms: Array, x_run: int, b_run: int, accumulate: int,
    x_jump: int, b_jump: int, y_jump: int, n_blocks: int, last: int, low: float, high: float,
) -> bool:  # fmt: skip
    """Every output channel depends on its own channel of x only."""
    give(boss, crew)
    _sweep(
        _deep_wide, _deep_middle, _deep_narrow, _deep_slide, _DEEP_ROWS, 1, x, b, y, start, shares[worker],
        rows, y_rows, steps, b_steps, terms, x_run, b_run, accumulate, x_jump, b_jump, y_jump, n_blocks,
        last, low, high,
    )  # fmt: skip
    return wait(boss, crew)


class Loop(NamedTuple):
    """A loop, and how much work (see `Geometry.work`) is worth handing to another thread.

    `x_lane` is how far x moves with each output channel.
    """

    sweep: Callable[..., bool]
    grain: int
    x_lane: int


DENSE, DEPTHWISE = Loop(dense, 300_000, 0), Loop(_depthwise, 300_000, 1)


@functools.cache
def dense_at(dtype: np.dtype[Any]) -> Address:
    """Return the address of `dense` for arrays of that dtype, by which other kernels call it."""
    numbers, entries, table = np.empty(0, dtype), np.empty(0, np.int64), np.empty((0, 0), np.int64)
    arrays = entries, table, *[numbers] * 4, *[entries] * 4, table
    return address_of(dense, 0, 0, *arrays, 1, 1, 0, 0, 0, 0, 1, 1, -math.inf, math.inf)
