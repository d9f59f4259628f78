"""Which slots stand or fall together: labels, joined into classes."""

from __future__ import annotations

import numpy as np

from tinydl.shapes import Array


class Classes:
    """Labels 0, 1, 2, …, each in a class of its own until it is joined to another (union–find).

    Source: Galler & Fischer 1964, An improved equivalence algorithm, Communications of the ACM 7(5).

    >>> classes = Classes()
    >>> a, b = classes.new(3), classes.new(3)
    >>> classes.join(a, b[::-1])
    >>> classes.of(a), classes.of(b)
    (array([0, 1, 2]), array([2, 1, 0]))
    """

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._pinned: set[int] = set()

    def new(self, n: int) -> Array:
        """Return `n` new labels."""
        first = len(self._parent)
        self._parent += range(first, first + n)
        return np.arange(first, first + n)

    def join(self, a: Array, b: Array) -> None:
        """Put the labels of `a` in one class with those of `b`, element by element; the arrays broadcast."""
        pairs = np.stack([x.ravel() for x in np.broadcast_arrays(thin(a), thin(b))])
        for x, y in np.unique(pairs, axis=1).T.tolist():
            roots = self._root(x), self._root(y)
            self._parent[max(roots)] = min(roots)

    def pin(self, labels: Array) -> None:
        """Mark the classes of `labels` as such that cannot be removed."""
        self._pinned.update(np.unique(thin(labels)).tolist())

    def of(self, labels: Array) -> Array:
        """Return the class of each label: the smallest label in it."""
        flat = thin(labels)
        found = np.array([self._root(x) for x in flat.ravel().tolist()], np.int64).reshape(flat.shape)
        return np.broadcast_to(found, labels.shape)

    def pinned(self) -> set[int]:
        """Return the classes that cannot be removed."""
        return {self._root(label) for label in self._pinned}

    def _root(self, label: int) -> int:
        parent = self._parent
        while parent[label] != label:
            parent[label] = parent[parent[label]]  # halves the path for the next who asks
            label = parent[label]
        return label


def thin(labels: Array) -> Array:
    """Return labels without the repetitions along axes on which they were stretched (those keep size 1).

    >>> thin(np.broadcast_to(np.arange(2)[:, None, None], (2, 28, 28))).shape
    (2, 1, 1)
    """
    return labels[tuple(slice(0, 1) if step == 0 else slice(None) for step in labels.strides)]
