"""Ranges of weights, which can be looked at whole: all of it, or the one with the least square error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinydl.compress.quantize.scheme import Quantizer, Scheme
from tinydl.shapes import Array

SHRINKS = np.linspace(0.2, 1.0, 65)
"""The parts of the whole range that `least_square` tries."""


def whole_range(scheme: Scheme, x: Array) -> Quantizer:
    """Return the Quantizer that spans all numbers: nothing is clamped, and outliers make all steps large."""
    return scheme.of(x)


def least_square(scheme: Scheme, x: Array) -> Quantizer:
    """Return the Quantizer with the least Σ (x − x̂)², channel by channel, among 65 parts of the whole range.

    The fewer bits, the more it is worth: with 8 nearly the whole range is best, with 3 about half of it.

    Source: Choukroun et al. 2019, arXiv:1902.06822, section 3; Banner, Nahshan & Soudry 2019, Post training 4-bit
    quantization of convolutional networks, arXiv:1810.05723, section 3, has the optimum for Gauss and Laplace.

    >>> x = np.append(np.linspace(-1, 1, 1001), 9.0)
    >>> q3 = Scheme(3, symmetric=True)
    >>> errors = [float(np.mean((x - q.fake(x)) ** 2)) for q in (whole_range(q3, x), least_square(q3, x))]
    >>> [round(error, 2) for error in errors]
    [0.33, 0.09]
    """
    others = scheme.others(x.ndim)
    low, high = x.min(axis=others), x.max(axis=others)
    candidates = [scheme.covering(low * part, high * part) for part in SHRINKS]
    errors = np.stack([((x - q.fake(x)) ** 2).sum(axis=others) for q in candidates])
    best = errors.argmin(axis=0)
    scale, zero_point = (np.stack([getattr(q, name) for q in candidates]) for name in ("scale", "zero_point"))
    if scheme.axis is None:
        return candidates[int(best)]
    channels = np.arange(best.size)
    return Quantizer(scheme, scale[best, channels], zero_point[best, channels])


RANGES: dict[str, Callable[[Scheme, Array], Quantizer]] = {"minmax": whole_range, "mse": least_square}
"""Ways to find a weight's range, by name."""
