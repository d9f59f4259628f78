"""The loops around the tiles of a convolution: over blocks of images, terms, output channels and rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from tinydl.kernels.compiled.jit import njit, splice
from tinydl.kernels.compiled.tile import DEPTHWISE_ROWS, ROWS, VECTOR_BYTES, WIDE, Tile, tile_function
from tinydl.shapes import Array

__all__: list[str] = []

_wide, _middle, _narrow = (tile_function(width, dense=True) for width in (WIDE, 2, 1))
_deep_wide, _deep_middle, _deep_narrow = (tile_function(width, dense=False) for width in (WIDE, 2, 1))
_ROWS = ROWS[WIDE], ROWS[2], ROWS[1]
_DEEP_ROWS = DEPTHWISE_ROWS[WIDE], DEPTHWISE_ROWS[2], DEPTHWISE_ROWS[1]


@splice
def _sweep(
    wide: Tile, middle: Tile, narrow: Tile, tile_rows: tuple[int, int, int], x_lane: int,
    x: Array, b: Array, y: Array, start: Array, rows: Array, y_rows: Array, steps: Array, b_steps: Array,
    terms: Array, accumulate: int, x_jump: int, b_jump: int, y_jump: int, n_columns: int, n_blocks: int,
    last: int, low: float, high: float,
) -> None:  # fmt: skip
    """Run tiles over the rows and columns of every term, for every block of images.

    A term is (offset in x, in b, in y, in start, first and end of its rows, first and end of its steps). With
    accumulate = 1, `start` is y itself. The last piece of a sum is clamped to low…high.
    """
    lanes = VECTOR_BYTES // x.itemsize
    T = x.dtype.type
    least, most = T(low if last else -math.inf), T(high if last else math.inf)
    for block in range(n_blocks):
        for t in range(terms.shape[0]):
            x_at, b_at, y_at = block * x_jump + terms[t, 0], block * b_jump + terms[t, 1], block * y_jump + terms[t, 2]
            start_at = y_at if accumulate else terms[t, 3]
            first_row, row_end, k, k_end = terms[t, 4], terms[t, 5], terms[t, 6], terms[t, 7]
            left = n_columns
            while left > 0:
                if left > (WIDE - 1) * lanes:
                    n = min(left, WIDE * lanes)
                    for row in range(first_row, row_end, tile_rows[0]):
                        fetch = accumulate if row == first_row else 0
                        wide(
                            x, x_at, rows, y_rows, row, row_end, b, b_at, steps, b_steps, k, k_end,
                            y, y_at, start, start_at, accumulate, n, fetch, least, most,
                        )  # fmt: skip
                elif left > lanes:
                    n = min(left, 2 * lanes)
                    for row in range(first_row, row_end, tile_rows[1]):
                        fetch = accumulate if row == first_row else 0
                        middle(
                            x, x_at, rows, y_rows, row, row_end, b, b_at, steps, b_steps, k, k_end,
                            y, y_at, start, start_at, accumulate, n, fetch, least, most,
                        )  # fmt: skip
                else:
                    n = left
                    for row in range(first_row, row_end, tile_rows[2]):
                        fetch = accumulate if row == first_row else 0
                        narrow(
                            x, x_at, rows, y_rows, row, row_end, b, b_at, steps, b_steps, k, k_end,
                            y, y_at, start, start_at, accumulate, n, fetch, least, most,
                        )  # fmt: skip
                left -= n
                x_at, b_at, y_at, start_at = x_at + n * x_lane, b_at + n, y_at + n, start_at + n


@njit
def dense(
    x: Array, b: Array, y: Array, start: Array, rows: Array, y_rows: Array, steps: Array, b_steps: Array,
    terms: Array, accumulate: int, x_jump: int, b_jump: int, y_jump: int, n_columns: int, n_blocks: int,
    last: int, low: float, high: float,
) -> None:  # fmt: skip
    """Every output channel is a sum over all channels of x."""
    _sweep(
        _wide, _middle, _narrow, _ROWS, 0, x, b, y, start, rows, y_rows, steps, b_steps,
        terms, accumulate, x_jump, b_jump, y_jump, n_columns, n_blocks, last, low, high,
    )  # fmt: skip


@njit
def _depthwise(
    x: Array, b: Array, y: Array, start: Array, rows: Array, y_rows: Array, steps: Array, b_steps: Array,
    terms: Array, accumulate: int, x_jump: int, b_jump: int, y_jump: int, n_columns: int, n_blocks: int,
    last: int, low: float, high: float,
) -> None:  # fmt: skip
    """Every output channel depends on its own channel of x only."""
    _sweep(
        _deep_wide, _deep_middle, _deep_narrow, _DEEP_ROWS, 1, x, b, y, start, rows, y_rows, steps, b_steps,
        terms, accumulate, x_jump, b_jump, y_jump, n_columns, n_blocks, last, low, high,
    )  # fmt: skip


class Loop(NamedTuple):
    """A loop, and how much work (see `Geometry.work`) is worth the 7 µs of handing them to another thread.

    `x_lane` is how far x moves with each output channel.
    """

    sweep: Callable[..., None]
    grain: int
    x_lane: int


DENSE, DEPTHWISE = Loop(dense, 1_500_000, 0), Loop(_depthwise, 1_000_000, 1)
