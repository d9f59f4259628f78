"""Reading images between their pixels: the one bilinear interpolation, and the one resize."""

from __future__ import annotations

import numpy as np

from tinydl.shapes import Array

_BLOCK = 1 << 15
"""Pixels worked on at once: a block's dozen temporaries then stay in the L2 cache (60,000 images of
28×28: 0.9 s instead of 1.7)."""


def bilinear(images: Array, rows: Array, columns: Array, fill: float = 0.0) -> Array:
    """Read `images` at fractional places, one grid of places an image.

    With r = row, i = ⌊r⌋, u = r − i and likewise s, j, v for the column:
    y = (1−u)(1−v)·x[i, j] + (1−u)v·x[i, j+1] + u(1−v)·x[i+1, j] + uv·x[i+1, j+1]; a pixel outside the image is `fill`.

    Shapes: images (N, C, H, W) float; rows, columns (N, H', W') in pixels, 0 being the centre of the first
    -> (N, C, H', W') of the images' dtype.
    """
    n, channels, height, width = images.shape
    result = np.empty((n, channels, *rows.shape[1:]), images.dtype)
    step = max(1, _BLOCK // max(1, result[:1].size))
    for start in range(0, n, step):
        block = slice(start, start + step)
        padded = np.pad(images[block], ((0, 0), (0, 0), (1, 2), (1, 2)), constant_values=fill)
        r = np.clip(rows[block].astype(images.dtype, copy=False) + 1, 0, height + 1)[:, None]
        s = np.clip(columns[block].astype(images.dtype, copy=False) + 1, 0, width + 1)[:, None]
        result[block] = _interpolate(padded, r, s)
    return result


def _interpolate(padded: Array, r: Array, s: Array) -> Array:
    """Return `padded` (N, C, H, W) read at rows `r` and columns `s` (N, 1, H', W'), all of them inside."""
    n, channels, height, width = padded.shape
    i, j = r.astype(np.int32), s.astype(np.int32)
    u, v = r - i.astype(r.dtype), s - j.astype(s.dtype)
    plane = np.arange(n * channels, dtype=np.int32).reshape(n, channels, 1, 1) * (height * width)
    place = i * width + j + plane
    flat = padded.reshape(-1)
    upper = _between(flat.take(place), flat.take(place + 1), v)
    lower = _between(flat.take(place + width), flat.take(place + (width + 1)), v)
    return _between(upper, lower, u)


def _between(a: Array, b: Array, t: Array) -> Array:
    """Return a + t·(b − a), reusing b's memory."""
    b -= a
    b *= t
    b += a
    return b


def resize(image: Array, height: int, width: int) -> Array:
    """Resize a picture with antialiasing: each new pixel is the mean over the part of the old picture it covers.

    y = A·x·Bᵀ, where A and B are the matrices of `_coverage` along the two axes. Enlarging this way is linear
    interpolation; an unchanged size changes nothing.

    Shapes: image (H, W) float -> (height, width).

    >>> resize(np.array([[0.0, 3.0, 6.0]]), 1, 2)
    array([[1., 5.]])
    """
    result: Array = _coverage(image.shape[0], height) @ image @ _coverage(image.shape[1], width).T
    return result


def _coverage(old: int, new: int) -> Array:
    """Return the (new, old) matrix of how much of each old pixel a new one covers; its rows sum to 1.

    A new pixel is an interval around its centre as long as a pixel of the coarser of the two grids.
    """
    scale = old / new
    centre = (np.arange(new)[:, None] + 0.5) * scale
    half = max(scale, 1.0) / 2
    pixel = np.arange(old)
    overlap = np.minimum(centre + half, pixel + 1) - np.maximum(centre - half, pixel)
    weights = np.maximum(0.0, overlap)
    result: Array = weights / weights.sum(1, keepdims=True)
    return result
