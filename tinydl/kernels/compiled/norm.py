"""Normalization with the channels last in memory, so that the loop over them becomes vector instructions.

Few channels would make short loops. So some rows, as many as divide all of them and come near `WIDTH`, are taken as one
wide row, and the numbers of a channel (mean, weight, …) are repeated to match it. Each kernel's docstring is its
reference twin's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels import threads
from tinydl.kernels.buffers import empty, empty_nhwc, scratch
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import inline, njit, splice
from tinydl.kernels.compiled.memory import filled, flat, from_rows, plain, ranges_of, share_out, to_rows
from tinydl.kernels.reference import norm as reference
from tinydl.shapes import Array, Shape

__all__ = reference.__all__

WIDTH, LARGE = (128, 512), 1 << 16
"""Numbers in a wide row: enough to hide the latency of the sums and, from so many numbers in all on, what a loop over a
row checks before it begins. (64 channels at 14×14, 128 images: backward 385 instead of 530 µs. Smaller arrays lose.)"""


@functools.lru_cache(maxsize=256)
def _together(n: int, C: int) -> int:
    """Return how many of n rows of C numbers make a wide row, so that nothing is left over."""
    most = min(n, WIDTH[n * C >= LARGE] // max(C, 1))
    return next((rows for rows in range(most, 1, -1) if n % rows == 0), 1)


def _wide_rows(matrix: Array) -> Array:
    """Return (n, C) as wide rows."""
    n, C = matrix.shape
    rows = _together(n, C)
    return matrix.reshape(n // rows, C * rows)


def _wide(values: Array, width: int, dtype: np.dtype[Any]) -> Array:
    """Return the numbers (C,) repeated to the width of a wide row."""
    wide = np.empty(width, dtype)
    wide.reshape(-1, max(values.size, 1))[...] = values
    return wide


def _like_rows(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Return an uninitialised array whose rows (…, C) lie one after the other; an image is a fresh one.

    A leaf may keep a fresh array as its gradient: batch norm of 64 channels at 14×14, both ways, 2.6 ms became 0.9.
    """
    if len(shape) == 4:
        return empty_nhwc(*shape, dtype)
    return from_rows(empty((math.prod(shape) // max(shape[1], 1), shape[1]), dtype), shape, 1)


def _sums_of(loop: Callable[..., bool], arrays: tuple[Array, ...], *others: Any) -> Array:
    """Return (workers, 2, width): what `loop(…, sums, *arrays, *others)` adds to the sums of each worker."""
    rows = arrays[0]
    shares = ranges_of(len(rows), rows.size)
    sums: Array = np.zeros((len(shares), 2, rows.shape[1]))
    threads.share(loop, len(shares), shares, sums, *arrays, *others)
    return sums


# --- forward ---


@njit
def _origin(origin: Array, x: Array) -> None:
    """Set `origin` to the median of three rows of x, in which Inf and NaN count as 0: an outlier is passed over."""
    n, C = x.shape
    for j in range(origin.size if n > 0 else 0):
        a, b, c = x[0, j % C], x[n // 2, j % C], x[n - 1, j % C]
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
    begin, end = shares[worker]
    fours = end - (end - begin) % 4
    for i in range(begin, fours, 4):
        for j in range(origin.size):
            m = origin[j]
            d0, d1, d2, d3 = x[i, j] - m, x[i + 1, j] - m, x[i + 2, j] - m, x[i + 3, j] - m
            sums[worker, 0, j] += (d0 + d1) + (d2 + d3)
            sums[worker, 1, j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
    for i in range(fours, end):
        for j in range(origin.size):
            d = np.float64(x[i, j]) - origin[j]
            sums[worker, 0, j] += d
            sums[worker, 1, j] += d * d
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


@splice
def _scale_rows(
    y: Array, x: Array, origin: Array, scale: Array, shift: Array, least: Any, first: int, last: int
) -> None:
    """Set y = (x − origin)·scale + shift on the wide rows first…last, or `least` where that is not above it."""
    width = origin.size
    for i in range(first, last):
        source, result = x[i * width : (i + 1) * width], y[i * width : (i + 1) * width]
        for j in range(width):
            value = (source[j] - origin[j]) * scale[j] + shift[j]
            result[j] = least if value <= least else value


@njit
def _affine(
    worker: int, boss: int, crew: Array, shares: Array,
    y: Array, x: Array, origin: Array, scale: Array, shift: Array, low: float,
) -> bool:  # fmt: skip
    """Do the worker's wide rows: see `_scale_rows`."""
    give(boss, crew)
    _scale_rows(y, x, origin, scale, shift, y.dtype.type(low), shares[worker, 0], shares[worker, 1])
    return wait(boss, crew)


@njit
def _normalize(
    worker: int, boss: int, crew: Array, shares: Array,
    y: Array, x: Array, mean: Array, var: Array, weight: Array, bias: Array, eps: float, tables: Array,
) -> bool:  # fmt: skip
    """Set the worker's wide rows to y = (x − mean)·weight/√(var + eps) + bias, by way of its three wide tables."""
    give(boss, crew)
    origin, scale, shift = tables[worker, 0], tables[worker, 1], tables[worker, 2]
    for j in range(origin.size):
        c = j % weight.size
        origin[j], scale[j], shift[j] = mean[c], weight[c] / np.sqrt(var[c] + eps), bias[c]
    _scale_rows(y, x, origin, scale, shift, y.dtype.type(-np.inf), shares[worker, 0], shares[worker, 1])
    return wait(boss, crew)


def _affine_of(shape: Shape, x: Array, origin: Array, scale: Array, shift: Array, low: float) -> Array:
    """Return what the threads make by `_affine` of the wide rows x, as the array of that shape they stand for."""
    y = _like_rows(shape, x.dtype)
    shares = ranges_of(len(x), x.size)
    threads.share(_affine, len(shares), shares, y.ravel(order="K"), x.reshape(-1), origin, scale, shift, low)
    return y


@functools.wraps(reference.batch_norm)
def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float, relu: bool = False
) -> tuple[Array, Array, Array, Array]:
    dtype, C = x.dtype.newbyteorder("="), x.shape[1]
    matrix = to_rows(x, 1, dtype)
    rows = _wide_rows(matrix)
    weight = np.ones(C, dtype) if weight is None else plain(weight, dtype)
    bias = np.zeros(C, dtype) if bias is None else plain(bias, dtype)
    origin: Array = np.zeros(rows.shape[1], dtype)
    scale_shift, mean_var_rstd = np.empty((2, rows.shape[1]), dtype), np.empty((3, C), dtype)
    _origin(origin, matrix)
    sums = _sums_of(_sums, (rows,), origin)
    _statistics(sums, origin, len(matrix), float(eps), weight, bias, mean_var_rstd, scale_shift)
    y = _affine_of(x.shape, rows, origin, scale_shift[0], scale_shift[1], 0.0 if relu else -math.inf)
    mean, var, rstd = mean_var_rstd
    return y, mean, var, rstd


@functools.wraps(reference.channel_affine)
def channel_affine(x: Array, scale: Array, shift: Array) -> Array:
    dtype = x.dtype.newbyteorder("=")
    rows = _wide_rows(to_rows(x, 1, dtype))
    width = rows.shape[1]
    wide = filled(width, 0, dtype), _wide(scale, width, dtype), _wide(shift, width, dtype)
    return _affine_of(x.shape, rows, *wide, -math.inf)


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


@functools.wraps(reference.batch_norm_eval)
def batch_norm_eval(x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float) -> Array:
    dtype, C = x.dtype.newbyteorder("="), x.shape[1]
    y = _like_rows(x.shape, dtype)
    n_rows = x.size // max(C, 1)
    n_wide = n_rows // _together(n_rows, C)
    shares = ranges_of(n_wide, x.size)
    learned = [filled(C, value, dtype) if a is None else plain(a, dtype) for a, value in ((weight, 1.0), (bias, 0.0))]
    tables = scratch("scales", (len(shares), 3, x.size // max(n_wide, 1)), dtype)
    given = y.ravel(order="K"), flat(x, y), plain(mean, dtype), plain(var, dtype), *learned, float(eps), tables
    threads.share(_normalize, len(shares), shares, *given)
    return y


# --- backward ---


@inline
def _passed(g: Any, y: Any, low: Any) -> Any:
    """Return g where y is above `low`, else 0; where low is NaN, g everywhere."""
    return type(g)(0) if y <= low else g


@njit
def _grad_sums(
    worker: int, boss: int, crew: Array, shares: Array,
    sums: Array, x: Array, g: Array, y: Array, mean: Array, low: float,
) -> bool:  # fmt: skip
    """Add (Σ g, Σ g·(x − mean)) over wide rows, four at a time as in `_sums`, of the g that ReLU let through."""
    give(boss, crew)
    begin, end = shares[worker]
    fours, least = end - (end - begin) % 4, x.dtype.type(low)
    for i in range(begin, fours, 4):
        for j in range(mean.size):
            m = mean[j]
            g0, g1 = _passed(g[i, j], y[i, j], least), _passed(g[i + 1, j], y[i + 1, j], least)
            g2, g3 = _passed(g[i + 2, j], y[i + 2, j], least), _passed(g[i + 3, j], y[i + 3, j], least)
            d0, d1, d2, d3 = x[i, j] - m, x[i + 1, j] - m, x[i + 2, j] - m, x[i + 3, j] - m
            sums[worker, 0, j] += (g0 + g1) + (g2 + g3)
            sums[worker, 1, j] += (g0 * d0 + g1 * d1) + (g2 * d2 + g3 * d3)
    for i in range(fours, end):
        for j in range(mean.size):
            a = _passed(g[i, j], y[i, j], least)
            sums[worker, 0, j] += a
            sums[worker, 1, j] += a * (x[i, j] - mean[j])
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
    least = x.dtype.type(low)
    for i in range(shares[worker, 0], shares[worker, 1]):
        for j in range(mean.size):
            a, b, d = coefficients[0, j], coefficients[1, j], coefficients[2, j]
            gx[i, j] = a * _passed(g[i, j], y[i, j], least) + b * (x[i, j] - mean[j]) + d
    return wait(boss, crew)


@functools.wraps(reference.batch_norm_grad)
def batch_norm_grad(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array, y: Array | None = None
) -> tuple[Array, Array, Array]:
    dtype, C = x.dtype.newbyteorder("="), x.shape[1]
    n, rows, g_rows = x.size // max(C, 1), *(_wide_rows(to_rows(a, 1, dtype)) for a in (x, g))
    y_rows, low = (rows, math.nan) if y is None else (_wide_rows(to_rows(y, 1, dtype)), 0.0)
    weight = np.ones(C, dtype) if weight is None else plain(weight, dtype)
    wide_mean = _wide(mean, rows.shape[1], dtype)
    gw_gb, coefficients = np.empty((2, C), dtype), np.empty((3, rows.shape[1]), dtype)
    sums = _sums_of(_grad_sums, (rows, g_rows, y_rows), wide_mean, low)
    _grad_coefficients(sums, n, weight, plain(rstd, dtype), gw_gb, coefficients)
    gx = _like_rows(x.shape, dtype)
    gx_rows, shares = to_rows(gx, 1, dtype).reshape(rows.shape), ranges_of(len(rows), rows.size)
    threads.share(_grad, len(shares), shares, gx_rows, g_rows, rows, y_rows, wide_mean, coefficients, low)
    return gx, gw_gb[0], gw_gb[1]


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
