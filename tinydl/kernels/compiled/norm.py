"""Normalization with the channels last in memory, so that the loop over them becomes vector instructions.

Few channels would make short loops. So as many rows as fill WIDTH numbers are taken as one wide row, and the
numbers of a channel (mean, weight, …) are repeated to match it. Each kernel's docstring is its reference twin's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels import threads
from tinydl.kernels.buffers import empty
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import inline, njit
from tinydl.kernels.compiled.memory import filled, from_rows, plain, ranges_of, share_out, to_rows
from tinydl.kernels.reference import norm as reference
from tinydl.shapes import Array

__all__ = reference.__all__

WIDTH = 128
"""Numbers in a wide row: eight to sixteen vector registers, enough to hide the latency of the sums."""


def _width(C: int) -> int:
    """Return the size of a wide row, a multiple of C."""
    return C * max(1, WIDTH // max(C, 1))


def _wide(values: Array, width: int, dtype: np.dtype[Any]) -> Array:
    """Return the numbers (C,) repeated to the width of a wide row."""
    wide = np.empty(width, dtype)
    wide.reshape(-1, max(values.size, 1))[...] = values
    return wide


def _wide_rows(size: int, width: int) -> Array:
    """Return where the wide rows of each worker begin and end in memory, of `size` numbers."""
    return ranges_of(-(-size // max(width, 1)), size) * max(width, 1)


def _sums_of(loop: Callable[..., bool], arrays: tuple[Array, ...], wide: Array, *others: float) -> Array:
    """Return (workers, 2, width): what `loop(…, sums, *arrays, wide, *others)` adds to the sums of each worker."""
    shares = _wide_rows(arrays[0].size, wide.size)
    sums: Array = np.zeros((len(shares), 2, wide.size))
    threads.share(loop, len(shares), shares, sums, *arrays, wide, *others)
    return sums


# --- forward ---


@njit
def _origin(origin: Array, x: Array, C: int) -> None:
    """Set the wide `origin` to the median of three rows, in which Inf and NaN count as 0: an outlier is passed over."""
    last = max(x.size // max(C, 1) - 1, 0)
    for j in range(origin.size if x.size > 0 else 0):
        a, b, c = x[j % C], x[last // 2 * C + j % C], x[last * C + j % C]
        a, b, c = a if abs(a) < math.inf else 0, b if abs(b) < math.inf else 0, c if abs(c) < math.inf else 0
        origin[j] = max(min(a, b), min(max(a, b), c))


@njit
def _sums(worker: int, boss: int, crew: Array, shares: Array, sums: Array, x: Array, origin: Array) -> bool:
    """Add (Σ d, Σ d²), d = x − origin, over wide rows.

    A sum of squares is as precise as two passes if the origin lies among the data: then (mean − origin)² is at
    most n·var (Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", section 3). Four rows are
    added up before they meet the float64 sums, which costs no digits and halves the time: 30 instead of 67 µs for
    262,144 numbers.
    """
    give(boss, crew)
    x, width = x[shares[worker, 0] : shares[worker, 1]], origin.size
    first, second = sums[worker, 0], sums[worker, 1]
    fours = x.size - x.size % (4 * width)
    for i in range(0, fours, 4 * width):
        row0, row1 = x[i : i + width], x[i + width : i + 2 * width]
        row2, row3 = x[i + 2 * width : i + 3 * width], x[i + 3 * width : i + 4 * width]
        for j in range(width):
            d0, d1, d2, d3 = row0[j] - origin[j], row1[j] - origin[j], row2[j] - origin[j], row3[j] - origin[j]
            first[j] += (d0 + d1) + (d2 + d3)
            second[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
    for i in range(fours, x.size, width):
        row = x[i : i + width]
        for j in range(row.size):
            d = np.float64(row[j]) - origin[j]
            first[j] += d
            second[j] += d * d
    return wait(boss, crew)


@inline
def _fold(sums: Array, c: int, C: int) -> tuple[float, float]:
    """Return channel c's two sums: over the threads, in their order, and over its places in the wide row."""
    first, second = 0.0, 0.0
    for worker in range(sums.shape[0]):
        for j in range(c, sums.shape[2], C):
            first += sums[worker, 0, j]
            second += sums[worker, 1, j]
    return first, second


@njit
def _statistics(
    sums: Array, origin: Array, n: int, eps: float, weight: Array, bias: Array, mean_var_rstd: Array, scale_shift: Array
) -> None:
    """Make each channel's statistics of the sums; y = (x − origin)·scale + shift, scale and shift wide."""
    C = weight.size
    for c in range(C):
        first, second = _fold(sums, c, C)
        offset = first / n
        var = second / n - offset * offset
        var = 0.0 if var < 0 else var
        rstd = 1 / np.sqrt(var + eps)
        mean_var_rstd[0, c] = origin[c] + offset
        mean_var_rstd[1, c] = var
        mean_var_rstd[2, c] = rstd
        for j in range(c, origin.size, C):
            scale_shift[0, j] = weight[c] * rstd
            scale_shift[1, j] = bias[c] - weight[c] * rstd * offset


@njit
def _affine(
    worker: int, boss: int, crew: Array, shares: Array,
    y: Array, x: Array, origin: Array, scale: Array, shift: Array, low: float,
) -> bool:  # fmt: skip
    """Set y = (x − origin)·scale + shift on wide rows, or `low` where that is not above it."""
    give(boss, crew)
    begin, end = shares[worker]
    y, x = y[begin:end], x[begin:end]
    width, least = origin.size, y.dtype.type(low)
    for i in range(0, x.size, width):
        y_row, row = y[i : i + width], x[i : i + width]
        for j in range(row.size):
            value = (row[j] - origin[j]) * scale[j] + shift[j]
            y_row[j] = least if value <= least else value
    return wait(boss, crew)


def _set_affine(y: Array, x: Array, origin: Array, scale: Array, shift: Array, low: float) -> None:
    """Let the threads do `_affine`; y and x are flat."""
    shares = _wide_rows(y.size, origin.size)
    threads.share(_affine, len(shares), shares, y, x, origin, scale, shift, low)


@functools.wraps(reference.batch_norm)
def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float, relu: bool = False
) -> tuple[Array, Array, Array, Array]:
    dtype, C = x.dtype.newbyteorder("="), x.shape[1]
    matrix, width = to_rows(x, 1, dtype), _width(C)
    numbers = matrix.reshape(-1)
    weight = np.ones(C, dtype) if weight is None else plain(weight, dtype)
    bias = np.zeros(C, dtype) if bias is None else plain(bias, dtype)
    origin: Array = np.zeros(width, dtype)
    scale_shift, mean_var_rstd = np.empty((2, width), dtype), np.empty((3, C), dtype)
    _origin(origin, numbers, C)
    sums = _sums_of(_sums, (numbers,), origin)
    _statistics(sums, origin, len(matrix), float(eps), weight, bias, mean_var_rstd, scale_shift)
    y = empty(matrix.shape, dtype)
    _set_affine(y.reshape(-1), numbers, origin, scale_shift[0], scale_shift[1], 0.0 if relu else -math.inf)
    mean, var, rstd = mean_var_rstd
    return from_rows(y, x.shape, 1), mean, var, rstd


