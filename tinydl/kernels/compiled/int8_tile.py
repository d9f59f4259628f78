"""The inner loops of integer convolutions: tiles of int32 sums in registers, requantized there.

Products are taken a few at a time, because that is what processors have instructions for: UNIT numbers of x that lie
side by side meet UNIT weights of each output channel, and their products are added to one int32 sum. With AVX-512
VNNI these are four at a time, of unsigned numbers and signed ones: x + 128 takes the place of x, and 128·Σw is taken
from the start of the sum. Elsewhere they are two int16 numbers at a time, which LLVM makes the best of (`vpmaddwd` on
AVX2). Both add in int32 without saturating, so both are exact.

Source: Dukhan, Wu & Lu 2018, QNNPACK, for the indirection and the requantization in registers; Intel's manual for
`vpdpbusd`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.kernels.compiled.jit import numba
from tinydl.kernels.compiled.tile import INT32, INT64, REGISTERS, VECTOR_BYTES, Tile, Writer, cgutils, ir
from tinydl.shapes import Array

__all__: list[str] = []

INT8, INT16 = ir.IntType(8), ir.IntType(16)

_FEATURES = (numba.config.CPU_FEATURES or numba.core.codegen.get_host_cpu_features()).split(",")
VNNI = VECTOR_BYTES == 64 and {"+avx512vnni", "+avx512bw", "+avx512vl"} <= set(_FEATURES)

UNIT = 4 if VNNI else 2
"""Numbers of x that meet as many weights in one step."""

PACKED = np.int8 if VNNI else np.int16
"""What weights are packed as."""

OFFSET = 128 if VNNI else 0
"""What is added to x in products."""

LANES = VECTOR_BYTES // 4
"""Sums in a vector."""

ROWS = {4: 6, 2: 12, 1: 12} if REGISTERS == 32 else {2: 4, 1: 6}
"""Rows of a tile by the vectors in a row."""

PIXELS = 7
"""Pixels of a depthwise tile, each of one vector of channels: images are often 7, 14 or 28 pixels wide."""


class IntegerWriter(Writer):
    """The instructions that integer tiles are made of."""

    def __init__(self, context: Any, builder: Any, values: dict[str, Any], kinds: dict[str, Any]) -> None:
        super().__init__(context, builder, values, kinds)
        self.lanes = LANES
        self.vector = ir.VectorType(INT32, LANES)

    def write(self, *sizes: int) -> None:
        """Write the instructions."""
        raise NotImplementedError

    def plain_load(self, kind: Any, address: Any) -> Any:
        """Load a value from an address that need not be aligned."""
        return self.builder.load(self.builder.bitcast(address, kind.as_pointer()), align=1)

    def plain_store(self, value: Any, address: Any) -> None:
        self.builder.store(value, self.builder.bitcast(address, value.type.as_pointer()), align=1)

    def constant(self, name: str, channel: Any, v: int) -> Any:
        """Return a vector of the array `name`: that of the channels v vectors behind `channel`."""
        return self.plain_load(self.vector, self.address(name, channel, INT64(v * self.lanes)))

    def add_products(self, total: Any, x: Any, w: Any) -> Any:
        """Return total + the products of UNIT numbers for each lane; x and w are vectors of int32, as loaded."""
        builder = self.builder
        if VNNI:
            kind = ir.FunctionType(self.vector, [self.vector] * 3)
            dot = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
            return builder.call(dot, [total, x, w])
        halves, wide = ir.VectorType(INT16, 2 * self.lanes), ir.VectorType(INT32, 2 * self.lanes)
        xs, ws = (builder.sext(builder.bitcast(a, halves), wide) for a in (x, w))
        products = builder.mul(xs, ws)
        first, second = (self.shuffle(products, products, range(i, 2 * self.lanes, 2)) for i in (0, 1))
        return builder.add(total, builder.add(first, second))

    def shuffle(self, a: Any, b: Any, places: Sequence[int]) -> Any:
        """Return the entries of a, followed by b, at these places."""
        mask = ir.VectorType(INT32, len(places))(list(places))
        return self.builder.shuffle_vector(a, b, mask)

    def upper_products(self, sums: Any, multiplier: Any) -> Any:
        """Return the upper halves of the 64-bit products: those of even and of odd lanes apart, as machines do it."""
        builder, wide = self.builder, ir.VectorType(INT64, self.lanes // 2)
        by = wide([32] * (self.lanes // 2))
        a, m = builder.bitcast(sums, wide), builder.bitcast(multiplier, wide)
        even = builder.mul(builder.ashr(builder.shl(a, by), by), builder.ashr(builder.shl(m, by), by))
        odd = builder.mul(builder.ashr(a, by), builder.ashr(m, by))
        of_even, of_odd = (builder.bitcast(product, self.vector) for product in (even, odd))
        places = [lane + 1 if lane % 2 == 0 else self.lanes + lane for lane in range(self.lanes)]
        return self.shuffle(of_even, of_odd, places)

    def requantize(self, sums: Any, multiplier: Any, offset: Any, shift: Any) -> Any:
        """Return the int8 numbers of sums: `constants_of` has the formula."""
        builder = self.builder
        value = builder.ashr(builder.add(self.upper_products(sums, multiplier), offset), shift)
        for name, comparison in (("low", "<"), ("high", ">")):
            bound = self.splat(builder.trunc(self.values[name], INT32))
            value = builder.select(builder.icmp_signed(comparison, value, bound), bound, value)
        return builder.trunc(value, ir.VectorType(INT8, self.lanes))

    def store_bytes(self, value: Any, address: Any, v: int) -> None:
        """Write int8 numbers; lanes past the n-th channel are not touched."""
        place = self.builder.gep(address, [INT64(v * self.lanes)])
        call = [value, place, INT32(1), self.masks[v]]
        kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in call])
        name = f"llvm.masked.store.v{self.lanes}i8.p0"
        self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), call)

    def finish(self, sums: list[list[Any]], ys: list[Any], places: list[Any]) -> None:
        """Requantize the sums (by row and vector) and write them to ys; or write them as they are to `places`."""
        builder, n_vectors = self.builder, len(sums[0])
        fast = builder.icmp_signed("!=", self.values["in_registers"], INT64(0))
        with builder.if_else(fast) as (then, otherwise):
            with then:
                self.masks = [self.mask(self.values["n"], v) for v in range(n_vectors)]
                for v in range(n_vectors):
                    constants = [
                        self.constant(name, self.values["channel"], v) for name in ("multiplier", "offset", "shift")
                    ]
                    for y, row in zip(ys, sums, strict=True):
                        self.store_bytes(self.requantize(builder.load(row[v]), *constants), y, v)
            with otherwise:
                for place, row in zip(places, sums, strict=True):
                    for v, total in enumerate(row):
                        self.plain_store(builder.load(total), builder.gep(place, [INT64(v * self.lanes)]))


class _DenseWriter(IntegerWriter):
    """Writes a tile in which every output channel is a sum over what all rows see of x."""

    def write(self, n_rows: int, n_vectors: int) -> None:
        builder, values = self.builder, self.values
        last = builder.sub(values["row_end"], INT64(1))
        rows = [self.smaller(builder.add(values["row"], INT64(r)), last) for r in range(n_rows)]
        xs = [self.address("x", values["x_at"], self.entry("rows", row)) for row in rows]
        start = [self.constant("start", values["channel"], v) for v in range(n_vectors)]
        sums = [[self.variable(start[v]) for v in range(n_vectors)] for _ in rows]
        width = n_vectors * LANES * UNIT
        with cgutils.for_range(builder, values["n_steps"], intp=INT64) as loop:
            step = self.entry("steps", loop.index)
            b = self.address("b", values["b_at"], builder.mul(loop.index, INT64(width)))
            w = [self.plain_load(self.vector, builder.gep(b, [INT64(v * LANES * UNIT)])) for v in range(n_vectors)]
            for x, row in zip(xs, sums, strict=True):
                seen = self.few(builder.gep(x, [step]))
                for v, total in enumerate(row):
                    builder.store(self.add_products(builder.load(total), seen, w[v]), total)
        ys = [self.address("y", values["y_at"], builder.mul(row, values["y_row"])) for row in rows]
        places = [self.address("sums", builder.mul(row, INT64(n_vectors * LANES))) for row in rows]
        self.finish(sums, ys, places)

    def few(self, address: Any) -> Any:
        """Return UNIT numbers of x, ready for products, in every lane."""
        builder = self.builder
        if VNNI:
            return self.splat(builder.xor(self.plain_load(INT32, address), INT32(-0x7F7F7F80)))
        pair = builder.sext(self.plain_load(ir.VectorType(INT8, 2), address), ir.VectorType(INT16, 2))
        return self.splat(builder.bitcast(pair, INT32))


class _DepthwiseWriter(IntegerWriter):
    """Writes a tile in which channels are summed apart: some pixels by one vector of channels, from woven strips."""

    def write(self) -> None:
        builder, values = self.builder, self.values
        last = builder.sub(values["pixel_end"], INT64(1))
        pixels = [self.smaller(builder.add(values["pixel"], INT64(p)), last) for p in range(PIXELS)]
        xs = [self.address("x", values["x_at"], builder.mul(pixel, values["x_pixel"])) for pixel in pixels]
        start = self.constant("start", values["channel"], 0)
        sums = [[self.variable(start)] for _ in pixels]
        with cgutils.for_range(builder, values["n_steps"], intp=INT64) as loop:
            step = self.entry("steps", loop.index)
            b = self.address("b", values["b_at"], builder.mul(loop.index, values["b_step"]))
            w = self.plain_load(self.vector, b)
            for x, (total,) in zip(xs, sums, strict=True):
                seen = self.plain_load(self.vector, builder.gep(x, [step]))
                builder.store(self.add_products(builder.load(total), seen, w), total)
        ys = [self.address("y", values["y_at"], builder.mul(pixel, values["y_row"])) for pixel in pixels]
        places = [self.address("sums", values["sums_at"], builder.mul(p, values["sums_row"])) for p in pixels]
        self.finish(sums, ys, places)


class _Weaver(IntegerWriter):
    """Writes the loop that weaves UNIT rows of channels into one: UNIT numbers of each channel side by side."""

    def write(self) -> None:
        builder, values = self.builder, self.values
        n = values["n"]
        rows = []
        for u in range(UNIT):
            at = self.entry("at", INT64(u))
            outside = builder.icmp_signed("<", at, INT64(0))
            rows.append(builder.select(outside, self.address("blank", INT64(0)), self.address("x", at)))
        whole = builder.sub(n, builder.srem(n, INT64(LANES)))
        few, many = ir.VectorType(INT8, LANES), ir.VectorType(INT8, 1)
        with cgutils.for_range_slice(builder, INT64(0), whole, INT64(LANES)) as (c, _):
            self._weave([self.plain_load(few, builder.gep(row, [c])) for row in rows], c)
        with cgutils.for_range_slice(builder, whole, n, INT64(1)) as (c, _):
            self._weave([self.plain_load(many, builder.gep(row, [c])) for row in rows], c)

    def _weave(self, rows: list[Any], c: Any) -> None:
        builder, n = self.builder, rows[0].type.count
        place = self.address("q", self.values["q_at"], builder.mul(c, INT64(UNIT)))
        pairs = [self._zip(rows[i], rows[i + 1], n) for i in range(0, UNIT, 2)]
        if not VNNI:
            self.plain_store(builder.sext(pairs[0], ir.VectorType(INT16, 2 * n)), place)
            return
        bits = ir.VectorType(INT8, 4 * n)
        a, b = (builder.bitcast(pair, ir.VectorType(INT16, n)) for pair in pairs)
        woven = builder.bitcast(self._zip(a, b, n), bits)
        self.plain_store(builder.xor(woven, bits([-128] * (4 * n))), place)

    def _zip(self, a: Any, b: Any, n: int) -> Any:
        return self.shuffle(a, b, [place for i in range(n) for place in (i, n + i)])


def dense_tile(n_vectors: int, n_rows: int) -> Tile:
    """Return a function for compiled code that computes n_rows rows of x by n_vectors of channels."""
    if numba.config.DISABLE_JIT:
        return _dense_in_python(n_vectors, n_rows)

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typingctx: Any,
        x: Any, x_at: Any, rows: Any, row: Any, row_end: Any, steps: Any, n_steps: Any, b: Any, b_at: Any,
        start: Any, multiplier: Any, offset: Any, shift: Any, channel: Any, low: Any, high: Any, in_registers: Any,
        sums: Any, y: Any, y_at: Any, y_row: Any, n: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}
        return _signature(kinds, _DenseWriter, n_rows, n_vectors)

    return tile  # type: ignore[no-any-return]


def depthwise_tile() -> Tile:
    """Return a function for compiled code that computes PIXELS pixels of one vector of channels."""
    if numba.config.DISABLE_JIT:
        return _depthwise_in_python

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typingctx: Any,
        x: Any, x_at: Any, x_pixel: Any, pixel: Any, pixel_end: Any, steps: Any, n_steps: Any, b: Any, b_at: Any,
        b_step: Any, start: Any, multiplier: Any, offset: Any, shift: Any, channel: Any, low: Any, high: Any,
        in_registers: Any, sums: Any, sums_at: Any, sums_row: Any, y: Any, y_at: Any, y_row: Any, n: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}
        return _signature(kinds, _DepthwiseWriter)

    return tile  # type: ignore[no-any-return]


def weaver() -> Tile:
    """Return a function for compiled code that weaves n channels of UNIT rows of x, or of `blank` where `at` is −1."""
    if numba.config.DISABLE_JIT:
        return _weave_in_python

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def weave(typingctx: Any, x: Any, blank: Any, at: Any, q: Any, q_at: Any, n: Any) -> Any:
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}
        return _signature(kinds, _Weaver)

    return weave  # type: ignore[no-any-return]


def _signature(kinds: dict[str, Any], writer: type[IntegerWriter], *sizes: int) -> Any:
    """Return what an intrinsic must: its type, and what writes its instructions."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        writer(context, builder, dict(zip(kinds, arguments, strict=True)), kinds).write(*sizes)
        return context.get_dummy_value()

    return numba.types.void(*kinds.values()), generate


