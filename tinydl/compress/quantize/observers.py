"""Observers: they watch numbers go by, batch after batch, and say at the end which range the integers should span.

The whole range loses nothing to clamping and may waste most integers on a few outliers; a narrower one clamps those and
is finer for all others. `MinMax` and `MovingAverage` look at extremes; the others keep a histogram and weigh the two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from tinydl.compress.quantize.histogram import Histogram
from tinydl.compress.quantize.scheme import ACTIVATIONS, Quantizer, Scheme
from tinydl.methods import plain
from tinydl.options import number, whole
from tinydl.shapes import Array


class Observer(ABC):
    """Sees arrays, then makes the Quantizer that fits them.

    Args:
        scheme: what the Quantizer is to be like.
    """

    def __init__(self, scheme: Scheme = ACTIVATIONS) -> None:
        self.scheme = scheme
        self.batches = 0

    def observe(self, x: Any) -> None:
        """Look at one batch, a Tensor or an array. One without numbers is passed over.

        Raises: ValueError when a number is infinite or NaN.
        """
        array = np.asarray(plain(x))
        if array.size == 0:
            return
        if not np.isfinite(array).all():
            raise ValueError(f"observe: batch {self.batches} of shape {array.shape} holds infinities or NaN")
        self._see(array)
        self.batches += 1

    def quantizer(self) -> Quantizer:
        """Return the Quantizer for what was seen. Raises: ValueError when that was nothing."""
        if self.batches == 0:
            raise ValueError(f"{type(self).__name__} has seen no numbers: calibration needs at least one batch")
        return self._decide()

    @abstractmethod
    def _see(self, x: Array) -> None:
        """Take a batch of finite numbers into account."""

    @abstractmethod
    def _decide(self) -> Quantizer:
        """Return the Quantizer; at least one batch has been seen."""


class MinMax(Observer):
    """The range from the smallest to the largest number seen: nothing is clamped.

    >>> seen = MinMax()
    >>> for batch in ([0.0, 1.0], [-0.5, 2.0]):
    ...     seen.observe(np.array(batch))
    >>> seen.minimum, seen.maximum
    (array(-0.5), array(2.))
    """

    minimum: Array
    maximum: Array

    def _see(self, x: Array) -> None:
        low, high = self._extremes(x)
        if self.batches:
            low, high = np.minimum(low, self.minimum), np.maximum(high, self.maximum)
        self.minimum, self.maximum = np.asarray(low), np.asarray(high)

    def _extremes(self, x: Array) -> tuple[Array, Array]:
        others = self.scheme.others(x.ndim)
        return x.min(axis=others), x.max(axis=others)

    def _decide(self) -> Quantizer:
        return self.scheme.covering(self.minimum, self.maximum)


class MovingAverage(MinMax):
    """The moving average of each batch's smallest and largest number: a single outlier moves it little.

    minimum ← decay · minimum + (1 − decay) · min(x), likewise the maximum; the first batch is taken as it is

    Args:
        scheme: what the Quantizer is to be like.
        decay: in [0, 1).

    Source: Jacob et al. 2018, arXiv:1712.05877, section 3.1; the default decay is PyTorch's.
    """

    def __init__(self, scheme: Scheme = ACTIVATIONS, decay: float = 0.99) -> None:
        super().__init__(scheme)
        self.decay = number(decay, "decay", "[0, 1)")

    def _see(self, x: Array) -> None:
        low, high = self._extremes(x)
        if self.batches:
            low = self.decay * self.minimum + (1 - self.decay) * low
            high = self.decay * self.maximum + (1 - self.decay) * high
        self.minimum, self.maximum = np.asarray(low), np.asarray(high)


class _Histogrammed(Observer):
    """Observers that decide by a histogram; they know one scale a tensor."""

    def __init__(self, scheme: Scheme = ACTIVATIONS, bins: int = 2048) -> None:
        super().__init__(scheme)
        if scheme.axis is not None:
            raise ValueError(
                f"{type(self).__name__} keeps one histogram a tensor: scheme.axis must be None, got {scheme}"
            )
        self.histogram = Histogram(whole(bins, "bins", 2))

    def _see(self, x: Array) -> None:
        self.histogram.add(x)


class Percentile(_Histogrammed):
    """The range that holds `percent` per cent of the magnitudes |x|; the largest ones are clamped.

    Args:
        scheme: what the Quantizer is to be like.
        percent: in (0, 100].
        bins: of the histogram, on each side of 0; the percentile is a bin's outer edge.

    Source: Wu et al. 2020, Integer quantization for deep learning inference, arXiv:2004.09602, section 5.1.

    >>> seen = Percentile(percent=99)
    >>> seen.observe(np.linspace(0, 1, 1001) ** 200)
    >>> round(float(seen.quantizer().real_range[1]), 1)
    0.1
    """

    def __init__(self, scheme: Scheme = ACTIVATIONS, percent: float = 99.99, bins: int = 2048) -> None:
        super().__init__(scheme, bins)
        self.percent = number(percent, "percent", "(0, 100]")

    def _decide(self) -> Quantizer:
        so_far = self.histogram.zeros + np.cumsum(self.histogram.magnitudes())
        reach = int(np.argmax(so_far >= self.percent / 100 * so_far[-1])) + 1
        return self.scheme.covering(*self.histogram.within(reach))


class _Searching(_Histogrammed):
    """Observers that try ranges, from a narrow one to all that was seen, and keep the one that costs least.

    Args:
        scheme: what the Quantizer is to be like.
        bins: of the histogram, on each side of 0.
        tries: how many ranges.
    """

    def __init__(self, scheme: Scheme = ACTIVATIONS, bins: int = 2048, tries: int = 128) -> None:
        super().__init__(scheme, bins)
        self.tries = whole(tries, "tries", 1)

    def _decide(self) -> Quantizer:
        if not self.histogram.counts.any():
            return self.scheme.covering(0.0, 0.0)
        steps = self.scheme.high - self.scheme.low + 1
        filled = self.histogram.filled
        # fewer bins than integers would cost nothing at all: each bin had an integer of its own
        edges = np.unique(np.linspace(min(steps, filled), filled, self.tries).astype(int))
        candidates = [self.scheme.covering(*self.histogram.within(int(edge))) for edge in edges]
        costs = [self._cost(quantizer) for quantizer in candidates]
        return candidates[int(np.argmin(costs))]

    @abstractmethod
    def _cost(self, quantizer: Quantizer) -> float:
        """Return what the histogram loses to a Quantizer."""


class MeanSquare(_Searching):
    """The range with the least mean square error, as far as the histogram knows.

    cost = Σ_b count_b · (x_b − x̂_b)², x_b the middle of bin b and x̂_b what its integer gives back

    Source: Choukroun et al. 2019, Low-bit quantization of neural networks for efficient inference, arXiv:1902.06822,
    section 3; Wu et al. 2020, arXiv:2004.09602, compares observers.
    """

    def _cost(self, quantizer: Quantizer) -> float:
        middles = self.histogram.middles
        return float(self.histogram.counts @ (middles - quantizer.fake(middles)) ** 2)


class Entropy(_Searching):
    """The range whose integers tell most: the least relative entropy (KL divergence) of what was seen to what is left.

    cost = Σ_b P_b ln(P_b / Q_b)

    P is the histogram with everything outside the range moved into its outermost bins. Q gives each integer the count
    of its bins inside the range, spread evenly over those of them that are not empty. A bin that P fills and Q does not
    counts as one ten-thousandth.

    It trusts the histogram to be smooth: of a few distinct values, such as pixels, it clamps more than is good.

    Source: Migacz 2017, 8-bit inference with TensorRT, GTC, slides 20 to 38, there for |x| and 128 integers.
    """

    def _cost(self, quantizer: Quantizer) -> float:
        counts, middles = self.histogram.counts, self.histogram.middles
        low, high = quantizer.real_range
        inside = (middles >= low - quantizer.scale / 2) & (middles <= high + quantizer.scale / 2)
        first, last = np.flatnonzero(inside)[[0, -1]]
        seen = counts[inside].copy()
        levels = quantizer.quantize(middles[inside]).astype(int) - self.scheme.low
        total, kinds = (np.bincount(levels, weights) for weights in (seen, seen > 0))
        spread = np.divide(total, kinds, out=np.zeros_like(total), where=kinds > 0)[levels] * (seen > 0)
        seen[0] += counts[:first].sum()
        seen[-1] += counts[last + 1 :].sum()
        filled = seen > 0
        p, q = seen[filled] / seen.sum(), np.maximum(spread[filled] / max(spread.sum(), 1.0), 1e-4 / seen.sum())
        return float(np.sum(p * np.log(p / q)))


OBSERVERS: dict[str, type[Observer]] = {
    "minmax": MinMax,
    "average": MovingAverage,
    "percentile": Percentile,
    "mse": MeanSquare,
    "entropy": Entropy,
}
"""Observers by name."""
