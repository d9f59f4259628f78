"""Softmax, its logarithm, and the losses of the right class: probabilities along one axis.

The maximum is subtracted first: in exact arithmetic that changes nothing, and it keeps e^x from overflowing.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import numpy as np

from tinydl.shapes import Array

__all__ = [
    "cross_entropy",
    "cross_entropy_grad",
    "log_softmax",
    "log_softmax_grad",
    "nll",
    "nll_grad",
    "softmax",
    "softmax_grad",
]


def _shifted(x: Array, axis: int) -> Array:
    return x - x.max(axis, keepdims=True, initial=-np.inf)


@np.errstate(all="ignore")
def softmax(x: Array, axis: int) -> Array:
    """Return yᵢ = e^xᵢ / Σⱼ e^xⱼ along `axis`.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".

    >>> softmax(np.array([[0.0, np.log(3)], [1e4, -1e4]]), axis=1)
    array([[0.25, 0.75], [1.  , 0.  ]])
    """
    e = np.exp(_shifted(x, axis))
    return e / e.sum(axis, keepdims=True)


@np.errstate(all="ignore")
def softmax_grad(g: Array, y: Array, axis: int) -> Array:
    """Return y · (g − Σ g·y), the sum along `axis`."""
    return y * (g - (g * y).sum(axis, keepdims=True))


@np.errstate(all="ignore")
def log_softmax(x: Array, axis: int) -> Array:
    """Return yᵢ = xᵢ − log Σⱼ e^xⱼ along `axis`.

    >>> log_softmax(np.array([1e4, 0.0]), axis=0)
    array([     0., -10000.])
    """
    shifted = _shifted(x, axis)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


@np.errstate(all="ignore")
def log_softmax_grad(g: Array, y: Array, axis: int) -> Array:
    """Return g − e^y · Σ g, the sum along `axis`."""
    return g - np.exp(y) * g.sum(axis, keepdims=True)


@np.errstate(all="ignore")
def nll(logp: Array, target: Array, weight: Array | None, ignore_index: int) -> Array:
    """Return lossₙ = −weight[target[n]] · logp[n, target[n]], and 0 where target[n] is `ignore_index`.

    Shapes: logp (N, C), target (N,) int64, weight (C,) or None for ones -> (N,).

    >>> nll(np.array([[-1.0, -2.0], [-3.0, -4.0]]), np.array([1, -100]), None, -100)
    array([2., 0.])
    """
    counted, label = _labels(target, ignore_index)
    loss = -np.take_along_axis(logp, label[:, None], axis=1)[:, 0]
    return np.where(counted, loss if weight is None else loss * weight[label], 0)


@np.errstate(all="ignore")
def nll_grad(g: Array, target: Array, weight: Array | None, ignore_index: int, C: int) -> Array:
    """Return gx (N, C): gx[n, target[n]] = −weight[target[n]] · g[n], zero elsewhere and where ignored."""
    counted, label = _labels(target, ignore_index)
    gx = np.zeros((len(g), C), g.dtype.newbyteorder("="))
    gx[np.arange(len(g)), label] = np.where(counted, -g if weight is None else -g * weight[label], 0)
    return gx


@np.errstate(all="ignore")
def cross_entropy(x: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float) -> Array:
    """Return lossₙ = −Σ_c q[n, c] · log softmax(xₙ)[c] with the q of `smoothed_labels`, and 0 where a row is ignored.

    Shapes: x (N, C), target (N,) int64, weight (C,) or None for ones -> (N,).

    >>> cross_entropy(np.zeros((2, 2)), np.array([1, -100]), None, -100, 0.0)
    array([0.69314718, 0.        ])
    """
    logp = log_softmax(x, 1)
    loss = nll(logp, target, weight, ignore_index)
    if smoothing:
        even = -(logp if weight is None else logp * weight).mean(1)
        loss = (1 - smoothing) * loss + smoothing * np.where(target != ignore_index, even, 0)
    return loss


@np.errstate(all="ignore")
def cross_entropy_grad(
    g: Array, x: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float
) -> Array:
    """Return gx (N, C) = g[n] · (softmax(xₙ) · Σ_c q[n, c] − q[n]), and zeros where a row is ignored."""
    q = smoothed_labels(target, x.shape[1], weight, ignore_index, smoothing).astype(x.dtype)
    gx = g[:, None] * (softmax(x, 1) * q.sum(1, keepdims=True) - q)
    return np.where((target != ignore_index)[:, None], gx, 0)


def smoothed_labels(target: Array, classes: int, weight: Array | None, ignore_index: int, smoothing: float) -> Array:
    """Return q[n, c] = weight[c] · ((1 − ε) [c = target[n]] + ε/C) in float64, and zeros where a row is ignored.

    >>> smoothed_labels(np.array([1, -100]), 2, None, -100, 0.1)
    array([[0.05, 0.95],
           [0.  , 0.  ]])
    """
    counted, label = _labels(target, ignore_index)
    q = (1 - smoothing) * np.eye(classes)[label] + smoothing / classes
    return np.where(counted[:, None], q if weight is None else q * weight, 0)


def _labels(target: Array, ignore_index: int) -> tuple[Array, Array]:
    """Return which samples count, and labels that are safe to index with."""
    counted = target != ignore_index
    return counted, np.where(counted, target, 0)
