"""Pooling of int8 numbers: maxima, and the sums that requantizing turns into means."""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import numpy as np

from tinydl.kernels.reference.pool import bins
from tinydl.kernels.reference.windows import windows
from tinydl.shapes import Array, Pair

__all__ = ["int8_bin_sums", "int8_max_pool2d", "int8_window_sums"]


def int8_max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, out_size: Pair) -> Array:
    """Return the maximum of each window; places outside of x are −128.

    Shapes: x int8 (N, C, H, W) -> int8 (N, C, H', W') with (H', W') = out_size.

    >>> int8_max_pool2d(np.array([[[[-9, 5, 2]]]], np.int8), (1, 2), (1, 2), (0, 1), (1, 1), (1, 2))
    array([[[[-9,  5]]]], dtype=int8)
    """
    return windows(x, kernel, stride, padding, dilation, out_size, -128).max((-2, -1))


def int8_window_sums(x: Array, zero: int, kernel: Pair, stride: Pair, padding: Pair, out_size: Pair) -> Array:
    """Return Σ (x − zero) over each window: int32; places outside of x count 0.

    Shapes: x int8 (N, C, H, W) -> int32 (N, C, H', W') with (H', W') = out_size.

    >>> int8_window_sums(np.array([[[[1, 5, 2]]]], np.int8), 1, (1, 2), (1, 1), (0, 0), (1, 2))
    array([[[[4, 5]]]], dtype=int32)
    """
    v = windows(x, kernel, stride, padding, (1, 1), out_size, zero).astype(np.int32)
    return (v - np.int32(zero)).sum((-2, -1), dtype=np.int32)


def int8_bin_sums(x: Array, zero: int, out_size: Pair) -> Array:
    """Return Σ (x − zero) over each of h × w bins, which are those of `adaptive_avg_pool2d`: int32.

    Shapes: x int8 (N, C, H, W) -> int32 (N, C, h, w) with (h, w) = out_size.

    >>> int8_bin_sums(np.array([[[[1, 2, 4]]]], np.int8), 1, (1, 2))
    array([[[[1, 4]]]], dtype=int32)
    """
    y = np.empty((*x.shape[:2], *out_size), np.int32)
    for i, rows in enumerate(bins(x.shape[2], out_size[0])):
        for j, cols in enumerate(bins(x.shape[3], out_size[1])):
            y[:, :, i, j] = (x[:, :, rows, cols].astype(np.int32) - np.int32(zero)).sum((2, 3), dtype=np.int32)
    return y
