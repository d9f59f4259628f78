"""Uniform quantization: which integers there are, and how real numbers are read off them.

    real = scale · (q − zero_point),  q an integer in [low, high]

A `Scheme` says which integers (bits, symmetric or not, one scale or one a channel); a `Quantizer` is a scheme with its
scales and zero points, made from the range of the numbers it is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tinydl import ops
from tinydl.options import whole
from tinydl.shapes import Array, normalize_dim

TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Scheme:
    """Which integers stand for real numbers.

    Attributes:
        bits: 2 to 8; whatever it is, integers are kept in int8 arrays.
        symmetric: zero point 0 and as many steps below 0 as above: [−(2ᵇ⁻¹ − 1), 2ᵇ⁻¹ − 1]. Otherwise all 2ᵇ integers
            from −2ᵇ⁻¹ on are used, and the zero point is where the range wants it.
        axis: None for one scale a tensor, or the axis along which each index has its own.

    Raises: TypeError or ValueError for bits or axis that are no such integers.

    Source: Jacob et al. 2018, arXiv:1712.05877, section 2.1; the integers and ranges are TensorFlow Lite's, see its
    8-bit quantization specification.

    >>> Scheme(8).low, Scheme(8, symmetric=True).low, Scheme(4, symmetric=True).high
    (-128, -127, 7)
    """

    bits: int = 8
    symmetric: bool = False
    axis: int | None = None

    def __post_init__(self) -> None:
        if whole(self.bits, "bits", 2) > 8:
            raise ValueError(f"bits must be in [2, 8], got {self.bits}")
        if self.axis is not None and (isinstance(self.axis, bool) or not isinstance(self.axis, int)):
            raise TypeError(f"axis must be an integer or None, got {self.axis!r}")

    @property
    def low(self) -> int:
        """The smallest integer."""
        return -self.high if self.symmetric else -(1 << self.bits - 1)

    @property
    def high(self) -> int:
        """The largest integer."""
        return (1 << self.bits - 1) - 1

    def others(self, ndim: int) -> tuple[int, ...]:
        """Return the axes that share a scale, of an array with `ndim` of them."""
        if self.axis is None:
            return tuple(range(ndim))
        kept = normalize_dim(self.axis, ndim, "Scheme")
        return tuple(i for i in range(ndim) if i != kept)

    def covering(self, minimum: Any, maximum: Any) -> Quantizer:
        """Return the Quantizer whose integers span [minimum, maximum], widened to contain 0.

        symmetric: scale = max(|minimum|, |maximum|) / high, zero_point = 0
        otherwise: scale = (maximum − minimum) / (2ᵇ − 1), zero_point = round(low − minimum / scale), clamped

        So 0 is always exact, which padding and ReLU need. A range of zeros (or one too small for float32) gets scale 1.

        Args:
            minimum: a number, or an array (channels,) with an axis.
            maximum: the same, nowhere below `minimum`.

        Raises: ValueError for a range that is upside down, infinite or NaN.
        """
        a, b = np.asarray(minimum, np.float64), np.asarray(maximum, np.float64)
        if not (np.isfinite(a).all() and np.isfinite(b).all() and (a <= b).all()):
            raise ValueError(f"a range must be finite, with minimum ≤ maximum, got minimum {a} and maximum {b}")
        a, b = np.minimum(a, 0), np.maximum(b, 0)
        scale = np.maximum(-a, b) / self.high if self.symmetric else (b - a) / (self.high - self.low)
        scale = np.where(scale < TINY, 1.0, scale)
        zero_point = 0 * scale if self.symmetric else np.clip(np.rint(self.low - a / scale), self.low, self.high)
        return Quantizer(self, scale.astype(np.float32), zero_point.astype(np.int32))

    def of(self, x: Any) -> Quantizer:
        """Return the Quantizer that spans all numbers of an array, channel by channel where there is an axis.

        Raises: ValueError when there are none, or when one is infinite or NaN.

        >>> Scheme(8, symmetric=True, axis=0).of(np.array([[1.27, -0.5], [0.0, 0.0]])).scale
        array([0.01, 1.  ], dtype=float32)
        """
        array = np.asarray(x)
        if array.size == 0:
            raise ValueError(f"an array without numbers has no range, got shape {array.shape}")
        others = self.others(array.ndim)
        return self.covering(array.min(axis=others), array.max(axis=others))


ACTIVATIONS = Scheme(8)
"""Eight bits, affine, one scale a tensor."""

WEIGHTS = Scheme(8, symmetric=True, axis=0)
"""Eight bits, symmetric, one scale an output channel."""


@dataclass(frozen=True, eq=False)
class Quantizer:
    """A scheme with its scales and zero points: turns real numbers into integers and back.

    Attributes:
        scheme: bits, symmetry, axis.
        scale: float32, () or (channels,): the real distance of two integers.
        zero_point: int32, the same shape: the integer that stands for 0.

    Raises: ValueError when a scale is 0, negative, infinite or NaN, a zero point no integer of the scheme (or not 0 in
        a symmetric one), or a shape not what the scheme's axis asks for.

    >>> q = Scheme(8).covering(-1.0, 4.1)
    >>> q.scale, q.zero_point
    (array(0.02, dtype=float32), array(-78, dtype=int32))
    >>> q.quantize(np.array([-1.0, 0.0, 0.055, 9.0]))
    array([-128,  -78,  -75,  127], dtype=int8)
    >>> q.dequantize(q.quantize(np.array([0.055])))
    array([0.06], dtype=float32)
    """

    scheme: Scheme
    scale: Array
    zero_point: Array

    def __post_init__(self) -> None:
        scale, zero_point = np.asarray(self.scale, np.float32), np.asarray(self.zero_point)
        low, high = (0, 0) if self.scheme.symmetric else (self.scheme.low, self.scheme.high)
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError(f"scale must be positive and finite, got {self.scale}")
        if zero_point.dtype.kind not in "iu" or not ((zero_point >= low) & (zero_point <= high)).all():
            raise ValueError(f"zero_point must be integers in [{low}, {high}], got {self.zero_point}")
        if scale.shape != zero_point.shape or scale.ndim != (self.scheme.axis is not None):
            raise ValueError(
                f"scale and zero_point must both have {int(self.scheme.axis is not None)} axes and as many numbers, "
                f"got shapes {scale.shape} and {zero_point.shape}"
            )
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "zero_point", zero_point.astype(np.int32))

    @classmethod
    def fixed(cls, scale: float, zero_point: int) -> Self:
        """Return an 8-bit Quantizer with one given scale, for values whose range is known without looking."""
        return cls(ACTIVATIONS, np.float32(scale), np.int32(zero_point))  # type: ignore[arg-type]

    @property
    def real_range(self) -> tuple[Array, Array]:
        """The real numbers that the smallest and the largest integer stand for."""
        ends = (self.scheme.low, self.scheme.high)
        low, high = ((np.float32(end) - self.zero_point.astype(np.float32)) * self.scale for end in ends)
        return low, high

    def quantize(self, x: Any) -> Array:
        """Return q = clamp(round(x / scale) + zero_point, low, high) as int8, ties rounded to even.

        Raises: ValueError for NaN, which no integer stands for, and for an axis with another length than the scales.
        """
        array = np.asarray(x)
        scale, zero_point = self._along(array)
        steps = np.rint(array / scale) + zero_point
        if np.isnan(steps).any():
            raise ValueError("quantize: x holds NaN, which no integer stands for")
        return np.asarray(np.clip(steps, self.scheme.low, self.scheme.high), np.int8)

    def dequantize(self, q: Any) -> Array:
        """Return scale · (q − zero_point) as float32, exact up to the rounding of one product."""
        array = np.asarray(q)
        scale, zero_point = self._along(array)
        return np.asarray((array.astype(np.float32) - zero_point) * scale, np.float32)

    def fake(self, x: Any) -> Any:
        """Return x as its integers give it back, with straight-through gradients; see `ops.fake_quantize`."""
        scale, zero_point = self._along(x)
        return ops.fake_quantize(x, scale, zero_point, self.scheme.low, self.scheme.high)

    def _along(self, x: Any) -> tuple[Array, Array]:
        """Return scale and zero point (float32) in a shape that broadcasts to x."""
        if self.scheme.axis is None:
            return self.scale, self.zero_point.astype(np.float32)
        shape = [1] * x.ndim
        axis = normalize_dim(self.scheme.axis, x.ndim, "Quantizer")
        if x.shape[axis] != self.scale.size:
            raise ValueError(f"Quantizer: axis {axis} of x {tuple(x.shape)} must be {self.scale.size}, the scales")
        shape[axis] = -1
        return self.scale.reshape(shape), self.zero_point.astype(np.float32).reshape(shape)


FIXED = {
    "softmax": Quantizer.fixed(1 / 256, -128),
    "sigmoid": Quantizer.fixed(1 / 256, -128),
    "tanh": Quantizer.fixed(1 / 128, 0),
    "log_softmax": Quantizer.fixed(16 / 256, 127),
}
"""The outputs that every network quantizes alike, by op.

Source: TensorFlow Lite, 8-bit quantization specification (SOFTMAX, LOGISTIC, TANH, LOG_SOFTMAX).
"""
