"""Sweeps of tiles that make a convolution and its two gradients.

The three are one trilinear form ⟨g, conv2d(x, weight)⟩ seen from its three sides; they differ only in which table
runs along the rows of a tile, which one is summed over, and which one says where the result goes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tinydl.kernels.compiled.classes import Blocks, classes, cut
from tinydl.kernels.compiled.geometry import Gathering, Geometry, backward, forward
from tinydl.kernels.compiled.slide import PIXELS
from tinydl.shapes import Array, Pair

__all__: list[str] = []


LONG = 1024
"""How much of a long patch is summed at a time: the weights of that much, for a row of a tile, fit into L2."""

OVERLAP = 1.34
"""How much tiles may do that overlap: lines of 26 pixels, of 8 channels, take 7 % less time in four tiles of 8 pixels;
lines of 12, of 13 channels, 3 % more, but depthwise ones, of 384 channels, 10 % less."""


class Sweep(NamedTuple):
    """The arguments of a loop of sweep.py from `rows` to `last`."""

    rows: Array
    y_rows: Array
    steps: Array
    b_steps: Array
    terms: Array
    x_run: int
    b_run: int
    accumulate: int
    x_jump: int
    b_jump: int
    y_jump: int
    n_blocks: int
    last: int


@functools.lru_cache(maxsize=256)
def for_y(n: int, geometry: Geometry, bands: int = 1) -> tuple[Sweep, ...]:
    """Return the sweeps that make y (n images) of x, the weight as (groups, kh·kw·c, o) and the bias.

    y[pixel, o] = bias[o] + Σ_patch x[pixel + patch] · weight[patch, o].
    """
    gathering = forward(geometry)
    return tuple(sweep for blocks in cut(n, gathering) for sweep in _gather(gathering, blocks, bands))


@functools.lru_cache(maxsize=256)
def for_gx(n: int, geometry: Geometry, bands: int = 1) -> tuple[Sweep, ...]:
    """Return the sweeps that make gx (n images) of g and the weight as (groups, kh·kw·o, c), with zeros for bias.

    gx[pixel, c] = Σ_patch g[pixel + patch] · weight[patch, c].
    """
    gathering = backward(geometry)
    return tuple(sweep for blocks in cut(n, gathering) for sweep in _gather(gathering, blocks, bands))


@functools.lru_cache(maxsize=256)
def for_gw(n: int, geometry: Geometry, bands: int = 1) -> tuple[Sweep, ...]:
    """Return the sweeps that add the gradient by the weight, as (groups, kh·kw·c, o), of x and g (n images).

    gw[patch, o] += Σ_pixel x[pixel + patch] · g[pixel, o].
    """
    gathering = forward(geometry)
    return tuple(_exchange(gathering, blocks, bands) for blocks in cut(n, gathering))


@functools.lru_cache(maxsize=256)
def for_whole_gw(n: int, geometry: Geometry) -> tuple[Sweep, ...]:
    """Return those of `for_gw`; for images of one pixel the first does not add, so that nothing need be zero before."""
    if geometry.y[:2] != (1, 1):
        return for_gw(n, geometry)
    gathering = forward(geometry)
    parts = [Blocks(first, min(LONG, n - first), 1) for first in range(0, max(n, 1), LONG)]
    return tuple(_exchange(gathering, part, 1)._replace(accumulate=int(part.first > 0)) for part in parts)


def _gather(to: Gathering, blocks: Blocks, bands: int) -> Iterator[Sweep]:
    """Let pixels run along the rows of the tiles, and sum over the patch that a pixel sees, in pieces if it is long."""
    found, pixels, patch = classes(to, blocks, bands)
    longest = max(some.patch[1] - some.patch[0] for some in found)
    run = to.c if 0 < to.c <= LONG else math.gcd(to.c, LONG)
    piece = LONG // run * run
    whole = longest <= piece  # tiles that overlap would add a further piece twice
    for start in range(0, max(longest, 1), piece):
        terms = [
            (
                some.source + q * to.c,
                q * to.weights,
                some.result + q * to.o,
                q * to.o,
                *some.pixels,
                *part,
                some.row if whole else run,
                some.width,
                some.slide if whole and _slides(some.width) else 0,
            )
            for some in found
            for part in [_piece(some.patch, start, piece)]
            for q in range(to.groups)
        ]
        yield Sweep(
            rows=pixels[0],
            y_rows=pixels[1],
            steps=patch[0],
            b_steps=patch[1],
            terms=np.array(terms, np.int64),
            x_run=1,
            b_run=to.weight_row,
            accumulate=int(start > 0),
            x_jump=blocks.images * to.source.size,
            b_jump=0,
            y_jump=blocks.images * to.result.size,
            n_blocks=blocks.n,
            last=int(start + piece >= longest),
        )


def _piece(part: Pair, start: int, size: int) -> Pair:
    """Return the piece of so many entries from entry `start` on, or what there is of it."""
    return min(part[0] + start, part[1]), min(part[0] + start + size, part[1])


def _slides(width: int) -> bool:
    """Tell whether a line is long enough for tiles of slide.py, the last of which ends where the line does."""
    return width >= PIXELS and -(-width // PIXELS) * PIXELS <= OVERLAP * width


def _exchange(to: Gathering, blocks: Blocks, bands: int) -> Sweep:
    """Let the patch run along the rows of the tiles, and sum over the pixels that see it."""
    found, pixels, patch = classes(to, blocks, bands)
    terms = [
        (
            some.source + q * to.c,
            some.result + q * to.o,
            q * to.weights,
            0,
            *some.patch,
            *some.pixels,
            some.width,
            some.width,
            0,
        )
        for some in found
        for q in range(to.groups)
    ]
    return Sweep(
        rows=patch[0],
        y_rows=patch[1],
        steps=pixels[0],
        b_steps=pixels[1],
        terms=np.array(terms, np.int64),
        x_run=to.cols[0].advance * to.source.channels,
        b_run=to.cols[0].step * to.result.channels,
        accumulate=1,
        x_jump=blocks.images * to.source.size,
        b_jump=blocks.images * to.result.size,
        y_jump=0,
        n_blocks=blocks.n,
        last=1,
    )
