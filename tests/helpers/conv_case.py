"""What the tests of convolutions are about: cases of small integers, so that every order of summation is exact."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinydl.shapes import conv_output_size


@dataclass
class Case:
    """One convolution: x (n, groups·cg, height, width), weight (groups·og, cg, kh, kw)."""

    n: int
    groups: int
    cg: int
    og: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    bias: bool = True
    dtype: str = "f4"

    @property
    def x_shape(self) -> tuple[int, ...]:
        return (self.n, self.groups * self.cg, *self.size)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.groups * self.og, self.cg, *self.kernel)

    @property
    def y_shape(self) -> tuple[int, ...]:
        sizes = map(conv_output_size, self.size, self.kernel, self.stride, self.padding, self.dilation)
        return (self.n, self.groups * self.og, *sizes)

    @property
    def geometry(self) -> tuple[Any, ...]:
        return self.stride, self.padding, self.dilation, self.groups

    @property
    def tolerance(self) -> float:
        """How far a result may be off: sums of integers are exact, but for those of Winograd's algorithm."""
        plain = (self.kernel, self.stride, self.dilation, self.groups) == ((3, 3), (1, 1), (1, 1), 1)
        return 2e5 * np.finfo(self.dtype).eps if plain and self.cg * self.og >= 512 else 0

    def arrays(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
        """Return integer x, weight, bias and g."""
        rng = np.random.default_rng(seed)
        x, weight, bias, g = (
            rng.integers(-4, 5, shape).astype(self.dtype)
            for shape in (self.x_shape, self.weight_shape, self.weight_shape[:1], self.y_shape)
        )
        return x, weight, bias if self.bias else None, g

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
        """Yield the places in y, x and weight of every product of the convolution."""
        n, o, h, w = self.y_shape
        for at_y in itertools.product(range(n), range(o), range(h), range(w)):
            for c, i, j in itertools.product(range(self.cg), range(self.kernel[0]), range(self.kernel[1])):
                row = at_y[2] * self.stride[0] + i * self.dilation[0] - self.padding[0]
                col = at_y[3] * self.stride[1] + j * self.dilation[1] - self.padding[1]
                if 0 <= row < self.size[0] and 0 <= col < self.size[1]:
                    yield at_y, (at_y[0], at_y[1] // self.og * self.cg + c, row, col), (at_y[1], c, i, j)


@st.composite
def cases(draw: Callable[..., Any]) -> Case:
    def two(low: int, high: int) -> tuple[int, int]:
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, padding, dilation, extra = two(1, 3), two(1, 3), two(0, 2), two(1, 2), two(0, 3)
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + e for k, p, d, e in zip(kernel, padding, dilation, extra, strict=True)
    )
    n, groups, cg, og = (draw(st.integers(low, 3)) for low in (0, 1, 1, 1))
    dtype = draw(st.sampled_from(["f4", "f8"]))
    return Case(n, groups, cg, og, size, kernel, stride, padding, dilation, draw(st.booleans()), dtype)


# Large enough for several blocks of images, bands of rows, pieces of a patch, and every width of tile.
LARGE = [
    Case(9, 1, 1, 8, (28, 28), (3, 3)),
    Case(2, 1, 1, 10, (28, 28), (5, 5), (1, 1), (2, 2)),
    Case(7, 1, 3, 5, (20, 17), (3, 3), (2, 2), (1, 1)),
    Case(33, 1, 32, 64, (13, 13), (3, 3)),
    Case(5, 1, 64, 64, (5, 5), (3, 3), (1, 1), (1, 1)),
    Case(1, 1, 640, 150, (7, 7), (1, 1)),
    Case(1, 1, 70, 88, (14, 13), (3, 3), (1, 1), (1, 1), dtype="f8"),
    Case(4, 1, 20, 40, (15, 14), (3, 3), (1, 1), (2, 1)),
    Case(3, 1, 32, 16, (18, 15), (3, 3), (1, 1), (1, 0), dtype="f8"),
    Case(8, 1, 16, 32, (14, 14), (5, 5), (2, 2), (2, 2), dtype="f8"),
    Case(1, 1, 8, 16, (40, 150), (3, 3), (1, 1), (1, 1), (2, 2)),
    Case(2, 1, 130, 40, (9, 8), (3, 3), (1, 1), (1, 1)),
    Case(1, 1, 12, 30, (33, 20), (3, 3), (2, 2), (1, 1)),
    Case(8, 1, 64, 128, (14, 14), (1, 1)),
    Case(6, 1, 40, 24, (15, 14), (1, 1), (2, 2)),
    Case(4, 4, 8, 12, (14, 14), (3, 3), (1, 1), (1, 1)),
    Case(4, 2, 8, 8, (14, 14), (1, 1)),
    Case(4, 2, 24, 20, (14, 14), (1, 1)),
    Case(4, 1, 11, 20, (14, 14), (3, 2), dtype="f8"),
    Case(1, 1, 4, 4, (9, 9), (3, 3), (3, 3), (1, 1), bias=False),
    Case(130, 1, 20, 10, (4, 4), (4, 4)),
    Case(6, 24, 1, 1, (14, 14), (3, 3), (1, 1), (1, 1)),
    Case(1, 1, 160, 150, (12, 12), (1, 1)),
    Case(0, 1, 5, 4, (2, 2), (1, 1)),
    Case(6, 24, 1, 2, (15, 15), (3, 3), (2, 2), (1, 1)),
]

SLIDING = [
    Case(2, 2, 3, 5, (6, 18), (3, 3), (1, 1), (1, 1)),
    Case(1, 1, 4, 16, (5, 31), (5, 3), (1, 1), (2, 1), dtype="f8"),
    Case(3, 3, 2, 1, (4, 10), (1, 3)),
]
"""Lines along which tiles slide, in groups as well, forward and, for the gradient, backward."""

DEEP = [
    Case(1, 1, 130, 20, (6, 7), (3, 3), (2, 2), (1, 1), (2, 2)),
    Case(2, 1, 1100, 3, (2, 3), (1, 2)),
    Case(1, 2, 1536, 2, (1, 2), (1, 2)),
]
"""Sums so long that they are made in pieces, which must end where the channels of a tap do, or divide them."""


FEW_PIXELS = [
    Case(1, 1, 200, 130, (7, 7), (3, 3), (1, 1), (1, 1)),
    Case(2, 1, 256, 33, (5, 6), (2, 3), (2, 1), (0, 2), (2, 1)),
    Case(1, 1, 300, 20, (9, 9), (1, 1), (2, 2)),
    Case(3, 1, 192, 7, (4, 5), (1, 1)),
    Case(5, 1, 7, 12, (4, 3), (4, 3), (2, 1)),
    Case(65, 1, 3, 4, (2, 5), (2, 5), dtype="f8"),
]
"""Few pixels beside their channels, or one of each image: dot products of patches."""

SMALL = [
    Case(2, 1, 3, 4, (6, 5), (3, 2), (1, 1), (1, 0)),
    Case(2, 1, 3, 4, (7, 5), (3, 2), (2, 1), (1, 0)),
    Case(2, 1, 1, 4, (7, 5), (3, 2)),
    Case(2, 1, 3, 4, (4, 5), (1, 1)),
    Case(2, 2, 3, 4, (4, 5), (2, 2)),
    Case(2, 3, 1, 2, (6, 5), (3, 3), (1, 1), (1, 1)),
]
