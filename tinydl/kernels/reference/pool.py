"""Pooling: maxima and means over sliding windows, or over bins that cut the image into a given number of parts."""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.kernels.reference.windows import add_windows, windows
from tinydl.shapes import Array, Pair, Shape

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_grad",
    "adaptive_max_pool2d",
    "avg_pool2d",
    "avg_pool2d_grad",
    "max_pool2d",
    "max_pool2d_gather",
    "max_pool2d_grad",
]


def max_pool2d(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, out_size: Pair, relu: bool = False
) -> tuple[Array, Array]:
    """Return the maximum of each window and its place, h·W + w in the unpadded image.

    The first of equal maxima is taken, in row order; NaN counts as larger than anything. A window without
    any element of x (dilation can make one) gives −Inf, from place −1. With `relu` so does one without any element
    above 0 (or NaN), and gives 0.

    Shapes: x (N, C, H, W) -> y and int32 indices (N, C, H', W') with (H', W') = out_size.

    >>> y, indices = max_pool2d(
    ...     np.array([[[[1.0, 5.0, 2.0], [3.0, 5.0, 0.0]]]]), (2, 2), (1, 1), (0, 0), (1, 1), (1, 2)
    ... )
    >>> y[0, 0], indices[0, 0]
    (array([[5., 5.]]), array([[1, 1]], dtype=int32))
    """
    places = np.arange(x.shape[2] * x.shape[3], dtype=np.int32).reshape(1, 1, *x.shape[2:])
    place = _flat(windows(places, kernel, stride, padding, dilation, out_size, -1))
    value = _flat(windows(x, kernel, stride, padding, dilation, out_size, -np.inf))
    y = value.max(-1).astype(_native(x))
    is_maximum = ((value == y[..., None]) | np.isnan(value)) & (place >= 0)
    first = is_maximum.argmax(-1)
    indices = np.take_along_axis(np.broadcast_to(place, value.shape), first[..., None], -1)[..., 0]
    if relu:
        nothing = y <= 0
        y[nothing], indices[nothing] = 0, -1
    return y, indices


def max_pool2d_grad(g: Array, indices: Array, x_shape: Shape, quarters: bool = False) -> Array:
    """Return zeros with g added where the maxima stood: gx[n, c].flat[indices[n, c, h, w]] += g[n, c, h, w].

    Shapes: g and indices (N, C, H', W') -> x_shape = (N, C, H, W). `quarters` says that each window is the 2 × 2 places
    from (2h, 2w) on, which a faster kernel can use.
    """
    n, c, h, w = x_shape
    gx = np.zeros((n * c, h * w + 1), _native(g))  # index −1 is the surplus place at the end
    planes = np.arange(n * c).reshape(n, c, 1, 1)
    np.add.at(gx, (planes, indices), g)
    return gx[:, :-1].reshape(x_shape)


def max_pool2d_gather(x: Array, indices: Array) -> Array:
    """Return y[n, c, h, w] = x[n, c].flat[indices[n, c, h, w]], and 0 for index −1.

    Shapes: x (N, C, H, W), indices (N, C, H', W') -> (N, C, H', W').
    """
    surplus = np.zeros((*x.shape[:2], 1), _native(x))
    flat = np.concatenate([_flat(x), surplus], -1)
    return np.take_along_axis(flat, _flat(indices), -1).reshape(indices.shape)


@np.errstate(all="ignore")
def avg_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Pair, out_size: Pair, count_include_pad: bool) -> Array:
    """Return the mean of each window; `counts` says what it is divided by.

    Shapes: x (N, C, H, W) -> (N, C, H', W') with (H', W') = out_size.

    >>> avg_pool2d(np.arange(4.0).reshape(1, 1, 2, 2), (2, 2), (1, 1), (0, 0), (1, 1), True)
    array([[[[1.5]]]])
    """
    v = windows(x, kernel, stride, padding, (1, 1), out_size, 0.0)
    area = areas(x.shape, kernel, stride, padding, out_size, count_include_pad)
    return v.sum((-2, -1)) / area.astype(_native(x))


@np.errstate(all="ignore")
def avg_pool2d_grad(
    g: Array, x_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool
) -> Array:
    """Return the gradient of ⟨g, avg_pool2d(x)⟩: each g, divided by its count, added to its whole window."""
    h, w = g.shape[2:]
    share = g / areas(x_shape, kernel, stride, padding, (h, w), count_include_pad).astype(_native(g))
    return add_windows(np.broadcast_to(share[..., None, None], (*g.shape, *kernel)), x_shape, stride, padding, (1, 1))


