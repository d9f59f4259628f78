"""The one inner loop of all convolutions: tiles of a matrix product that reads through tables of offsets.

    y[y_rows[r] + o] = start + Σ_k x[rows[r] + steps[k]] · b[b_steps[k] + o]

With x an image, `rows` the places of some pixels and `steps` those of the patch around a pixel, this is a
convolution: the matrix of im2col is read from the image itself and never made. With pixels and patch exchanged
it is the gradient by the weight. With the places of shifted pixels in `y_rows`, and added to what y holds, it
is the gradient by the input. In the depthwise form x is read at `+ o` too: a channel meets only its own weight.

Source: Dukhan 2019, arXiv:1907.02129, for the indirection; Goto & van de Geijn 2008, "Anatomy of
High-Performance Matrix Multiplication", section 4, for the tile whose sums stay in registers.

Of a run of evenly spaced steps (what a pixel sees of one row of an image, or the pixels of a row) only the first is
looked up. Where one vector holds all channels of the result, it is loads that take the time: without these, 7 to 17 %
less.

Why LLVM instructions written by hand, in a library of loops: no loop over an array can tell Numba to keep the
sums in registers while k runs. Measured on one core with AVX-512, 32 → 64 channels, 3×3: 210 GFLOP/s.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinydl.kernels.compiled.jit import numba
from tinydl.shapes import Array, Pair

__all__: list[str] = []

cgutils: Any = numba.core.cgutils
ir: Any = cgutils.ir
INT32, INT64 = ir.IntType(32), ir.IntType(64)

Tile: TypeAlias = Callable[..., None]


def _vector_registers() -> Pair:
    """Return the bytes of the vector registers of the processor that Numba compiles for, and how many it has."""
    features = (numba.config.CPU_FEATURES or numba.core.codegen.get_host_cpu_features()).split(",")
    if "+avx512f" in features:
        return 64, 32
    if platform.machine() in ("arm64", "aarch64"):
        return 16, 32
    return (32 if "+avx" in features else 16), 16


VECTOR_BYTES, REGISTERS = _vector_registers()

WIDE = 4 if REGISTERS == 32 else 2
"""Vectors in a row of the widest tile."""

ROWS, DEPTHWISE_ROWS = ({4: 6, 2: 9, 1: 9}, {4: 5, 2: 6, 1: 9}) if REGISTERS == 32 else ({2: 6, 1: 9}, {2: 4, 1: 6})
"""Rows of a tile by the vectors in a row: enough that the sums hide the latency of adding, few enough that LLVM
keeps them, and the addresses of the rows, in registers (12 rows of 2 vectors are half as fast as 9)."""

AHEAD = 32
"""How many steps ahead b is fetched, where it pays."""


class Writer:
    """The instructions that tiles are made of: addresses, and vectors of which the lanes past the end are masked."""

    def __init__(self, context: Any, builder: Any, values: dict[str, Any], kinds: dict[str, Any]) -> None:
        self.builder = builder
        self.values = {
            name: context.make_array(kinds[name])(context, builder, value).data
            if isinstance(kinds[name], numba.types.Array)
            else value
            for name, value in values.items()
        }
        dtype = kinds["x"].dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        self.align = INT32(dtype.bitwidth // 8)
        self.vector = ir.VectorType(context.get_value_type(dtype), self.lanes)
        self.suffix = f"v{self.lanes}f{dtype.bitwidth}"
        self.masks: list[Any] = []

    def prefetch(self, address: Any) -> None:
        """Ask for the cache line at `address`, to be read, into the second-level cache."""
        call = [address, INT32(0), INT32(2), INT32(1)]
        kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in call])
        self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0"), call)

    def opaque(self, value: Any) -> Any:
        """Return an integer that LLVM must take as it comes: it would keep a pointer a row instead of one offset."""
        return self.builder.asm(ir.FunctionType(INT64, [INT64]), "", "=r,0", [value], False)

    def address(self, name: str, *offsets: Any) -> Any:
        """Return the address in the array `name` at the sum of `offsets`."""
        return self.builder.gep(self.values[name], [functools.reduce(self.builder.add, offsets)])

    def entry(self, table: str, index: Any) -> Any:
        return self.builder.load(self.address(table, index))

    def smaller(self, a: Any, b: Any) -> Any:
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    def clamp(self, value: Any, low: Any, high: Any) -> Any:
        """Return low where value ≤ low, high where value ≥ high, else the value, NaN included."""
        builder = self.builder
        raised = builder.select(builder.fcmp_ordered("<=", value, low), low, value)
        return builder.select(builder.fcmp_ordered(">=", raised, high), high, raised)

    def variable(self, value: Any) -> Any:
        """Return a variable that starts as `value`; LLVM turns it into a register."""
        place = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, place)
        return place

    def splat(self, value: Any) -> Any:
        """Return a vector with `value` in every lane."""
        kind, zeros = ir.VectorType(value.type, self.lanes), ir.VectorType(INT32, self.lanes)([0] * self.lanes)
        single = self.builder.insert_element(kind(ir.Undefined), value, INT32(0))
        return self.builder.shuffle_vector(single, single, zeros)

    def shuffle(self, a: Any, b: Any, order: Sequence[int]) -> Any:
        """Return the vector of those lanes of a and b, b's counted from behind a's."""
        return self.builder.shuffle_vector(a, b, ir.VectorType(INT32, self.lanes)(list(order)))

    def mask(self, n: Any, v: int = 0) -> Any:
        """Return the mask of the lanes of vector `v` that lie below `n`."""
        many = self.splat(n)
        lanes = many.type([v * self.lanes + lane for lane in range(self.lanes)])
        return self.builder.icmp_signed("<", lanes, many)

    def load(self, address: Any, v: int) -> Any:
        """Return the vector that is `v` vectors from `address`; lanes past the n-th column are not read."""
        return self._masked("load", self.vector, [address, v], [self.vector(None)])

    def store(self, value: Any, address: Any, v: int) -> None:
        """Write a vector `v` vectors from `address`; lanes past the n-th column are not touched."""
        self._masked("store", ir.VoidType(), [value, address, v], [])

    def _masked(self, verb: str, result: Any, operands: Sequence[Any], more: Sequence[Any]) -> Any:
        """Call LLVM's masked load or store; the operands end in an address and a number of vectors."""
        *value, address, v = operands
        place = self.builder.gep(address, [INT64(v * self.lanes)])
        call = [*value, place, self.align, self.masks[v], *more]
        kind = ir.FunctionType(result, [operand.type for operand in call])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.{verb}.{self.suffix}.p0")
        return self.builder.call(function, call)


