"""Digits that nobody wrote: drawn by a pen whose hand is never twice the same.

A digit is one of the skeletons of `strokes`, its joints shaken, the path through them bent by smooth waves, then
stretched, slanted and turned, fitted into MNIST's 20×20 box and centred by mass. The pen is a round Gaussian blot
that travels along the path. A Gaussian is separable, so the ink of a whole path is one matrix product:

ink[y, x] = Σ_p m_p · exp(−(y − y_p)² / 2σ_p²) · exp(−(x − x_p)² / 2σ_p²) = Σ_p Y[p, y] · X[p, x]

with m_p = ℓ_p / (√(2π)·σ_p), ℓ_p being the length of the piece of path that point p stands for: along a straight
stroke the ink is then 1 in the middle, however far apart the points are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.random import Generator

from tinydl.data.images import ImageDataset
from tinydl.data.strokes import Pen, pen
from tinydl.shapes import Array

_BLOCK = 500
"""Images drawn from one stream of random numbers: fits the cache, and image i is the same however many are drawn."""

_SHAKE = 0.04  # standard deviation of a joint, in heights of the digit
_WAVE = 0.04  # of the amplitude of a wave that bends the path, likewise
_TURN = 0.13  # of the rotation, in radians
_SLANT, _SLANTS = 0.18, 0.24  # mean and standard deviation of the shear: most people lean to the right
_WIDTH, _WIDTHS = 0.85, 0.2  # median width of the square the skeleton is in, in heights; deviation of its logarithm
_SHIFT = 0.75  # of the place, in pixels
_GRAIN = 0.12  # of the ink, relative: paper is rough
_PAPER, _FULL = 0.12, 0.57  # ink below the first leaves the paper white, ink above the second is saturated
_FAR = -40.0
"""An exponent from which on no ink shows, and whose power can be squared in full digits. Without it most products are
of numbers that have none, which takes some processors long: 9.3 s in the place of 2.9 for all 70,000 digits."""


class SyntheticDigits(ImageDataset):
    """28×28 digits in MNIST's format, drawn by this package: nothing shipped, nothing downloaded.

    The same `seed` gives the same digits, image i being the same whatever `n` is; training and test images come from
    separate streams, and the ten classes are equally frequent in every 500 images. A linear classifier gets about
    90 % of the test images right, a small convolutional network more than 99 %.

    Args:
        n: how many; 60,000 to train on or 10,000 to test with when omitted.
        seed: which digits.
        train: training rather than test images.
        transform: as in `ImageDataset`.
        generator: where random transforms draw from; the drawing itself depends on `seed` alone.

    Raises: ValueError for a negative n or seed; TypeError unless they are integers.

    >>> digits = SyntheticDigits(20, seed=1)
    >>> digits.images.shape, digits.images.dtype, np.bincount(SyntheticDigits(500).labels).tolist()
    ((20, 28, 28), dtype('uint8'), [50, 50, 50, 50, 50, 50, 50, 50, 50, 50])
    """

    def __init__(
        self,
        n: int | None = None,
        seed: int = 0,
        train: bool = True,
        transform: Callable[..., Any] | None = None,
        generator: Generator | None = None,
    ) -> None:
        count = (60_000 if train else 10_000) if n is None else _natural(n, "n")
        images = np.empty((count, 28, 28), np.uint8)
        labels = np.empty(count, np.int64)
        for block in range(-(-count // _BLOCK)):
            stream = np.random.default_rng([_natural(seed, "seed"), int(train), block])
            here = slice(block * _BLOCK, (block + 1) * _BLOCK)
            drawn, written = draw_digits(stream)
            images[here], labels[here] = drawn[: count - here.start], written[: count - here.start]
        super().__init__(images, labels, transform, generator)


def _natural(value: Any, name: str) -> int:
    """Return `value` as an integer from 0 up. Raises: TypeError or ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    return int(value)


def draw_digits(stream: Generator, n: int = _BLOCK) -> tuple[Array, Array]:
    """Return n digits, uint8 (n, 28, 28), and what they say, int64 (n,): every class equally often, in random order."""
    labels = stream.permutation(np.arange(n) % 10)
    paths, drawn = _write(stream, labels, _pen())
    paths = _lean(stream, _bend(stream, paths))
    nib = stream.uniform(0.62, 1.2, (n, 1)).astype(np.float32)  # σ in pixels
    places, lengths = _place(stream, paths, drawn, nib)
    ink = _ink(places, lengths, nib * _pressure(stream, n, lengths.shape[1]))
    ink *= 1 + _GRAIN * _normal(stream, *ink.shape)
    grey = np.clip((ink - _PAPER) / (_FULL - _PAPER), 0, 1)
    return np.rint(255 * grey).astype(np.uint8), labels


