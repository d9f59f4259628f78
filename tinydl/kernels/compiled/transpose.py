"""Matrices transposed a square at a time, their rows perhaps scaled: how layout.py turns arrays into what tiles read.

A square of as many rows as a vector has lanes is read into registers, transposed there by shuffles and written back.
NumPy copies number by number: 0.8 ns each, where this takes 0.2 (96 → 576 channels: 45 µs became 10, in a layer whose
sums take 54).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import njit, numba
from tinydl.kernels.compiled.tile import INT64, VECTOR_BYTES, Tile, Writer
from tinydl.shapes import Array

__all__: list[str] = []


class _SquareWriter(Writer):
    """Writes one square; what lies past the last row or column is neither read nor written."""

    def write(self) -> None:
        """Read rows; exchange halves, quarters, … between them, which transposes; scale and write what they became."""
        builder, values = self.builder, self.values
        self.masks = [self.mask(values["n_columns"])]
        last = builder.sub(values["n_rows"], INT64(1))
        rows = [builder.mul(self.smaller(INT64(lane), last), values["stride"]) for lane in range(self.lanes)]
        square = [self.load(self.address("x", values["x_at"], row), 0) for row in rows]
        distance = self.lanes // 2
        while distance:
            square = self._exchange(square, distance)
            distance //= 2
        self.masks = [self.mask(values["n_rows"])]
        scale = self.load(self.address("scale", values["scale_at"]), 0)
        for lane, column in enumerate(square):
            with builder.if_then(builder.icmp_signed("<", INT64(lane), values["n_columns"])):
                y_row = self.entry("y_rows", builder.add(values["column"], INT64(lane)))
                self.store(builder.fmul(column, scale), self.address("y", y_row, values["y_at"]), 0)

    def _exchange(self, rows: list[Any], distance: int) -> list[Any]:
        """Swap, between rows that lie `distance` apart, the lanes that lie `distance` apart."""
        lanes = range(self.lanes)
        upper = [self.lanes + lane - distance if lane & distance else lane for lane in lanes]
        lower = [self.lanes + lane if lane & distance else lane + distance for lane in lanes]
        found = list(rows)
        for i in lanes:
            if not i & distance:
                pair = rows[i], rows[i + distance]
                found[i], found[i + distance] = self.shuffle(*pair, upper), self.shuffle(*pair, lower)
        return found


def square_function() -> Tile:
    """Return a function for compiled code that transposes the square at (row, column) of x.

    y[y_rows[column + j] + y_at + i] = x[x_at + i·stride + j] · scale[scale_at + i],  i < n_rows, j < n_columns.
    """
    if numba.config.DISABLE_JIT:
        return _in_python

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def square(
        typingctx: Any,
        x: Any, x_at: Any, stride: Any, y: Any, y_rows: Any, y_at: Any, column: Any,
        scale: Any, scale_at: Any, n_rows: Any, n_columns: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}

        def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
            _SquareWriter(context, builder, dict(zip(kinds, arguments, strict=True)), kinds).write()
            return context.get_dummy_value()

        return numba.types.void(*kinds.values()), generate

    return square  # type: ignore[no-any-return]


def _in_python(
    x: Array, x_at: int, stride: int, y: Array, y_rows: Array, y_at: int, column: int,
    scale: Array, scale_at: int, n_rows: int, n_columns: int,
) -> None:  # fmt: skip
    """Transpose a square in NumPy: for kernels that run interpreted."""
    i, j = (np.arange(min(n, VECTOR_BYTES // x.itemsize)) for n in (n_rows, n_columns))
    y[y_rows[column + j] + y_at + i[:, None]] = x[x_at + i[:, None] * stride + j] * scale[scale_at + i[:, None]]


_square = square_function()


@njit
def transpose(
    worker: int, boss: int, crew: Array, ranges: Array, x: Array, y: Array, y_rows: Array, scale: Array,
    n_outer: int, y_outer: int, n_inner: int, y_inner: int, n_rows: int, n_columns: int,
) -> bool:  # fmt: skip
    """Transpose the worker's range of rows of n_outer times n_inner matrices, which follow each other in x.

    In y, outer ones lie y_outer apart and inner ones y_inner. The scale has a number for each row of all outer
    matrices, or of one.
    """
    give(boss, crew)
    side, size = VECTOR_BYTES // x.itemsize, n_rows * n_columns
    first, last = ranges[worker]
    for outer in range(n_outer):
        scale_at = outer * n_rows % max(scale.size, 1)
        for inner in range(n_inner):
            x_at, y_at = (outer * n_inner + inner) * size, outer * y_outer + inner * y_inner
            for row in range(first, last, side):
                for column in range(0, n_columns, side):
                    _square(
                        x, x_at + row * n_columns + column, n_columns, y, y_rows, y_at + row, column,
                        scale, scale_at + row, last - row, n_columns - column,
                    )  # fmt: skip
    return wait(boss, crew)
