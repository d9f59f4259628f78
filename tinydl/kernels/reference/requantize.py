"""From int32 sums to int8 numbers, rounded in one of four ways.

The ways differ only in how they round: "single" and "double" by at most one unit, at a rate of about 2^−(r+1) for a
right shift by r bits.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import numpy as np

from tinydl.kernels.integer import LARGEST, Requantizer
from tinydl.shapes import Array

__all__ = ["requantize"]


def requantize(sums: Array, output: Requantizer) -> Array:
    """Return round(sums · factor) + zero, clamped to low…high, for int32 sums against which the factors broadcast.

    >>> requantize(np.array([-100, 99, 250], np.int32), Requantizer.between(0.01, 1.0, zero=10))
    array([ 9, 11, 13], dtype=int8)
    """
    rounded = _ROUND[output.rounding](sums, output)
    return np.clip(rounded + output.zero, output.low, output.high).astype(np.int8)


def _single(sums: Array, output: Requantizer) -> Array:
    """Round once, halves up: (sum · m + 2^(30 − shift)) >> (31 − shift), in int64.

    Source: TensorFlow Lite's kernels built with TFLITE_SINGLE_ROUNDING.
    """
    bits = 31 - output.shift.astype(np.int64)
    return (sums.astype(np.int64) * output.multiplier + (np.int64(1) << (bits - 1))) >> bits


def _double(sums: Array, output: Requantizer) -> Array:
    """Round twice: to the high half of the doubled product, halves away from 0 … and up; then by the rest of the shift.

    A sum that is shifted to the left first saturates at the bounds of int32.
    Source: gemmlowp, SaturatingRoundingDoublingHighMul and RoundingDivideByPOT.
    """
    left, right = np.maximum(output.shift, 0).astype(np.int64), np.maximum(-output.shift, 0).astype(np.int64)
    product = np.clip(sums.astype(np.int64) << left, -LARGEST - 1, LARGEST) * output.multiplier
    nudged = product + np.where(product >= 0, 2**30, 1 - 2**30)
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))  # a division that truncates, as in C
    mask = (np.int64(1) << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


def _float32(sums: Array, output: Requantizer) -> Array:
    """Round the float32 product, halves to even.

    Source: XNNPACK, its requantization of the kind "fp32".
    """
    return _to_integers(sums.astype(np.float32) * output.multiplier)


def _qdq(sums: Array, output: Requantizer) -> Array:
    """Make float32 numbers of the sums and quantize these: divide by the scale, round halves to even.

    Source: ONNX, DequantizeLinear and QuantizeLinear.
    """
    return _to_integers(sums.astype(np.float32) * output.multiplier / output.scale)


def _to_integers(real: Array) -> Array:
    """Round to even; what lies far outside of int8 is cut off before, so that it fits int32."""
    return np.rint(np.clip(real, -512, 512)).astype(np.int32)


_ROUND = {"single": _single, "double": _double, "float32": _float32, "qdq": _qdq}
