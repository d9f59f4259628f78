"""Winograd's transforms of one tile, a vector of channels at a time, by instructions like those of tile.py.

Each is one small matrix applied to the rows and then to the columns of a square of numbers: T · square · Tᵀ. It is the
product of two matrices with fewer numbers in them, for what two points ±p have in common is computed once.

The points at which polynomials are multiplied are 0, ±2/3, ±3/2 and ∞. With 0, ±1, ±2 and ∞, which are in all
textbooks, errors are two to four times as large: sums over 64 channels in float32 are wrong by 2.9e-6 of their standard
deviation (and 5e-5 at most), with these by 1.3e-6 (1.1e-5), and summed directly by 0.7e-6 (0.7e-5).

Source: Lavin & Gray 2016, Fast algorithms for convolutional neural networks, arXiv:1509.09308, section 4; for points of
the form ±c, ±1/c: Alam, Anderson, Barabasz & Gregg 2022, Winograd convolution for deep neural networks: efficient point
selection, ACM Transactions on Embedded Computing Systems 21, doi:10.1145/3524069.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinydl.kernels.compiled.jit import numba
from tinydl.kernels.compiled.tile import INT64, VECTOR_BYTES, Tile, Writer, cgutils
from tinydl.shapes import Array

__all__: list[str] = []

Matrix: TypeAlias = Array

NEAR, FAR = 2 / 3, 3 / 2
"""The points are 0, ±NEAR, ±FAR and ∞; the matrices below know that NEAR · FAR = 1."""

POINTS = np.array([0, NEAR, -NEAR, FAR, -FAR])

PLACES, SIDE = 4, 6
"""Places of y in a row of a tile, and how many of x these see: the side of the square of products."""

PLANES = SIDE * SIDE

PAIRS = np.array(
    [
        [1, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 1, -1, 0, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, -1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
)
"""To what is even, and what is odd, in two points ±p; and back, but for a factor of 2."""

POWERS = np.array(
    [[1, 1, 0, 1, 0, 0], [0, 0, NEAR, 0, FAR, 0], [0, NEAR**2, 0, FAR**2, 0, 0], [0, 0, NEAR**3, 0, FAR**3, 1]]
)
"""Powers of the points: the even ones of what is even, the odd ones of what is odd."""

INPUT = (
    np.array(
        [
            [1, 0, -(NEAR**2) - FAR**2, 0, 1, 0],
            [0, 0, -(FAR**2), 0, 1, 0],
            [0, -FAR, 0, NEAR, 0, 0],
            [0, 0, -(NEAR**2), 0, 1, 0],
            [0, -NEAR, 0, FAR, 0, 0],
            [0, 1, 0, -(NEAR**2) - FAR**2, 0, 1],
        ]
    ),
    PAIRS,
)
"""Bᵀ, the first factor first: six places of x, four apart from the next tile's. The row of a point p has the
coefficients of the product of (x − q) over all other points q."""

GRADIENT = POWERS.T, PAIRS
"""A: four places of g."""

OUTPUT = PAIRS, POWERS
"""Aᵀ: to four places of y."""

SEEN = PAIRS, INPUT[0].T
"""B: to the six places of x that the four of y see."""

SIDES = ("row", "height"), ("column", "width")


class _TransformWriter(Writer):
    """Writes a transform of the vectors of one square."""

    def product(self, factors: Sequence[Matrix], square: list[list[Any]]) -> list[list[Any]]:
        """Return T · square · Tᵀ for the product T of the factors."""
        columns = [self._transformed(factors, column) for column in zip(*square, strict=True)]
        return [self._transformed(factors, row) for row in zip(*columns, strict=True)]

    def _transformed(self, factors: Sequence[Matrix], vectors: Sequence[Any]) -> list[Any]:
        for matrix in factors:
            vectors = [self._combination(row, vectors) for row in matrix.tolist()]
        return list(vectors)

    def _combination(self, numbers: Sequence[float], vectors: Sequence[Any]) -> Any:
        """Return Σ number · vector, those first that need no product."""
        builder, total = self.builder, None
        for number, vector in sorted(
            zip(numbers, vectors, strict=True), key=lambda pair: (pair[0] != 1, pair[0] != -1)
        ):
            if number == 0:
                continue
            if total is None:
                total = vector if number == 1 else builder.fmul(self.vector([number] * self.lanes), vector)
            elif abs(number) == 1:
                total = (builder.fadd if number == 1 else builder.fsub)(total, vector)
            else:
                product = builder.fmul(self.vector([number] * self.lanes), vector, flags=["contract"])
                total = builder.fadd(total, product, flags=["contract"])
        return total

    def write_spread(self, factors: Sequence[Matrix]) -> None:
        """Transform the square at (row, column) of an image to planes that lie `plane` apart.

        A square that lies inside of the image as a whole needs no masks of its own.
        """
        builder, side = self.builder, factors[0].shape[1]
        every = self.mask(self.values["n"])
        inside = self._inside(side)
        whole = self._whole(inside)
        with builder.if_else(whole) as (then, otherwise):
            with then:
                self._spread(factors, every, lambda i, j: self.load(self._place("x", i, j), 0))
            with otherwise:
                self._spread(factors, every, lambda i, j: self._load_if(builder.and_(inside[0][i], inside[1][j]), i, j))

    def _inside(self, side: int) -> list[list[Any]]:
        """Tell which rows, and which columns, of a square are inside of the image."""
        return [[self._is_inside(axis, size, i) for i in range(side)] for axis, size in SIDES]

    def _whole(self, inside: list[list[Any]]) -> Any:
        """Tell whether all of them are."""
        return functools.reduce(self.builder.and_, (some[i] for some in inside for i in (0, -1)))

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

    def _spread(self, factors: Sequence[Matrix], every: Any, load: Callable[[int, int], Any]) -> None:
        self.masks = [every]
        side = range(factors[0].shape[1])
        square = [[load(i, j) for j in side] for i in side]
        for p, vector in enumerate(v for line in self.product(factors, square) for v in line):
            plane = self.builder.mul(self.values["plane"], INT64(p))
            self.store(vector, self.address("y", self.values["y_at"], plane), 0)

    def _any(self, lanes: Any) -> Any:
        """Tell whether any lane of a mask is set."""
        bits = self.builder.bitcast(lanes, cgutils.ir.IntType(self.lanes))
        return self.builder.icmp_unsigned("!=", bits, bits.type(0))

    def _gathered(self, factors: Sequence[Matrix]) -> list[list[Any]]:
        """Return the transform of the planes."""
        builder, values = self.builder, self.values
        self.masks = [self.mask(values["n"])]
        at = [self.address("x", values["x_at"], builder.mul(values["plane"], INT64(p))) for p in range(PLANES)]
        planes = [self.load(place, 0) for place in at]
        return self.product(factors, [planes[SIDE * i : SIDE * (i + 1)] for i in range(SIDE)])

    def _report(self, found: list[list[Any]]) -> None:
        """Say in `spoilt` if a number is not finite: times 0 it is NaN."""
        builder, zero = self.builder, self.vector([0.0] * self.lanes)
        products = [builder.fmul(one, zero) for line in found for one in line]
        none = functools.reduce(builder.fadd, products)
        with builder.if_then(self._any(builder.fcmp_unordered("uno", none, none)), likely=False):
            builder.store(INT64(1), self.address("spoilt", self.values["worker"]))

    def write_gather(self) -> None:
        """Transform planes to the places at (row, column) of y, as far as y has them; add the start, clamp."""
        builder, values = self.builder, self.values
        found = self._gathered(OUTPUT)
        self._report(found)
        start = self.load(self.address("start", values["start_at"]), 0)
        low, high = self.splat(values["low"]), self.splat(values["high"])
        results = [[self.clamp(builder.fadd(one, start), low, high) for one in line] for line in found]
        inside = self._inside(PLACES)
        with builder.if_else(self._whole(inside)) as (then, otherwise):
            with then:
                for i, j in np.ndindex(PLACES, PLACES):
                    self.store(results[i][j], self._place("y", i, j), 0)
            with otherwise:
                for i, j in np.ndindex(PLACES, PLACES):
                    with builder.if_then(builder.and_(inside[0][i], inside[1][j])):
                        self.store(results[i][j], self._place("y", i, j), 0)

    def write_add(self) -> None:
        """Add the transform of planes to the places at (row, column) of y that squares above and beside have written.

        The other places get it as it is.
        """
        builder, values = self.builder, self.values
        found = self._gathered(SEEN)
        self._report(found)
        above, beside = (builder.icmp_signed("!=", values[name], INT64(0)) for name in ("above", "beside"))
        shared = range(SIDE - PLACES)

        def add(i: int, j: int) -> None:
            place, result = self._place("y", i, j), found[i][j]
            before = [flag for flag, k in ((above, i), (beside, j)) if k in shared]
            if before:
                there = builder.select(functools.reduce(builder.or_, before), self.load(place, 0), result.type(None))
                result = builder.fadd(there, result)
            self.store(result, place, 0)

        inside = self._inside(SIDE)
        with builder.if_else(self._whole(inside)) as (then, otherwise):
            with then:
                for i, j in np.ndindex(SIDE, SIDE):
                    add(i, j)
            with otherwise:
                for i, j in np.ndindex(SIDE, SIDE):
                    with builder.if_then(builder.and_(inside[0][i], inside[1][j])):
                        add(i, j)


def spread_function(factors: Sequence[Matrix]) -> Tile:
    """Return a function for compiled code: n channels of the square at (row, column) of an image, transformed.

    y[y_at + p·plane + c] = (T · square_c · Tᵀ)[p], square_c[i, j] = x[x_at + (row + i)·pitch + (column + j)·step + c].
    """
    if numba.config.DISABLE_JIT:
        return _spread_in_python(factors)

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def spread(
        typingctx: Any,
        x: Any, x_at: Any, row: Any, column: Any, height: Any, width: Any, pitch: Any, step: Any,
        y: Any, y_at: Any, plane: Any, n: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}

        def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
            values = dict(zip(kinds, arguments, strict=True))
            _TransformWriter(context, builder, values, kinds).write_spread(factors)
            return context.get_dummy_value()

        return numba.types.void(*kinds.values()), generate

    return spread  # type: ignore[no-any-return]


def gather_function() -> Tile:
    """Return a function for compiled code: n channels of the places of y at (row, column), from their planes.

    y[y_at + (row + i)·pitch + (column + j)·step + o] = start[start_at + o] + (Aᵀ · planes_o · A)[i, j], clamped. If any
    of these sums is not finite, spoilt[worker] is set to 1.
    """
    if numba.config.DISABLE_JIT:
        return _gather_in_python

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def gather(
        typingctx: Any,
        x: Any, x_at: Any, plane: Any, start: Any, start_at: Any,
        y: Any, y_at: Any, row: Any, column: Any, height: Any, width: Any, pitch: Any, step: Any,
        n: Any, low: Any, high: Any, spoilt: Any, worker: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}

        def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
            _TransformWriter(context, builder, dict(zip(kinds, arguments, strict=True)), kinds).write_gather()
            return context.get_dummy_value()

        return numba.types.void(*kinds.values()), generate

    return gather  # type: ignore[no-any-return]


def add_function() -> Tile:
    """Return a function for compiled code: what n channels of planes add to the 6×6 places of y from (row, column) on.

    y[y_at + (row + i)·pitch + (column + j)·step + c] += (B · planes_c · Bᵀ)[i, j], or = where nothing was written so
    far: above and beside tell whether the squares there were. `spoilt` as for `gather_function`.
    """
    if numba.config.DISABLE_JIT:
        return _add_in_python

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def add(
        typingctx: Any,
        x: Any, x_at: Any, plane: Any,
        y: Any, y_at: Any, row: Any, column: Any, height: Any, width: Any, pitch: Any, step: Any,
        n: Any, above: Any, beside: Any, spoilt: Any, worker: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}

        def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
            _TransformWriter(context, builder, dict(zip(kinds, arguments, strict=True)), kinds).write_add()
            return context.get_dummy_value()

        return numba.types.void(*kinds.values()), generate

    return add  # type: ignore[no-any-return]


def _channels(n: int, x: Array) -> Array:
    return np.arange(min(n, VECTOR_BYTES // x.itemsize))


def _spread_in_python(factors: Sequence[Matrix]) -> Tile:
    """Return the transform in NumPy: for kernels that run interpreted."""
    T = functools.reduce(lambda done, next: next @ done, factors)
    side = T.shape[1]

    def spread(
        x: Array, x_at: int, row: int, column: int, height: int, width: int, pitch: int, step: int,
        y: Array, y_at: int, plane: int, n: int,
    ) -> None:  # fmt: skip
        c = _channels(n, x)
        square = np.zeros((c.size, side, side), x.dtype)
        for i, j in np.ndindex(side, side):
            if 0 <= row + i < height and 0 <= column + j < width:
                square[:, i, j] = x[x_at + (row + i) * pitch + (column + j) * step + c]
        planes = (T @ square @ T.T).reshape(c.size, PLANES)
        y[y_at + np.arange(PLANES) * plane + c[:, None]] = planes

    return spread


def _gather_in_python(
    x: Array, x_at: int, plane: int, start: Array, start_at: int,
    y: Array, y_at: int, row: int, column: int, height: int, width: int, pitch: int, step: int,
    n: int, low: float, high: float, spoilt: Array, worker: int,
) -> None:  # fmt: skip
    """Transform back in NumPy: for kernels that run interpreted."""
    c, T = _channels(n, x), POWERS @ PAIRS
    found = T @ x[x_at + np.arange(PLANES) * plane + c[:, None]].reshape(-1, SIDE, SIDE) @ T.T
    if not np.isfinite(found).all():
        spoilt[worker] = 1
    for i, j in np.ndindex(PLACES, PLACES):
        if row + i < height and column + j < width:
            place = y_at + (row + i) * pitch + (column + j) * step + c
            y[place] = np.clip(found[:, i, j] + start[start_at + c], low, high)


def _add_in_python(
    x: Array, x_at: int, plane: int,
    y: Array, y_at: int, row: int, column: int, height: int, width: int, pitch: int, step: int,
    n: int, above: int, beside: int, spoilt: Array, worker: int,
) -> None:  # fmt: skip
    """Add to what squares see in NumPy: for kernels that run interpreted."""
    c, T = _channels(n, x), SEEN[1] @ SEEN[0]
    found = T @ x[x_at + np.arange(PLANES) * plane + c[:, None]].reshape(-1, SIDE, SIDE) @ T.T
    if not np.isfinite(found).all():
        spoilt[worker] = 1
    for i, j in np.ndindex(SIDE, SIDE):
        if 0 <= row + i < height and 0 <= column + j < width:
            place = y_at + (row + i) * pitch + (column + j) * step + c
            before = (above and i < SIDE - PLACES) or (beside and j < SIDE - PLACES)
            y[place] = found[:, i, j] + (y[place] if before else 0)
