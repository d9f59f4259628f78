"""Windows on an image: which pixels each position of a result sees.

Along one axis of the image, position i sees the pixels start + i·jump … start + i·jump + size − 1; those outside of the
image are padding. What all positions see alike has jump 0.

Source: Araujo, Norris & Sim 2019, Computing receptive fields of convolutional neural networks, Distill, equations 1–4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from tinydl.shapes import Shape


class Window(NamedTuple):
    """What position i sees along one axis: the pixels start + i·jump … start + i·jump + size − 1."""

    size: int
    jump: int
    start: int

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> Window:
        """Return what a position of the result of a convolution or pooling sees.

        size + d (k − 1) jump,  jump · s,  start − p · jump

        >>> Window(1, 1, 0).through(3, 2, 1, 1).through(3, 1, 1, 1)
        Window(size=7, jump=2, start=-3)
        """
        return Window(
            self.size + dilation * (kernel - 1) * self.jump, self.jump * stride, self.start - padding * self.jump
        )

    def whole(self, n: int) -> Window:
        """Return what n positions see together.

        >>> Window(3, 2, -1).whole(4)
        Window(size=9, jump=0, start=-1)
        """
        return Window(self.size + max(n - 1, 0) * self.jump, 0, self.start)

    def joined(self, other: Window, n: int) -> Window:
        """Return the smallest window that holds this one and `other` at each of n positions.

        >>> Window(3, 1, -1).joined(Window(1, 1, 0), 8), Window(3, 2, -1).joined(Window(8, 0, 0), 4)
        (Window(size=3, jump=1, start=-1), Window(size=9, jump=0, start=-1))
        """
        if self.jump != other.jump:
            return self.whole(n).joined(other.whole(n), 1)
        start = min(self.start, other.start)
        return Window(max(self.start + self.size, other.start + other.size) - start, self.jump, start)


class Seen(NamedTuple):
    """The window along one axis of the image, and the axis of the result it goes along; None: all positions see it."""

    axis: int | None
    window: Window

    def whole(self, shape: Shape) -> Seen:
        """Return what all positions of a result of `shape` see together."""
        return self if self.axis is None else Seen(None, self.window.whole(shape[self.axis]))


Field: TypeAlias = tuple[Seen, Seen]
"""What is seen along H and along W."""

Fields: TypeAlias = Sequence[Field | None]
"""The operands' fields; None for what does not depend on the image."""


def joined(fields: Sequence[Field], shape: Shape) -> Field:
    """Return the smallest field that holds all those given, of a result of `shape`.

    >>> pixel, whole = Seen(2, Window(1, 1, 0)), Seen(None, Window(8, 0, 0))
    >>> joined([(pixel, pixel), (pixel, whole)], (1, 1, 8, 8))[1]
    Seen(axis=None, window=Window(size=8, jump=0, start=0))
    """
    (height, width), *others = fields
    for field in others:
        height, width = _together(height, field[0], shape), _together(width, field[1], shape)
    return height, width


def _together(a: Seen, b: Seen, shape: Shape) -> Seen:
    if a.axis != b.axis:
        a, b = a.whole(shape), b.whole(shape)
    return Seen(a.axis, a.window.joined(b.window, 1 if a.axis is None else shape[a.axis]))
