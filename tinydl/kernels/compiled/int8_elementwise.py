"""Sums, products and functions of int8 numbers, in whatever order the images lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled.jit import exact, njit
from tinydl.kernels.compiled.memory import GRAIN, flat, plain, share_out
from tinydl.kernels.compiled.requantize import Constants, constants_of, finish
from tinydl.kernels.integer import Addition, Requantizer
from tinydl.kernels.reference import int8_elementwise as reference
from tinydl.shapes import Array

__all__ = ["int8_add", "int8_lookup", "int8_multiply", "int8_quantize"]

PART = 2048
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
    constants = constants_of(output, PART)

    def some(y: Array, a: Array, b: Array) -> None:
        _multiply(y, a, b, buffers.scratch("products", (2, PART), np.int32), zero_a, zero_b, constants)

    share_out(some, (result, *rows))
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
    if last:
        return y.transpose(0, 3, 1, 2)
    return _channels_last(y) if y.ndim == 4 and y.shape[1] == 3 else y


def _channels_last(x: Array) -> Array:
    """Return images of three channels in the order that convolutions want: in a tenth of the time NumPy takes."""
    n, c, h, w = x.shape
    y = buffers.empty_nhwc(n, c, h, w, np.int8)
    share_out(_interleave, (x.reshape(n, c, h * w), y.transpose(0, 2, 3, 1).reshape(n, h * w * c)))
    return y


@njit
def _interleave(x: Array, y: Array) -> None:
    for n in range(x.shape[0]):
        red, green, blue, pixels = x[n, 0], x[n, 1], x[n, 2], y[n]
        for i in range(red.shape[0]):
            pixels[3 * i] = red[i]
            pixels[3 * i + 1] = green[i]
            pixels[3 * i + 2] = blue[i]


@njit
def _add(y: Array, a: Array, b: Array, ma: int, mb: int, start: int, bits: int, zero: int, low: int, high: int) -> None:
    for i in range(y.shape[0]):
        total = np.int32(np.int32(a[i]) * ma + np.int32(b[i]) * mb + start)
        value: Any = (total >> bits) + zero
        y[i] = np.int8(min(max(value, low), high))


@njit
def _multiply(y: Array, a: Array, b: Array, space: Array, zero_a: int, zero_b: int, constants: Constants) -> None:
    """Multiply each pixel of a by that of b, or by the one pixel that b has; `space` is worked in.

    That one is repeated: loops over a few channels at a time would take four times as long.
    """
    sums, gates = space
    channels, za = b.shape[2], np.int32(zero_a)
    repeated = b.shape[1] == 1 and channels <= PART
    length = PART // channels * channels if repeated else PART
    for n in range(a.shape[0]):
        if repeated:
            for c in range(length):
                gates[c] = np.int32(b[n, 0, c % channels]) - zero_b
        x, gate, to, size = a[n].reshape(-1), b[n].reshape(-1), y[n].reshape(-1), a.shape[1] * a.shape[2]
        for start in range(0, size, length):
            many = min(length, size - start)
            if not repeated:
                for c in range(many):
                    gates[c] = np.int32(gate[(start + c) % gate.shape[0]]) - zero_b
            some = x[start : start + many]
            for c in range(many):
                sums[c] = np.int32(np.int32(some[c]) - za) * gates[c]
            finish(sums, 0, to, start, many, 0, constants)


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
    missing = np.int32(0)
    least, most = np.float32(low - zero), np.float32(high - zero)
    for i in range(x.shape[0]):
        steps = np.rint(x[i] / scale)
        missing += np.int32(steps != steps)
        y[i] = np.int8(np.int32(min(max(steps, least), most)) + np.int32(zero))
    return int(missing)
