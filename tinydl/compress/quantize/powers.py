"""Non-uniform quantization to powers of two: multiplying becomes shifting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydl.options import whole
from tinydl.shapes import Array


@dataclass(frozen=True)
class PowersOfTwo:
    """Numbers 0 and ±2ᵉ, for the exponents low … high: 2 · (high − low + 1) + 1 of them.

    Steps are fine near 0, where most weights are, and coarse at the ends: a number is rounded by at most a third of
    itself. Code 0 stands for 0, code ±(e − low + 1) for ±2ᵉ.

    Attributes:
        bits: 2 to 8; there are 2ᵇ⁻¹ − 1 exponents.
        high: the largest exponent.

    Raises: TypeError or ValueError for bits out of range and an exponent that is no integer or beyond float32.

    Source: Zhou et al. 2017, Incremental network quantization, arXiv:1702.03044, section 3.1, equations 3 and 4.

    >>> p = PowersOfTwo.of(np.array([0.9, -0.3, 0.02]), bits=3)
    >>> p.high, p.quantize(np.array([0.9, -0.3, 0.02]))
    (0, array([ 3, -1,  0], dtype=int8))
    >>> p.dequantize(np.array([3, -1, 0], np.int8))
    array([ 1.  , -0.25,  0.  ], dtype=float32)
    """

    bits: int
    high: int

    def __post_init__(self) -> None:
        if whole(self.bits, "bits", 2) > 8:
            raise ValueError(f"bits must be in [2, 8], got {self.bits}")
        if whole(self.high, "high", -126) > 127:
            raise ValueError(f"high must be in [-126, 127], got {self.high}")

    @property
    def low(self) -> int:
        """The smallest exponent."""
        return self.high - (1 << self.bits - 1) + 2

    @classmethod
    def of(cls, x: Any, bits: int) -> PowersOfTwo:
        """Return the powers for an array: the largest is ⌊log₂(4/3 · max |x|)⌋, to which max |x| is nearest.

        An array of zeros gets the largest exponent 0. Raises: ValueError for no numbers, infinities or NaN.
        """
        array = np.asarray(x, np.float64)
        if array.size == 0 or not np.isfinite(array).all():
            raise ValueError(f"x must hold numbers, all of them finite, got shape {array.shape}")
        peak = float(np.abs(array).max())
        return cls(bits, int(np.clip(np.floor(np.log2(4 / 3 * peak)), -126, 127)) if peak else 0)

    def quantize(self, x: Any) -> Array:
        """Return the codes (int8) of the nearest powers; the border between 2ᵉ and 2ᵉ⁺¹ is at 1.5 · 2ᵉ.

        What is nearer to 0 than to the smallest power becomes 0; what is beyond the largest becomes the largest.

        Raises: ValueError for NaN.
        """
        array = np.asarray(x, np.float64)
        if np.isnan(array).any():
            raise ValueError("quantize: x holds NaN, which no power stands for")
        magnitude = np.abs(array)
        smallest = 2.0**self.low
        exponent = np.floor(np.log2(4 / 3 * np.maximum(magnitude, smallest / 2)))
        code = np.clip(exponent, self.low, self.high) - self.low + 1
        return np.asarray(np.where(magnitude < smallest / 2, 0, np.sign(array) * code), np.int8)

    def dequantize(self, q: Any) -> Array:
        """Return the numbers (float32) that codes stand for."""
        codes = np.asarray(q).astype(np.int64)
        exponents = np.abs(codes) - 1 + self.low
        return np.where(codes == 0, 0.0, np.sign(codes) * 2.0**exponents).astype(np.float32)