class _ConvWriter(Writer):
    """Writes one tile of a convolution: `n_rows` rows of x by as many vectors of y as there are masks."""

    def write(self, n_rows: int, n_vectors: int, dense: bool) -> None:
        """Load the starts, add Σ_k x·b to them in registers, store them. A row past the last repeats the last."""
        builder, values = self.builder, self.values
        self.masks = [self.mask(values["n"], v) for v in range(n_vectors)]
        last = builder.sub(values["row_end"], INT64(1))
        places = [self.smaller(builder.add(values["row"], INT64(r)), last) for r in range(n_rows)]
        xs = [self.address("x", values["x_at"], self.entry("rows", place)) for place in places]
        y_rows = [self.entry("y_rows", place) for place in places]
        starts = [
            self.address("start", values["start_at"], builder.mul(y_row, values["accumulate"])) for y_row in y_rows
        ]
        sums = [[self.variable(self.load(start, v)) for v in range(n_vectors)] for start in starts]
        next_row, stride = self.next_tile(n_rows, last)
        fetch = builder.icmp_signed("!=", values["fetch"], INT64(0))
        run = values["run"] if dense else INT64(1)
        ahead = self.variable(next_row)
        with cgutils.for_range_slice(builder, values["step"], values["step_end"], run) as (k, _):
            step, b_row = self.entry("steps", k), self.address("b", values["b_at"], self.entry("b_steps", k))
            if dense:
                left = self.smaller(run, builder.sub(values["step_end"], k))
                with builder.if_then(fetch):
                    self.prefetch_b(builder.add(k, INT64(AHEAD)), left, n_vectors)
                x_step, b_here = self.variable(step), self.variable(b_row)
                with cgutils.for_range(builder, left):
                    step, b_row = builder.load(x_step), builder.load(b_here)
                    self.add(xs, step, b_row, sums, dense)
                    builder.store(self.opaque(builder.add(step, values["x_run"])), x_step)
                    builder.store(builder.gep(b_row, [values["b_run"]]), b_here)
                    self.prefetch_next(ahead, stride)
            else:
                self.add(xs, step, b_row, sums, dense)
                self.prefetch_next(ahead, stride)
        for y_row, row_sums in zip(y_rows, sums, strict=True):
            y = self.address("y", values["y_at"], y_row)
            for v, total in enumerate(row_sums):
                self.store(self.clamp(builder.load(total), self.splat(values["low"]), self.splat(values["high"])), y, v)

    def add(self, xs: list[Any], step: Any, b_row: Any, sums: list[list[Any]], dense: bool) -> None:
        """Add to the sums of each row its x at `step` times the row of b."""
        builder = self.builder
        b = [self.load(b_row, v) for v in range(len(sums[0]))]
        for x, row_sums in zip(xs, sums, strict=True):
            here = builder.gep(x, [step])
            same = self.splat(builder.load(here)) if dense else None
            for v, total in enumerate(row_sums):
                product = builder.fmul(same if dense else self.load(here, v), b[v], flags=["contract"])
                builder.store(builder.fadd(builder.load(total), product, flags=["contract"]), total)

    def prefetch_next(self, place: Any, stride: Any) -> None:
        """Fetch what the variable `place` points to, and move it on."""
        address = self.builder.load(place)
        self.prefetch(address)
        self.builder.store(self.builder.gep(address, [stride]), place)

    def next_tile(self, n_rows: int, last: Any) -> tuple[Any, Any]:
        """Return where the next tile's rows of x begin, and the stride that reaches their end in this one's steps.

        To fetch them meanwhile doubles the speed of pointwise convolutions whose x comes from main memory.
        """
        builder, row = self.builder, self.values["row"]
        begin, end = (
            self.entry("rows", self.smaller(builder.add(row, INT64(ahead * n_rows)), last)) for ahead in (1, 2)
        )
        steps = builder.sub(self.values["step_end"], self.values["step"])
        some = builder.select(builder.icmp_signed("<", steps, INT64(1)), INT64(1), steps)
        return self.address("x", self.values["x_at"], begin), builder.sdiv(builder.sub(end, begin), some)

    def prefetch_b(self, k: Any, n: Any, n_vectors: int) -> None:
        """Fetch n rows of b from that for step k on.

        In the gradient by the weight b is g, which has just been written and comes from far away: 0.55 ms instead
        of 1.3 for the first layer of a network, with one channel of x.
        """
        builder, values = self.builder, self.values
        row = self.entry("b_steps", self.smaller(k, builder.sub(values["step_end"], INT64(1))))
        first = self.address("b", values["b_at"], row)
        with cgutils.for_range(builder, n) as loop:
            for v in range(n_vectors):
                place = builder.add(builder.mul(loop.index, values["b_run"]), INT64(v * self.lanes))
                self.prefetch(builder.gep(first, [place]))