@np.errstate(all="ignore")
def adaptive_avg_pool2d(x: Array, out_size: Pair) -> Array:
    """Return the mean of each of h × w bins; bin i covers the rows ⌊i·H/h⌋ … ⌈(i+1)·H/h⌉ − 1, columns likewise.

    Shapes: x (N, C, H, W) -> (N, C, h, w) with (h, w) = out_size.

    >>> adaptive_avg_pool2d(np.array([[[[1.0, 2.0, 4.0]]]]), (1, 2))
    array([[[[1.5, 3. ]]]])
    """
    y = np.empty((*x.shape[:2], *out_size), _native(x))
    for i, rows in enumerate(bins(x.shape[2], out_size[0])):
        for j, cols in enumerate(bins(x.shape[3], out_size[1])):
            y[:, :, i, j] = x[:, :, rows, cols].mean((2, 3))
    return y


@np.errstate(all="ignore")
def adaptive_avg_pool2d_grad(g: Array, x_shape: Shape) -> Array:
    """Return the gradient of ⟨g, adaptive_avg_pool2d(x)⟩: each g, divided by its bin's size, added to the whole bin."""
    gx = np.zeros(x_shape, _native(g))
    for i, rows in enumerate(bins(x_shape[2], g.shape[2])):
        for j, cols in enumerate(bins(x_shape[3], g.shape[3])):
            size = (rows.stop - rows.start) * (cols.stop - cols.start)
            gx[:, :, rows, cols] += (g[:, :, i, j] / size)[:, :, None, None]
    return gx


def adaptive_max_pool2d(x: Array, out_size: Pair) -> tuple[Array, Array]:
    """Return the maximum of each bin (see `adaptive_avg_pool2d`) and its place; ties and NaN as in `max_pool2d`."""
    n, c, height, width = x.shape
    y = np.empty((n, c, *out_size), _native(x))
    indices = np.empty((n, c, *out_size), np.int32)
    for i, rows in enumerate(bins(height, out_size[0])):
        for j, cols in enumerate(bins(width, out_size[1])):
            place = _flat(x[:, :, rows, cols]).argmax(-1)
            row, col = np.divmod(place, cols.stop - cols.start)
            indices[:, :, i, j] = (rows.start + row) * width + cols.start + col
            y[:, :, i, j] = x[:, :, rows, cols].max((2, 3))
    return y, indices


def bins(n: int, parts: int) -> list[slice]:
    """Cut range(n) into `parts` bins ⌊i·n/parts⌋ … ⌈(i+1)·n/parts⌉; they overlap where n is no multiple.

    >>> bins(5, 2)
    [slice(0, 3, None), slice(2, 5, None)]
    """
    return [slice(i * n // parts, -(-(i + 1) * n // parts)) for i in range(parts)]


def counts(n: int, kernel: int, stride: int, padding: int, out_size: int, count_include_pad: bool) -> Array:
    """Return what each window along an axis of n places counts: its places, without those beyond the padding.

    With `count_include_pad` padded places count, but what hangs over even the padding (ceil_mode) never does.

    >>> counts(5, kernel=2, stride=2, padding=1, out_size=3, count_include_pad=False)
    array([1, 2, 2])
    """
    start = np.arange(out_size) * stride - padding
    stop = np.minimum(start + kernel, n + padding)
    if count_include_pad:
        return stop - start
    return np.minimum(stop, n) - np.maximum(start, 0)


def areas(x_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, out_size: Pair, count_include_pad: bool) -> Array:
    """Return what each window counts, as an array (H', W')."""
    rows = counts(x_shape[2], kernel[0], stride[0], padding[0], out_size[0], count_include_pad)
    cols = counts(x_shape[3], kernel[1], stride[1], padding[1], out_size[1], count_include_pad)
    return np.outer(rows, cols)


def _flat(a: Array) -> Array:
    """Return `a` with its last two axes as one, in row order."""
    return a.reshape(*a.shape[:-2], a.shape[-2] * a.shape[-1])


def _native(x: Array) -> np.dtype[Any]:
    """Return x's dtype in native byte order."""
    return x.dtype.newbyteorder("=")
