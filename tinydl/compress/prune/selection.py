"""Choosing exactly as many units as asked: the lowest scores, ties by position."""

from __future__ import annotations

import numpy as np

from tinydl.shapes import Array


def lowest(scores: Array, pruned: Array, count: int) -> Array:
    """Return, as a bool array, the `count` units to prune: those pruned already, then the lowest scores.

    Of equal scores the first in position goes first. A threshold that takes or leaves all equal scores would miss the
    sparsity asked for: a weight that is quantized, or zero, has many of them.

    Args:
        scores: (units,), finite.
        pruned: (units,), which are pruned already.
        count: at most the number of units.

    Raises: ValueError when more than `count` are pruned already.

    >>> none = np.zeros(5, bool)
    >>> lowest(np.array([3.0, 1.0, 1.0, 0.0, 1.0]), none, 2)
    array([False,  True, False,  True, False])
    """
    done = int(np.count_nonzero(pruned))
    if done > count:
        raise ValueError(
            f"sparsity: {count} of {len(scores)} units are to be pruned, but {done} are already; remove() the masks "
            "to begin again"
        )
    if count == 0:
        return np.zeros(len(scores), bool)
    key = np.where(pruned, -np.inf, scores)
    last = np.partition(key, count - 1)[count - 1]  # linear in the units, where sorting is not
    chosen: Array = key < last
    chosen[np.flatnonzero(key == last)[: count - np.count_nonzero(chosen)]] = True
    return chosen


def lowest_each(scores: Array, pruned: Array, count: int) -> Array:
    """Return the `count` units to prune in each row; see `lowest`.

    Raises: ValueError when more than `count` of a row are pruned already.

    >>> lowest_each(np.array([[1.0, 1.0, 0.0, 2.0]]), np.array([[False, False, False, True]]), 2)
    array([[False, False,  True,  True]])
    """
    if (pruned.sum(axis=1) > count).any():
        raise ValueError(f"{count} of every {scores.shape[1]} are to be pruned, but in some rows more are already")
    order = np.argsort(np.where(pruned, -np.inf, scores), axis=1, kind="stable")
    chosen = np.zeros(scores.shape, bool)
    np.put_along_axis(chosen, order[:, :count], True, axis=1)
    return chosen