@functools.wraps(reference.channel_affine)
def channel_affine(x: Array, scale: Array, shift: Array) -> Array:
    dtype, width = x.dtype.newbyteorder("="), _width(x.shape[1])
    matrix = to_rows(x, 1, dtype)
    origin: Array = np.zeros(width, dtype)
    y = empty(matrix.shape, dtype)
    wide = origin, _wide(scale, width, dtype), _wide(shift, width, dtype)
    _set_affine(y.reshape(-1), matrix.reshape(-1), *wide, -math.inf)
    return from_rows(y, x.shape, 1)


@njit
def _folded(
    mean: Array, var: Array, weight: Array, bias: Array, layer_bias: Array, eps: float, shift: Array, scale: Array
) -> None:
    for c in range(scale.size):
        scale[c] = weight[c] / np.sqrt(var[c] + scale.dtype.type(eps))
        shift[c] = bias[c] + (layer_bias[c] - mean[c]) * scale[c]


@functools.wraps(reference.folded_norm)
def folded_norm(
    mean: Array, var: Array, weight: Array | None, bias: Array | None, layer_bias: Array | None, eps: float
) -> tuple[Array, Array]:
    n, dtype = len(mean), var.dtype.newbyteorder("=")
    shift, scale = np.empty((2, n), dtype)
    weight, bias, layer_bias = (
        filled(n, value, dtype) if a is None else plain(a, dtype)
        for a, value in ((weight, 1), (bias, 0), (layer_bias, 0))
    )
    _folded(plain(mean, dtype), plain(var, dtype), weight, bias, layer_bias, float(eps), shift, scale)
    return shift, scale