@cache
def _pen() -> Pen:
    """Return the skeletons, prepared once."""
    return pen()


def _normal(stream: Generator, *shape: int) -> Array:
    return stream.standard_normal(shape, dtype=np.float32)


def _write(stream: Generator, labels: Array, pen: Pen) -> tuple[Array, Array]:
    """Return (paths (n, P + 1, 2), drawn (n, P)): a way of writing each label, its joints shaken; the centre is 0."""
    ways = np.bincount(pen.digit)
    first = np.cumsum(ways) - ways
    way = first[labels] + stream.integers(ways[labels])
    joints = pen.joints[way]
    joints += _SHAKE * _normal(stream, *joints.shape) - 0.5
    return pen.spline[way] @ joints, pen.down[way]


def _bend(stream: Generator, paths: Array) -> Array:
    """Return the paths bent by two plane waves each, p + Σ a·sin(k·p + φ): an elastic deformation of the plane."""
    n = len(paths)
    bent = paths.copy()
    for _ in range(2):
        wave = 3.5 * _normal(stream, n, 2, 1)  # about half a wave across the digit
        phase = stream.uniform(0, 2 * np.pi, (n, 1, 2)).astype(np.float32)
        bent += _WAVE * _normal(stream, n, 1, 2) * np.sin(paths @ wave + phase)
    return bent


def _lean(stream: Generator, paths: Array) -> Array:
    """Return the paths stretched across, slanted and turned: (x, y) ← (width·x − slant·y, y)·R(turn)."""
    n = len(paths)
    width = _WIDTH * np.exp(_WIDTHS * _normal(stream, n))
    slant = _SLANT + _SLANTS * _normal(stream, n)
    turn = _TURN * _normal(stream, n)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[width * cos, width * sin], [-slant * cos - sin, cos - slant * sin]])
    result: Array = paths @ matrix.transpose(2, 0, 1)
    return result


def _place(stream: Generator, paths: Array, drawn: Array, nib: Array) -> tuple[Array, Array]:
    """Return (places (n, P, 2) in pixels, lengths (n, P)) of the pieces between neighbouring points of the paths.

    The longer side fits a box of about 20 pixels, the pen's width included; the centre of mass goes to (14, 14),
    where MNIST has it, give or take a pixel.
    """
    n = len(paths)
    side = (paths.max(1) - paths.min(1)).max(1, keepdims=True)
    room = (19.5 - 3 * nib) * stream.uniform(0.85, 1.08, (n, 1)).astype(np.float32)
    paths = paths * (room / side)[..., None]
    lengths = np.linalg.norm(paths[:, 1:] - paths[:, :-1], axis=2) * drawn
    places = (paths[:, 1:] + paths[:, :-1]) / 2
    mass = lengths[:, None] @ places / lengths.sum(1)[:, None, None]
    return places - mass + 14 + _SHIFT * _normal(stream, n, 1, 2), lengths


def _pressure(stream: Generator, n: int, points: int) -> Array:
    """Return factors (n, points) of the pen's width that swell and fade along each path."""
    swings = stream.uniform(3, 9, (n, 1)).astype(np.float32)
    phase = stream.uniform(0, 2 * np.pi, (n, 1)).astype(np.float32)
    result: Array = 1 + 0.22 * np.sin(np.linspace(0, 1, points, dtype=np.float32) * swings + phase)
    return result


def _ink(places: Array, lengths: Array, sigma: Array) -> Array:
    """Return the ink (n, 28, 28); see the module."""
    pixel = np.arange(28, dtype=np.float32)
    sharpness = (-0.5 / sigma**2)[..., None]
    X, Y = (np.exp(np.maximum(sharpness * (places[..., axis, None] - pixel) ** 2, _FAR)) for axis in (0, 1))
    Y *= (lengths / (np.sqrt(2 * np.pi) * sigma).astype(np.float32))[..., None]
    ink: Array = Y.transpose(0, 2, 1) @ X
    return ink
