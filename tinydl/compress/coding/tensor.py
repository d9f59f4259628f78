"""One array as bytes: where the numbers that are not zero stand, and which of a few different numbers stands there.

Nothing is rounded. An array becomes as small as what is in it allows: zeros (weights that are pruned) cost a share of a
bit, numbers that recur (weights that are shared) a few bits each, and any others are written as they are.

    dtype, number of axes, length of each | where, as in `places` | what
    what    the numbers themselves | or a palette: how many different ones, each, and a stream of indices

The zero that takes no place is the one with no bit set; −0.0 is a number like any other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.compress.coding import places, stream
from tinydl.compress.coding.wire import FormatError, Reader, number
from tinydl.shapes import Array, Shape

DTYPES = [np.dtype(name) for name in "<f4 <f8 |i1 <i2 <i4 <i8 |u1 <u2 <u4 <u8 |b1".split()]
"""What an array may hold; its place in this list stands in the file."""

_PALETTE, _HALF = 1, 2
"""What the numbers are: whether there is a palette, and whether a type of half the width holds them without loss."""

_HALVES = {
    **{np.dtype(f"<f{n}"): np.dtype(f"<f{n // 2}") for n in (4, 8)},
    **{np.dtype(f"<{kind}{n}"): np.dtype(f"<{kind}{n // 2}") for kind in "iu" for n in (2, 4, 8)},
}

_MAX_AXES = 32


def encode(array: Array, coders: Sequence[str]) -> bytes:
    """Return `array` in the shortest form.

    Args:
        array: of one of `DTYPES` (in any byte order), any shape and memory layout.
        coders: what may be used for streams of symbols, names out of `stream.CODERS`.

    >>> weights = np.zeros((300, 784), np.float32)
    >>> weights[::7, ::9] = 0.5
    >>> weights[::5, ::10] = -0.25
    >>> weights.nbytes, len(encode(weights, [])), len(encode(weights, ["huffman", "arithmetic"]))
    (940800, 3067, 2022)
    """
    dtype = array.dtype.newbyteorder("<")
    words = np.ascontiguousarray(array, dtype).reshape(-1).view(f"<u{dtype.itemsize}")
    taken = np.flatnonzero(words)
    forms = [bytes([places.FULL]) + _what(words, dtype, coders)]
    if len(taken) < len(words):
        forms.append(places.encode(taken, array.shape, coders) + _what(words[taken], dtype, coders))
    shape = b"".join(number(n) for n in (array.ndim, *array.shape))
    return bytes([DTYPES.index(dtype)]) + shape + min(forms, key=len)


def _what(words: Array, dtype: np.dtype[Any], coders: Sequence[str]) -> bytes:
    """Return the numbers whose bits are `words`, themselves or by a palette, whichever is shorter."""
    values, index = np.unique(words, return_inverse=True)
    half = _HALF if _fits_half(values.view(dtype)) else 0
    stored = _HALVES[dtype] if half else dtype
    literal = bytes([half]) + words.view(dtype).astype(stored).tobytes()
    if 2 * len(values) > len(words):
        return literal
    palette = bytes([half | _PALETTE]) + number(len(values)) + values.view(dtype).astype(stored).tobytes()
    return min(literal, palette + stream.encode(index, len(values), coders), key=len)


def _fits_half(values: Array) -> bool:
    """Tell whether `values` are the same, to the bit, after a detour through the type of half the width."""
    if values.dtype not in _HALVES:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        there_and_back = values.astype(_HALVES[values.dtype]).astype(values.dtype)
    return there_and_back.tobytes() == values.tobytes()


def decode(reader: Reader, limit: int) -> tuple[Array, int]:
    """Return the array that `reader` stands at, and what its bytes leave of `limit`.

    Raises: FormatError when the bytes are none of `encode`, or the array would be larger than `limit` bytes: sizes are
        compared before anything is allocated.

    >>> decode(Reader(encode(np.array([[0.0, 2.5]]), [])), 100)
    (array([[0. , 2.5]]), 84)
    """
    dtype, shape = _head(reader)
    n = math.prod(shape)
    if math.prod(max(side, 1) for side in shape) * dtype.itemsize > limit:  # NumPy refuses huge axes of nothing, too
        raise FormatError(f"an array of shape {shape} and {dtype} is larger than the {limit} bytes that are allowed")
    taken = places.decode(reader, shape)
    numbers = _read_what(reader, n if taken is None else len(taken), dtype)
    if taken is not None:
        full = np.zeros(n, dtype)
        full[taken] = numbers
        numbers = full
    return numbers.astype(dtype.newbyteorder("="), copy=False).reshape(shape), limit - n * dtype.itemsize


def _head(reader: Reader) -> tuple[np.dtype[Any], Shape]:
    """Return dtype and shape."""
    code, ndim = reader.byte(), reader.number()
    if code >= len(DTYPES) or ndim > _MAX_AXES:
        raise FormatError(f"no array has dtype number {code} and {ndim} axes")
    return DTYPES[code], tuple([reader.number() for _ in range(ndim)])


def _read_what(reader: Reader, count: int, dtype: np.dtype[Any]) -> Array:
    """Return `count` numbers."""
    what = reader.byte()
    if what > (_PALETTE | _HALF) or (what & _HALF and dtype not in _HALVES):
        raise FormatError(f"no kind of {dtype} numbers is {what}")
    different = reader.number() if what & _PALETTE else count
    stored = _HALVES[dtype] if what & _HALF else dtype
    numbers = np.frombuffer(reader.take(different * stored.itemsize), stored).astype(dtype)
    if not what & _PALETTE:
        return numbers
    if not different and count:
        raise FormatError(f"a palette of no numbers serves {count} places")
    chosen: Array = numbers[stream.decode(reader, count, different)]
    return chosen
