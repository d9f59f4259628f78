"""Convolutions: one op, its gradient by the input and its gradient by the weight, closed under differentiation.

The three are one trilinear form ⟨g, conv2d(x, w)⟩ seen from its three sides: each one's derivatives are the other two.
"""

from __future__ import annotations

from typing import Any

from tinydl import kernels
from tinydl.op import composite, fused, op
from tinydl.ops.geometry import Pairs, convolution, fixed, transposed_convolution
from tinydl.ops.indexing import constant_pad
from tinydl.ops.movement import expand, reshape, squeeze, unsqueeze
from tinydl.shapes import Pair, Shape


@op("N C H W, O C/groups kh kw, O", kernel=True)
def cross_correlation(x: Any, weight: Any, bias: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Any:
    """Slide `weight` over `x`; `conv2d` with every argument spelled out.

    y[n, o, h, w] = b[o] + Σ_{c,i,j} x[n, c, h·s + i·d − p, w·s + j·d − p] · weight[o, c, i, j]

    >>> import numpy as np
    >>> cross_correlation(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), None, (1, 1), (0, 0), (1, 1), 1)[0, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    return kernels.conv2d(x, weight, bias, stride, padding, dilation, groups)


@cross_correlation.vjp("x")
def cross_correlation_vjp_x(
    g: Any, weight: Any, x_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """The result is linear in x: the gradient is the adjoint applied to g."""
    return conv2d_input_grad(g, weight, x_shape, stride, padding, dilation, groups)


@cross_correlation.vjp("weight")
def cross_correlation_vjp_weight(
    g: Any, x: Any, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """The result is linear in the weight: the gradient is the adjoint applied to g."""
    return conv2d_weight_grad(g, x, weight_shape, stride, padding, dilation, groups)


@cross_correlation.vjp("x", "weight")
def cross_correlation_vjp_x_weight(
    g: Any, x: Any, weight: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """Both at once, which costs less."""
    return conv2d_gradients(g, x, weight, stride, padding, dilation, groups)


@cross_correlation.vjp("bias")
def cross_correlation_vjp_bias(g: Any) -> Any:
    """∂y/∂b = 1 at every place."""
    return conv2d_bias_grad(g)


@fused
def conv2d_gradients(g: Any, x: Any, weight: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Any:
    """Return `conv2d_input_grad` and `conv2d_weight_grad`: what they have in common is done once."""
    return kernels.conv2d_gradients(g, x, weight, stride, padding, dilation, groups)


@conv2d_gradients.composition
def conv2d_gradients_composed(
    g: Any, x: Any, weight: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """The same op by op."""
    sizes = stride, padding, dilation, groups
    return conv2d_input_grad(g, weight, x.shape, *sizes), conv2d_weight_grad(g, x, weight.shape, *sizes)


@op("N O h w", kernel=True)
def conv2d_bias_grad(g: Any) -> Any:
    """Return gb[o] = Σ_{n,h,w} g[n, o, h, w].

    >>> import numpy as np
    >>> conv2d_bias_grad(np.ones((2, 1, 3, 4)))
    array([24.])
    """
    return kernels.conv2d_bias_grad(g)


@conv2d_bias_grad.vjp()
def conv2d_bias_grad_vjp(gg: Any, g_shape: Shape) -> Any:
    """What was summed is repeated."""
    return expand(reshape(gg, (-1, 1, 1)), g_shape)


@op("N O h w, O I kh kw", kernel=True)
def conv2d_input_grad(
    g: Any, weight: Any, x_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """Return the x-side of ⟨g, conv2d(x, weight)⟩: what a transposed convolution computes.

    gx[n, c, h·s + i·d − p, w·s + j·d − p] += Σ_o g[n, o, h, w] · weight[o, c, i, j]

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, chapter 4.
    """
    return kernels.conv2d_input_grad(g, weight, x_shape, stride, padding, dilation, groups)


@conv2d_input_grad.vjp("g")
def conv2d_input_grad_vjp_g(g: Any, weight: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Any:
    """The adjoint of the adjoint is the convolution."""
    return cross_correlation(g, weight, None, stride, padding, dilation, groups)


@conv2d_input_grad.vjp("weight")
def conv2d_input_grad_vjp_weight(
    gg: Any, g: Any, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """The weight's side of the form, with gg in the place of x."""
    return conv2d_weight_grad(g, gg, weight_shape, stride, padding, dilation, groups)


@op("N O h w, N C H W", kernel=True)
def conv2d_weight_grad(
    g: Any, x: Any, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """Return the weight's side of ⟨g, conv2d(x, weight)⟩.

    gw[o, c, i, j] = Σ_{n,h,w} g[n, o, h, w] · x[n, c, h·s + i·d − p, w·s + j·d − p]
    """
    return kernels.conv2d_weight_grad(g, x, weight_shape, stride, padding, dilation, groups)


@conv2d_weight_grad.vjp("g")
def conv2d_weight_grad_vjp_g(gg: Any, x: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Any:
    """The result's side of the form, with gg in the place of the weight."""
    return cross_correlation(x, gg, None, stride, padding, dilation, groups)


@conv2d_weight_grad.vjp("x")
def conv2d_weight_grad_vjp_x(
    gg: Any, g: Any, x_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """The input's side of the form, with gg in the place of the weight."""
    return conv2d_input_grad(g, gg, x_shape, stride, padding, dilation, groups)


@composite
def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Pairs = 1,
    padding: Pairs | str = 0,
    dilation: Pairs = 1,
    groups: int = 1,
) -> Any:
    """Slide `weight` over `x` (a cross-correlation, as every framework means by convolution).

    y[n, o, h, w] = b[o] + Σ_{c,i,j} x[n, c, h·s + i·d − p, w·s + j·d − p] · weight[o, c, i, j]

    Shapes: x (N, C, H, W) or (C, H, W), weight (O, C/groups, kh, kw), bias (O,) or None -> (N, O, H', W'),
    H' = ⌊(H + 2p − d(kh−1) − 1)/s⌋ + 1. padding: numbers, "valid" (0) or "same" (stride 1 only; an odd total puts one
    more row below and one more column on the right). Results lie channels-last in memory.

    Raises: ValueError naming the axis or argument when channels, groups or sizes do not fit.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, relationship 6; lowered with im2col, Chellapilla et al. 2006.

    >>> import numpy as np
    >>> x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    >>> cross = np.array([[[[0.0, 1, 0], [1, 1, 1], [0, 1, 0]]]])
    >>> conv2d(x, cross)
    array([[[[25.]]]])
    """
    if len(x.shape) == 3:
        return squeeze(conv2d(unsqueeze(x, 0), weight, bias, stride, padding, dilation, groups), 0)
    geometry = convolution(
        x.shape, weight.shape, x.dtype.itemsize, fixed(stride), fixed(padding), fixed(dilation), groups
    )
    return cross_correlation(_padded(x, geometry.uneven), weight, bias, *geometry[:4])


def _padded(x: Any, uneven: Pair) -> Any:
    """Return x with rows of zeros below and columns of zeros on the right."""
    below, right = uneven
    return constant_pad(x, ((0, 0), (0, 0), (0, below), (0, right))) if below or right else x


@composite
def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Pairs = 1,
    padding: Pairs = 0,
    output_padding: Pairs = 0,
    groups: int = 1,
    dilation: Pairs = 1,
) -> Any:
    """Return the transposed convolution: what `conv2d` of the same geometry does to gradients.

    y[n, o, h·s + i·d − p, w·s + j·d − p] += Σ_c x[n, c, h, w] · weight[c, o, i, j]

    Shapes: x (N, C, H, W) or (C, H, W), weight (C, O/groups, kh, kw) -> (N, O, H', W'),
    H' = (H−1)s − 2p + d(kh−1) + output_padding + 1.

    Raises: ValueError as `conv2d`, and when output_padding is not below stride or dilation.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, relationship 14.

    >>> import numpy as np
    >>> conv_transpose2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), stride=2).shape
    (1, 1, 4, 4)
    """
    if len(x.shape) == 3:
        x = unsqueeze(x, 0)
        return squeeze(conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation), 0)
    sizes = x.shape, weight.shape, x.dtype.itemsize
    geometry = transposed_convolution(
        *sizes, fixed(stride), fixed(padding), fixed(output_padding), groups, fixed(dilation)
    )
    if bias is not None and tuple(bias.shape) != geometry.shape[1:2]:
        raise ValueError(f"conv_transpose2d: bias {tuple(bias.shape)} must have axis O, {geometry.shape[1]}")
    y = conv2d_input_grad(_padded(x, geometry.uneven), weight, *geometry[:5])
    return y if bias is None else y + reshape(bias, (-1, 1, 1))
