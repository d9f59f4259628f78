"""Tiles for convolutions three taps wide, of stride 1, depthwise or of few channels: a window that slides.

    y[p] = start + Σ_{i,c} (x[i, p, c] · b[i, 0, c] + x[i, p+1, c] · b[i, 1, c] + x[i, p+2, c] · b[i, 2, c])

i is a row of taps. In the depthwise form x is a vector of channels, too, and there is no sum over them.

With a single vector of output channels, the tiles of tile.py load a number of x for each product, and loading is what
takes the time. Here neighbouring pixels share what they see: ten numbers of x and three vectors of b serve for 24
products. On one core with AVX-512, 3 → 16 channels at 32×32 take 24 % less time, 16 → 16 15 %; depthwise, 32 channels
at 112×112 21 %, 144 at 56×56 25 %, 192 at 28×28 16 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.kernels.compiled.jit import numba
from tinydl.kernels.compiled.tile import INT64, Tile, Writer, cgutils
from tinydl.shapes import Array

__all__: list[str] = []

TAPS, PIXELS = 3, 8
"""Sixteen sums in flight, of the outer taps and of the middle one, hide the latency of adding: with eight, 16 → 16
channels took 3 % longer."""

BASES, STRIDES = (0, 3, 5), (0, 1, 2, 4, 8)
"""Each pixel of x is found as one of a few pointers plus one of a few distances: ten pointers would not fit into the
registers."""


class _SlideWriter(Writer):
    """Writes one tile: PIXELS neighbouring pixels of y by one vector of channels."""

    def write(self, dense: bool) -> None:
        """Load the start, add for each row of taps and each channel what all pixels see, store the clamped sums."""
        builder, values = self.builder, self.values
        self.masks = [self.mask(values["n"])]
        row, channels = values["row"], values["channels"]
        (x_place, self.pitch), (y_place, y_pitch) = (self._spaced(table, row) for table in ("rows", "y_rows"))
        start = self.load(self.address("start", values["start_at"]), 0)
        zeros = self.vector([0.0] * self.lanes)
        sums = [[self.variable(some) for _ in range(PIXELS)] for some in (start, zeros)]
        tap = builder.mul(channels, values["b_run"])
        self.tap = builder.mul(tap, values["direction"])
        backward = builder.icmp_signed("<", values["direction"], INT64(0))  # then the last tap sees the first pixel
        x_shift = builder.select(backward, builder.mul(self.pitch, INT64(1 - TAPS)), INT64(0))
        b_shift = builder.select(backward, builder.mul(tap, INT64(TAPS - 1)), INT64(0))
        steps = builder.mul(channels, INT64(TAPS))
        with cgutils.for_range_slice(builder, values["step"], values["step_end"], steps) as (k, _):
            first = self.address("x", values["x_at"], x_place, self.entry("steps", k), x_shift)
            b_row = self.variable(self.address("b", values["b_at"], self.entry("b_steps", k), b_shift))
            places = (builder.gep(first, [builder.mul(self.pitch, INT64(base))]) for base in BASES)
            bases = [self.variable(builder.ptrtoint(place, INT64)) for place in places]
            with cgutils.for_range(builder, channels):
                self._add(bases, b_row, sums, dense)
        for p, parts in enumerate(zip(*sums, strict=True)):
            y = self.address("y", values["y_at"], y_place, builder.mul(y_pitch, INT64(p)))
            total = builder.fadd(*map(builder.load, parts))
            self.store(self.clamp(total, self.splat(values["low"]), self.splat(values["high"])), y, 0)

    def _spaced(self, table: str, row: Any) -> tuple[Any, Any]:
        """Return the place of a pixel, and how far its neighbour is."""
        place = self.entry(table, row)
        return place, self.builder.sub(self.entry(table, self.builder.add(row, INT64(1))), place)

    def _add(self, bases: list[Any], b_row: Any, sums: list[list[Any]], dense: bool) -> None:
        """Add the products of one channel, and move on to the next."""
        builder, row = self.builder, self.builder.load(b_row)
        weights = [self.load(builder.gep(row, [builder.mul(self.tap, INT64(t))]), 0) for t in range(TAPS)]
        here = [builder.load(base) for base in bases]
        size = self.align.constant
        for q in range(PIXELS + TAPS - 1):
            i, stride = next((i, q - base) for i, base in enumerate(BASES) if q - base in STRIDES)
            distance = builder.mul(self.pitch, INT64(stride * size))
            place = builder.inttoptr(builder.add(here[i], distance), row.type)
            seen = self.splat(builder.load(place)) if dense else self.load(place, 0)
            for t in range(TAPS):
                if 0 <= q - t < PIXELS:
                    product = builder.fmul(seen, weights[t], flags=["contract"])
                    total = sums[t % 2][q - t]
                    builder.store(builder.fadd(builder.load(total), product, flags=["contract"]), total)
        for base, number in zip(bases, here, strict=True):
            builder.store(self.opaque(builder.add(number, INT64(size))), base)
        builder.store(builder.gep(row, [self.values["b_run"]]), b_row)


def slide_function(dense: bool) -> Tile:
    """Return a function for compiled code that computes a tile of PIXELS neighbours, the first of them at `row`.

    `step` and `step_end` say which rows of taps there are, of 3 times `channels` steps each. With direction −1 the
    places of x that taps see go backward. Every `…_at` is an offset. The results are clamped to low…high.
    """
    if numba.config.DISABLE_JIT:
        return _in_python(dense)

    @numba.extending.intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typingctx: Any,
        x: Any, x_at: Any, rows: Any, y_rows: Any, row: Any, b: Any, b_at: Any, steps: Any, b_steps: Any,
        step: Any, step_end: Any, channels: Any, direction: Any, b_run: Any,
        y: Any, y_at: Any, start: Any, start_at: Any, n: Any, low: Any, high: Any,
    ) -> Any:  # fmt: skip
        kinds = {name: kind for name, kind in locals().items() if isinstance(kind, numba.types.Type)}

        def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
            _SlideWriter(context, builder, dict(zip(kinds, arguments, strict=True)), kinds).write(dense)
            return context.get_dummy_value()

        return numba.types.void(*kinds.values()), generate

    return tile  # type: ignore[no-any-return]


def _in_python(dense: bool) -> Tile:
    """Return what a tile computes, in NumPy: for kernels that run interpreted."""

    def tile(
        x: Array, x_at: int, rows: Array, y_rows: Array, row: int, b: Array, b_at: int, steps: Array, b_steps: Array,
        step: int, step_end: int, channels: int, direction: int, b_run: int,
        y: Array, y_at: int, start: Array, start_at: int, n: int, low: float, high: float,
    ) -> None:  # fmt: skip
        o, k = np.arange(n), slice(step, step_end)
        weights = b[b_at + b_steps[k, None] + o]
        for r in range(row, row + PIXELS):
            seen = x[x_at + rows[r] + steps[k, None] + (0 if dense else o)]
            total = start[start_at + o] + (seen * weights).sum(0)
            y[y_at + y_rows[r] + o] = np.clip(total, low, high)

    return tile
