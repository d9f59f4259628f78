"""Ops that move elements without computing: shapes, axes, stretching, joining, padding.

`expand` and `sum_stretched` are each other's derivative; that pair is all of broadcasting's backward.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl import kernels
from tinydl.op import composite, op
from tinydl.shapes import Shape, normalize_dim, normalize_dims


@op("...", view=True)
def reshape(x: Any, shape: Sequence[int]) -> Any:
    """Return the elements of x, in row-major order of its axes, in another shape; one size may be −1.

    >>> reshape(np.arange(6.0), (2, -1)).shape
    (2, 3)
    """
    try:
        return x.reshape(shape)
    except ValueError:
        raise ValueError(f"reshape: x {x.shape} has {x.size} elements, which do not fill {tuple(shape)}") from None


@reshape.vjp()
def reshape_vjp(g: Any, x_shape: Shape) -> Any:
    """The gradient takes the old shape back."""
    return reshape(g, x_shape)


@op("...", view=True)
def permute(x: Any, dims: Sequence[int]) -> Any:
    """Return x with axis dims[i] in place i.

    >>> permute(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    try:
        return x.transpose(dims)
    except ValueError:
        raise ValueError(f"permute: dims {tuple(dims)} must name each axis of x {x.shape} once") from None


@permute.vjp()
def permute_vjp(g: Any, dims: Sequence[int]) -> Any:
    """The gradient takes the inverse permutation."""
    inverse = sorted(range(len(dims)), key=lambda i: dims[i] % len(dims))
    return permute(g, tuple(inverse))


_SMALL = 4096
"""Up to so many elements a copy is made: 0.5 µs or little more, where NumPy takes 2 µs to make a view."""


@op("...", view=True)
def expand(x: Any, sizes: Sequence[int]) -> Any:
    """Return x stretched to `sizes` by repeating along axes of size 1 (and new leading axes); −1 keeps an axis.

    >>> expand(np.ones((2, 1)), (4, -1, 3)).shape
    (4, 2, 3)
    """
    lead = len(sizes) - x.ndim
    full = tuple([x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(sizes)])
    try:
        if not 0 < math.prod(full) <= _SMALL:
            return np.broadcast_to(x, full)
        y = np.empty(full, x.dtype)
        y[...] = x
        return y
    except ValueError:
        raise ValueError(
            f"expand: x {x.shape} cannot be stretched to {tuple(sizes)}: only axes of size 1 can"
        ) from None


@expand.vjp()
def expand_vjp(g: Any, x_shape: Shape) -> Any:
    """What was repeated is summed."""
    return sum_to(g, x_shape)


@op("...")
def sum_stretched(x: Any, shape: Shape) -> Any:
    """Return x summed over every axis along which an array of `shape` would be stretched to x's shape.

    >>> sum_stretched(np.ones((4, 2, 3)), (2, 1))
    array([[12.],
           [12.]])
    """
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple([i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1])
    return x.sum(axis=axes).reshape(shape)


@sum_stretched.vjp()
def sum_stretched_vjp(g: Any, x_shape: Shape) -> Any:
    """What was summed is repeated."""
    return expand(g, x_shape)


def sum_to(g: Any, shape: Shape) -> Any:
    """Return the gradient of an operand of `shape` from that of what it was stretched to: g itself where nothing was.

    >>> sum_to(np.ones((4, 2)), (2,))
    array([4., 4.])
    """
    return g if g.shape == shape else sum_stretched(g, shape)


@op("...", variadic=True)
def cat(tensors: Any, dim: int = 0) -> Any:
    """Return the pieces joined along an existing axis.

    >>> cat([np.zeros((1, 2)), np.ones((2, 2))]).shape
    (3, 2)
    """
    if not tensors:
        raise ValueError("cat: a sequence of at least one Tensor is needed, got none")
    shapes = [np.shape(t) for t in tensors]
    dim = normalize_dim(dim, len(shapes[0]), "cat")
    rest = {s[:dim] + s[dim + 1 :] for s in shapes}
    if len(rest) > 1 or len({len(s) for s in shapes}) > 1:
        raise ValueError(f"cat: all sizes but that of dim {dim} must agree, got {' and '.join(map(str, shapes))}")
    return kernels.cat(tensors, dim)


@cat.vjp()
def cat_vjp(g: Any, shapes: list[Shape], dim: int) -> Any:
    """Each piece gets its part of the gradient."""
    return split(g, [s[dim] for s in shapes], dim)


@op("...", view=True)
def flip(x: Any, dims: int | Sequence[int]) -> Any:
    """Return x with the order along `dims` reversed.

    >>> flip(np.array([1, 2, 3]), 0)
    array([3, 2, 1])
    """
    return np.flip(x, normalize_dims(dims, x.ndim, "flip"))


@flip.vjp()
def flip_vjp(g: Any, dims: int | Sequence[int]) -> Any:
    """The gradient is reversed back."""
    return flip(g, dims)


@composite
def transpose(x: Any, dim0: int, dim1: int) -> Any:
    """Return x with two axes exchanged.

    >>> transpose(np.zeros((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    dims = list(range(len(x.shape)))
    a, b = normalize_dim(dim0, len(dims), "transpose"), normalize_dim(dim1, len(dims), "transpose")
    if dims:
        dims[a], dims[b] = b, a
    return permute(x, tuple(dims))


@composite
def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Return x with axes start_dim…end_dim made one.

    >>> flatten(np.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    shape = tuple(x.shape)
    start, end = normalize_dim(start_dim, len(shape), "flatten"), normalize_dim(end_dim, len(shape), "flatten")
    if end < start:
        raise ValueError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim} for shape {shape}")
    merged = math.prod(shape[start : end + 1])
    return reshape(x, (*shape[:start], merged, *shape[end + 1 :]))


@composite
def squeeze(x: Any, dim: int | Sequence[int] | None = None) -> Any:
    """Return x without its axes of size 1, or without those among `dim`.

    >>> squeeze(np.zeros((1, 3, 1)), 0).shape
    (3, 1)
    """
    shape = tuple(x.shape)
    dims = normalize_dims(dim, len(shape), "squeeze")
    return reshape(x, tuple(n for i, n in enumerate(shape) if not (n == 1 and i in dims)))


@composite
def unsqueeze(x: Any, dim: int) -> Any:
    """Return x with an axis of size 1 put in at `dim`.

    >>> unsqueeze(np.zeros((2, 3)), -1).shape
    (2, 3, 1)
    """
    shape = tuple(x.shape)
    place = normalize_dim(dim, len(shape) + 1, "unsqueeze")
    return reshape(x, (*shape[:place], 1, *shape[place:]))


@composite
def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Return pieces of one shape joined along a new axis.

    >>> stack([np.zeros(3), np.ones(3)]).shape
    (2, 3)
    """
    pieces = list(tensors)
    shapes = {tuple(t.shape) for t in pieces}
    if len(shapes) != 1:
        raise ValueError(f"stack: at least one Tensor, all of one shape, are needed; got {sorted(shapes)}")
    return cat([unsqueeze(t, dim) for t in pieces], dim)


@composite
def split(x: Any, split_size: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Return pieces of size `split_size` along `dim` (the last may be smaller), or of the sizes listed.

    >>> [len(piece) for piece in split(np.arange(7), 3)]
    [3, 3, 1]
    """
    dim = normalize_dim(dim, len(x.shape), "split")
    n = x.shape[dim]
    if isinstance(split_size, (int, np.integer)):
        if split_size < 1:
            raise ValueError(f"split: split_size must be at least 1, got {split_size}")
        sizes = [min(split_size, n - start) for start in range(0, n, split_size)] or [0]
    else:
        sizes = list(split_size)
        if sum(sizes) != n or min(sizes) < 0:
            raise ValueError(f"split: the sizes {sizes} must add up to {n}, the size of dim {dim} of {tuple(x.shape)}")
    stops = np.cumsum(sizes)
    before = (slice(None),) * dim
    return tuple(x[(*before, slice(int(stop) - size, int(stop)))] for size, stop in zip(sizes, stops))


@composite
def chunk(x: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """Return at most `chunks` pieces of equal size along `dim`, the last one possibly smaller.

    >>> [len(piece) for piece in chunk(np.arange(7), 3)]
    [3, 3, 1]
    """
    if chunks < 1:
        raise ValueError(f"chunk: chunks must be at least 1, got {chunks}")
    n = x.shape[normalize_dim(dim, len(x.shape), "chunk")]
    return split(x, max(1, -(-n // chunks)), dim)


@op("...")
def deal_channels(x: Any, groups: int) -> Any:
    """Return x (N, C, …) with its channels dealt out: `channel_shuffle` once `groups` is known to divide C.

    y[n, j·groups + i] = x[n, i·C/groups + j].

    >>> deal_channels(np.arange(6).reshape(1, 6), 2)
    array([[0, 3, 1, 4, 2, 5]])
    """
    return kernels.channel_shuffle(x, groups)


@deal_channels.vjp()
def deal_channels_vjp(g: Any, x_shape: Shape, groups: int) -> Any:
    """Dealing by the size of a group gathers what was dealt out."""
    return deal_channels(g, x_shape[1] // groups) if x_shape[1] else g


@composite
def channel_shuffle(x: Any, groups: int) -> Any:
    """Return x (N, C, …) with its channels dealt out: channel i·C/groups + j goes to place j·groups + i.

    Source: Zhang et al. 2018, ShuffleNet, arXiv:1707.01083, section 3.1: reshape to (groups, n), transpose, flatten.

    Raises: ValueError when `groups` does not divide the channels.

    >>> channel_shuffle(np.arange(6).reshape(1, 6), 2)
    array([[0, 3, 1, 4, 2, 5]])
    """
    shape = tuple(x.shape)
    if groups < 1 or len(shape) < 2 or shape[1] % groups:
        raise ValueError(f"channel_shuffle: groups {groups} must divide axis C of x {shape}")
    return deal_channels(x, groups)
