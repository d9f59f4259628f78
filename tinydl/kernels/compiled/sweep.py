"""The loops around the tiles of a convolution: over blocks of images, terms, output channels and rows."""

from __future__ import annotations

from tinydl.kernels.compiled.jit import njit, numba
from tinydl.kernels.compiled.tile import ROWS, VECTOR_BYTES, WIDE, Tile, tile_function
from tinydl.shapes import Array

__all__: list[str] = []

_wide, _middle, _narrow = (tile_function(width, dense=True) for width in (WIDE, 2, 1))
_deep_wide, _deep_middle, _deep_narrow = (tile_function(width, dense=False) for width in (WIDE, 2, 1))
_WIDE_ROWS, _MIDDLE_ROWS, _NARROW_ROWS = ROWS[WIDE], ROWS[2], ROWS[1]


@numba.extending.register_jitable  # type: ignore[untyped-decorator]
def _sweep(
    wide: Tile, middle: Tile, narrow: Tile, x_lane: int,
    x: Array, b: Array, y: Array, start: Array, start_step: int,
    rows: Array, steps: Array, y_rows: Array, terms: Array,
    x_jump: int, b_jump: int, y_jump: int, ldb: int, n_columns: int, n_blocks: int,
) -> None:  # fmt: skip
    """Run tiles over the rows and columns of each term of each block, at the sum of both's offsets.

    terms (T, 4) holds offsets in x, b, y and start. With start_step 1 the result is added to what y holds.
    """
    lanes = VECTOR_BYTES // x.itemsize
    for block in range(n_blocks):
        for t in range(terms.shape[0]):
            x_at, b_at, y_at = block * x_jump + terms[t, 0], block * b_jump + terms[t, 1], block * y_jump + terms[t, 2]
            start_at = y_at if start_step else terms[t, 3]
            left = n_columns
            while left > 0:
                if left > (WIDE - 1) * lanes:
                    n = min(left, WIDE * lanes)
                    for row in range(0, rows.size, _WIDE_ROWS):
                        wide(x, x_at, rows, row, steps, b, b_at, ldb, y, y_at, y_rows, start, start_at, start_step, n)
                elif left > lanes:
                    n = min(left, 2 * lanes)
                    for row in range(0, rows.size, _MIDDLE_ROWS):
                        middle(x, x_at, rows, row, steps, b, b_at, ldb, y, y_at, y_rows, start, start_at, start_step, n)
                else:
                    n = left
                    for row in range(0, rows.size, _NARROW_ROWS):
                        narrow(x, x_at, rows, row, steps, b, b_at, ldb, y, y_at, y_rows, start, start_at, start_step, n)
                left -= n
                x_at, b_at, y_at, start_at = x_at + n * x_lane, b_at + n, y_at + n, start_at + n


@njit
def sweep(
    x: Array, b: Array, y: Array, start: Array, start_step: int,
    rows: Array, steps: Array, y_rows: Array, terms: Array,
    x_jump: int, b_jump: int, y_jump: int, ldb: int, n_columns: int, n_blocks: int,
) -> None:  # fmt: skip
    """Every output channel is a sum over all channels of x."""
    _sweep(
        _wide, _middle, _narrow, 0, x, b, y, start, start_step, rows, steps, y_rows, terms,
        x_jump, b_jump, y_jump, ldb, n_columns, n_blocks,
    )  # fmt: skip


@njit
def depthwise_sweep(
    x: Array, b: Array, y: Array, start: Array, start_step: int,
    rows: Array, steps: Array, y_rows: Array, terms: Array,
    x_jump: int, b_jump: int, y_jump: int, ldb: int, n_columns: int, n_blocks: int,
) -> None:  # fmt: skip
    """Every output channel depends on its own channel of x only."""
    _sweep(
        _deep_wide, _deep_middle, _deep_narrow, 1, x, b, y, start, start_step, rows, steps, y_rows, terms,
        x_jump, b_jump, y_jump, ldb, n_columns, n_blocks,
    )  # fmt: skip
