"""What the integer kernels are given beside images: filters of int8 numbers, and the way back from int32 sums to int8.

A real number is scale · (q − zero), with q an int8 number. A sum of products of them is an int32 number of scale
s_in · s_w; to make an int8 number of scale s_out of it takes the factor s_in · s_w / s_out, and a rounding. Four
ways of rounding are alive, and two of them differ by one unit now and then: so the way is part of a network.

Source: Jacob et al. 2018, arXiv:1712.05877, sections 2.2 and 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from tinydl.shapes import Array

__all__ = ["MAX_TERMS", "ROUNDINGS", "Addition", "Filter", "Requantizer", "multiplier_of"]

ROUNDINGS = ("single", "double", "float32", "qdq")
"""The four roundings; `reference/requantize.py` has a function for each."""

LARGEST = 2**31 - 1

MAX_TERMS = LARGEST // (127 * 255)
"""How many products of a weight (at most 127) and x − zero (at most 255) an int32 number surely holds: 66,311."""


def multiplier_of(factor: ArrayLike) -> tuple[Array, Array]:
    """Return int32 mantissas and shifts with factor ≈ mantissa · 2^(shift − 31), 2³⁰ ≤ mantissa < 2³¹.

    A factor below 2⁻³² is 0, with mantissa and shift 0.
    Raises: ValueError for a factor that is not above 0, or is 2³⁰ or more.

    >>> multiplier_of([0.5, 0.003])
    (array([1073741824, 1649267442], dtype=int32), array([ 0, -8], dtype=int32))
    """
    real = np.asarray(factor, np.float64)
    if not np.all((real > 0) & (real < 2.0**30)):
        raise ValueError(f"multiplier_of: factor must be above 0 and below 2**30, got {factor!r}")
    fraction, shift = np.frexp(real)
    mantissa = np.rint(fraction * 2.0**31).astype(np.int64)
    over = mantissa == 2**31  # a fraction just below 1
    mantissa, shift = np.where(over, 2**30, mantissa), shift + over
    tiny = shift < -31
    return np.where(tiny, 0, mantissa).astype(np.int32), np.where(tiny, 0, shift).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Requantizer:
    """How int32 sums become int8 numbers: round(sum · factor) + zero, clamped to low…high.

    `multiplier` and `shift` have one entry for all channels, or one for each, as an array that broadcasts against the
    sums. In the roundings "single" and "double" the factor is multiplier · 2^(shift − 31); in "float32" it is the
    float32 multiplier; in "qdq" the sum is multiplied by it and divided by the float32 number `scale`.

    An activation that clamps, as ReLU does, is nothing but `low` and `high`.
    Raises: ValueError for an unknown rounding, or bounds that are no int8 numbers in order.
    """

    rounding: str
    multiplier: Array
    shift: Array
    scale: np.float32
    zero: int
    low: int = -128
    high: int = 127

    def __post_init__(self) -> None:
        if self.rounding not in ROUNDINGS:
            raise ValueError(f"Requantizer: rounding must be one of {', '.join(ROUNDINGS)}, got {self.rounding!r}")
        if not -128 <= self.low <= self.high <= 127:
            raise ValueError(f"Requantizer: want -128 <= low <= high <= 127, got {self.low} and {self.high}")
        if not -128 <= self.zero <= 127:
            raise ValueError(f"Requantizer: zero must be an int8 number, got {self.zero}")

    @classmethod
    def between(
        cls, source: ArrayLike, scale: float, zero: int, *, rounding: str = "single", low: int = -128, high: int = 127
    ) -> Requantizer:
        """Return the requantizer of sums whose scale is `source` to numbers of the given scale and zero point.

        Raises: ValueError for a scale that is 0, negative, NaN or infinite.

        >>> Requantizer.between(0.002, 0.5, 3).multiplier
        array(1099511628, dtype=int32)
        """
        real = np.asarray(source, np.float64)
        if not (np.all(np.isfinite(real) & (real > 0)) and np.isfinite(scale) and scale > 0):
            raise ValueError(f"Requantizer: scales must be finite and above 0, got {source!r} and {scale!r}")
        unit = np.float32(1)
        none = np.zeros(real.shape, np.int32)
        if rounding == "qdq":
            return cls(rounding, real.astype(np.float32), none, np.float32(scale), zero, low, high)
        if rounding == "float32":
            return cls(rounding, (real / scale).astype(np.float32), none, unit, zero, low, high)
        return cls(rounding, *multiplier_of(real / scale), unit, zero, low, high)


@dataclass(frozen=True, eq=False)
class Filter:
    """The numbers of an integer convolution or linear layer.

    `weight` is int8 (O, C/groups, kh, kw) or (O, I), from −127 to 127; `bias` is int32 (O,), of scale s_in · s_w[o].
    `zero` is the zero point of the images that it sees. `start` is the bias with the zero point worked into it:

    Σ w·(x − zero) + bias = Σ w·x + start,  start[o] = bias[o] − zero · Σ w[o]

    Raises: TypeError for other dtypes; ValueError when shapes disagree, a weight is −128, or a sum may leave int32.
    """

    weight: Array
    bias: Array
    zero: int
    output: Requantizer
    start: Array = field(init=False)

    def __post_init__(self) -> None:
        if self.weight.dtype != np.int8 or self.bias.dtype != np.int32:
            raise TypeError(f"Filter: want int8 weight and int32 bias, got {self.weight.dtype} and {self.bias.dtype}")
        if self.bias.shape != self.weight.shape[:1] or self.output.multiplier.size not in (1, len(self.bias)):
            raise ValueError(
                f"Filter: weight {self.weight.shape} needs a bias and multipliers for {len(self.weight)} channels, "
                f"got {self.bias.shape} and {self.output.multiplier.shape}"
            )
        rows = self.weight.reshape(len(self.weight), -1).astype(np.int64)
        if self.weight.size and rows.min() < -127:
            raise ValueError("Filter: weight must lie in -127…127, got -128")
        largest = np.abs(rows).sum(1) * 255 + np.abs(self.bias.astype(np.int64))
        if rows.shape[1] > MAX_TERMS or np.any(largest > LARGEST):
            raise ValueError(
                f"Filter: sums of {rows.shape[1]} terms may reach {largest.max(initial=0)}; at most {MAX_TERMS} terms "
                f"and {LARGEST} are safe in int32"
            )
        object.__setattr__(self, "start", (self.bias - self.zero * rows.sum(1)).astype(np.int32))


@dataclass(frozen=True, eq=False)
class Addition:
    """How two int8 numbers of different scales are added: multipliers and zero points of both, and a right shift."""

    a: tuple[int, int]
    b: tuple[int, int]
    bits: int
    zero: int
    low: int = -128
    high: int = 127

    @classmethod
    def between(
        cls, a: tuple[float, int], b: tuple[float, int], scale: float, zero: int, low: int = -128, high: int = 127
    ) -> Addition:
        """Return the sum of numbers with the (scale, zero point) `a` and `b`, in the given scale and zero point.

        The larger multiplier gets 21 bits. Raises: ValueError for scales that are not finite and above 0, or that are
        2²⁰ or more times `scale`, or so small that a unit of the result cannot be reached.
        """
        scales = np.array([a[0], b[0], scale], np.float64)
        if not np.all(np.isfinite(scales) & (scales > 0)):
            raise ValueError(f"Addition: scales must be finite and above 0, got {a[0]}, {b[0]} and {scale}")
        factors = scales[:2] / scale
        bits = 21 - int(np.frexp(factors.max())[1])
        if not 1 <= bits <= 30:
            raise ValueError(f"Addition: scales {a[0]} and {b[0]} are too far from {scale}, that of the sum")
        ma, mb = (int(m) for m in np.rint(factors * 2.0**bits))
        return cls((ma, a[1]), (mb, b[1]), bits, zero, low, high)
