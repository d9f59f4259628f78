"""Winograd's transforms of one tile, a vector of channels at a time, by instructions like those of tile.py.

Each is one small matrix applied to the rows and then to the columns of a square of numbers: T · square · Tᵀ. The
matrices hold only 0, 1 and −1, so that a product with one is a handful of additions.

Source: Lavin & Gray 2016, Fast algorithms for convolutional neural networks, arXiv:1509.09308, section 4.1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinydl.kernels.compiled.jit import numba
from tinydl.kernels.compiled.tile import INT64, VECTOR_BYTES, Tile, Writer
from tinydl.shapes import Array

__all__: list[str] = []

Matrix: TypeAlias = Sequence[Sequence[int]]

INPUT: Matrix = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
"""Bᵀ: four places of x, two apart from the next tile's."""

GRADIENT: Matrix = ((1, 0), (1, 1), (1, -1), (0, -1))
"""A: two places of g."""

OUTPUT: Matrix = ((1, 1, 1, 0), (0, 1, -1, -1))
"""Aᵀ: to two places of y."""

SIDES = ("row", "height"), ("column", "width")


class _TransformWriter(Writer):
    """Writes a transform of the vectors of one square."""

    def product(self, matrix: Matrix, square: list[list[Any]]) -> list[list[Any]]:
        """Return matrix · square · matrixᵀ."""
        columns = [self._combinations(matrix, column) for column in zip(*square, strict=True)]
        return [self._combinations(matrix, row) for row in zip(*columns, strict=True)]

    def _combinations(self, matrix: Matrix, vectors: Sequence[Any]) -> list[Any]:
        return [self._combination(row, vectors) for row in matrix]

    def _combination(self, signs: Sequence[int], vectors: Sequence[Any]) -> Any:
        """Return Σ sign · vector, by additions and subtractions only."""
        plus = [v for sign, v in zip(signs, vectors, strict=True) if sign > 0]
        minus = [v for sign, v in zip(signs, vectors, strict=True) if sign < 0]
        total = plus[0] if plus else self.builder.fsub(self.vector([-0.0] * self.lanes), minus.pop(0))
        for vector in plus[1:]:
            total = self.builder.fadd(total, vector)
        for vector in minus:
            total = self.builder.fsub(total, vector)
        return total

    def write_spread(self, matrix: Matrix) -> None:
        """Transform the square at (row, column) of an image to planes that lie `plane` apart.

        A square that lies inside of the image as a whole, as most do, needs no masks of its own.
        """
        builder, side = self.builder, len(matrix[0])
        every = self.mask(self.values["n"])
        inside = [[self._is_inside(axis, size, i) for i in range(side)] for axis, size in SIDES]
        whole = functools.reduce(builder.and_, (inside[axis][i] for axis in (0, 1) for i in (0, side - 1)))
        with builder.if_else(whole) as (then, otherwise):
            with then:
                self._spread(matrix, every, lambda i, j: self.load(self._place("x", i, j), 0))
            with otherwise:
                self._spread(matrix, every, lambda i, j: self._load_if(builder.and_(inside[0][i], inside[1][j]), i, j))

    def _is_inside(self, axis: str, size: str, i: int) -> Any:
        place = self.builder.add(self.values[axis], INT64(i))
        return self.builder.icmp_unsigned("<", place, self.values[size])  # a negative place is a huge one

    def _place(self, name: str, i: int, j: int) -> Any:
        """Return the address of the first channel at (row + i, column + j) of the image `name`."""
        builder, values = self.builder, self.values
        row, column = builder.add(values["row"], INT64(i)), builder.add(values["column"], INT64(j))
        steps = builder.mul(row, values["pitch"]), builder.mul(column, values["step"])
        return self.address(name, values[f"{name}_at"], *steps)

    def _load_if(self, inside: Any, i: int, j: int) -> Any:
        """Return what is at (row + i, column + j), or zeros, for which the processor is given an address it may read.

        To suppress the fault of a masked load from a page that is not there takes it hundreds of cycles.
        """
        place = self.builder.select(inside, self._place("x", i, j), self.address("x", self.values["x_at"]))
        return self.builder.select(inside, self.load(place, 0), self.vector([0.0] * self.lanes))

    def _spread(self, matrix: Matrix, every: Any, load: Callable[[int, int], Any]) -> None:
        self.masks = [every]
        side = range(len(matrix[0]))
        square = [[load(i, j) for j in side] for i in side]
        for p, vector in enumerate(v for line in self.product(matrix, square) for v in line):
            plane = self.builder.mul(self.values["plane"], INT64(p))
            self.store(vector, self.address("y", self.values["y_at"], plane), 0)

    def write_gather(self) -> None:
        """Transform planes to the four places at (row, column) of y, as far as y has them; add the start, clamp."""
        builder, values = self.builder, self.values
        self.masks = [self.mask(values["n"])]
        planes = [
            self.load(self.address("x", values["x_at"], builder.mul(values["plane"], INT64(p))), 0) for p in range(16)
        ]
        found = self.product(OUTPUT, [planes[4 * i : 4 * i + 4] for i in range(4)])
        start = self.load(self.address("start", values["start_at"]), 0)
        low, high = self.splat(values["low"]), self.splat(values["high"])
        for i, j in np.ndindex(2, 2):
            inside = [self._is_inside(axis, size, place) for (axis, size), place in zip(SIDES, (i, j), strict=True)]
            with builder.if_then(builder.and_(*inside)):
                self.store(self.clamp(builder.fadd(found[i][j], start), low, high), self._place("y", i, j), 0)


