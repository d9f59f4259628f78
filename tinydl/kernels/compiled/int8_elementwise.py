"""Sums, products and functions of int8 numbers, in whatever order the images lie in memory."""

from __future__ import annotations

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled.jit import exact, njit
from tinydl.kernels.compiled.memory import GRAIN, flat, plain, share_out
from tinydl.kernels.compiled.requantize import Constants, constants_of, finish
from tinydl.kernels.integer import Addition, Requantizer
from tinydl.kernels.reference import int8_elementwise as reference
from tinydl.shapes import Array

__all__ = ["int8_add", "int8_lookup", "int8_multiply", "int8_quantize"]

PART = 1024
"""Products that are made at a time, before they are requantized."""


def int8_add(a: Array, b: Array, sum: Addition) -> Array:
    """Return the sum of two arrays of the same shape: as in the reference twin."""
    y = buffers.empty_like_layout(a)
    (ma, zero_a), (mb, zero_b) = sum.a, sum.b
    start = np.int32((1 << (sum.bits - 1)) - zero_a * ma - zero_b * mb)
    numbers = (np.int32(v) for v in (ma, mb, start, sum.bits, sum.zero, sum.low, sum.high))
    share_out(_add, (y.ravel(order="K"), flat(a, y), flat(b, y)), *numbers)
    return y


def int8_multiply(a: Array, zero_a: int, b: Array, zero_b: int, output: Requantizer) -> Array:
    """Return requantize((a − zero_a)·(b − zero_b)): as in the reference twin, which serves uncommon shapes as well."""
    gate = a.ndim == 4 and b.shape == (*a.shape[:2], 1, 1)
    if (a.shape != b.shape and not gate) or output.multiplier.size != 1 or not a.size:
        return reference.int8_multiply(a, zero_a, b, zero_b, output)
    if gate:
        n, c, h, w = a.shape
        y = buffers.empty_nhwc(n, c, h, w, np.int8)
        rows = [plain(v.transpose(0, 2, 3, 1), np.int8).reshape(n, -1, c) for v in (a, b)]
        result = y.transpose(0, 2, 3, 1).reshape(n, -1, c)
    else:
        y = buffers.empty_like_layout(a)
        result, *rows = (v.reshape(1, 1, -1) for v in (y.ravel(order="K"), flat(a, y), flat(b, y)))
    share_out(_multiply, (result, *rows), zero_a, zero_b, constants_of(output, PART))
    return y


def int8_lookup(x: Array, table: Array) -> Array:
    """Return table[x + 128]: as in the reference twin."""
    y = buffers.empty_like_layout(x)
    share_out(_lookup, (y.ravel(order="K"), flat(x, y)), plain(table, np.int8))
    return y


def int8_quantize(x: Array, scale: np.float32, zero: int, low: int, high: int) -> Array:
    """Return clamp(round(x / scale) + zero, low, high): as in the reference twin, which serves all but float32."""
    if x.dtype != np.float32:
        return reference.int8_quantize(x, scale, zero, low, high)
    last = x.ndim == 4 and x.transpose(0, 2, 3, 1).flags.carray
    seen = x.transpose(0, 2, 3, 1) if last else plain(x, np.float32)
    y = buffers.empty(seen.shape, np.int8)
    missing = np.zeros(threads.num_threads(), np.int64)
    source, result = seen.reshape(-1), y.reshape(-1)

    def some(start: int, stop: int, worker: int) -> None:
        missing[worker] = _quantize_part(result[start:stop], source[start:stop], scale, zero, low, high)

    threads.run(some, x.size, GRAIN)
    if missing.any():
        raise ValueError("quantize: x holds NaN, which no integer stands for")
    return y.transpose(0, 3, 1, 2) if last else y


@njit
def _add(y: Array, a: Array, b: Array, ma: int, mb: int, start: int, bits: int, zero: int, low: int, high: int) -> None:
    for i in range(y.shape[0]):
        total = np.int32(np.int32(a[i]) * ma + np.int32(b[i]) * mb + start)
        y[i] = np.int8(min(max((total >> bits) + zero, low), high))


@njit
def _multiply(y: Array, a: Array, b: Array, zero_a: int, zero_b: int, constants: Constants) -> None:
    """Multiply each pixel of a by that of b, or by the one pixel that b has."""
    sums = np.empty(PART, np.int32)
    for n in range(a.shape[0]):
        for pixel in range(a.shape[1]):
            x, gate, to = a[n, pixel], b[n, pixel if b.shape[1] > 1 else 0], y[n, pixel]
            for start in range(0, a.shape[2], PART):
                size = min(PART, a.shape[2] - start)
                for c in range(size):
                    sums[c] = (np.int32(x[start + c]) - zero_a) * (np.int32(gate[start + c]) - zero_b)
                finish(sums, 0, to, start, size, 0, constants)


@njit
def _lookup(y: Array, x: Array, table: Array) -> None:
    for i in range(x.shape[0]):
        y[i] = table[np.uint8(x[i]) ^ np.uint8(128)]


@njit
def _quantize_part(y: Array, x: Array, scale: np.float32, zero: int, low: int, high: int) -> int:
    return _quantize(y, x, scale, zero, low, high)


@exact
def _quantize(y: Array, x: Array, scale: np.float32, zero: int, low: int, high: int) -> int:
    """Quantize, and count the NaN."""
    missing = 0
    least, most = np.float32(low - zero), np.float32(high - zero)
    for i in range(x.shape[0]):
        steps = np.rint(x[i] / scale)
        missing += steps != steps
        y[i] = np.int8(np.int32(min(max(steps, least), most)) + np.int32(zero))
    return missing
