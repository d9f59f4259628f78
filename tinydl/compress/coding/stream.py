"""A sequence of symbols as bytes, by whichever coder makes it shortest: fixed width, Huffman or arithmetic.

A stream is one byte, the number of its coder, and what that coder needs: a fixed-width stream nothing but its words, a
Huffman stream the lengths of the code's words (four bits each) before them, an arithmetic stream its length.
How many symbols there are, and of which alphabet, is known to the reader from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tinydl.compress.coding import arithmetic, bits, huffman
from tinydl.compress.coding.wire import FormatError, Reader, sized
from tinydl.shapes import Array

PATIENCE = 1 << 19
"""How many decisions arithmetic coding may take, at about a microsecond each; longer streams use the other coders."""


class Coder(NamedTuple):
    """One way to write a stream: `write` returns None for a stream that it is not made for."""

    number: int
    write: Callable[[Array, int], bytes | None]
    read: Callable[[Reader, int, int], Array]


def encode(symbols: Array, alphabet: int, coders: Sequence[str]) -> bytes:
    """Return the shortest of the streams that fixed width and the named `coders` make of `symbols`.

    Args:
        symbols: integers in 0 … alphabet − 1 (n,).
        alphabet: how many symbols there are, at most 2³².
        coders: names out of `CODERS`.

    >>> symbols = np.array([0, 0, 0, 1] * 100)
    >>> len(encode(symbols, 2, [])), len(encode(symbols, 2, ["arithmetic"]))
    (51, 44)
    """
    written = {CODERS[name].number: CODERS[name].write(symbols, alphabet) for name in ("fixed", *coders)}
    return min((bytes([number]) + data for number, data in written.items() if data is not None), key=len)


def decode(reader: Reader, count: int, alphabet: int) -> Array:
    """Return the `count` symbols of the stream that `reader` stands at.

    Raises: FormatError when it is no stream of so many symbols of this alphabet.

    >>> decode(Reader(encode(np.array([2, 0, 1]), 3, ["huffman"])), 3, 3)
    array([2, 0, 1])
    """
    number = reader.byte()
    for coder in CODERS.values():
        if coder.number == number:
            try:
                return coder.read(reader, count, alphabet)
            except FormatError:
                raise
            except ValueError as error:
                raise FormatError(str(error)) from None
    raise FormatError(f"no coder has the number {number}")


def _write_fixed(symbols: Array, alphabet: int) -> bytes:
    return bits.pack(symbols, bits.width_of(alphabet))


def _read_fixed(reader: Reader, count: int, alphabet: int) -> Array:
    width = bits.width_of(alphabet)
    data = reader.take(bits.size(count * width))
    return arithmetic.checked(bits.unpack(data, count, width), alphabet)


def _write_huffman(symbols: Array, alphabet: int) -> bytes | None:
    if alphabet > 1 << 12:
        return None
    lengths = huffman.code_lengths(np.bincount(symbols, minlength=alphabet))
    return bits.pack(lengths, 4) + sized(huffman.encode(symbols, lengths))


def _read_huffman(reader: Reader, count: int, alphabet: int) -> Array:
    if alphabet > 1 << 12:
        raise FormatError(f"Huffman codes have at most {1 << 12} symbols here, got {alphabet}")
    lengths = bits.unpack(reader.take(bits.size(4 * alphabet)), alphabet, 4)
    if count and not huffman.is_complete(lengths):
        raise FormatError("the lengths of the Huffman words make no code")
    return huffman.decode(reader.sized(), count, lengths)


def _write_arithmetic(symbols: Array, alphabet: int) -> bytes | None:
    if len(symbols) * bits.width_of(alphabet) > PATIENCE:
        return None
    return sized(arithmetic.encode(symbols, alphabet))


def _read_arithmetic(reader: Reader, count: int, alphabet: int) -> Array:
    if count * bits.width_of(alphabet) > PATIENCE:
        raise FormatError(f"arithmetic streams have at most {PATIENCE} decisions, this one would have more")
    return arithmetic.decode(reader.sized(), count, alphabet)


CODERS = {
    "fixed": Coder(0, _write_fixed, _read_fixed),
    "huffman": Coder(1, _write_huffman, _read_huffman),
    "arithmetic": Coder(2, _write_arithmetic, _read_arithmetic),
}
