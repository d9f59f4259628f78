"""The linear layer and its two gradients: three matrix products."""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from tinydl.shapes import Array

__all__ = ["linear", "linear_chain", "linear_input_grad", "linear_weight_grad"]

Layer: TypeAlias = tuple[Array, Array | None, float, float]
"""The arguments of `linear` after x."""


@np.errstate(all="ignore")
def linear(x: Array, weight: Array, bias: Array | None, low: float = -math.inf, high: float = math.inf) -> Array:
    """Return y = x Wᵀ + b, clamped to low…high, for x (M, I), W (O, I), b (O,) or None.

    >>> linear(np.ones((2, 3)), np.ones((1, 3)), np.array([1.0]))
    array([[4.],
           [4.]])
    """
    y = x @ weight.T
    return np.clip(y if bias is None else y + bias, low, high)


def linear_chain(x: Array, layers: Sequence[Layer]) -> Array:
    """Return what `linear` makes of x with the first layer, of that with the second, and so on.

    >>> linear_chain(np.ones((1, 2)), [(np.ones((2, 2)), None, 0.0, 1.5), (np.ones((1, 2)), None, 0.0, 9.0)])
    array([[3.]])
    """
    for layer in layers:
        x = linear(x, *layer)
    return x


@np.errstate(all="ignore")
def linear_input_grad(g: Array, weight: Array) -> Array:
    """Return gx = g W for g (M, O), W (O, I).

    >>> linear_input_grad(np.ones((2, 1)), np.array([[1.0, 2.0]]))
    array([[1., 2.],
           [1., 2.]])
    """
    return g @ weight


@np.errstate(all="ignore")
def linear_weight_grad(g: Array, x: Array) -> Array:
    """Return gW = gᵀ x for g (M, O), x (M, I).

    >>> linear_weight_grad(np.ones((2, 1)), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[4., 6.]])
    """
    return g.T @ x
