"""The product x Wᵀ of two matrices that both lie along the terms of the sum: no operand is packed or transposed.

y[m, o] = start[o] + scale[o] · Σ_k x[m, k] · w[o, k]

A tile of rows of x by rows of w keeps one vector of partial sums for each pair in registers, runs along k a vector at
a time, and adds up the lanes at the end. The tiles of conv.py need the weight as (k, o); to transpose it takes longer
than the product itself for a small batch: 784 → 256 at batch 32 took 210 µs with packing and takes 85 without.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import njit, numba
from tinydl.kernels.compiled.memory import filled, plain
from tinydl.kernels.compiled.pointers import Address, address_of
from tinydl.kernels.compiled.tile import INT64, REGISTERS, Tile, Writer, cgutils
from tinydl.shapes import Array

__all__: list[str] = []

ROWS, COLUMNS = (4, 6) if REGISTERS == 32 else (2, 5)
"""Rows of x and of w in a tile: 24 sums, 4 vectors of x and one of w fill 29 of 32 registers."""

LONG = 1024
"""Terms that are summed at a time: so much of some rows of w stays in L1, of 128 rows of x in L2."""

GRAIN = 150_000
"""Multiplications that are worth handing to another thread: some 3 µs of work."""


class _DotWriter(Writer):
    """Writes one tile: ROWS rows of x by COLUMNS rows of w. A row past the last repeats the last."""

    def write(self) -> None:
        """Sum whole vectors in a loop and what is left over behind it; then add up the lanes."""
        values, builder = self.values, self.builder
        rows, columns = (
            [self.smaller(builder.add(values[first], INT64(i)), builder.sub(values[end], INT64(1))) for i in range(n)]
            for first, end, n in (("row", "row_end", ROWS), ("column", "column_end", COLUMNS))
        )
        xs, ws = (
            [self.address(name, builder.mul(i, values["length"])) for i in places]
            for name, places in (("x", rows), ("w", columns))
        )
        sums = [[self.variable(self.vector([0.0] * self.lanes)) for _ in columns] for _ in rows]
        rest = builder.srem(builder.sub(values["k_end"], values["k"]), INT64(self.lanes))
        whole = builder.sub(values["k_end"], rest)
        self.masks = [self._every()]
        with cgutils.for_range_slice(builder, values["k"], whole, INT64(self.lanes)) as (k, _):
            self._add(xs, ws, sums, k)
        with builder.if_then(builder.icmp_signed(">", rest, INT64(0))):
            self.masks = [self.mask(rest)]
            self._add(xs, ws, sums, whole)
        found = []
        for first in range(0, COLUMNS, self.lanes):
            for row, row_sums in zip(rows, sums, strict=True):
                some = [builder.load(total) for total in row_sums[first : first + self.lanes]]
                found.append(self._finish(row, first, self._added(some)))
        for first, y, total in found:  # not before all are found: a row that is repeated must not be added to twice
            self.masks = [self._columns(first)]
            self.store(total, y, 0)

    def _every(self) -> Any:
        """Return the mask in which every lane counts; LLVM makes an ordinary load of one that is masked by it."""
        return cgutils.ir.VectorType(cgutils.ir.IntType(1), self.lanes)([1] * self.lanes)

    def _add(self, xs: list[Any], ws: list[Any], sums: list[list[Any]], k: Any) -> None:
        """Add the products at k and behind it to the sums."""
        builder = self.builder
        x = [self.load(builder.gep(row, [k]), 0) for row in xs]
        for j, row in enumerate(ws):
            w = self.load(builder.gep(row, [k]), 0)
            for i in range(ROWS):
                product = builder.fmul(x[i], w, flags=["contract"])
                builder.store(builder.fadd(builder.load(sums[i][j]), product, flags=["contract"]), sums[i][j])

    def _added(self, vectors: list[Any]) -> Any:
        """Return the vector of the sums of the lanes of each of these vectors, of which there are no more than lanes.

        Lanes `step` apart are added in two of them at once, which takes one shuffle across for each sum: 784 → 256 at
        batch 32 takes 8 % less time than one vector after the other, and 3 % less than with two shuffles.
        """
        lanes = self.lanes
        for level in range(lanes.bit_length() - 1):
            step = 1 << level
            stay = [i + lanes * bool(i & step) for i in range(lanes)]
            cross = [i + (lanes - step if i & step else step) for i in range(lanes)]
            pairs = zip(vectors[::2], vectors[1::2] + vectors[-1:], strict=False)
            vectors = [self.builder.fadd(self.shuffle(a, b, stay), self.shuffle(a, b, cross)) for a, b in pairs]
        return vectors[0]

    def _columns(self, first: int) -> Any:
        """Return the mask of the columns from number `first` of the tile on that there are."""
        builder, values = self.builder, self.values
        left = builder.sub(builder.sub(values["column_end"], values["column"]), INT64(first))
        return self.mask(self.smaller(left, INT64(min(COLUMNS - first, self.lanes))))

    def _finish(self, row: Any, first: int, total: Any) -> tuple[int, Any, Any]:
        """Return the first column, its place in y, and start + scale · the sums."""
        builder, values = self.builder, self.values
        column = builder.add(values["column"], INT64(first))
        y = self.address("y", builder.mul(row, values["width"]), column)
        again = builder.icmp_signed("!=", values["accumulate"], INT64(0))
        self.masks = [self._columns(first)]
        start = self.load(builder.select(again, y, self.address("start", column)), 0)
        scale = self.load(self.address("scale", column), 0)
        made = builder.fadd(start, builder.fmul(scale, total, flags=["contract"]), flags=["contract"])
        return first, y, self.clamp(made, self.splat(values["low"]), self.splat(values["high"]))


@functools.cache
def tile_function() -> Tile:
    """Return a function for compiled code that computes the tile at (row, column), over k…k_end."""
    if numba.config.DISABLE_JIT:
        return _in_python

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typingctx: Any,
        x: Any, w: Any, y: Any, start: Any, scale: Any, row: Any, row_end: Any, column: Any, column_end: Any,
        k: Any, k_end: Any, length: Any, width: Any, accumulate: Any, low: Any, high: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}

        def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
            _DotWriter(context, builder, dict(zip(kinds, arguments, strict=True)), kinds).write()
            return context.get_dummy_value()

        return numba.types.void(*kinds.values()), generate

    return tile  # type: ignore[no-any-return]


def _in_python(
    x: Array, w: Array, y: Array, start: Array, scale: Array, row: int, row_end: int, column: int, column_end: int,
    k: int, k_end: int, length: int, width: int, accumulate: int, low: float, high: float,
) -> None:  # fmt: skip
    """Compute what a tile computes, in NumPy: for kernels that run interpreted."""
    rows, columns = slice(row, min(row + ROWS, row_end)), slice(column, min(column + COLUMNS, column_end))
    some = y[: row_end * width].reshape(row_end, width)[rows, columns]  # there may be room behind the last row
    given = x[: row_end * length].reshape(row_end, length)[rows, k:k_end]
    product = given @ w[: column_end * length].reshape(column_end, length)[columns, k:k_end].T
    some[...] = np.clip((some if accumulate else start[columns]) + scale[columns] * product, low, high)


_tile = tile_function()


@njit
def _dot(
    worker: int, boss: int, crew: Array, shares: Array, x: Array, w: Array, y: Array, start: Array, scale: Array,
    length: int, width: int, low: float, high: float,
) -> bool:  # fmt: skip
    """Compute the worker's share of y: (first row, end, first column, end); arrays are flat. Clamp what is complete."""
    give(boss, crew)
    T = x.dtype.type
    row, row_end, column, column_end = shares[worker]
    for k in range(0, max(length, 1), LONG):
        k_end, accumulate = min(k + LONG, length), int(k > 0)
        least, most = T(low if k_end == length else -math.inf), T(high if k_end == length else math.inf)
        for c in range(column, column_end, COLUMNS):
            for r in range(row, row_end, ROWS):
                _tile(
                    x, w, y, start, scale, r, row_end, c, column_end, k, k_end, length, width, accumulate, least, most
                )  # fmt: skip
    return wait(boss, crew)


