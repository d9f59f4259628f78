"""Numbers as bits: words of any width side by side, without gaps, the highest bit of each first."""

from __future__ import annotations

import numpy as np

from tinydl.shapes import Array

MAX_WIDTH = 32
"""The widest word."""


def pack(words: Array, widths: Array | int) -> bytes:
    """Return the lowest `widths[i]` bits of each `words[i]`, one behind the other; the last byte is filled with zeros.

    Args:
        words: non-negative integers (n,).
        widths: bits of each, 0 … 32, or one number for all.

    >>> pack(np.array([1, 2, 3]), 2).hex()  # 01 10 11, and 00 to fill the byte
    '6c'
    """
    widths = np.broadcast_to(np.asarray(widths, np.int64), words.shape)
    longest = int(widths.max(initial=0))
    assert 0 <= widths.min(initial=0) <= longest <= MAX_WIDTH
    starts = np.cumsum(widths) - widths
    placed = np.zeros(int(widths.sum()), np.uint8)
    for i in range(longest):  # the i-th bit of all words that have one
        long = widths > i
        placed[starts[long] + i] = words[long] >> (widths[long] - 1 - i) & 1
    return np.packbits(placed).tobytes()


def unpack(data: bytes, count: int, width: int) -> Array:
    """Return the `count` words of `width` bits that `pack` made `data` of, as int64.

    >>> unpack(bytes.fromhex("6c"), 3, 2)
    array([1, 2, 3])
    """
    rows = np.unpackbits(np.frombuffer(data, np.uint8), count=count * width).reshape(count, width)
    words = np.zeros(count, np.int64)
    for column in rows.T:
        words = words << 1 | column
    return words


def size(bits: int) -> int:
    """Return the bytes that so many bits fill.

    >>> size(8), size(9)
    (1, 2)
    """
    return -(-bits // 8)


def width_of(alphabet: int) -> int:
    """Return the bits of a word that can be any of 0 … alphabet − 1.

    >>> width_of(1), width_of(16), width_of(17)
    (0, 4, 5)
    """
    return max(alphabet - 1, 0).bit_length()
