"""The sizes of a convolution, and which places of one image are made of which places of another.

The convolution and its gradient by x are of one kind: they gather. Each pixel of a result is a sum over what it
sees of a source: y of x, or gx of g.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from tinydl.shapes import Pair

__all__: list[str] = []


CACHE = 1 << 16
"""Numbers that are worked on at a time: in float32, a quarter of the L2 cache of a core."""


class Image(NamedTuple):
    """The sizes of a channels-last image, and how far apart its rows, and whole images, are in memory."""

    height: int
    width: int
    channels: int

    @property
    def row(self) -> int:
        return self.width * self.channels

    @property
    def size(self) -> int:
        return self.height * self.row


class Geometry(NamedTuple):
    """The sizes of a convolution of images x to images y, of which c and o channels belong to a group.

    The sweep of a depthwise convolution takes all channels at once by itself. So there we speak of one group,
    and of one channel in it on the side that is read.
    """

    x: Image
    y: Image
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    c: int
    o: int
    weight_row: int = 0
    """How far apart the rows (of o numbers) of the weight lie, if they do not follow each other."""

    @property
    def multiplications(self) -> int:
        """How many of them an image takes, borders aside."""
        return self.y.height * self.y.width * self.kernel[0] * self.kernel[1] * self.groups * self.c * self.o

    @property
    def work(self) -> int:
        """How long an image takes, in multiplications: a number read or written costs as much as eight of them.

        So a pointwise convolution of few channels a group, which is bound by memory, counts for what it takes.
        """
        return self.multiplications + 8 * (self.x.size + self.y.size)


class Phase(NamedTuple):
    """Evenly spaced places of the result, first + m·step, and what they see of the source along one axis.

    Entry t of `taps` lets place m see the source at m·advance + offsets[t]. Of these entries, the range seen[m]
    falls inside of the source.
    """

    first: int
    step: int
    advance: int
    taps: tuple[int, ...]
    offsets: tuple[int, ...]
    seen: tuple[range, ...]


class Gathering(NamedTuple):
    """How the pixels of a result are made of those of a source; c channels of it make o of the result."""

    source: Image
    result: Image
    rows: list[Phase]
    cols: list[Phase]
    kernel: Pair
    groups: int
    c: int
    o: int
    weight_row: int

    @property
    def contiguous(self) -> bool:
        """Whether what a pixel sees of a row of the source lies together, and in the order of the weights."""
        return self.c == self.source.channels and all(
            b - a == 1 for phase in self.cols for a, b in pairwise(phase.offsets)
        )

    @property
    def direction(self) -> int:
        """1 if neighbours of the result see, by neighbouring columns of taps, neighbours of the source; −1 backward."""
        phase = self.cols[0]
        moves = {b - a for a, b in pairwise(phase.offsets)}
        return moves.pop() if (phase.step, phase.advance) == (1, 1) and moves in ({1}, {-1}) else 0

    @property
    def weights(self) -> int:
        """How far apart the weights of groups lie."""
        return self.kernel[0] * self.kernel[1] * self.c * self.weight_row

    @property
    def block(self) -> int:
        """How many pixels of the result to work on at a time, for them and what they see to stay in L2."""
        pixels = self.result.height * self.result.width
        return max(64, min(1024, CACHE * pixels // (self.source.size + self.result.size)))


def forward(geometry: Geometry) -> Gathering:
    """Return how y is made of x."""
    x, y, kernel, stride, padding, dilation, groups, c, o, weight_row = geometry
    rows, cols = map(_forward_phases, x[:2], y[:2], kernel, stride, padding, dilation)
    return Gathering(x, y, rows, cols, kernel, groups, c, o, weight_row or o)


def backward(geometry: Geometry) -> Gathering:
    """Return how gx is made of g."""
    x, y, kernel, stride, padding, dilation, groups, c, o, weight_row = geometry
    rows, cols = map(_backward_phases, x[:2], y[:2], kernel, stride, padding, dilation)
    return Gathering(y, x, rows, cols, kernel, groups, o, c, weight_row or c)


def _forward_phases(n: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> list[Phase]:
    """Return how `out` places of y see n places of x: place m sees m·stride + i·dilation − padding.

    >>> [phase] = _forward_phases(3, 3, kernel=3, stride=1, padding=1, dilation=1)
    >>> phase.offsets, phase.seen
    ((-1, 0, 1), (range(1, 3), range(0, 3), range(0, 2)))
    """
    taps = range(kernel)
    return [_phase(0, 1, out, stride, taps, [i * dilation - padding for i in taps], n)]


def _backward_phases(n: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> list[Phase]:
    """Return how n places of x see `out` places of y backwards, with one phase for each remainder by the stride.

    Place h sees (h + padding − i·dilation) / stride for the taps i that make it an integer.

    >>> [(phase.taps, phase.offsets) for phase in _backward_phases(4, 2, kernel=3, stride=2, padding=1, dilation=1)]
    [((1,), (0,)), ((0, 2), (1, 0))]
    """
    phases = []
    for first in range(min(stride, n)):
        taps = [i for i in range(kernel) if (first + padding - i * dilation) % stride == 0]
        offsets = [(first + padding - i * dilation) // stride for i in taps]
        phases.append(_phase(first, stride, -(-(n - first) // stride), 1, taps, offsets, out))
    return phases


def _phase(
    first: int, step: int, places: int, advance: int, taps: Sequence[int], offsets: Sequence[int], n_source: int
) -> Phase:
    seen = []
    for m in range(places):
        inside = [t for t, offset in enumerate(offsets) if 0 <= m * advance + offset < n_source]
        seen.append(range(inside[0], inside[-1] + 1) if inside else range(0))
    return Phase(first, step, advance, tuple(taps), tuple(offsets), tuple(seen))
