"""Sums, products and functions of int8 numbers, each with its own scale and zero point."""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import numpy as np

from tinydl.kernels.integer import Addition, Requantizer
from tinydl.kernels.reference.requantize import requantize
from tinydl.shapes import Array

__all__ = ["int8_add", "int8_lookup", "int8_multiply", "int8_quantize"]


def int8_add(a: Array, b: Array, sum: Addition) -> Array:
    """Return the sum of two arrays of the same shape, each with its own scale, in a third scale.

    y = (ma·(a − zero_a) + mb·(b − zero_b) + 2^(bits−1)) >> bits, plus zero, clamped: one rounding, halves up.
    The multipliers have 21 bits, so int32 holds the sum.
    Source: XNNPACK, its kernels qs8-vadd.

    >>> doubled = Addition.between((1.0, 0), (1.0, 0), 0.5, zero=-100)
    >>> int8_add(np.array([1, 2], np.int8), np.array([10, 120], np.int8), doubled)
    array([-78, 127], dtype=int8)
    """
    (ma, zero_a), (mb, zero_b) = sum.a, sum.b
    total = (a.astype(np.int32) - zero_a) * np.int32(ma) + (b.astype(np.int32) - zero_b) * np.int32(mb)
    rounded = (total + np.int32(1 << (sum.bits - 1))) >> np.int32(sum.bits)
    return np.clip(rounded + sum.zero, sum.low, sum.high).astype(np.int8)


def int8_multiply(a: Array, zero_a: int, b: Array, zero_b: int, output: Requantizer) -> Array:
    """Return requantize((a − zero_a)·(b − zero_b)); b may broadcast over the places of an image, as a gate does.

    Shapes: a int8 (N, C, …), b int8 as a, or (N, C, 1, 1) -> int8 as a.

    >>> half = Requantizer.between(0.5, 1.0, zero=0)
    >>> int8_multiply(np.array([4, 8], np.int8), 0, np.array([1, 3], np.int8), 2, half)
    array([-2,  4], dtype=int8)
    """
    return requantize((a.astype(np.int32) - zero_a) * (b.astype(np.int32) - zero_b), output)


def int8_lookup(x: Array, table: Array) -> Array:
    """Return table[x + 128]: any function of one int8 number is a table of 256, exact and equally fast.

    Shapes: x int8, any; table int8 (256,) -> int8 as x.

    >>> int8_lookup(np.array([-128, 127], np.int8), np.arange(-128, 128).astype(np.int8)[::-1])
    array([ 127, -128], dtype=int8)
    """
    return table[x.astype(np.int16) + 128]


@np.errstate(over="ignore")
def int8_quantize(x: Array, scale: np.float32, zero: int, low: int, high: int) -> Array:
    """Return clamp(round(x / scale) + zero, low, high), halves to even; infinities are clamped.

    Shapes: x of floats, any -> int8 as x. Raises: ValueError for NaN, which no integer stands for.

    >>> int8_quantize(np.array([0.3, 0.25, 99.0]), np.float32(0.5), 10, -128, 127)
    array([ 11,  10, 127], dtype=int8)
    """
    steps = np.rint(x / scale)
    if np.isnan(steps).any():
        raise ValueError("quantize: x holds NaN, which no integer stands for")
    return np.clip(steps + zero, low, high).astype(np.int8)
