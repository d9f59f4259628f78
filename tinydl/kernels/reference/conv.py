"""Convolution as one matrix product over columns (im2col), and its two gradients as the adjoint products.

Source: Chellapilla, Puri & Simard 2006, "High Performance Convolutional Neural Networks for Document
Processing", section 3, for lowering a convolution to a matrix product.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import math

import numpy as np

from tinydl.kernels.reference.windows import add_windows, windows
from tinydl.shapes import Array, Pair, Shape, conv_output_size

__all__ = [
    "col2im",
    "conv2d",
    "conv2d_bias_grad",
    "conv2d_gradients",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "im2col",
]


def out_size(x_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """Return (H', W') of a convolution."""
    h, w = map(conv_output_size, x_shape[2:], kernel, stride, padding, dilation)
    return h, w


def im2col(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """Return a matrix with one row an output place and in it the patch of x that this output sees.

    columns[(n, h, w), (c, i, j)] = x[n, c, h·s + i·d − p, w·s + j·d − p], and 0 outside of x.

    Shapes: x (N, C, H, W) -> (N·H'·W', C·kh·kw).

    >>> im2col(np.arange(6.0).reshape(1, 1, 2, 3), (2, 2), (1, 1), (0, 0), (1, 1))
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]])
    """
    v = windows(x, kernel, stride, padding, dilation, out_size(x.shape, kernel, stride, padding, dilation), 0.0)
    n, c, h, w, kh, kw = v.shape
    return v.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * kh * kw)


def col2im(columns: Array, x_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """Return the adjoint of `im2col`: every entry added back to the place of x that it came from.

    x[n, c, h·s + i·d − p, w·s + j·d − p] += columns[(n, h, w), (c, i, j)].

    Shapes: columns (N·H'·W', C·kh·kw) -> x_shape = (N, C, H, W).

    >>> col2im(np.ones((2, 4)), (1, 1, 2, 3), (2, 2), (1, 1), (0, 0), (1, 1))[0, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    h, w = out_size(x_shape, kernel, stride, padding, dilation)
    v = columns.reshape(x_shape[0], h, w, x_shape[1], *kernel).transpose(0, 3, 1, 2, 4, 5)
    return add_windows(v, x_shape, stride, padding, dilation)


@np.errstate(all="ignore")
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    scale: Array | None = None,
    low: float = -math.inf,
    high: float = math.inf,
) -> Array:
    """Slide `weight` over x: one matrix product of im2col(x) with the flattened weight (for each group).

    y[n, o, h, w] = bias[o] + Σ_{c,i,j} x[n, c, h·s + i·d − p, w·s + j·d − p] · weight[o, c, i, j],
    where the channels c of x and o of y are those of one group. For inference, weight[o] may be multiplied by
    scale[o] and y clamped to low…high: that way a batch norm and an activation cost no pass of their own.

    Shapes: x (N, C, H, W), weight (O, C/groups, kh, kw), bias and scale (O,) or None -> (N, O, H', W').

    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), np.array([0.5]), (1, 1), (0, 0), (1, 1), 1)[0, 0]
    array([[4.5, 4.5],
           [4.5, 4.5]])
    """
    h, w = out_size(x.shape, weight.shape[2:], stride, padding, dilation)
    weight = weight if scale is None else weight * scale[:, None, None, None]
    columns = _by_group(im2col(x, weight.shape[2:], stride, padding, dilation), groups)
    y = _ungroup(columns @ _matrices(weight, groups).transpose(0, 2, 1))
    if bias is not None:
        y = y + bias
    return np.clip(y, low, high).reshape(len(x), h, w, len(weight)).transpose(0, 3, 1, 2)


@np.errstate(all="ignore")
def conv2d_input_grad(
    g: Array, weight: Array, x_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """Return the gradient of ⟨g, conv2d(x, weight)⟩ by x.

    gx[n, c, h·s + i·d − p, w·s + j·d − p] += Σ_o g[n, o, h, w] · weight[o, c, i, j].

    Shapes: g (N, O, H', W'), weight (O, C/groups, kh, kw) -> x_shape = (N, C, H, W).
    """
    columns = _ungroup(_by_group(_rows(g), groups) @ _matrices(weight, groups))
    return col2im(columns, x_shape, weight.shape[2:], stride, padding, dilation)


@np.errstate(all="ignore")
def conv2d_weight_grad(
    g: Array, x: Array, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """Return the gradient of ⟨g, conv2d(x, weight)⟩ by the weight.

    gw[o, c, i, j] = Σ_{n,h,w} g[n, o, h, w] · x[n, c, h·s + i·d − p, w·s + j·d − p].

    Shapes: g (N, O, H', W'), x (N, C, H, W) -> weight_shape = (O, C/groups, kh, kw).
    """
    columns = _by_group(im2col(x, (weight_shape[2], weight_shape[3]), stride, padding, dilation), groups)
    return (_by_group(_rows(g), groups).transpose(0, 2, 1) @ columns).reshape(weight_shape)


@np.errstate(all="ignore")
def conv2d_bias_grad(g: Array) -> Array:
    """Return the gradient of ⟨g, conv2d(x, weight, bias)⟩ by the bias: gb[o] = Σ_{n,h,w} g[n, o, h, w].

    Shapes: g (N, O, H', W') -> (O,).
    """
    return g.sum((0, 2, 3))


def conv2d_gradients(
    g: Array, x: Array, weight: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> tuple[Array, Array]:
    """Return the gradients of ⟨g, conv2d(x, weight)⟩ by x and by the weight, as the two functions above do."""
    sizes = stride, padding, dilation, groups
    return conv2d_input_grad(g, weight, x.shape, *sizes), conv2d_weight_grad(g, x, weight.shape, *sizes)


def _rows(g: Array) -> Array:
    """Return g (N, O, H', W') as a matrix with one row an output place: (N·H'·W', O)."""
    return g.transpose(0, 2, 3, 1).reshape(-1, g.shape[1])


def _matrices(weight: Array, groups: int) -> Array:
    """Return weight (O, C/groups, kh, kw) as a matrix for each group: (groups, O/groups, C/groups·kh·kw)."""
    return weight.reshape(groups, len(weight) // groups, -1)


def _by_group(rows: Array, groups: int) -> Array:
    """Split the columns of a matrix, in order, into groups: (M, K) -> (groups, M, K/groups)."""
    return rows.reshape(len(rows), groups, rows.shape[1] // groups).transpose(1, 0, 2)


def _ungroup(matrices: Array) -> Array:
    """Return the adjoint of `_by_group`: (groups, M, K/groups) -> (M, K)."""
    groups, m, k = matrices.shape
    return matrices.transpose(1, 0, 2).reshape(m, groups * k)
