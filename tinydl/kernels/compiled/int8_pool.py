"""Pooling of channels-last int8 images: inner loops run over channels, which lie side by side and so vectorise."""

from __future__ import annotations

import numpy as np

from tinydl.kernels import buffers
from tinydl.kernels.compiled.jit import njit
from tinydl.kernels.compiled.layout import channels_last
from tinydl.kernels.compiled.memory import share_out
from tinydl.kernels.compiled.pool import bin_ranges, window_ranges
from tinydl.shapes import Array, Pair

__all__ = ["int8_bin_sums", "int8_max_pool2d", "int8_window_sums"]


def int8_max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, out_size: Pair) -> Array:
    """Return the maximum of each window: as in the reference twin."""
    y = buffers.empty_nhwc(x.shape[0], x.shape[1], *out_size, np.int8)
    rows, cols = map(window_ranges, x.shape[2:], kernel, stride, padding, dilation, out_size)
    share_out(_maxima, (channels_last(x), y.transpose(0, 2, 3, 1)), rows, cols, *dilation)
    return y


def int8_window_sums(x: Array, zero: int, kernel: Pair, stride: Pair, padding: Pair, out_size: Pair) -> Array:
    """Return Σ (x − zero) over each window: as in the reference twin."""
    rows, cols = map(window_ranges, x.shape[2:], kernel, stride, padding, (1, 1), out_size)
    return _sum_ranges(x, zero, rows, cols)


def int8_bin_sums(x: Array, zero: int, out_size: Pair) -> Array:
    """Return Σ (x − zero) over each bin: as in the reference twin."""
    return _sum_ranges(x, zero, *map(bin_ranges, x.shape[2:], out_size))


def _sum_ranges(x: Array, zero: int, rows: Array, cols: Array) -> Array:
    y = buffers.empty_nhwc(x.shape[0], x.shape[1], len(rows), len(cols), np.int32)
    share_out(_sums, (channels_last(x), y.transpose(0, 2, 3, 1)), rows, cols, zero)
    return y


@njit
def _maxima(x: Array, y: Array, rows: Array, cols: Array, row_step: int, col_step: int) -> None:
    for n in range(x.shape[0]):
        for i in range(rows.shape[0]):
            for j in range(cols.shape[0]):
                y[n, i, j, :] = -128
                for row in range(rows[i, 0], rows[i, 1], row_step):
                    for col in range(cols[j, 0], cols[j, 1], col_step):
                        for c in range(x.shape[3]):
                            y[n, i, j, c] = max(y[n, i, j, c], x[n, row, col, c])


@njit
def _sums(x: Array, y: Array, rows: Array, cols: Array, zero: int) -> None:
    """Add up the numbers as they are, and take the zero points of a whole window away at once."""
    for n in range(x.shape[0]):
        for i in range(rows.shape[0]):
            for j in range(cols.shape[0]):
                count = max(0, rows[i, 1] - rows[i, 0]) * max(0, cols[j, 1] - cols[j, 0])
                y[n, i, j, :] = np.int32(-zero * count)
                for row in range(rows[i, 0], rows[i, 1]):
                    for col in range(cols[j, 0], cols[j, 1]):
                        for c in range(x.shape[3]):
                            y[n, i, j, c] += np.int32(x[n, row, col, c])
