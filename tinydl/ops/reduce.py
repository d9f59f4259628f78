"""Ops that reduce axes: sums, means, extremes, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tinydl.methods import plain
from tinydl.op import composite, op
from tinydl.ops.comparison import eq
from tinydl.ops.elementwise import abs as absolute
from tinydl.ops.elementwise import exp, log, pow, sqrt
from tinydl.ops.indexing import gather
from tinydl.ops.movement import expand, reshape, squeeze
from tinydl.ops.selection import where
from tinydl.shapes import Shape, normalize_dim, normalize_dims
from tinydl.tensor import alike

Dims: TypeAlias = int | Sequence[int] | None


def _stretch(g: Any, shape: Shape, dim: Dims, keepdim: bool = True) -> Any:
    """Return a reduction's result or gradient repeated over the axes that were reduced."""
    if not keepdim and dim is not None:
        dims = normalize_dims(dim, len(shape))
        g = reshape(g, tuple([1 if i in dims else n for i, n in enumerate(shape)]))
    return expand(g, shape)


@op("...")
def sum(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return Σ x over the axes `dim` (None: all); booleans and integers add up to int64.

    >>> sum(np.ones((2, 3)), dim=1)
    array([3., 3.])
    """
    dtype = x.dtype if x.dtype.kind == "f" else np.int64
    return x.sum(axis=normalize_dims(dim, x.ndim, "sum"), dtype=dtype, keepdims=keepdim)


@sum.vjp()
def sum_vjp(g: Any, x_shape: Shape, dim: Dims, keepdim: bool) -> Any:
    """∂y/∂x = 1 for every summand."""
    return _stretch(g, x_shape, dim, keepdim)


@op("...")
def mean(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return (1/n) Σ x over the axes `dim` (None: all); the mean of nothing is NaN.

    Raises: TypeError for integers.

    >>> float(mean(np.array([1.0, 3.0])))
    2.0
    """
    if x.dtype.kind != "f":
        raise TypeError(f"mean: x must be floating, got dtype {x.dtype}; convert it with .float()")
    dims = normalize_dims(dim, x.ndim, "mean")
    return x.sum(axis=dims, keepdims=keepdim) / _divisor(_count(x.shape, dims))


def _count(shape: Shape, dims: Sequence[int]) -> int:
    """Return how many elements a reduction over `dims` takes together."""
    return math.prod([shape[d] for d in dims])


def _divisor(n: int) -> float:
    """Return what to divide by for the mean of n numbers: NaN for none, which makes that mean NaN."""
    return float(n) if n > 0 else math.nan


@mean.vjp()
def mean_vjp(g: Any, x_shape: Shape, dim: Dims, keepdim: bool) -> Any:
    """∂y/∂x = 1/n."""
    n = _count(x_shape, normalize_dims(dim, len(x_shape)))
    return _stretch(g / _divisor(n), x_shape, dim, keepdim)


@composite
def var(x: Any, dim: Dims = None, correction: int = 1, keepdim: bool = False, unbiased: bool | None = None) -> Any:
    """Return Σ (x − mean)² / (n − correction) over `dim`: unbiased by default, as in PyTorch.

    `unbiased` is PyTorch's older way to say it: True for correction 1, False for 0. Without enough elements it is NaN.

    >>> float(var(np.array([1.0, 2.0, 3.0])))
    1.0
    """
    dims = normalize_dims(dim, len(x.shape), "var")
    fewer = correction if unbiased is None else int(unbiased)
    centred = x - mean(x, dims, True)
    return sum(centred * centred, dims, keepdim) / _divisor(_count(tuple(x.shape), dims) - fewer)


@composite
def std(x: Any, dim: Dims = None, correction: int = 1, keepdim: bool = False, unbiased: bool | None = None) -> Any:
    """Return √var; its slope at 0 is infinite.

    >>> float(std(np.array([1.0, 2.0, 3.0])))
    1.0
    """
    return sqrt(var(x, dim, correction, keepdim, unbiased))


@op("...")
def amax(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return the maximum over the axes `dim`; NaN wins; equal maxima share the gradient evenly.

    Raises: ValueError for the maximum of nothing.

    >>> amax(np.array([[1.0, 5.0], [7.0, 2.0]]), dim=0)
    array([7., 5.])
    """
    dims = normalize_dims(dim, x.ndim, "amax")
    if not _count(x.shape, dims):
        raise ValueError(f"amax: x {x.shape} has nothing to reduce over dim {dims}")
    return x.max(axis=dims, keepdims=keepdim)


@amax.vjp()
def amax_vjp(g: Any, x: Any, y: Any, dim: Dims, keepdim: bool) -> Any:
    """∂y/∂x = 1/ties where x is the maximum: a constant share."""
    x = plain(x)
    best = np.equal(x, _stretch(plain(y), x.shape, dim, keepdim)) | np.isnan(x)
    ties = best.sum(axis=normalize_dims(dim, x.ndim), keepdims=True)
    return _stretch(g, x.shape, dim, keepdim) * (best / np.maximum(ties, 1)).astype(x.dtype)


@composite
def amin(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return the minimum over the axes `dim`; NaN wins; equal minima share the gradient evenly.

    >>> amin(np.array([[1.0, 5.0], [7.0, 2.0]]), dim=0)
    array([1., 2.])
    """
    return -amax(-x, dim, keepdim)


def _arg(name: str, function: Any, x: Any, dim: int | None, keepdim: bool) -> Any:
    array = plain(x)
    axis = None if dim is None else normalize_dim(dim, array.ndim, name)
    if not (array.size if axis is None else array.shape[axis]):
        raise ValueError(f"{name}: x {array.shape} has nothing to choose from")
    places = np.asarray(function(array, axis=axis, keepdims=keepdim))
    return alike(places, x)


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

    >>> round(float(logsumexp(np.array([1e4, 1e4]))) - 1e4, 6)
    0.693147
    """
    dims = normalize_dims(dim, len(x.shape), "logsumexp")
    largest = np.max(plain(x), axis=dims, keepdims=True, initial=-np.inf)
    m = np.where(np.isfinite(largest), largest, 0).astype(plain(x).dtype)
    y = log(sum(exp(x - m), dims, True)) + m
    return y if keepdim else squeeze(y, dims)


@composite
def norm(x: Any, p: float = 2, dim: Dims = None, keepdim: bool = False) -> Any:
    """Return (Σ |x|ᵖ)^(1/p) over `dim`, for p > 0 or infinity; its slope at 0 is taken to be 0.

    >>> float(norm(np.array([3.0, 4.0])))
    5.0
    """
    if not p > 0:
        raise ValueError(f"norm: p must be positive, got {p}")
    if p == np.inf:
        return amax(absolute(x), dim, keepdim)
    if p == 1:
        return sum(absolute(x), dim, keepdim)
    powers = sum(x * x if p == 2 else pow(absolute(x), p), dim, keepdim)
    zero = eq(powers, 0)
    roots = where(zero, 1.0, powers)  # a root's slope at 0 is infinite: 0 goes around it
    return where(zero, 0.0, sqrt(roots) if p == 2 else pow(roots, 1.0 / p))


def _truth(function: Any, x: Any, dim: Dims, keepdim: bool) -> Any:
    array = plain(x)
    result = np.asarray(function(array, axis=normalize_dims(dim, array.ndim), keepdims=keepdim))
    return alike(result, x)


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


_REDUCTIONS = ("none", "mean", "sum")


def check_reduction(reduction: str, name: str) -> None:
    """Raise ValueError unless `reduction` is one that losses have."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{name}: reduction must be one of {_REDUCTIONS}, got {reduction!r}")


def reduced(losses: Any, reduction: str, name: str) -> Any:
    """Return a loss's values as they are, summed, or averaged."""
    check_reduction(reduction, name)
    return losses if reduction == "none" else (sum(losses) if reduction == "sum" else mean(losses))
