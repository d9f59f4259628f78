"""The inner loops of integer convolutions: tiles of int32 sums that stay in registers until they are int8 again.

A dense tile is some pixels by some vectors of output channels, as in tile.py. A depthwise tile is some pixels by one
vector of channels, and reads woven strips: UNIT rows of x with the numbers that stand above each other side by side.

Source: Dukhan, Wu & Lu 2018, QNNPACK, for the indirection and for requantizing in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinydl.kernels.compiled import int8_interpreted as interpreted
from tinydl.kernels.compiled.int8_writer import INT8, INT16, LANES, UNIT, VNNI, IntegerWriter
from tinydl.kernels.compiled.jit import numba
from tinydl.kernels.compiled.tile import INT32, INT64, Tile, cgutils, ir

__all__: list[str] = []


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

    def write(self, n_pixels: int) -> None:
        builder, values = self.builder, self.values
        last = builder.sub(values["pixel_end"], INT64(1))
        pixels = [self.smaller(builder.add(values["pixel"], INT64(p)), last) for p in range(n_pixels)]
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
        return interpreted.dense(n_vectors, n_rows)

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typingctx: Any,
        x: Any, x_at: Any, rows: Any, row: Any, row_end: Any, steps: Any, n_steps: Any, b: Any, b_at: Any,
        start: Any, multiplier: Any, offset: Any, shift: Any, channel: Any, low: Any, high: Any, in_registers: Any,
        sums: Any, y: Any, y_at: Any, y_row: Any, n: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}
        return _signature(kinds, lambda *given: _DenseWriter(*given).write(n_rows, n_vectors))

    return tile  # type: ignore[no-any-return]


def depthwise_tile(n_pixels: int) -> Tile:
    """Return a function for compiled code that computes n_pixels pixels of one vector of channels."""
    if numba.config.DISABLE_JIT:
        return interpreted.depthwise(n_pixels)

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typingctx: Any,
        x: Any, x_at: Any, x_pixel: Any, pixel: Any, pixel_end: Any, steps: Any, n_steps: Any, b: Any, b_at: Any,
        b_step: Any, start: Any, multiplier: Any, offset: Any, shift: Any, channel: Any, low: Any, high: Any,
        in_registers: Any, sums: Any, sums_at: Any, sums_row: Any, y: Any, y_at: Any, y_row: Any, n: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}
        return _signature(kinds, lambda *given: _DepthwiseWriter(*given).write(n_pixels))

    return tile  # type: ignore[no-any-return]


def weaver() -> Tile:
    """Return a function for compiled code that weaves n channels of UNIT rows of x, or of `blank` where `at` is −1."""
    if numba.config.DISABLE_JIT:
        return interpreted.weave

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def weave(typingctx: Any, x: Any, blank: Any, at: Any, q: Any, q_at: Any, n: Any) -> Any:
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}
        return _signature(kinds, lambda *given: _Weaver(*given).write())

    return weave  # type: ignore[no-any-return]


def _signature(kinds: dict[str, Any], write: Callable[..., None]) -> Any:
    """Return what an intrinsic must: its type, and what writes its instructions."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        write(context, builder, dict(zip(kinds, arguments, strict=True)), kinds)
        return context.get_dummy_value()

    return numba.types.void(*kinds.values()), generate
