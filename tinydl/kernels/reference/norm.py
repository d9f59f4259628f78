"""Normalization to zero mean and unit variance: per channel over the batch, or per row.

Statistics are two-pass and summed in float64, so that a mean far larger than the spread does no harm.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import numpy as np

from tinydl.shapes import Array

__all__ = [
    "batch_norm",
    "batch_norm_eval",
    "batch_norm_grad",
    "channel_affine",
    "folded_norm",
    "standardize",
    "standardize_grad",
]


def _others(x: Array) -> tuple[int, ...]:
    """Return every axis but the channels' (axis 1): what is averaged over."""
    return (0, *range(2, x.ndim))


def _along_channels(values: Array, x: Array) -> Array:
    """Return values (C,) in a shape that broadcasts against x (N, C, …)."""
    return values.reshape(1, -1, *[1] * (x.ndim - 2))


@np.errstate(all="ignore")
def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float, relu: bool = False
) -> tuple[Array, Array, Array, Array]:
    """Return y = weight·(x − mean)·rstd + bias, and each channel's mean, var and rstd = 1/√(var + eps).

    With `relu`, y is max(…, 0).

    Shapes: x (N, C, …), weight and bias (C,) or None -> y as x; mean, var, rstd (C,). The variance is divided
    by the number of values, not by one less.
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1.

    >>> y, mean, var, rstd = batch_norm(np.array([[1.0], [3.0]]), None, None, 0.0)
    >>> y.ravel(), mean, var
    (array([-1.,  1.]), array([2.]), array([1.]))
    """
    mean = x.mean(_others(x), dtype=np.float64)
    centred = x - _along_channels(mean, x)
    var = (centred * centred).mean(_others(x))
    rstd = 1 / np.sqrt(var + eps)
    y = centred * _along_channels(rstd if weight is None else rstd * weight, x)
    if bias is not None:
        y = y + _along_channels(bias, x)
    if relu:
        y = np.maximum(y, 0)
    dtype = x.dtype.newbyteorder("=")
    return y.astype(dtype), mean.astype(dtype), var.astype(dtype), rstd.astype(dtype)


@np.errstate(all="ignore")
def batch_norm_grad(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array, y: Array | None = None
) -> tuple[Array, Array, Array]:
    """Return the gradients of `batch_norm` by x, weight and bias.

    The result y is given when there was a ReLU: g counts as 0 where y ≤ 0.

    With x̂ = (x − mean)·rstd and n values a channel: gb = Σ g, gw = Σ g·x̂ and
    gx = weight·rstd·(g − gb/n − x̂·gw/n).

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.
    """
    g = g if y is None else np.where(y <= 0, 0, g)
    n = x.size // max(x.shape[1], 1)
    normal = (x - _along_channels(mean, x)) * _along_channels(rstd, x)
    gb = g.sum(_others(x), dtype=np.float64)
    gw = (g * normal).sum(_others(x), dtype=np.float64)
    scale = rstd if weight is None else rstd * weight
    centred = g - _along_channels(gb / n, x) - normal * _along_channels(gw / n, x)
    gx = _along_channels(scale, x) * centred
    dtype = x.dtype.newbyteorder("=")
    return gx.astype(dtype), gw.astype(dtype), gb.astype(dtype)


@np.errstate(all="ignore")
def batch_norm_eval(x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float) -> Array:
    """Return y = weight·(x − mean)/√(var + eps) + bias with statistics that are given.

    Shapes: x (N, C, …), all others (C,), weight and bias perhaps None -> as x, in x's dtype.

    >>> batch_norm_eval(np.array([[1.0, 2.0]]), np.array([0.0, 1.0]), np.array([1.0, 4.0]), None, None, 0.0)
    array([[1. , 0.5]])
    """
    scale = 1 / np.sqrt(var + eps) if weight is None else weight / np.sqrt(var + eps)
    y = (x - _along_channels(mean, x)) * _along_channels(scale, x)
    y = y if bias is None else y + _along_channels(bias, x)
    return y.astype(x.dtype.newbyteorder("="), copy=False)


@np.errstate(all="ignore")
def folded_norm(
    mean: Array, var: Array, weight: Array | None, bias: Array | None, layer_bias: Array | None, eps: float
) -> tuple[Array, Array]:
    """Return (shift, scale), so that shift + scale·y is the norm with fixed statistics of y + layer_bias.

    scale = weight/√(var + eps), shift = bias + (layer_bias − mean)·scale. Shapes: all (C,).
    Source: Jacob et al. 2018, arXiv:1712.05877, section 3.2.

    >>> one, two = np.ones(1), np.full(1, 2.0)
    >>> folded_norm(one, np.full(1, 4.0), two, one, None, 0.0)
    (array([0.]), array([1.]))
    """
    scale = 1 / np.sqrt(var + var.dtype.type(eps))
    if weight is not None:
        scale = scale * weight
    shift = (-mean if layer_bias is None else layer_bias - mean) * scale
    return (shift if bias is None else shift + bias), scale


@np.errstate(all="ignore")
def channel_affine(x: Array, scale: Array, shift: Array) -> Array:
    """Return x·scale + shift with one scale and one shift a channel: batch norm with fixed statistics.

    Shapes: x (N, C, …), scale and shift (C,) -> as x.

    >>> channel_affine(np.array([[1.0, 2.0]]), np.array([10.0, 100.0]), np.array([0.0, 1.0]))
    array([[ 10., 201.]])
    """
    return x * _along_channels(scale, x) + _along_channels(shift, x)


@np.errstate(all="ignore")
def standardize(x: Array, eps: float) -> tuple[Array, Array]:
    """Return y = (x − mean)·rstd of each row, and rstd = 1/√(var + eps).

    Shapes: x (M, D) -> y (M, D), rstd (M,). Layer and group norm are this on a reshaped array.
    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450, equation 3.

    >>> standardize(np.array([[1.0, 3.0]]), 0.0)
    (array([[-1.,  1.]]), array([1.]))
    """
    centred = x - x.mean(1, dtype=np.float64, keepdims=True)
    rstd = 1 / np.sqrt((centred * centred).mean(1, keepdims=True) + eps)
    dtype = x.dtype.newbyteorder("=")
    return (centred * rstd).astype(dtype), rstd[:, 0].astype(dtype)


@np.errstate(all="ignore")
def standardize_grad(g: Array, y: Array, rstd: Array) -> Array:
    """Return rstd · (g − mean(g) − y·mean(g·y)), the means along each row."""
    mean_g = g.mean(1, dtype=np.float64, keepdims=True)
    mean_gy = (g * y).mean(1, dtype=np.float64, keepdims=True)
    return (rstd[:, None] * (g - mean_g - y * mean_gy)).astype(y.dtype.newbyteorder("="))