@njit
def _fixed(
    mean: Array, var: Array, weight: Array, bias: Array, eps: float, origin: Array, scale: Array, shift: Array
) -> None:
    """Make the wide origin, scale and shift of y = (x − mean)·weight/√(var + eps) + bias."""
    C = weight.size
    for j in range(origin.size):
        c = j % C
        origin[j], scale[j], shift[j] = mean[c], weight[c] / np.sqrt(var[c] + eps), bias[c]


@functools.wraps(reference.batch_norm_eval)
def batch_norm_eval(x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float) -> Array:
    dtype, C = x.dtype.newbyteorder("="), x.shape[1]
    matrix, width = to_rows(x, 1, dtype), _width(C)
    weight = np.ones(C, dtype) if weight is None else plain(weight, dtype)
    bias = np.zeros(C, dtype) if bias is None else plain(bias, dtype)
    wide = np.empty(width, dtype), np.empty(width, dtype), np.empty(width, dtype)
    _fixed(plain(mean, dtype), plain(var, dtype), weight, bias, float(eps), *wide)
    y = empty(matrix.shape, dtype)
    _set_affine(y.reshape(-1), matrix.reshape(-1), *wide, -math.inf)
    return from_rows(y, x.shape, 1)


# --- backward ---


@inline
def _passed(g: Any, y: Any, low: Any) -> Any:
    """Return g where y is above `low`, else 0; where low is NaN, g everywhere."""
    return type(g)(0) if y <= low else g


@njit
def _grad_sums(
    worker: int, boss: int, crew: Array, shares: Array,
    sums: Array, g: Array, x: Array, y: Array, mean: Array, low: float,
) -> bool:  # fmt: skip
    """Add (Σ g, Σ g·(x − mean)) over wide rows, four at a time as in `_sums`, of the g that ReLU let through."""
    give(boss, crew)
    begin, end = shares[worker]
    g, x, y = g[begin:end], x[begin:end], y[begin:end]
    width, least = mean.size, x.dtype.type(low)
    first, second = sums[worker, 0], sums[worker, 1]
    fours = x.size - x.size % (4 * width)
    for i in range(0, fours, 4 * width):
        ends = i + width, i + 2 * width, i + 3 * width, i + 4 * width
        g0, g1, g2, g3 = g[i : ends[0]], g[ends[0] : ends[1]], g[ends[1] : ends[2]], g[ends[2] : ends[3]]
        x0, x1, x2, x3 = x[i : ends[0]], x[ends[0] : ends[1]], x[ends[1] : ends[2]], x[ends[2] : ends[3]]
        y0, y1, y2, y3 = y[i : ends[0]], y[ends[0] : ends[1]], y[ends[1] : ends[2]], y[ends[2] : ends[3]]
        for j in range(width):
            a, b = _passed(g0[j], y0[j], least), _passed(g1[j], y1[j], least)
            c, d = _passed(g2[j], y2[j], least), _passed(g3[j], y3[j], least)
            m = mean[j]
            first[j] += (a + b) + (c + d)
            second[j] += (a * (x0[j] - m) + b * (x1[j] - m)) + (c * (x2[j] - m) + d * (x3[j] - m))
    for i in range(fours, x.size, width):
        g_row, row, y_row = g[i : i + width], x[i : i + width], y[i : i + width]
        for j in range(row.size):
            a = _passed(g_row[j], y_row[j], least)
            first[j] += a
            second[j] += a * (row[j] - mean[j])
    return wait(boss, crew)


@njit
def _grad_coefficients(sums: Array, n: int, weight: Array, rstd: Array, gw_gb: Array, coefficients: Array) -> None:
    """Make gw, gb of the sums, and the wide a, b, d of gx = a·g + b·(x − mean) + d."""
    C = weight.size
    for c in range(C):
        gb, g_centred = _fold(sums, c, C)
        gw_gb[0, c], gw_gb[1, c] = g_centred * rstd[c], gb
        a = weight[c] * rstd[c]
        for j in range(c, coefficients.shape[1], C):
            coefficients[0, j] = a
            coefficients[1, j] = -a * rstd[c] * rstd[c] * g_centred / n
            coefficients[2, j] = -a * gb / n


