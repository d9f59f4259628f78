"""Matrix products: batched matmul, and the linear layer's x Wᵀ + b."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.op import composite, op
from tinydl.ops.movement import reshape, squeeze, sum_to, transpose, unsqueeze
from tinydl.ops.reduce import sum
from tinydl.shapes import Shape


@op("... M K, ... K N")
def bmm(a: Any, b: Any) -> Any:
    """Return y[…, m, n] = Σ_k a[…, m, k] · b[…, k, n], leading axes broadcast.

    >>> bmm(np.ones((2, 3, 4)), np.ones((4, 5))).shape
    (2, 3, 5)
    """
    return np.matmul(a, b)


@bmm.vjp("a")
def bmm_vjp_a(g: Any, b: Any, a_shape: Shape) -> Any:
    """∂y/∂a applied to g: g bᵀ."""
    return sum_to(bmm(g, transpose(b, -1, -2)), a_shape)


@bmm.vjp("b")
def bmm_vjp_b(g: Any, a: Any, b_shape: Shape) -> Any:
    """∂y/∂b applied to g: aᵀ g."""
    return sum_to(bmm(transpose(a, -1, -2), g), b_shape)


@composite
def matmul(a: Any, b: Any) -> Any:
    """Return the matrix product, as `@` means it: a 1-d operand is a row on the left, a column on the right.

    Shapes: (…, M, K) and (…, K, N) -> (…, M, N); leading axes broadcast.

    Raises: ValueError when the inner sizes differ or an operand has no axes.

    >>> matmul(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    np.float64(11.0)
    """
    if not len(a.shape) or not len(b.shape):
        raise ValueError(f"matmul: both operands need at least one axis, got {tuple(a.shape)} and {tuple(b.shape)}")
    row, column = len(a.shape) == 1, len(b.shape) == 1
    y = bmm(unsqueeze(a, 0) if row else a, unsqueeze(b, 1) if column else b)
    if row or column:
        shape = tuple(y.shape)
        shape = shape[:-1] if column else shape
        y = reshape(y, shape[:-1] if row and column else (shape[:-2] + shape[-1:] if row else shape))
    return y


@op("... I, O I, O")
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """Return y = x Wᵀ + b.

    Shapes: x (…, I), weight (O, I), bias (O,) or None -> (…, O).

    >>> linear(np.ones((2, 3)), np.ones((4, 3)), np.arange(4.0))
    array([[3., 4., 5., 6.],
           [3., 4., 5., 6.]])
    """
    y = np.matmul(x, weight.T)
    if bias is not None:
        y += bias
    return y


@linear.vjp("x")
def linear_vjp_x(g: Any, weight: Any) -> Any:
    """∂y/∂x applied to g: g W."""
    return bmm(g, weight) if len(g.shape) > 1 else squeeze(bmm(unsqueeze(g, 0), weight), 0)


@linear.vjp("weight")
def linear_vjp_weight(g: Any, x: Any) -> Any:
    """∂y/∂W applied to g: gᵀ x, summed over all leading axes."""
    return bmm(transpose(reshape(g, (-1, g.shape[-1])), 0, 1), reshape(x, (-1, x.shape[-1])))


@linear.vjp("bias")
def linear_vjp_bias(g: Any) -> Any:
    """∂y/∂b applied to g: g summed over all leading axes."""
    return sum(g, tuple(range(len(g.shape) - 1))) if len(g.shape) > 1 else g


__all__ = "bmm linear matmul".split()
