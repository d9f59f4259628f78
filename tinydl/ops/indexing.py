"""Ops that pick elements by index, and the ops that put gradients back where they were picked.

Picking is linear, so each pair below (pick, put) is its own second derivative: put is the adjoint of pick.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.methods import plain
from tinydl.op import composite, op
from tinydl.shapes import Array, Pair, Shape, check_size, normalize_dim
from tinydl.tensor import Tensor, alike, as_array


@composite
def getitem(x: Any, index: Any) -> Any:
    """Return x[index]: integers, slices, None, …, boolean masks and integer arrays, as NumPy takes them.

    Raises: IndexError as NumPy does.

    >>> getitem(np.arange(6).reshape(2, 3), (slice(None), [0, 2]))
    array([[0, 2],
           [3, 5]])
    """
    return pick(x, _fixed(index))


def _fixed(index: Any) -> Any:
    """Return an index of plain arrays that nobody else can change, because the graph keeps it."""
    if isinstance(index, tuple):
        return tuple([_fixed(part) for part in index])
    return np.array(plain(index)) if isinstance(index, (Tensor, np.ndarray)) else index


@op("...", view=True)
def pick(x: Any, index: Any) -> Any:
    """Return x[index]; `index` is trusted to stay as it is.

    >>> pick(np.arange(3), 1)
    np.int64(1)
    """
    return x[index]


@pick.vjp()
def pick_vjp(g: Any, x_shape: Shape, index: Any) -> Any:
    """Each picked element returns its gradient to where it was picked; one picked twice gets both."""
    return put(g, x_shape, index)


@op("...")
def put(g: Any, shape: Shape, index: Any) -> Any:
    """Return zeros of `shape` with g added at `index`: the adjoint of x[index].

    >>> put(np.ones(3), (4,), [0, 0, 2])
    array([2., 0., 1., 0.])
    """
    out = np.zeros(shape, g.dtype)
    if _may_repeat(index):
        np.add.at(out, index, g)
    else:
        out[index] = g
    return out


def _may_repeat(index: Any) -> bool:
    """Tell whether an index may name one element twice: only lists and integer arrays can."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, list) or (isinstance(part, np.ndarray) and part.dtype.kind in "iu") for part in parts)


@put.vjp()
def put_vjp(g: Any, index: Any) -> Any:
    """Read where was written."""
    return pick(g, index)


def _indices(index: Any, name: str, op_name: str) -> Array:
    """Return `index` as an integer array. Raises: TypeError for anything else."""
    array = as_array(index, name=f"{op_name}: {name}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op_name}: {name} must hold integers, got dtype {array.dtype}")
    return array


def _in_range(array: Array, size: int, name: str, op_name: str) -> Array:
    if array.size and (array.min() < 0 or array.max() >= size):
        raise IndexError(f"{op_name}: {name} must lie in 0…{size - 1}, got {array.min()}…{array.max()}")
    return array


@composite
def gather(x: Any, dim: int, index: Any) -> Any:
    """Return y[i][j][k] = x[i][index[i][j][k]][k] (for dim = 1): one element of x for each element of `index`.

    Raises: IndexError for an index out of range, ValueError when `index` has other axes than x.

    >>> gather(np.array([[1, 2], [3, 4]]), 1, np.array([[0, 0], [1, 0]]))
    array([[1, 1],
           [4, 3]])
    """
    shape = tuple(x.shape)
    dim = normalize_dim(dim, len(shape), "gather")
    array = _indices(index, "index", "gather")
    if array.ndim != len(shape) or any(n > shape[i] for i, n in enumerate(array.shape) if i != dim):
        raise ValueError(f"gather: index {array.shape} must have the axes of x {shape}, none larger but dim {dim}")
    _in_range(array, shape[dim], "index", "gather")
    return getitem(x, _along(array, dim))


def _along(index: Array, dim: int) -> tuple[Array, ...]:
    """Return the full index tuple in which only axis `dim` is given by `index`."""
    grid: list[Array] = list(np.indices(index.shape, sparse=True))
    grid[dim] = index
    return tuple(grid)


@composite
def index_select(x: Any, dim: int, index: Any) -> Any:
    """Return the slices of x along `dim` that the 1-d `index` names.

    >>> index_select(np.array([[1, 2, 3]]), 1, np.array([2, 0]))
    array([[3, 1]])
    """
    shape = tuple(x.shape)
    dim = normalize_dim(dim, len(shape), "index_select")
    array = _in_range(_indices(index, "index", "index_select"), shape[dim], "index", "index_select")
    return getitem(x, (*(slice(None),) * dim, array))


