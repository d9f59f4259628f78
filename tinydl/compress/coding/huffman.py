"""Huffman coding: frequent symbols get short words, and no word is the beginning of another.

The lengths of the words are all that a decoder needs: words of one length follow each other in the order of their
symbols, the shorter lengths first (a *canonical* code). No word is longer than `LIMIT`, so that one look into a table
of 2^longest entries tells the next symbol.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinydl.compress.coding import bits
from tinydl.shapes import Array

LIMIT = 15
"""The longest word, in bits; its length fits four bits."""

_CHUNK = 1 << 20
"""How many bits are looked up at a time: bounds the memory of decoding."""


def code_lengths(counts: Array, limit: int = LIMIT) -> Array:
    """Return the lengths l of the words that make Σ counts · l smallest, none longer than `limit`.

    Symbols that never occur get length 0, which means no word; a single one that occurs gets one bit.

    Package-merge: a word of length l is a set of l coins, one each of the face values 2⁻¹ … 2⁻ˡ, each as dear as its
    symbol is frequent. The lengths are those of the cheapest set of coins worth n − 1 (n symbols): from the smallest
    face value on, coins are packed in pairs and the pairs merged with the coins of the next value.

    Args:
        counts: how often each symbol occurs (k,).
        limit: at least log₂ of the number of symbols that occur.

    Raises: ValueError when `limit` is too short for so many symbols.

    Source: Huffman 1952, A method for the construction of minimum-redundancy codes; Larmore & Hirschberg 1990, A fast
    algorithm for optimal length-limited Huffman codes, section 2.

    >>> code_lengths(np.array([8, 4, 2, 1, 0, 1]))
    array([1, 2, 3, 4, 0, 4])
    >>> code_lengths(np.array([8, 4, 2, 1, 0, 1]), limit=3)
    array([1, 3, 3, 3, 0, 3])
    """
    lengths = np.zeros(len(counts), np.int64)
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    n = len(order)
    if n > 1 << limit:
        raise ValueError(f"limit must be at least {bits.width_of(n)} bits for {n} symbols, got {limit}")
    if n < 2:
        lengths[order] = 1
        return lengths
    coins = counts[order].astype(np.int64)
    levels = _merged(coins, limit)
    taken = 2 * n - 2
    for is_coin in reversed(levels):
        chosen = int(is_coin[:taken].sum())
        lengths[order[:chosen]] += 1
        taken = 2 * (taken - chosen)
    return lengths


def _merged(coins: Array, limit: int) -> list[Array]:
    """Return, from the smallest face value to the largest, which places of the sorted list are single coins."""
    levels, packages = [], coins[:0]
    for _ in range(limit):
        prices = np.concatenate([coins, packages])
        order = np.argsort(prices, kind="stable")
        levels.append(order < len(coins))
        prices = prices[order][: len(prices) // 2 * 2]
        packages = prices[0::2] + prices[1::2]
    return levels


def canonical(lengths: Array) -> Array:
    """Return the words of a canonical code from their lengths.

    >>> [f"{word:0{n}b}" for word, n in zip(canonical(np.array([1, 3, 2, 3])), [1, 3, 2, 3])]
    ['0', '110', '10', '111']
    """
    words = np.zeros(len(lengths), np.int64)
    used = np.lexsort((np.arange(len(lengths)), lengths))
    used = used[lengths[used] > 0]
    room = np.int64(1) << (LIMIT - lengths[used])  # how much of the code space a word takes
    words[used] = (np.cumsum(room) - room) >> (LIMIT - lengths[used])
    return words


def is_complete(lengths: Array) -> bool:
    """Tell whether words of these lengths exist, and every sequence of bits is one of theirs (Kraft's sum is 1).

    The code of a single symbol, one bit long, is allowed to be incomplete.
    """
    used = lengths[lengths > 0]
    if not used.size or used.max() > LIMIT:
        return False
    return int((1 << (LIMIT - used)).sum()) == 1 << LIMIT or bool(used.size == 1 and used[0] == 1)


def encode(symbols: Array, lengths: Array) -> bytes:
    """Return the words of `symbols`, packed.

    >>> encode(np.array([0, 0, 2, 1]), np.array([1, 2, 2])).hex()  # 0 0 11 10, and 00 to fill the byte
    '38'
    """
    return bits.pack(canonical(lengths)[symbols], lengths[symbols])


def decode(data: bytes, count: int, lengths: Array) -> Array:
    """Return the `count` symbols that `encode` made `data` of.

    What word stands at a place is looked up for all places of the bits at once; then the words are walked through, each
    telling where the next one begins.

    Raises: ValueError when the data ends before.

    >>> decode(bytes.fromhex("38"), 4, np.array([1, 2, 2]))
    array([0, 0, 2, 1])
    """
    if count > 8 * len(data):  # each word has a bit at least
        raise ValueError(f"Huffman data of {len(data)} bytes cannot hold {count} symbols")
    longest = int(lengths.max(initial=1))
    symbol_at, length_at = _table(lengths, longest)
    found = np.zeros(count, np.int64)
    done, end = 0, 0
    for start, windows in _windows(data, longest):
        steps = length_at[windows].tolist()
        place = end - start
        places: list[int] = []
        while place < len(steps) and len(places) < count - done:
            places.append(place)
            place += steps[place]
        found[done : done + len(places)] = symbol_at[windows[places]]
        done, end = done + len(places), start + place
        if done == count:
            break
    if done < count or end > 8 * len(data):
        raise ValueError(f"Huffman data ends after {done} of {count} symbols")
    return found


def _table(lengths: Array, longest: int) -> tuple[Array, Array]:
    """Return, for each sequence of `longest` bits, the symbol whose word it begins with, and that word's length."""
    used = np.flatnonzero(lengths)
    used = used[np.lexsort((used, lengths[used]))]
    room = np.int64(1) << (longest - lengths[used])
    symbols, steps = np.repeat(used, room), np.repeat(lengths[used], room)
    missing = (1 << longest) - len(symbols)  # only the code of a single symbol has any
    return np.pad(symbols, (0, missing)), np.pad(steps, (0, missing), constant_values=1)


def _windows(data: bytes, longest: int) -> Iterator[tuple[int, Array]]:
    """Return (first place, the `longest` bits from each place on as a number) chunk by chunk; zeros follow the end."""
    padded = np.frombuffer(data + bytes(4), np.uint8)
    for start in range(0, len(data), _CHUNK // 8):
        stop = min(start + _CHUNK // 8, len(data))
        part = padded[start : stop + 3].astype(np.int64)
        words = part[:-3] << 24 | part[1:-2] << 16 | part[2:-1] << 8 | part[3:] if len(part) > 3 else part[:0]
        shifts = 32 - longest - np.arange(8)
        yield 8 * start, (words[:, None] >> shifts & ((1 << longest) - 1)).reshape(-1)
