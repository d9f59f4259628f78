"""Where the numbers of an array stand that are not zero: the shortest of several forms.

FULL    nothing follows: all places count
BITMAP  a stream of 0 and 1, one for each place
GAPS    how many relative indices, their width, a stream of them
ALIVE   two bitmaps, of the rows and the columns in which anything stands; then the places among those, in another
        form. Rows are the first axis, columns all others: pruning leaves neurons and channels without any weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinydl.compress.coding import gaps, stream
from tinydl.compress.coding.wire import FormatError, Reader, number
from tinydl.shapes import Array, Shape

FULL, BITMAP, GAPS, ALIVE = range(4)


def encode(places: Array, shape: Shape, coders: Sequence[str]) -> bytes:
    """Return the rising `places`, flat indices into an array of `shape`, in the shortest form.

    Args:
        places: at least 0 and below the product of `shape`.
        shape: of the array.
        coders: what may be used for streams of symbols, names out of `stream.CODERS`.

    >>> len(encode(np.arange(20), (4, 5), [])), len(encode(np.arange(0, 20, 2), (4, 5), []))
    (1, 5)
    """
    forms = _flat(places, math.prod(shape), coders)
    if len(shape) > 1 and len(places):
        rows, columns, inner = _alive(places, shape)
        masks = stream.encode(rows, 2, coders) + stream.encode(columns, 2, coders)
        n = int(rows.sum()) * int(columns.sum())
        forms += [bytes([ALIVE]) + masks + form for form in _flat(inner, n, coders)]
    return min(forms, key=len)


def _flat(places: Array, n: int, coders: Sequence[str]) -> list[bytes]:
    """Return the places in every form but ALIVE."""
    if len(places) == n:
        return [bytes([FULL])]
    taken = np.zeros(n, np.int64)
    taken[places] = 1
    forms = [bytes([BITMAP]) + stream.encode(taken, 2, coders)]
    best = gaps.best_width(places)
    for width in range(best, min(best + 3, gaps.WIDTHS.stop)):  # entropy coding makes rare fillers worth a bit more
        words = gaps.to_gaps(places, width)
        forms.append(bytes([GAPS]) + number(len(words)) + bytes([width]) + stream.encode(words, 1 << width, coders))
    return forms


def _alive(places: Array, shape: Shape) -> tuple[Array, Array, Array]:
    """Return which rows and which columns have any of the places, and the places in the matrix of those only."""
    row, column = np.divmod(places, math.prod(shape[1:]))
    rows, columns = np.zeros(shape[0], np.int64), np.zeros(math.prod(shape[1:]), np.int64)
    rows[row], columns[column] = 1, 1
    inner: Array = (np.cumsum(rows) - 1)[row] * columns.sum() + (np.cumsum(columns) - 1)[column]
    return rows, columns, inner


def decode(reader: Reader, shape: Shape) -> Array | None:
    """Return the places that `reader` stands at, None for all of them.

    Raises: FormatError when the bytes are none of `encode` for this shape.

    >>> decode(Reader(encode(np.array([7, 9]), (4, 5), [])), (4, 5))
    array([7, 9])
    """
    form = reader.byte()
    if form != ALIVE:
        return _decode_flat(reader, form, math.prod(shape))
    if len(shape) < 2:
        raise FormatError(f"an array of shape {shape} has no rows and columns")
    width = math.prod(shape[1:])
    rows, columns = (np.flatnonzero(stream.decode(reader, n, 2)) for n in (shape[0], width))
    inner = _decode_flat(reader, reader.byte(), len(rows) * len(columns))
    row, column = np.divmod(np.arange(len(rows) * len(columns)) if inner is None else inner, max(len(columns), 1))
    places: Array = rows[row] * width + columns[column]
    return places


def _decode_flat(reader: Reader, form: int, n: int) -> Array | None:
    if form == FULL:
        return None
    if form == BITMAP:
        return np.flatnonzero(stream.decode(reader, n, 2))
    count, width = (reader.number(), reader.byte()) if form == GAPS else (0, 0)
    if width not in gaps.WIDTHS or count > n:  # each gap is a place at least
        raise FormatError(f"no form of {n} places is {form} with {count} gaps of {width} bits")
    places = gaps.from_gaps(stream.decode(reader, count, 1 << width), width)
    if places.size and places[-1] >= n:
        raise FormatError(f"there are {n} places, a number stands at {places[-1]}")
    return places
