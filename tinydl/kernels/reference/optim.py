"""One step of each optimizer: parameters p and running states are updated in place, the gradient g is not.

All arrays have p's shape and dtype. The formulas, and the order of their operations, are PyTorch's.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import math

import numpy as np

from tinydl.shapes import Array

__all__ = ["sgd_step", "adam_step", "rmsprop_step", "ema_step"]


@np.errstate(all="ignore")
def sgd_step(
    p: Array,
    g: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    first: bool,
) -> None:
    """Set velocity ← momentum·velocity + (1 − dampening)·g and p ← p − lr·velocity.

    With weight decay, g + weight_decay·p stands for g. The `first` step sets velocity ← g; without a velocity
    p ← p − lr·g; Nesterov's step is p ← p − lr·(g + momentum·velocity).

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".

    >>> p, velocity = np.array([1.0]), np.array([10.0])
    >>> sgd_step(p, np.array([2.0]), velocity, 0.1, 0.5, 0.0, False, 0.0, False)
    >>> p, velocity
    (array([0.3]), array([7.]))
    """
    if weight_decay:
        g = g + weight_decay * p
    if velocity is not None:
        velocity[...] = g if first else momentum * velocity + (1 - dampening) * g
        g = g + momentum * velocity if nesterov else velocity
    p -= lr * g


@np.errstate(all="ignore")
def adam_step(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
) -> None:
    """Set m ← m + (1 − beta1)(g − m), v ← beta2·v + (1 − beta2)g², p ← p − lr·m̂ / (√v̂ + eps).

    Where m̂ = m/(1 − beta1^step), v̂ = v/(1 − beta2^step); the first step is 1. Weight decay is added to g, or,
    decoupled (AdamW), multiplies p by 1 − lr·weight_decay first.

    Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; Loshchilov & Hutter 2019, arXiv:1711.05101.

    >>> p, m, v = np.array([1.0]), np.array([0.0]), np.array([0.0])
    >>> adam_step(p, np.array([2.0]), m, v, 0.1, 0.5, 0.75, 0.0, 0.0, False, 1)
    >>> p, m, v
    (array([0.9]), array([1.]), array([1.]))
    """
    if decoupled:
        p *= 1 - lr * weight_decay
    elif weight_decay:
        g = g + weight_decay * p
    m += (1 - beta1) * (g - m)
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    p -= lr / (1 - beta1**step) * (m / (np.sqrt(v) / math.sqrt(1 - beta2**step) + eps))


@np.errstate(all="ignore")
def rmsprop_step(
    p: Array,
    g: Array,
    square: Array,
    grad_avg: Array | None,
    velocity: Array | None,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
) -> None:
    """Set square ← alpha·square + (1 − alpha)g² and p ← p − lr·g / (√square + eps).

    With weight decay, g + weight_decay·p stands for g. With a `grad_avg` (the running mean of g) the variance
    square − grad_avg² stands under the root. With a velocity, velocity ← momentum·velocity + g/(√… + eps) and
    p ← p − lr·velocity.

    Source: Tieleman & Hinton 2012, Coursera lecture 6.5; centred: Graves 2013, arXiv:1308.0850, eq. 38–45.

    >>> p, square = np.array([1.0]), np.array([0.0])
    >>> rmsprop_step(p, np.array([2.0]), square, None, None, 0.1, 0.75, 0.0, 0.0, 0.0)
    >>> p, square
    (array([0.8]), array([1.]))
    """
    if weight_decay:
        g = g + weight_decay * p
    square[...] = alpha * square + (1 - alpha) * (g * g)
    variance = square
    if grad_avg is not None:
        grad_avg += (1 - alpha) * (g - grad_avg)
        variance = square - grad_avg * grad_avg
    update = g / (np.sqrt(variance) + eps)
    if velocity is not None:
        velocity[...] = momentum * velocity + update
        update = velocity
    p -= lr * update


@np.errstate(all="ignore")
def ema_step(average: Array, p: Array, decay: float) -> None:
    """Set average ← decay·average + (1 − decay)·p.

    >>> average = np.array([1.0])
    >>> ema_step(average, np.array([3.0]), 0.75)
    >>> average
    array([1.5])
    """
    average[...] = decay * average + (1 - decay) * p
