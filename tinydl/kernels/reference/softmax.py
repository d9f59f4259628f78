"""Softmax, its logarithm, and the loss of the right class: probabilities along one axis.

The maximum is subtracted first: in exact arithmetic that changes nothing, and it keeps e^x from overflowing.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import numpy as np

from tinydl.shapes import Array

__all__ = ["softmax", "softmax_grad", "log_softmax", "log_softmax_grad", "nll", "nll_grad"]


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


def _labels(target: Array, ignore_index: int) -> tuple[Array, Array]:
    """Return which samples count, and labels that are safe to index with."""
    counted = target != ignore_index
    return counted, np.where(counted, target, 0)
