"""Arithmetic coding: a whole message is one number, and what was expected costs less than a bit.

The coder keeps an interval. Each binary decision cuts it in two in proportion to how probable the answers are, and
keeps the part that belongs to the answer that came; a decision of probability p costs log₂(1/p) bits, however small
that is. Probabilities are counted while coding, at both ends alike, so that none are in the file: a decision that has
fallen on 0 n₀ times and on 1 n₁ times is expected to fall on 1 with probability (n₁ + ½) / (n₀ + n₁ + 1).

The interval is held in integers: the same bytes on every machine.

Source: Martin 1979, Range encoding: an algorithm for removing redundancy from a digitised message; Krichevsky &
Trofimov 1981, The performance of universal encoding (the estimate).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from tinydl.compress.coding import bits
from tinydl.shapes import Array

Model: TypeAlias = list[int]
"""One kind of decision: [1 + 2·n₀, 1 + 2·n₁], the halves of the estimate made whole."""

_TOP = 1 << 32
_BOTTOM = 1 << 24
_FULL = 1 << 15
"""Counts that reach this are halved: the probability follows a message that changes, and products stay small."""


def fresh(n: int) -> list[Model]:
    """Return models of `n` kinds of decisions about which nothing is known.

    >>> fresh(2)
    [[1, 1], [1, 1]]
    """
    return [[1, 1] for _ in range(n)]


def _learn(model: Model, bit: int) -> None:
    model[bit] += 2
    if model[bit] >= _FULL:
        model[0], model[1] = model[0] >> 1 | 1, model[1] >> 1 | 1


class Encoder:
    """Turns decisions into bytes.

    >>> encoder, model = Encoder(), fresh(1)[0]
    >>> for _ in range(1000):
    ...     encoder.put(1, model)
    >>> len(encoder.finish())
    1
    """

    def __init__(self) -> None:
        self._low, self._range, self._out = 0, _TOP, bytearray()

    def put(self, bit: int, model: Model) -> None:
        """Code one decision as `model` expects it, and let the model learn from it."""
        cut = self._range * model[0] // (model[0] + model[1])
        if bit:
            self._low += cut
            self._range -= cut
        else:
            self._range = cut
        while self._range < _BOTTOM:
            self._shift()
            self._range <<= 8
        _learn(model, bit)

    def _shift(self) -> None:
        """Move the highest byte of the interval's lower end out, with its carry."""
        if self._low >= _TOP:
            self._carry()
        self._out.append(self._low >> 24)
        self._low = self._low << 8 & _TOP - 1

    def _carry(self) -> None:
        self._low -= _TOP
        place = len(self._out) - 1
        while self._out[place] == 255:
            self._out[place] = 0
            place -= 1
        self._out[place] += 1

    def finish(self) -> bytes:
        """Return the bytes: the shortest number in the interval, when zeros are read behind it."""
        end = self._low + self._range
        for zeros in (32, 24, 16, 8, 0):  # of its low bits
            number = -(-self._low >> zeros) << zeros
            if number < end:
                break
        self._low = number
        for _ in range(4):
            self._shift()
        return bytes(self._out).rstrip(b"\0")


class Decoder:
    """Reads the decisions that an `Encoder` made bytes of; it must be given the same models in the same order.

    Bytes that no encoder wrote give some decisions or other: a checksum has to tell.
    """

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)
        self._range, self._code = _TOP, 0
        for _ in range(4):
            self._read()

    def _read(self) -> None:
        self._code = self._code << 8 | next(self._bytes, 0)

    def get(self, model: Model) -> int:
        """Return the next decision, and let the model learn from it."""
        cut = self._range * model[0] // (model[0] + model[1])
        bit = int(self._code >= cut)
        if bit:
            self._code -= cut
            self._range -= cut
        else:
            self._range = cut
        while self._range < _BOTTOM:
            self._read()
            self._range <<= 8
        _learn(model, bit)
        return bit


def encode(symbols: Array, alphabet: int) -> bytes:
    """Return the bytes of `symbols` in 0 … alphabet − 1, each coded bit by bit, the highest first.

    What is expected of a bit depends on the higher bits of its symbol: a tree of 2^width − 1 decisions.

    >>> len(encode(np.full(10_000, 7), 16)), len(encode(np.arange(10_000) % 16, 16))
    (4, 5011)
    """
    encoder, width = Encoder(), bits.width_of(alphabet)
    models = fresh(1 << width)
    for symbol in symbols.tolist():
        node = 1
        for shift in range(width - 1, -1, -1):
            bit = symbol >> shift & 1
            encoder.put(bit, models[node])
            node = node << 1 | bit
    return encoder.finish()


def decode(data: bytes, count: int, alphabet: int) -> Array:
    """Return the `count` symbols that `encode` made `data` of.

    Raises: ValueError for a symbol outside the alphabet.

    >>> decode(encode(np.array([3, 0, 2]), 4), 3, 4)
    array([3, 0, 2])
    """
    decoder, width = Decoder(data), bits.width_of(alphabet)
    models = fresh(1 << width)
    symbols = []
    for _ in range(count):
        node = 1
        for _ in range(width):
            node = node << 1 | decoder.get(models[node])
        symbols.append(node - (1 << width))
    return checked(symbols, alphabet)


def checked(symbols: Sequence[int] | Array, alphabet: int) -> Array:
    """Return `symbols` as an array. Raises: ValueError for one that is not in the alphabet."""
    array = np.array(symbols, np.int64)
    if array.size and array.max() >= alphabet:
        raise ValueError(f"symbol {array.max()} is outside the alphabet 0 … {alphabet - 1}")
    return array
