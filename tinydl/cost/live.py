"""Which memory is alive when: a count that rises as arrays are made and falls as Python frees them."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinydl.shapes import Array


def owner(array: Array) -> Array:
    """Return the array whose memory `array` looks into: itself, if it is no view.

    >>> x = np.zeros((2, 3))
    >>> owner(x[1:].T) is x
    True
    """
    found, base = array, array.base
    while base is not None:
        found = base if isinstance(base, np.ndarray) else found
        base = getattr(base, "base", None)  # a view made by as_strided has a go-between
    return found


class Live:
    """How many bytes the arrays it was told of take as long as they are alive; views of one array count once.

    Args:
        other: arrays that are never counted, nor their views.

    Attributes:
        n_bytes: those alive now.
        peak: the most that were alive at one time.

    >>> live = Live()
    >>> x = np.zeros(4, np.float32)
    >>> live.add(x), live.add(x[2:])
    (16, 0)
    >>> del x
    >>> live.n_bytes, live.peak
    (0, 16)
    """

    def __init__(self, other: Iterable[Array] = ()) -> None:
        self.n_bytes = self.peak = 0
        self._other = [owner(array) for array in other]  # held, so that nothing else can get their ids
        self._known: dict[int, weakref.ref[Array] | None] = {id(array): None for array in self._other}

    def holds(self, array: Array) -> bool:
        """Tell whether `array` looks into memory that is counted."""
        return self._known.get(id(owner(array))) is not None

    def add(self, array: Array) -> int:
        """Count the memory of `array`, and return by how many bytes the count has risen."""
        memory = owner(array)
        key, size = id(memory), memory.nbytes
        if key in self._known:
            return 0

        def gone(_: object) -> None:
            self.n_bytes -= size
            del self._known[key]

        self._known[key] = weakref.ref(memory, gone)
        self.n_bytes += size
        self.peak = max(self.peak, self.n_bytes)
        return size

    def follow(self, operands: Sequence[Any], result: Array, kept: Sequence[Any]) -> int:
        """Count the result of an op, and the arrays it kept beside it, if the memory of one of its operands counts.

        Returns: by how many bytes the result alone has raised the count.
        """
        if not any(isinstance(x, np.ndarray) and self.holds(x) for x in operands):
            return 0
        made = self.add(result)
        for array in kept:
            self.add(array)
        return made
