"""Ops that reduce axes: sums, means, extremes, and what is made of them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tinydl.op import composite, op
from tinydl.ops.elementwise import abs as absolute
from tinydl.ops.elementwise import exp, log, pow, sqrt
from tinydl.ops.indexing import gather
from tinydl.ops.movement import expand, reshape, squeeze
from tinydl.shapes import Array, Shape, normalize_dim, normalize_dims
from tinydl.tensor import Tensor

Dims: TypeAlias = int | Sequence[int] | None


def _kept(shape: Shape, dim: Dims, name: str) -> Shape:
    """Return `shape` with the reduced axes kept at size 1."""
    dims = normalize_dims(dim, len(shape), name)
    return tuple(1 if i in dims else n for i, n in enumerate(shape))


def _stretch(g: Any, shape: Shape, dim: Dims) -> Any:
    """Return a reduction's gradient repeated over the axes that were reduced."""
    return expand(reshape(g, _kept(shape, dim, "sum")), shape)


@op("...")
def sum(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return Σ x over the axes `dim` (None: all); booleans and integers add up to int64.

    >>> sum(np.ones((2, 3)), dim=1)
    array([3., 3.])
    """
    return np.sum(x, axis=normalize_dims(dim, np.ndim(x), "sum"), keepdims=keepdim)


@sum.vjp()
def sum_vjp(g: Any, x_shape: Shape, dim: Dims) -> Any:
    """∂y/∂x = 1 for every summand."""
    return _stretch(g, x_shape, dim)


@op("...")
def mean(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return (1/n) Σ x over the axes `dim` (None: all); the mean of nothing is NaN.

    Raises: TypeError for integers.

    >>> mean(np.array([1.0, 3.0]))
    np.float64(2.0)
    """
    if x.dtype.kind != "f":
        raise TypeError(f"mean: x must be floating, got dtype {x.dtype}; convert it with .float()")
    dims = normalize_dims(dim, x.ndim, "mean")
    total = np.sum(x, axis=dims, keepdims=keepdim)
    n = _count(x.shape, dims)
    return total / x.dtype.type(n) if n else total + np.asarray(np.nan, x.dtype)


def _count(shape: Shape, dims: Sequence[int]) -> int:
    n = 1
    for d in dims:
        n *= shape[d]
    return n


@mean.vjp()
def mean_vjp(g: Any, x_shape: Shape, dim: Dims) -> Any:
    """∂y/∂x = 1/n."""
    n = _count(x_shape, normalize_dims(dim, len(x_shape)))
    return _stretch(g * (1.0 / n) if n else g, x_shape, dim)


@composite
def var(x: Any, dim: Dims = None, correction: int = 1, keepdim: bool = False) -> Any:
    """Return Σ (x − mean)² / (n − correction) over `dim`: unbiased by default, as in PyTorch.

    >>> float(var(np.array([1.0, 2.0, 3.0])))
    1.0
    """
    dims = normalize_dims(dim, len(x.shape), "var")
    centred = x - mean(x, dims, True)
    n = _count(tuple(x.shape), dims)
    divisor = float(builtins.max(n - correction, 0))
    return sum(centred * centred, dims, keepdim) * (1.0 / divisor if divisor else np.nan)


@composite
def std(x: Any, dim: Dims = None, correction: int = 1, keepdim: bool = False) -> Any:
    """Return √var; its slope at 0 is infinite.

    >>> float(std(np.array([1.0, 2.0, 3.0])))
    1.0
    """
    return sqrt(var(x, dim, correction, keepdim))


@op("...")
def amax(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return the maximum over the axes `dim`; NaN wins; equal maxima share the gradient evenly.

    Raises: ValueError for the maximum of nothing.

    >>> amax(np.array([[1.0, 5.0], [7.0, 2.0]]), dim=0)
    array([7., 5.])
    """
    dims = normalize_dims(dim, np.ndim(x), "amax")
    if not _count(x.shape, dims):
        raise ValueError(f"amax: x {x.shape} has nothing to reduce over dim {dims}")
    return np.max(x, axis=dims, keepdims=keepdim)


@amax.vjp()
def amax_vjp(g: Any, x: Any, dim: Dims) -> Any:
    """∂y/∂x = 1/ties where x is the maximum: a constant share."""
    return _stretch(g, tuple(x.shape), dim) * _ties(x.data if isinstance(x, Tensor) else x, dim)


def _ties(x: Array, dim: Dims) -> Array:
    dims = normalize_dims(dim, x.ndim)
    best = np.equal(x, np.max(x, axis=dims, keepdims=True))
    return (best / np.maximum(np.sum(best, axis=dims, keepdims=True), 1)).astype(x.dtype)


@composite
def amin(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return the minimum over the axes `dim`; NaN wins; equal minima share the gradient evenly.

    >>> amin(np.array([[1.0, 5.0], [7.0, 2.0]]), dim=0)
    array([1., 2.])
    """
    return -amax(-x, dim, keepdim)


def _arg(name: str, function: Any, x: Any, dim: int | None, keepdim: bool) -> Any:
    array = x.data if isinstance(x, Tensor) else np.asarray(x)
    axis = None if dim is None else normalize_dim(dim, array.ndim, name)
    if not (array.size if axis is None else array.shape[axis]):
        raise ValueError(f"{name}: x {array.shape} has nothing to choose from")
    places = np.asarray(function(array, axis=axis, keepdims=keepdim))
    return Tensor.of(places) if isinstance(x, Tensor) else places


@composite
def argmax(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return where the (first) maximum stands, as int64: along `dim`, or in the flattened x.

    >>> argmax(np.array([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    array([1, 0])
    """
    return _arg("argmax", np.argmax, x, dim, keepdim)


@composite
def argmin(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return where the (first) minimum stands, as int64: along `dim`, or in the flattened x.

    >>> argmin(np.array([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    array([0, 1])
    """
    return _arg("argmin", np.argmin, x, dim, keepdim)


@composite
def max(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the maximum of x, or (values, indices) along `dim`; there the first maximum alone gets the gradient.

    >>> max(np.array([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    (array([5., 7.]), array([1, 0]))
    """
    return amax(x) if dim is None else _extreme(x, argmax(x, dim, True), dim, keepdim)


@composite
def min(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the minimum of x, or (values, indices) along `dim`; there the first minimum alone gets the gradient.

    >>> min(np.array([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    (array([1., 2.]), array([0, 1]))
    """
    return amin(x) if dim is None else _extreme(x, argmin(x, dim, True), dim, keepdim)


def _extreme(x: Any, places: Any, dim: int, keepdim: bool) -> tuple[Any, Any]:
    values = gather(x, dim, places)
    return (values, places) if keepdim else (squeeze(values, dim), squeeze(places, dim))


@composite
def logsumexp(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return log Σ eˣ over `dim`, shifted by the maximum so that nothing overflows; log of no summands is −∞.

    y = m + log Σ e^(x − m) with the constant m = max x, which drops out of the derivative.

    >>> float(logsumexp(np.array([1e4, 1e4]))) == 1e4 + np.log(2)
    True
    """
    dims = normalize_dims(dim, len(x.shape), "logsumexp")
    plain = x.data if isinstance(x, Tensor) else np.asarray(x)
    m = np.max(plain, axis=dims, keepdims=True)
    m = np.where(np.isfinite(m), m, 0).astype(plain.dtype)
    y = log(sum(exp(x - m), dims, True)) + m
    return y if keepdim else squeeze(y, dims)


@composite
def norm(x: Any, p: float = 2, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return (Σ |x|ᵖ)^(1/p) over `dim`, for p > 0 or infinity.

    >>> float(norm(np.array([3.0, 4.0])))
    5.0
    """
    if not p > 0:
        raise ValueError(f"norm: p must be positive, got {p}")
    if p == np.inf:
        return amax(absolute(x), dim, keepdim)
    if p == 2:
        return sqrt(sum(x * x, dim, keepdim))
    return pow(sum(pow(absolute(x), p), dim, keepdim), 1.0 / p)


def _truth(function: Any, x: Any, dim: Dims, keepdim: bool) -> Any:
    array = x.data if isinstance(x, Tensor) else np.asarray(x)
    result = np.asarray(function(array, axis=normalize_dims(dim, array.ndim), keepdims=keepdim))
    return Tensor.of(result) if isinstance(x, Tensor) else result


@composite
def any(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return whether any element over `dim` is true (not 0).

    >>> bool(any(np.array([0, 1])))
    True
    """
    return _truth(np.any, x, dim, keepdim)


@composite
def all(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return whether all elements over `dim` are true (not 0).

    >>> bool(all(np.array([0, 1])))
    False
    """
    return _truth(np.all, x, dim, keepdim)


__all__ = "all amax amin any argmax argmin logsumexp max mean min norm std sum var".split()
