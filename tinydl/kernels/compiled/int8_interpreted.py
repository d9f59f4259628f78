"""What the tiles of int8_tile.py compute, in NumPy: for kernels that run interpreted, under debuggers and coverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinydl.kernels.compiled.int8_writer import LANES, OFFSET, UNIT, VNNI
from tinydl.kernels.compiled.tile import Tile
from tinydl.shapes import Array

__all__: list[str] = []


def _finish(
    total: Array, constants: Sequence[Array], low: int, high: int, in_registers: int,
    sums: Array, sums_at: int, y: Array, y_at: int,
) -> None:  # fmt: skip
    """Requantize the sums to y, or write them as they are."""
    n = len(constants[0])
    if in_registers:
        multiplier, offset, shift = constants
        upper = (total[:n].astype(np.int64) * multiplier) >> 32
        y[y_at : y_at + n] = np.clip((upper + offset) >> shift, low, high)
    else:
        sums[sums_at : sums_at + len(total)] = total


def dense(n_vectors: int, n_rows: int) -> Tile:
    """Return what a tile computes, in NumPy: for kernels that run interpreted."""
    width = n_vectors * LANES

    def tile(
        x: Array, x_at: int, rows: Array, row: int, row_end: int, steps: Array, n_steps: int, b: Array, b_at: int,
        start: Array, multiplier: Array, offset: Array, shift: Array, channel: int, low: int, high: int,
        in_registers: int, sums: Array, y: Array, y_at: int, y_row: int, n: int,
    ) -> None:  # fmt: skip
        constants = [a[channel : channel + n] for a in (multiplier, offset, shift)]
        w = b[b_at : b_at + n_steps * width * UNIT].reshape(n_steps, width, UNIT).astype(np.int32)
        for r in range(row, min(row + n_rows, row_end)):
            seen = x[x_at + rows[r] + steps[:n_steps, None] + np.arange(UNIT)].astype(np.int32) + OFFSET
            total = start[channel : channel + width] + np.einsum("kcu,ku->c", w, seen)
            _finish(total, constants, low, high, in_registers, sums, r * width, y, y_at + r * y_row)

    return tile


def depthwise(n_pixels: int) -> Tile:
    """Return the depthwise tile."""

    def tile(
        x: Array, x_at: int, x_pixel: int, pixel: int, pixel_end: int, steps: Array, n_steps: int, b: Array, b_at: int,
        b_step: int, start: Array, multiplier: Array, offset: Array, shift: Array, channel: int, low: int, high: int,
        in_registers: int, sums: Array, sums_at: int, sums_row: int, y: Array, y_at: int, y_row: int, n: int,
    ) -> None:  # fmt: skip
        constants = [a[channel : channel + n] for a in (multiplier, offset, shift)]
        lanes = np.arange(LANES * UNIT)
        w = b[b_at + np.arange(n_steps)[:, None] * b_step + lanes].astype(np.int32)
        for p in range(pixel, min(pixel + n_pixels, pixel_end)):
            seen = x[x_at + p * x_pixel + steps[:n_steps, None] + lanes]
            seen = (seen.view(np.uint8) if VNNI else seen).astype(np.int32)
            total = start[channel : channel + LANES] + (seen * w).reshape(n_steps, LANES, UNIT).sum((0, 2))
            sums_place, y_place = sums_at + p * sums_row, y_at + p * y_row
            _finish(total, constants, low, high, in_registers, sums, sums_place, y, y_place)

    return tile


def weave(x: Array, blank: Array, at: Array, q: Array, q_at: int, n: int) -> None:
    for u in range(UNIT):
        row = blank[:n] if at[u] < 0 else x[at[u] : at[u] + n]
        q[q_at + u : q_at + n * UNIT : UNIT] = row ^ np.int8(-128) if VNNI else row
