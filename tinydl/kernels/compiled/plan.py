"""Tables of offsets that make sweeps of tiles into a convolution and its two gradients.

Arrays are channels-last: x (N, H, W, C), y and g (N, H', W', O). The three are one trilinear form
⟨g, conv2d(x, weight)⟩ seen from its three sides. What differs is which table runs along the rows of a tile, which
one is summed over, and which one says where the result goes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tinydl.shapes import Array, Pair

__all__: list[str] = []

BLOCK = 256
"""Pixels of y worked on at a time, so that they and what they see of x stay in the core's own cache."""


class Geometry(NamedTuple):
    """The sizes of one convolution whose padding is already part of x.

    A pixel of x holds `x_channels` values, of which c belong to each of the groups; likewise y and o. The sweep
    of a depthwise convolution takes all channels at once by itself, so there x (or y, whichever is read) counts
    as having one channel in one group.
    """

    x_size: Pair
    y_size: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    groups: int
    c: int
    o: int
    x_channels: int
    y_channels: int

    def taps(self) -> Array:
        """Return the offsets in x of the pixels that a pixel of y sees, from the first of them: (kh·kw,)."""
        rows, cols = (np.arange(k) * d for k, d in zip(self.kernel, self.dilation))
        return ((rows[:, None] * self.x_size[1] + cols) * self.x_channels).ravel()

    def patch(self) -> Array:
        """Return the offsets of the values that it sees in one group: (kh·kw·c,)."""
        return (self.taps()[:, None] + np.arange(self.c)).ravel()


class Sweep(NamedTuple):
    """The arguments of `sweep` from `rows` on."""

    rows: Array
    steps: Array
    y_rows: Array
    terms: Array
    x_jump: int
    b_jump: int
    y_jump: int
    ldb: int
    n_columns: int
    n_blocks: int


class _Part(NamedTuple):
    """Blocks of equal shape: offsets of the pixels in a block, of the bands of rows, and from block to block."""

    x_pixels: Array
    y_pixels: Array
    x_bands: Array
    y_bands: Array
    x_jump: int
    y_jump: int
    n_blocks: int


@functools.lru_cache(maxsize=256)
def forward(n: int, geometry: Geometry) -> tuple[Sweep, ...]:
    """Return the sweeps that make y (n images) of x and the weight as (groups, kh·kw·c, o).

    y[pixel, o] = Σ_patch x[pixel + patch] · weight[patch, o].
    """
    c, o, patch, group = geometry.c, geometry.o, geometry.patch(), np.arange(geometry.groups)
    return tuple(
        Sweep(
            rows=part.x_pixels,
            steps=patch,
            y_rows=part.y_pixels,
            terms=_table(part.x_bands + group * c, group * patch.size * o, part.y_bands + group * o, group * o),
            x_jump=part.x_jump,
            b_jump=0,
            y_jump=part.y_jump,
            ldb=o,
            n_columns=geometry.y_channels // geometry.groups,
            n_blocks=part.n_blocks,
        )
        for part in _parts(n, geometry)
    )


@functools.lru_cache(maxsize=256)
def weight_grad(n: int, geometry: Geometry) -> tuple[Sweep, ...]:
    """Return the sweeps that add the gradient by the weight, as (groups, kh·kw·c, o), of x and g (n images).

    gw[patch, o] += Σ_pixel x[pixel + patch] · g[pixel, o].
    """
    c, o, patch, group = geometry.c, geometry.o, geometry.patch(), np.arange(geometry.groups)
    return tuple(
        Sweep(
            rows=patch,
            steps=part.x_pixels,
            y_rows=np.arange(patch.size) * o,
            terms=_table(part.x_bands + group * c, part.y_bands + group * o, group * patch.size * o, 0),
            x_jump=part.x_jump,
            b_jump=part.y_jump,
            y_jump=0,
            ldb=geometry.y_channels,
            n_columns=geometry.y_channels // geometry.groups,
            n_blocks=part.n_blocks,
        )
        for part in _parts(n, geometry)
    )


@functools.lru_cache(maxsize=256)
def input_grad(n: int, geometry: Geometry) -> tuple[Sweep, ...]:
    """Return the sweeps that add the gradient by x of g (n images) and the weight as (groups, kh·kw, o, c).

    gx[pixel + tap, c] += Σ_o g[pixel, o] · weight[tap, o, c], tap by tap: no product with a border of zeros, as
    a convolution with the flipped weight would have, and any stride is as good as 1.
    """
    c, o, taps = geometry.c, geometry.o, geometry.taps()
    group, tap = np.arange(geometry.groups)[:, None], np.arange(taps.size)
    return tuple(
        Sweep(
            rows=part.y_pixels,
            steps=np.arange(o),
            y_rows=part.x_pixels,
            terms=_table(
                part.y_bands[..., None] + group * o,
                (group * taps.size + tap) * o * c,
                part.x_bands[..., None] + group * c + taps,
                0,
            ),
            x_jump=part.y_jump,
            b_jump=0,
            y_jump=part.x_jump,
            ldb=c,
            n_columns=geometry.x_channels // geometry.groups,
            n_blocks=part.n_blocks,
        )
        for part in _parts(n, geometry)
    )


def _table(*columns: Array | int) -> Array:
    """Return the columns, broadcast against each other, side by side."""
    return np.stack(np.broadcast_arrays(*columns), -1).reshape(-1, len(columns))


def _parts(n: int, geometry: Geometry) -> Iterator[_Part]:
    """Cut the pixels of y into blocks of about BLOCK: a few images, or a band of rows of one image."""
    h, w = geometry.y_size
    images, rows = max(1, BLOCK // (h * w)), min(h, max(1, BLOCK // w))
    yield _part(geometry, 0, n // images, images, 0, h // rows, rows)
    if n % images:
        yield _part(geometry, n - n % images, 1, n % images, 0, 1, h)
    if h % rows:
        yield _part(geometry, 0, n, 1, h - h % rows, 1, h % rows)


def _part(geometry: Geometry, first: int, n_blocks: int, images: int, first_row: int, n_bands: int, rows: int) -> _Part:
    """Return the offsets of `n_blocks` blocks of `images` from image `first`, in bands from row `first_row` on."""
    x_pixel, x_row = geometry.stride[1] * geometry.x_channels, geometry.x_size[1] * geometry.x_channels
    x_image, x_row = geometry.x_size[0] * x_row, geometry.stride[0] * x_row
    y_row = geometry.y_size[1] * geometry.y_channels
    y_image = geometry.y_size[0] * y_row
    image, row, col = np.ogrid[:images, :rows, : geometry.y_size[1]]
    band = (first_row + rows * np.arange(n_bands))[:, None]
    return _Part(
        x_pixels=(image * x_image + row * x_row + col * x_pixel).ravel(),
        y_pixels=(image * y_image + row * y_row + col * geometry.y_channels).ravel(),
        x_bands=first * x_image + band * x_row,
        y_bands=first * y_image + band * y_row,
        x_jump=images * x_image,
        y_jump=images * y_image,
        n_blocks=n_blocks,
    )
