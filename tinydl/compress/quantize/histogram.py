"""A histogram that grows: its bins double in width when a number lies outside, so a stream needs no second look."""

from __future__ import annotations

import numpy as np

from tinydl.compress.quantize.scheme import TINY
from tinydl.shapes import Array


class Histogram:
    """Counts of numbers in bins of one width, equally many on both sides of 0; zeros are counted for themselves.

    Bin b, for b = −bins … bins − 1, holds [b · width, (b + 1) · width). When a number lies outside, neighbouring bins
    are added up and `width` doubles, until all fit: so the largest magnitude reaches beyond half of the bins of a side.

    Zeros would make a spike in bin 0 (half of what a ReLU gives is 0) that is no trouble to any integers: they all have
    an exact 0.

    Args:
        bins: on each side of 0, an even number.

    Attributes:
        width: of a bin.
        counts: of bin −bins … bins − 1, without zeros.
        zeros: how many numbers were 0.
        low, high: the smallest and the largest number, and 0.

    Raises: ValueError for an odd number of bins.

    >>> h = Histogram(4)
    >>> h.add(np.array([0.0, 0.5, 1.0, -3.0]))
    >>> h.width, h.counts.tolist(), h.zeros
    (1.0, [0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0], 1)
    """

    def __init__(self, bins: int) -> None:
        if bins < 2 or bins % 2:
            raise ValueError(f"bins must be an even number of at least 2, got {bins}")
        self.bins = bins
        self.width = TINY  # a power of two, so that widths stay exact
        self.counts = np.zeros(2 * bins)
        self.zeros = 0
        self.low = self.high = 0.0

    @property
    def middles(self) -> Array:
        """The middle of each bin."""
        return (np.arange(-self.bins, self.bins) + 0.5) * self.width

    @property
    def filled(self) -> int:
        """How many bins of a side the magnitudes that were counted reach into."""
        return int(np.max(np.flatnonzero(self.magnitudes()), initial=0)) + 1

    def add(self, x: Array) -> None:
        """Count the numbers of an array, all of them finite."""
        numbers = np.asarray(x, np.float64)[x != 0]
        self.zeros += x.size - numbers.size
        self.low = float(numbers.min(initial=self.low))
        self.high = float(numbers.max(initial=self.high))
        while max(-self.low, self.high) >= self.bins * self.width:
            self._widen()
        places = np.floor(numbers / self.width).astype(np.int64) + self.bins
        self.counts += np.bincount(places, minlength=2 * self.bins)

    def _widen(self) -> None:
        """Add neighbours up; 0 stays an edge because there is an even number of bins on each side of it."""
        half = self.bins // 2
        self.counts = np.pad(self.counts.reshape(-1, 2).sum(1), half)
        self.width *= 2

    def magnitudes(self) -> Array:
        """Return the counts of |x|, by distance from 0 (bins,)."""
        counts: Array = self.counts[self.bins :] + self.counts[: self.bins][::-1]
        return counts

    def within(self, reach: int) -> tuple[float, float]:
        """Return the range of the numbers, cut off behind `reach` bins on each side of 0."""
        edge = reach * self.width
        return max(self.low, -edge), min(self.high, edge)
