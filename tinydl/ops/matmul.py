"""Matrix products: batched matmul, and the linear layer's x Wᵀ + b.

As with convolutions, ⟨g, x Wᵀ⟩ is one form seen from its three sides: `linear`, `linear_input_grad` and
`linear_weight_grad` are each other's derivatives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl import kernels
from tinydl.op import composite, op
from tinydl.ops.movement import squeeze, sum_to, transpose, unsqueeze
from tinydl.ops.reduce import sum
from tinydl.shapes import Array, Shape


def _rows(x: Array) -> Array:
    """Return x (…, D) as a matrix (M, D): one large product is faster than many small ones."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


@op("... M K, ... K N")
def bmm(a: Any, b: Any) -> Any:
    """Return y[…, m, n] = Σ_k a[…, m, k] · b[…, k, n], leading axes broadcast.

    >>> bmm(np.ones((2, 3, 4)), np.ones((4, 5))).shape
    (2, 3, 5)
    """
    if b.ndim == 2:
        return (_rows(a) @ b).reshape(*a.shape[:-1], b.shape[1])
    return np.matmul(a, b)


@bmm.vjp("a")
def bmm_vjp_a(g: Any, b: Any, a_shape: Shape) -> Any:
    """∂y/∂a applied to g: g bᵀ."""
    return sum_to(bmm(g, transpose(b, -1, -2)), a_shape)


@bmm.vjp("b")
def bmm_vjp_b(g: Any, a: Any, b_shape: Shape) -> Any:
    """∂y/∂b applied to g: aᵀ g, summed where b was stretched."""
    if len(b_shape) == 2:
        return linear_weight_grad(a, g)
    return sum_to(bmm(transpose(a, -1, -2), g), b_shape)


@composite
def matmul(a: Any, b: Any) -> Any:
    """Return the matrix product, as `@` means it: a 1-d operand is a row on the left, a column on the right.

    Shapes: (…, M, K) and (…, K, N) -> (…, M, N); leading axes broadcast.

    Raises: ValueError when the inner sizes differ or an operand has no axes.

    >>> float(matmul(np.array([1.0, 2.0]), np.array([3.0, 4.0])))
    11.0
    """
    if not len(a.shape) or not len(b.shape):
        raise ValueError(f"matmul: both operands need at least one axis, got {tuple(a.shape)} and {tuple(b.shape)}")
    row, column = len(a.shape) == 1, len(b.shape) == 1
    y = bmm(unsqueeze(a, 0) if row else a, unsqueeze(b, 1) if column else b)
    y = squeeze(y, -1) if column else y
    return squeeze(y, -1 if column else -2) if row else y


@op("... I, O I, O", kernel=True)
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """Return y = x Wᵀ + b.

    Shapes: x (…, I), weight (O, I), bias (O,) or None -> (…, O).

    >>> linear(np.ones((2, 3)), np.ones((4, 3)), np.arange(4.0))
    array([[3., 4., 5., 6.],
           [3., 4., 5., 6.]])
    """
    y = kernels.linear(_rows(x), weight, bias)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], weight.shape[0])


@linear.vjp("x")
def linear_vjp_x(g: Any, weight: Any) -> Any:
    """∂y/∂x applied to g: g W."""
    return linear_input_grad(g, weight)


@linear.vjp("weight")
def linear_vjp_weight(g: Any, x: Any) -> Any:
    """∂y/∂W applied to g: gᵀ x, summed over all leading axes."""
    return linear_weight_grad(g, x)


@linear.vjp("bias")
def linear_vjp_bias(g: Any) -> Any:
    """∂y/∂b applied to g: g summed over all leading axes."""
    return sum(g, tuple(range(len(g.shape) - 1))) if len(g.shape) > 1 else g


@op("... O, O I", kernel=True)
def linear_input_grad(g: Any, weight: Any) -> Any:
    """Return gx[…, i] = Σ_o g[…, o] · W[o, i]: the input's side of ⟨g, x Wᵀ⟩.

    >>> linear_input_grad(np.ones((2, 3)), np.ones((3, 4))).shape
    (2, 4)
    """
    gx = kernels.linear_input_grad(_rows(g), weight)
    return gx if g.ndim == 2 else gx.reshape(*g.shape[:-1], weight.shape[1])


@linear_input_grad.vjp("g")
def linear_input_grad_vjp_g(gg: Any, weight: Any) -> Any:
    """The result's side of the form, with gg in the place of x."""
    return linear(gg, weight)


@linear_input_grad.vjp("weight")
def linear_input_grad_vjp_weight(gg: Any, g: Any) -> Any:
    """The weight's side of the form, with gg in the place of x."""
    return linear_weight_grad(g, gg)


@op("... O, ... I", kernel=True)
def linear_weight_grad(g: Any, x: Any) -> Any:
    """Return gw[o, i] = Σ g[…, o] · x[…, i]: the weight's side of ⟨g, x Wᵀ⟩.

    >>> linear_weight_grad(np.ones((2, 3)), np.ones((2, 4))).shape
    (3, 4)
    """
    return kernels.linear_weight_grad(_rows(g), _rows(x))


@linear_weight_grad.vjp("g")
def linear_weight_grad_vjp_g(gg: Any, x: Any) -> Any:
    """The result's side of the form, with gg in the place of the weight."""
    return linear(x, gg)


@linear_weight_grad.vjp("x")
def linear_weight_grad_vjp_x(gg: Any, g: Any) -> Any:
    """The input's side of the form, with gg in the place of the weight."""
    return linear_input_grad(g, gg)
