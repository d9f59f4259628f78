"""The instructions of integer tiles: products of a few int8 numbers at a time, and requantization in registers.

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
from tinydl.kernels.compiled.tile import INT32, INT64, REGISTERS, VECTOR_BYTES, Writer, cgutils, ir

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

ROWS = {4: 6, 2: 8, 1: 8} if REGISTERS == 32 else {2: 4, 1: 6}
"""Rows of a tile by the vectors in a row."""

PIXELS, FEW_PIXELS = 7, 4
"""Pixels of depthwise tiles, each of one vector of channels: images are often 4, 7, 14 or 28 pixels wide."""


class IntegerWriter(Writer):
    """The instructions that integer tiles are made of."""

    def __init__(self, context: Any, builder: Any, values: dict[str, Any], kinds: dict[str, Any]) -> None:
        super().__init__(context, builder, values, kinds)
        self.lanes = LANES
        self.vector = ir.VectorType(INT32, LANES)

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
