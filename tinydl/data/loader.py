"""Batches of a dataset, in a shuffled order that can be stopped and taken up again bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from tinydl.data.dataset import Dataset, read_rows
from tinydl.random import default_generator
from tinydl.shapes import Array
from tinydl.tensor import Tensor


class DataLoader:
    """Iterate over a dataset in batches of Tensors.

    Floats become float32 and integers int64, whatever the dataset holds them in. A dataset with `__getitems__` is
    asked for a batch at a time; of another, rows are collected one by one.

    Args:
        dataset: anything with `len()` and `[index]`.
        batch_size: rows in a batch; the last batch of an epoch may have fewer.
        shuffle: a new random order each epoch.
        drop_last: leave out a last batch that is not full.
        generator: a Generator or a seed for the order; the default generator when omitted.
        collate_fn: makes a batch out of a list of rows, instead of the stacking described above.
        num_workers: only 0; PyTorch's worker processes are not needed, batches are made of arrays at once.
        pin_memory: only False; there is no GPU to pin memory for.

    Raises: TypeError or ValueError naming the argument that does not fit.

    >>> from tinydl.data.dataset import TensorDataset
    >>> loader = DataLoader(TensorDataset(np.arange(10.0), np.arange(10)), batch_size=4)
    >>> [(x.shape, str(y.dtype)) for x, y in loader]
    [((4,), 'int64'), ((4,), 'int64'), ((2,), 'int64')]
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: Generator | int | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        for needed in ("__len__", "__getitem__"):
            if not hasattr(dataset, needed):
                raise TypeError(f"dataset must have {needed}, {type(dataset).__name__} has not")
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)):
            raise TypeError(f"batch_size must be an integer, got {batch_size!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if num_workers != 0 or pin_memory:
            raise ValueError(f"only num_workers=0 and pin_memory=False exist here, got {num_workers} and {pin_memory}")
        if generator is not None and not isinstance(generator, (Generator, int, np.integer)):
            raise TypeError(f"generator must be a numpy Generator or a seed, got {type(generator).__name__}")
        self.dataset, self.batch_size = dataset, int(batch_size)
        self.shuffle, self.drop_last, self.collate_fn = shuffle, drop_last, collate_fn
        self._generator = np.random.default_rng(generator) if isinstance(generator, (int, np.integer)) else generator
        self._seed: int | None = None  # of the order of the epoch under way
        self._position = 0  # batches of that epoch already given out
        self._resumed = False

    @property
    def generator(self) -> Generator:
        """Where the order of each epoch comes from."""
        return default_generator() if self._generator is None else self._generator

    def __len__(self) -> int:
        rows = len(self.dataset)
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        if not self._resumed:
            self._seed = int(self.generator.integers(1 << 63)) if self.shuffle else None
            self._position = 0
        self._resumed = False
        return self._batches(self._order(), self._position)

    def _order(self) -> Array:
        """Return the row numbers in the order of this epoch, a function of its seed alone."""
        rows = len(self.dataset)
        return np.arange(rows) if self._seed is None else np.random.default_rng(self._seed).permutation(rows)

    def _batches(self, order: Array, start: int) -> Iterator[Any]:
        for position in range(start, len(self)):
            batch = self._batch(order[position * self.batch_size : (position + 1) * self.batch_size])
            self._position = position + 1
            yield batch
        self._seed, self._position = None, 0

    def _batch(self, indices: Array) -> Any:
        if self.collate_fn is not None:
            return self.collate_fn([self.dataset[int(i)] for i in indices])
        batch = read_rows(self.dataset, indices)
        return default_collate(batch) if isinstance(batch, list) else tuple(_as_tensor(array) for array in batch)

    def state_dict(self) -> dict[str, Any]:
        """Return where the loader stands, in numbers and strings fit for JSON.

        It holds the order of the epoch under way, how many of its batches were given out, and the state of the
        generators of the loader and of the dataset (which random transforms draw from).
        """
        augmentation = getattr(self.dataset, "generator", None)
        return {
            **self._layout(),
            "order_seed": self._seed,
            "position": self._position,
            "generator": _plain(self.generator.bit_generator.state),
            "augmentation": None if augmentation is None else _plain(augmentation.bit_generator.state),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken: the next iteration gives the rest of that epoch, bit for bit.

        Raises: ValueError naming what differs, before anything changes.
        """
        try:
            differences = [f"{k} {state[k]!r} ≠ {v!r}" for k, v in self._layout().items() if state[k] != v]
            seed, position, own, others = (state[k] for k in ("order_seed", "position", "generator", "augmentation"))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the state of a DataLoader: {error!r}") from None
        if differences:
            raise ValueError(f"the state is of another DataLoader: {'; '.join(differences)}")
        if not isinstance(position, int) or not 0 <= position <= len(self):
            raise ValueError(f"position must be 0 … {len(self)} batches, got {position!r}")
        generators = [self.generator, getattr(self.dataset, "generator", None)]
        _restore([(g, s) for g, s in zip(generators, (own, others)) if g is not None and s is not None])
        self._seed, self._position = seed, position
        self._resumed = seed is not None or position > 0

    def _layout(self) -> dict[str, Any]:
        """Return what a state and its loader must agree on."""
        return {
            "rows": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": bool(self.shuffle),
            "drop_last": bool(self.drop_last),
        }


def default_collate(rows: list[Any]) -> Any:
    """Stack rows into a batch: numbers and arrays into Tensors, field by field for rows that are tuples or lists.

    Raises: TypeError for anything else, ValueError when the rows differ in shape.

    >>> default_collate([(np.zeros(3), 7), (np.ones(3), 8)])[1].numpy()
    array([7, 8])
    """
    if isinstance(rows[0], (tuple, list)):
        return tuple(default_collate(list(field)) for field in zip(*rows, strict=True))
    arrays = [row.numpy() if isinstance(row, Tensor) else np.asarray(row) for row in rows]
    shapes = {a.shape for a in arrays}
    if len(shapes) > 1:
        raise ValueError(f"rows of a batch must have one shape, got {sorted(shapes)}; give a collate_fn")
    return _as_tensor(np.stack(arrays))


def _as_tensor(array: Array) -> Tensor:
    """Return a batch as a Tensor of float32, int64 or bool. Raises: TypeError for other kinds of data."""
    kinds = {"f": np.float32, "i": np.int64, "u": np.int64, "b": np.bool_}
    if array.dtype.kind not in kinds:
        raise TypeError(f"a batch must hold numbers, got dtype {array.dtype}; give a collate_fn")
    return Tensor(array.astype(kinds[array.dtype.kind], copy=False))


def _plain(state: Any) -> Any:
    """Return a bit generator's state with arrays as lists."""
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, (np.ndarray, np.generic)) else state


def _restore(states: Sequence[tuple[Generator, dict[str, Any]]]) -> None:
    """Set the states of generators, all or none. Raises: ValueError when one does not fit."""
    before = [generator.bit_generator.state for generator, _ in states]
    try:
        for generator, state in states:
            generator.bit_generator.state = state
    except (KeyError, TypeError, ValueError) as error:
        for (generator, _), old in zip(states, before):
            generator.bit_generator.state = old
        raise ValueError(f"the state of a generator does not fit: {error}") from None