def tile_function(n_vectors: int, dense: bool) -> Tile:
    """Return a function for compiled code that computes a tile of some rows (see ROWS) and n columns.

    `row` and `row_end` say which rows there are, `step` and `step_end` which k are summed, in runs in which each moves
    x by `x_run` and b by `b_run`. Every `…_at` is an offset. With accumulate = 1 the start is found by `y_rows`, with 0
    it is the same for all rows. With fetch = 1, b is asked for ahead of its use. The results are clamped to low…high:
    an activation costs no pass.
    """
    n_rows = (ROWS if dense else DEPTHWISE_ROWS)[n_vectors]
    if numba.config.DISABLE_JIT:
        return _in_python(n_rows, dense)

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typingctx: Any,
        x: Any, x_at: Any, rows: Any, y_rows: Any, row: Any, row_end: Any,
        b: Any, b_at: Any, steps: Any, b_steps: Any, step: Any, step_end: Any, run: Any, x_run: Any, b_run: Any,
        y: Any, y_at: Any, start: Any, start_at: Any, accumulate: Any, n: Any, fetch: Any, low: Any, high: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}

        def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
            values = dict(zip(kinds, arguments, strict=True))
            _ConvWriter(context, builder, values, kinds).write(n_rows, n_vectors, dense)
            return context.get_dummy_value()

        return numba.types.void(*kinds.values()), generate

    return tile  # type: ignore[no-any-return]


def _in_python(n_rows: int, dense: bool) -> Tile:
    """Return what a tile computes, in NumPy: for kernels that run interpreted."""

    def tile(
        x: Array, x_at: int, rows: Array, y_rows: Array, row: int, row_end: int,
        b: Array, b_at: int, steps: Array, b_steps: Array, step: int, step_end: int, run: int, x_run: int, b_run: int,
        y: Array, y_at: int, start: Array, start_at: int, accumulate: int, n: int, fetch: int, low: float, high: float,
    ) -> None:  # fmt: skip
        o, k = np.arange(n), slice(step, step_end)
        weights = b[b_at + b_steps[k, None] + o]
        for r in range(row, min(row + n_rows, row_end)):
            seen = x[x_at + rows[r] + steps[k, None] + (0 if dense else o)]
            total = start[start_at + accumulate * y_rows[r] + o] + (seen * weights).sum(0)
            y[y_at + y_rows[r] + o] = np.clip(total, low, high)

    return tile