def spread_function(matrix: Matrix) -> Tile:
    """Return a function for compiled code: n channels of the square at (row, column) of an image, transformed.

    y[y_at + p·plane + c] = (T · square_c · Tᵀ)[p], square_c[i, j] = x[x_at + (row + i)·pitch + (column + j)·step + c].
    """
    if numba.config.DISABLE_JIT:
        return _spread_in_python(matrix)

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def spread(
        typingctx: Any,
        x: Any, x_at: Any, row: Any, column: Any, height: Any, width: Any, pitch: Any, step: Any,
        y: Any, y_at: Any, plane: Any, n: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}

        def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
            values = dict(zip(kinds, arguments, strict=True))
            _TransformWriter(context, builder, values, kinds).write_spread(matrix)
            return context.get_dummy_value()

        return numba.types.void(*kinds.values()), generate

    return spread  # type: ignore[no-any-return]


def gather_function() -> Tile:
    """Return a function for compiled code: n channels of the four places of y at (row, column), from 16 planes.

    y[y_at + (row + i)·pitch + (column + j)·step + o] = start[start_at + o] + (Aᵀ · planes_o · A)[i, j], clamped.
    """
    if numba.config.DISABLE_JIT:
        return _gather_in_python

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def gather(
        typingctx: Any,
        x: Any, x_at: Any, plane: Any, start: Any, start_at: Any,
        y: Any, y_at: Any, row: Any, column: Any, height: Any, width: Any, pitch: Any, step: Any,
        n: Any, low: Any, high: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}

        def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
            _TransformWriter(context, builder, dict(zip(kinds, arguments, strict=True)), kinds).write_gather()
            return context.get_dummy_value()

        return numba.types.void(*kinds.values()), generate

    return gather  # type: ignore[no-any-return]


def _channels(n: int, x: Array) -> Array:
    return np.arange(min(n, VECTOR_BYTES // x.itemsize))


def _spread_in_python(matrix: Matrix) -> Tile:
    """Return the transform in NumPy: for kernels that run interpreted."""
    side, T = len(matrix[0]), np.array(matrix)

    def spread(
        x: Array, x_at: int, row: int, column: int, height: int, width: int, pitch: int, step: int,
        y: Array, y_at: int, plane: int, n: int,
    ) -> None:  # fmt: skip
        c = _channels(n, x)
        square = np.zeros((c.size, side, side), x.dtype)
        for i, j in np.ndindex(side, side):
            if 0 <= row + i < height and 0 <= column + j < width:
                square[:, i, j] = x[x_at + (row + i) * pitch + (column + j) * step + c]
        planes = (T @ square @ T.T).reshape(c.size, 16)
        y[y_at + np.arange(16) * plane + c[:, None]] = planes

    return spread


def _gather_in_python(
    x: Array, x_at: int, plane: int, start: Array, start_at: int,
    y: Array, y_at: int, row: int, column: int, height: int, width: int, pitch: int, step: int,
    n: int, low: float, high: float,
) -> None:  # fmt: skip
    """Transform back in NumPy: for kernels that run interpreted."""
    c, T = _channels(n, x), np.array(OUTPUT)
    found = T @ x[x_at + np.arange(16) * plane + c[:, None]].reshape(-1, 4, 4) @ T.T
    for i, j in np.ndindex(2, 2):
        if row + i < height and column + j < width:
            place = y_at + (row + i) * pitch + (column + j) * step + c
            y[place] = np.clip(found[:, i, j] + start[start_at + c], low, high)
