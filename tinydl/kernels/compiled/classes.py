"""The pixels of a result in classes that see the same taps inside of the source, as tables of offsets.

For 3×3 with padding 1 and stride 1 the classes are the interior, four edges and four corners. With them, no
padded copy of the source is made, and no zeros are put between the pixels of g for the gradient of a stride.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, product
from typing import NamedTuple

import numpy as np

from tinydl.kernels.compiled.geometry import Gathering, Phase
from tinydl.kernels.compiled.slide import TAPS
from tinydl.shapes import Array, Pair

__all__: list[str] = []


class Blocks(NamedTuple):
    """A number of blocks of equally many images, beginning with image `first`."""

    first: int
    images: int
    n: int


class Class(NamedTuple):
    """A rectangle of pixels, in each image of a block, that see the same taps.

    Its pixels, `width` in a row, and the patch that each of them sees, of which each `row` entries lie together, are
    entries begin…end of two tables. Both say where in the source, from the offset `source` on. Besides, the pixels'
    table says where in the result, from `result` on, and the patch's where in the weight. If tiles may slide along a
    row, `slide` is the number of channels of a tap, with a minus if neighbouring taps go backward; else 0.
    """

    source: int
    result: int
    pixels: Pair
    patch: Pair
    width: int
    row: int
    slide: int


def cut(n: int, gathering: Gathering) -> Iterator[Blocks]:
    """Yield blocks of a few images, then one of those that are left over."""
    images = min(n, max(1, gathering.block // (gathering.result.height * gathering.result.width)))
    if images:
        yield Blocks(0, images, n // images)
        if n % images:
            yield Blocks(n - n % images, n % images, 1)


def classes(gathering: Gathering, blocks: Blocks, bands: int) -> tuple[list[Class], Array, Array]:
    """Return the classes of the images in a block, the table of their pixels and that of their patches.

    Large images are cut into bands of rows, all others into `bands` at least, if they have the rows.
    """
    block = min(gathering.block, gathering.result.height * gathering.result.width // bands)
    source, result, pixels, patch = gathering.source, gathering.result, _Table(), _Table()
    found = []
    for rows, cols in product(gathering.rows, gathering.cols):
        for row, height, row_taps in _runs(rows, max(1, block // len(cols.seen))):
            for col, width, col_taps in _runs(cols, len(cols.seen)):
                if (height, width) not in pixels:
                    pixels.add((height, width), *_pixels(gathering, blocks.images, height, width))
                if (rows.taps, cols.taps, col_taps) not in patch:
                    patch.add((rows.taps, cols.taps, col_taps), *_patch(gathering, rows, cols, col_taps))
                begin, _ = patch[rows.taps, cols.taps, col_taps]
                tap_row = len(col_taps) * gathering.c
                found.append(
                    Class(
                        source=blocks.first * source.size
                        + row * rows.advance * source.row
                        + col * cols.advance * source.channels,
                        result=blocks.first * result.size
                        + (rows.first + row * rows.step) * result.row
                        + (cols.first + col * cols.step) * result.channels,
                        pixels=pixels[height, width],
                        patch=(begin + row_taps.start * tap_row, begin + row_taps.stop * tap_row),
                        width=width,
                        row=tap_row if gathering.contiguous else gathering.c,
                        slide=gathering.c * gathering.direction if len(col_taps) == TAPS else 0,
                    )
                )
    return found, pixels.columns(), patch.columns()


def _runs(phase: Phase, longest: int) -> Iterator[tuple[int, int, range]]:
    """Yield runs of places that see the same taps: the first place, how many (at most `longest`), and the taps."""
    place = 0
    for taps, run in groupby(phase.seen):
        end = place + len(list(run))
        for start in range(place, end, longest):
            yield start, min(longest, end - start), taps
        place = end


def _pixels(gathering: Gathering, images: int, height: int, width: int) -> tuple[Array, Array]:
    """Return the offsets, in source and result, of a rectangle's pixels from its first one."""
    source, result, rows, cols = gathering.source, gathering.result, gathering.rows[0], gathering.cols[0]
    image, row, col = np.ix_(range(images), range(height), range(width))
    return (
        image * source.size + row * rows.advance * source.row + col * cols.advance * source.channels,
        image * result.size + row * rows.step * result.row + col * cols.step * result.channels,
    )


def _patch(gathering: Gathering, rows: Phase, cols: Phase, col_taps: range) -> tuple[Array, Array]:
    """Return the offsets, in source and weight, of what a pixel sees by all rows of taps in some of the columns."""
    source, kw = gathering.source, gathering.kernel[1]
    some = slice(col_taps.start, col_taps.stop)
    (i_offset, j_offset, c), (i, j, _) = (
        np.ix_(np.array(i, np.int64), np.array(j, np.int64)[some], np.arange(gathering.c))
        for i, j in ((rows.offsets, cols.offsets), (rows.taps, cols.taps))
    )
    return (
        i_offset * source.row + j_offset * source.channels + c,
        ((i * kw + j) * gathering.c + c) * gathering.weight_row,
    )


class _Table(dict[tuple[object, ...], Pair]):
    """Where, by name, the parts of a table with two columns begin and end."""

    def __init__(self) -> None:
        super().__init__()
        self._parts = [np.empty((2, 0), np.int64)]
        self._size = 0

    def add(self, name: tuple[object, ...], first: Array, second: Array) -> None:
        part = np.stack([first.ravel(), second.ravel()])
        self[name] = self._size, self._size + part.shape[1]
        self._size += part.shape[1]
        self._parts.append(part)

    def columns(self) -> Array:
        return np.concatenate(self._parts, axis=1)
