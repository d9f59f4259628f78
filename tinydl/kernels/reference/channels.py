"""Channel shuffle, which deals channels out like cards so that the next group sees some of each; concatenation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinydl.shapes import Array

__all__ = ["cat", "channel_shuffle", "shuffled_pair"]


def channel_shuffle(x: Array, groups: int) -> Array:
    """Return y with y[n, j·groups + i] = x[n, i·C/groups + j].

    Shapes: x (N, C, …) with C a multiple of groups -> as x; any dtype. Shuffling again by C/groups undoes it.
    Source: Zhang et al. 2018, ShuffleNet, arXiv:1707.01083, section 3.1.

    >>> channel_shuffle(np.arange(6).reshape(1, 6), 2)
    array([[0, 3, 1, 4, 2, 5]])
    """
    dealt = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    return np.ascontiguousarray(dealt.swapaxes(1, 2)).reshape(x.shape)


def cat(tensors: Sequence[Array], dim: int) -> Array:
    """Return arrays joined along an axis, which is not negative; their other sizes agree.

    >>> cat([np.zeros((1, 2)), np.ones((1, 1))], 1)
    array([[0., 0., 1.]])
    """
    return np.concatenate(tensors, axis=dim)


def shuffled_pair(a: Array, b: Array) -> Array:
    """Return `channel_shuffle(cat((a, b), 1), 2)` for a and b (N, C, …) of one shape: their channels in turn.

    >>> shuffled_pair(np.zeros((1, 2)), np.ones((1, 2)))
    array([[0., 1., 0., 1.]])
    """
    return channel_shuffle(cat((a, b), 1), 2)