@functools.lru_cache(maxsize=256)
def _job(m: int, o: int, length: int, dtype: np.dtype[Any], n_threads: int) -> tuple[Array, Array, Array]:
    """Return what part of y (m, o) each worker makes, and what stands for a start and a scale that are not there.

    Workers take rows, or columns where there are more of these.
    """
    size, tile = (m, ROWS) if m > o else (o, COLUMNS)
    least = GRAIN * size // max(1, tile * m * o * length) + 1
    cut = [(first * tile, min(last * tile, size)) for first, last in threads.slices(-(-size // tile), least)]
    shares = np.array([(*some, 0, o) if m > o else (0, m, *some) for some in cut])
    return shares, filled(o, 0, dtype), filled(o, 1, dtype)


def dot(x: Array, w: Array, bias: Array | None, low: float, high: float) -> Array:
    """Return x wᵀ + bias, clamped, for x (M, K), w (O, K), bias (O,) or None; threads share the larger one's rows."""
    dtype = x.dtype.newbyteorder("=")
    y = buffers.empty((len(x), len(w)), dtype)
    dot_into(y.reshape(-1), plain(x, dtype), w, bias, None, low, high)
    return y


def dot_into(y: Array, x: Array, w: Array, bias: Array | None, scale: Array | None, low: float, high: float) -> None:
    """Write scale · x wᵀ + bias, clamped, to the flat y, for x (M, K) in the order of memory and of y's dtype."""
    (m, length), o, dtype = x.shape, len(w), y.dtype
    shares, zeros, ones = _job(m, o, length, dtype, threads.num_threads())
    start = zeros if bias is None else plain(bias, dtype)
    factor = ones if scale is None else plain(scale, dtype)
    flat = x.reshape(-1), plain(w, dtype).reshape(-1), y, start, factor
    threads.share(_dot, len(shares), shares, *flat, length, o, low, high)


@functools.cache
def dot_at(dtype: np.dtype[Any]) -> Address:
    """Return the address of the loop for arrays of that dtype, by which another kernel calls it."""
    arrays = np.empty(0, np.int64), np.empty((0, 0), np.int64), *[np.empty(0, dtype)] * 5
    return address_of(_dot, 0, 0, *arrays, 1, 1, -math.inf, math.inf)