def _finish_in_python(
    total: Array, constants: tuple[Array, Array, Array], low: int, high: int, in_registers: int,
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


def _dense_in_python(n_vectors: int, n_rows: int) -> Tile:
    """Return what a tile computes, in NumPy: for kernels that run interpreted."""
    width = n_vectors * LANES

    def tile(
        x: Array, x_at: int, rows: Array, row: int, row_end: int, steps: Array, n_steps: int, b: Array, b_at: int,
        start: Array, multiplier: Array, offset: Array, shift: Array, channel: int, low: int, high: int,
        in_registers: int, sums: Array, y: Array, y_at: int, y_row: int, n: int,
    ) -> None:  # fmt: skip
        constants = tuple(a[channel : channel + n] for a in (multiplier, offset, shift))
        w = b[b_at : b_at + n_steps * width * UNIT].reshape(n_steps, width, UNIT).astype(np.int32)
        for r in range(row, min(row + n_rows, row_end)):
            seen = x[x_at + rows[r] + steps[:n_steps, None] + np.arange(UNIT)].astype(np.int32) + OFFSET
            total = start[channel : channel + width] + np.einsum("kcu,ku->c", w, seen)
            _finish_in_python(total, constants, low, high, in_registers, sums, r * width, y, y_at + r * y_row)

    return tile


def _depthwise_in_python(
    x: Array, x_at: int, x_pixel: int, pixel: int, pixel_end: int, steps: Array, n_steps: int, b: Array, b_at: int,
    b_step: int, start: Array, multiplier: Array, offset: Array, shift: Array, channel: int, low: int, high: int,
    in_registers: int, sums: Array, sums_at: int, sums_row: int, y: Array, y_at: int, y_row: int, n: int,
) -> None:  # fmt: skip
    constants = tuple(a[channel : channel + n] for a in (multiplier, offset, shift))
    lanes = np.arange(LANES * UNIT)
    w = b[b_at + np.arange(n_steps)[:, None] * b_step + lanes].astype(np.int32)
    for p in range(pixel, min(pixel + PIXELS, pixel_end)):
        seen = x[x_at + p * x_pixel + steps[:n_steps, None] + lanes]
        seen = (seen.view(np.uint8) if VNNI else seen).astype(np.int32)
        total = start[channel : channel + LANES] + (seen * w).reshape(n_steps, LANES, UNIT).sum((0, 2))
        _finish_in_python(
            total, constants, low, high, in_registers, sums, sums_at + p * sums_row, y, y_at + p * y_row
        )  # fmt: skip


def _weave_in_python(x: Array, blank: Array, at: Array, q: Array, q_at: int, n: int) -> None:
    for u in range(UNIT):
        row = blank[:n] if at[u] < 0 else x[at[u] : at[u] + n]
        q[q_at + u : q_at + n * UNIT : UNIT] = row ^ np.int8(-128) if VNNI else row
