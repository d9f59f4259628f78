"""What a dataset is, and the ones made of others: rows of arrays, a subset, a random split."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from tinydl.random import default_generator
from tinydl.shapes import Array


class Dataset(Protocol):
    """Anything with a length whose row i is `dataset[i]`; usable as a base class, never required as one.

    A dataset that can do better than one row at a time also has `__getitems__(indices)`, which returns a tuple of
    arrays, one batch each; `DataLoader` prefers it. One whose rows involve chance has a `generator`, so that a
    loader can save and restore its state.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def row_index(index: Any, length: int, name: str) -> int:
    """Return `index` counted from the front. Raises: TypeError or IndexError naming the dataset.

    >>> row_index(-1, 10, "digits")
    9
    """
    try:
        row = operator.index(index)
    except TypeError:
        raise TypeError(f"{name} is indexed by an integer, got {type(index).__name__}") from None
    if not -length <= row < length:
        raise IndexError(f"{name}: index {row} is out of range for {length} rows")
    return row % length


def row_indices(indices: Any, length: int, name: str) -> Array:
    """Return `indices` as an int64 vector, all from 0 to `length` − 1.

    Raises: TypeError for anything but integers in one dimension, IndexError for one that is out of range.

    >>> row_indices([0, 2], 3, "digits")
    array([0, 2])
    """
    rows = np.asarray(indices)
    if rows.size == 0:
        return np.zeros(0, np.int64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices must be a sequence of integers, got {rows.dtype} of shape {rows.shape}")
    if rows.min() < 0 or rows.max() >= length:
        raise IndexError(f"{name}: indices reach {rows.min()} … {rows.max()}, allowed are 0 … {length - 1}")
    return rows.astype(np.int64, copy=False)


def read_rows(dataset: Dataset, indices: Array) -> Any:
    """Return many rows: what `__getitems__` gives where the dataset has one, else a list of rows.

    >>> read_rows(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    if hasattr(dataset, "__getitems__"):
        return dataset.__getitems__(indices)
    return [dataset[int(index)] for index in indices]


class TensorDataset(Dataset):
    """Rows of arrays that are as long as each other: row i is `(arrays[0][i], arrays[1][i], …)`.

    Args:
        arrays: arrays or Tensors whose first axis counts the rows; they are kept as they are, not copied.

    Raises: ValueError without arrays, for one without axes, or when the lengths differ.

    >>> pairs = TensorDataset(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]))
    >>> len(pairs), pairs[2]
    (3, (array([4., 5.]), np.int64(0)))
    """

    def __init__(self, *arrays: Any) -> None:
        self.arrays = tuple(np.asarray(a.numpy() if hasattr(a, "numpy") else a) for a in arrays)
        shapes = [a.shape for a in self.arrays]
        if not shapes or not all(shapes) or len({shape[0] for shape in shapes}) != 1:
            raise ValueError(f"TensorDataset needs one or more arrays with equally many rows, got shapes {shapes}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int, /) -> tuple[Any, ...]:
        row = row_index(index, len(self), "TensorDataset")
        return tuple(a[row] for a in self.arrays)

    def __getitems__(self, indices: Sequence[int] | Array) -> tuple[Array, ...]:
        """Return the rows `indices` of every array at once."""
        rows = row_indices(indices, len(self), "TensorDataset")
        return tuple(a[rows] for a in self.arrays)


class Subset(Dataset):
    """The rows `indices` of another dataset, in that order.

    Raises: TypeError or IndexError when an index is not a row of `dataset`.

    >>> Subset(TensorDataset(np.array([5, 6, 7])), [2, 0])[0]
    (np.int64(7),)
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int] | Array) -> None:
        self.dataset = dataset
        self.indices = row_indices(indices, len(dataset), "Subset")

    @property
    def generator(self) -> np.random.Generator | None:
        """The generator of the dataset underneath, if it has one."""
        found: np.random.Generator | None = getattr(self.dataset, "generator", None)
        return found

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> Any:
        return self.dataset[int(self.indices[row_index(index, len(self), "Subset")])]

    def __getitems__(self, indices: Sequence[int] | Array) -> Any:
        """Return many rows at once, in the form of `read_rows`."""
        return read_rows(self.dataset, self.indices[row_indices(indices, len(self), "Subset")])


def random_split(
    dataset: Dataset, lengths: Sequence[float], generator: np.random.Generator | None = None
) -> list[Subset]:
    """Split `dataset` at random into disjoint subsets that together hold every row once.

    Args:
        dataset: what to split.
        lengths: row counts that add up to `len(dataset)`, or fractions that add up to 1. A fraction gets
            ⌊fraction · rows⌋ rows; the rows left over go to the first subsets, one each (as in PyTorch).
        generator: where the order comes from; the default generator when omitted.

    Raises: ValueError when the lengths are negative or do not add up.

    >>> [len(part) for part in random_split(TensorDataset(np.arange(10)), [0.75, 0.25])]
    [8, 2]
    """
    counts = _counts(lengths, len(dataset))
    order = (default_generator() if generator is None else generator).permutation(len(dataset))
    ends = np.cumsum(counts)
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, ends)]


def _counts(lengths: Sequence[float], rows: int) -> list[int]:
    """Return `lengths` as row counts, checked to add up to `rows`."""
    whole = all(isinstance(n, (int, np.integer)) for n in lengths)
    if whole and min(lengths, default=-1) >= 0 and sum(lengths) == rows:
        return [int(n) for n in lengths]
    if whole or not all(0 <= n <= 1 for n in lengths) or abs(sum(lengths) - 1) > 1e-6:
        raise ValueError(f"lengths must add up to {rows} rows, or as fractions to 1, got {list(lengths)}")
    counts = [int(np.floor(n * rows)) for n in lengths]
    for i in range(rows - sum(counts)):
        counts[i % len(counts)] += 1
    return counts