@composite
def embedding(index: Any, weight: Any) -> Any:
    """Return weight[index]: row i of `weight` (V, D) for each integer i; shape index.shape + (D,).

    Raises: IndexError for an index outside 0…V−1, TypeError for indices that are no integers.

    >>> embedding(np.array([1, 1]), np.array([[0.0, 0.0], [5.0, 6.0]]))
    array([[5., 6.],
           [5., 6.]])
    """
    if len(weight.shape) != 2:
        raise ValueError(f"embedding: weight must have 2 axes (V, D), got shape {tuple(weight.shape)}")
    return getitem(weight, _in_range(_indices(index, "index", "embedding"), weight.shape[0], "index", "embedding"))


@composite
def one_hot(index: Any, num_classes: int = -1) -> Any:
    """Return int64 zeros with a 1 at each index along a new last axis of size `num_classes` (−1: the largest + 1).

    Raises: IndexError for an index outside 0…num_classes−1.

    >>> one_hot(np.array([0, 2]))
    array([[1, 0, 0],
           [0, 0, 1]])
    """
    array = _indices(index, "index", "one_hot")
    if num_classes == -1:
        if not array.size:
            raise ValueError("one_hot: num_classes is needed for an empty index")
        num_classes = int(array.max()) + 1
    check_size((*array.shape, num_classes), 8, "one_hot")
    hot = np.equal(_in_range(array, num_classes, "index", "one_hot")[..., None], np.arange(num_classes))
    return alike(hot.astype(np.int64), index)


_MODES = ("constant", "reflect", "replicate")


@composite
def pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Any:
    """Return x with elements added at its borders.

    Args:
        x: any shape; `reflect` and `replicate` need at least one element on every padded axis.
        pad: (left, right, top, bottom, …): two numbers an axis, the last axis first, as in PyTorch. Negative numbers
            crop (constant mode only).
        mode: "constant" (`value`), "reflect" (mirror without repeating the border) or "replicate" (repeat the border).
        value: what to fill with.

    Raises: ValueError for an unknown mode, an odd number of entries, or a reflection wider than the axis.

    >>> pad(np.array([1, 2, 3]), (2, 1), mode="reflect")
    array([3, 2, 1, 2, 3, 2])
    """
    shape = tuple(x.shape)
    if mode not in _MODES:
        raise ValueError(f"pad: mode must be one of {_MODES}, got {mode!r}")
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise ValueError(f"pad: pad needs two numbers an axis for at most {len(shape)} axes, got {tuple(pad)}")
    pairs = [(0, 0)] * (len(shape) - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    padded = tuple(n + before + after for n, (before, after) in zip(shape, pairs))
    if any(min(n + before, n + after, size) < 0 for n, (before, after), size in zip(shape, pairs, padded)):
        raise ValueError(f"pad: {tuple(pad)} crops more than x {shape} has")
    check_size(padded, x.dtype.itemsize, "pad")
    if mode == "constant":
        return constant_pad(x, tuple(pairs), value)
    for dim, (n, (before, after)) in enumerate(zip(shape, pairs)):
        if before or after:
            x = index_select(x, dim, _border(n, before, after, mode))
    return x


def _border(n: int, before: int, after: int, mode: str) -> Array:
    """Return the source position of each element along one padded axis."""
    room = n - 1 if mode == "reflect" else (np.inf if n else 0)
    if min(before, after) < 0 or max(before, after) > room:
        raise ValueError(f"pad: {mode} of an axis of size {n} allows 0…{room}, got {(before, after)}")
    places = np.arange(-before, n + after)
    return (n - 1) - np.abs((n - 1) - np.abs(places)) if mode == "reflect" else np.clip(places, 0, n - 1)


@op("...")
def constant_pad(x: Any, pairs: Sequence[Pair], value: float = 0.0) -> Any:
    """Return x with (before, after) elements of `value` added on each axis; negative numbers crop.

    >>> constant_pad(np.ones(2), [(1, 0)])
    array([0., 1., 1.])
    """
    inner = tuple([slice(max(0, b), n + b + min(0, a)) for n, (b, a) in zip(x.shape, pairs)])
    kept = tuple([slice(max(0, -b), n + min(0, a)) for n, (b, a) in zip(x.shape, pairs)])
    y = np.full([n + b + a for n, (b, a) in zip(x.shape, pairs)], value, x.dtype)
    y[inner] = x[kept]
    return y


@constant_pad.vjp()
def constant_pad_vjp(g: Any, pairs: Sequence[Pair]) -> Any:
    """Padding's adjoint is cropping, and cropping's is padding with 0."""
    return constant_pad(g, tuple((-before, -after) for before, after in pairs))