@njit
def _grad(
    worker: int, boss: int, crew: Array, shares: Array,
    gx: Array, g: Array, x: Array, y: Array, mean: Array, coefficients: Array, low: float,
) -> bool:  # fmt: skip
    """Set gx = a·g + b·(x − mean) + d on wide rows, of the g that ReLU let through."""
    give(boss, crew)
    begin, end = shares[worker]
    gx, g, x, y = gx[begin:end], g[begin:end], x[begin:end], y[begin:end]
    width, least = mean.size, x.dtype.type(low)
    a, b, d = coefficients[0], coefficients[1], coefficients[2]
    for i in range(0, x.size, width):
        gx_row, g_row, row, y_row = gx[i : i + width], g[i : i + width], x[i : i + width], y[i : i + width]
        for j in range(row.size):
            gx_row[j] = a[j] * _passed(g_row[j], y_row[j], least) + b[j] * (row[j] - mean[j]) + d[j]
    return wait(boss, crew)


@functools.wraps(reference.batch_norm_grad)
def batch_norm_grad(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array, y: Array | None = None
) -> tuple[Array, Array, Array]:
    dtype, C = x.dtype.newbyteorder("="), x.shape[1]
    matrix, width = to_rows(x, 1, dtype), _width(C)
    numbers, g_numbers = matrix.reshape(-1), to_rows(g, 1, dtype).reshape(-1)
    weight = np.ones(C, dtype) if weight is None else plain(weight, dtype)
    wide_mean = _wide(mean, width, dtype)
    gw_gb, coefficients = np.empty((2, C), dtype), np.empty((3, width), dtype)
    y_numbers, low = (numbers, math.nan) if y is None else (to_rows(y, 1, dtype).reshape(-1), 0.0)
    sums = _sums_of(_grad_sums, (g_numbers, numbers, y_numbers), wide_mean, low)
    _grad_coefficients(sums, len(matrix), weight, plain(rstd, dtype), gw_gb, coefficients)
    gx = empty(matrix.shape, dtype)
    shares = _wide_rows(gx.size, width)
    arrays = gx.reshape(-1), g_numbers, numbers, y_numbers
    threads.share(_grad, len(shares), shares, *arrays, wide_mean, coefficients, low)
    return from_rows(gx, x.shape, 1), gw_gb[0], gw_gb[1]


# --- rows ---


@njit
def _standardize(y: Array, rstd: Array, x: Array, eps: float) -> None:
    for i in range(rstd.size):
        row, y_row = x[i], y[i]
        total, square = np.float64(0), np.float64(0)
        for j in range(row.size):
            total += row[j]
        mean = total / row.size
        for j in range(row.size):
            square += (row[j] - mean) * (row[j] - mean)
        scale = 1 / np.sqrt(square / row.size + eps)
        for j in range(row.size):
            y_row[j] = (row[j] - mean) * scale
        rstd[i] = scale


@functools.wraps(reference.standardize)
def standardize(x: Array, eps: float) -> tuple[Array, Array]:
    dtype = x.dtype.newbyteorder("=")
    y, rstd = empty(x.shape, dtype), np.empty(len(x), dtype)
    share_out(_standardize, (y, rstd, plain(x, dtype)), float(eps))
    return y, rstd


@njit
def _standardize_grad(gx: Array, g: Array, y: Array, rstd: Array) -> None:
    for i in range(rstd.size):
        gx_row, g_row, y_row, scale = gx[i], g[i], y[i], rstd[i]
        total, product = np.float64(0), np.float64(0)
        for j in range(g_row.size):
            total += g_row[j]
            product += g_row[j] * y_row[j]
        mean_g, mean_gy = total / g_row.size, product / g_row.size
        for j in range(g_row.size):
            gx_row[j] = scale * (g_row[j] - mean_g - y_row[j] * mean_gy)


@functools.wraps(reference.standardize_grad)
def standardize_grad(g: Array, y: Array, rstd: Array) -> Array:
    dtype = y.dtype.newbyteorder("=")
    gx = empty(y.shape, dtype)
    share_out(_standardize_grad, (gx, plain(g, dtype), plain(y, dtype), plain(rstd, dtype)))
    return gx
