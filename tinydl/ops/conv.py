"""Convolutions: one op, its gradient by the input and its gradient by the weight, closed under differentiation.

The three are one trilinear form ⟨g, conv2d(x, w)⟩ seen from its three sides: each one's derivatives are the other two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tinydl import kernels
from tinydl.op import composite, op
from tinydl.ops.indexing import constant_pad
from tinydl.ops.movement import expand, reshape, squeeze, unsqueeze
from tinydl.shapes import (
    Pair,
    Shape,
    at_least,
    check_size,
    conv_output_size,
    conv_transpose_output_size,
    pair,
    same_padding,
)

Pairs: TypeAlias = int | Sequence[int]


@op("N C H W, O C/groups kh kw, O", floats=True)
def cross_correlation(x: Any, weight: Any, bias: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Any:
    """Slide `weight` over `x`; `conv2d` with every argument spelled out.

    y[n, o, h, w] = b[o] + Σ_{c,i,j} x[n, c, h·s + i·d − p, w·s + j·d − p] · weight[o, c, i, j]

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


@cross_correlation.vjp("bias")
def cross_correlation_vjp_bias(g: Any) -> Any:
    """∂y/∂b = 1 at every place."""
    return conv2d_bias_grad(g)


@op("N O h w", floats=True)
def conv2d_bias_grad(g: Any) -> Any:
    """Return gb[o] = Σ_{n,h,w} g[n, o, h, w].

    >>> conv2d_bias_grad(np.ones((2, 1, 3, 4)))
    array([24.])
    """
    return kernels.conv2d_bias_grad(g)


@conv2d_bias_grad.vjp()
def conv2d_bias_grad_vjp(gg: Any, g_shape: Shape) -> Any:
    """What was summed is repeated."""
    return expand(reshape(gg, (-1, 1, 1)), g_shape)


@op("N O h w, O I kh kw", floats=True)
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


@op("N O h w, N C H W", floats=True)
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


def _geometry(name: str, stride: Pairs, dilation: Pairs, groups: int) -> tuple[Pair, Pair]:
    """Return checked stride and dilation. Raises: ValueError naming the argument that is below 1."""
    if not isinstance(groups, (int, np.integer)) or groups < 1:
        raise ValueError(f"{name}: groups must be an integer of at least 1, got {groups!r}")
    return (
        at_least(pair(stride, "stride"), 1, "stride", name),
        at_least(pair(dilation, "dilation"), 1, "dilation", name),
    )


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

    >>> x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    >>> cross = np.array([[[[0.0, 1, 0], [1, 1, 1], [0, 1, 0]]]])
    >>> conv2d(x, cross)
    array([[[[25.]]]])
    """
    if len(x.shape) == 3:
        return squeeze(conv2d(unsqueeze(x, 0), weight, bias, stride, padding, dilation, groups), 0)
    strides, dilations = _geometry("conv2d", stride, dilation, groups)
    _check_weight("conv2d", x, weight, groups)
    if isinstance(padding, str):
        x, pads = _named_padding(x, tuple(weight.shape[2:]), padding, strides, dilations)
    else:
        pads = at_least(pair(padding, "padding"), 0, "padding", "conv2d")
    sizes = tuple(
        conv_output_size(n, k, s, p, d)
        for n, k, s, p, d in zip(x.shape[2:], weight.shape[2:], strides, pads, dilations)
    )
    if min(sizes) < 1:
        raise ValueError(
            f"conv2d: kernel {tuple(weight.shape[2:])} (dilation {dilations}) does not fit into x {tuple(x.shape)} "
            f"with padding {pads}: the output would be {sizes}"
        )
    check_size((x.shape[0], weight.shape[0], *sizes), x.dtype.itemsize, "conv2d")
    return cross_correlation(x, weight, bias, strides, pads, dilations, int(groups))


def _check_weight(name: str, x: Any, weight: Any, groups: int) -> None:
    """Refuse operands whose ranks or channels do not fit together."""
    if len(x.shape) != 4 or len(weight.shape) != 4:
        raise ValueError(
            f"{name}: x must have axes (N, C, H, W) and weight 4 axes, got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    outputs, channels = weight.shape[0], weight.shape[1] * groups
    if x.shape[1] != channels:
        raise ValueError(
            f"{name}: axis C is {x.shape[1]} in x {tuple(x.shape)} but weight {tuple(weight.shape)} wants {channels}"
            + (f" with groups={groups}" if groups != 1 else "")
        )
    if outputs % groups or min(weight.shape) < 1:
        raise ValueError(f"{name}: groups {groups} must divide axis O of weight {tuple(weight.shape)}, all sizes ≥ 1")


def _named_padding(x: Any, kernel: Pair, padding: str, stride: Pair, dilation: Pair) -> tuple[Any, Pair]:
    """Return x and the symmetric padding that "valid" or "same" mean; an uneven rest is padded here."""
    if padding == "valid":
        return x, (0, 0)
    if padding != "same":
        raise ValueError(f'conv2d: padding must be numbers, "valid" or "same", got {padding!r}')
    if stride != (1, 1):
        raise ValueError(f'conv2d: padding="same" needs stride 1, got {stride}')
    (top, bottom), (left, right) = same_padding(kernel, dilation)
    if (top, left) == (bottom, right):
        return x, (top, left)
    return constant_pad(x, ((0, 0), (0, 0), (0, bottom - top), (0, right - left))), (top, left)


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

    >>> conv_transpose2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), stride=2).shape
    (1, 1, 4, 4)
    """
    name = "conv_transpose2d"
    if len(x.shape) == 3:
        x = unsqueeze(x, 0)
        return squeeze(conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation), 0)
    strides, dilations = _geometry(name, stride, dilation, groups)
    pads = at_least(pair(padding, "padding"), 0, "padding", name)
    extra = at_least(pair(output_padding, "output_padding"), 0, "output_padding", name)
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations)):
        raise ValueError(f"{name}: output_padding {extra} must be below stride {strides} or dilation {dilations}")
    if len(x.shape) != 4 or len(weight.shape) != 4 or x.shape[1] != weight.shape[0] or weight.shape[0] % groups:
        raise ValueError(
            f"{name}: x (N, C, H, W) and weight (C, O/groups, kh, kw) must share C, a multiple of groups {groups}; "
            f"got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[1] * groups,):
        raise ValueError(f"{name}: bias {tuple(bias.shape)} must have axis O, {weight.shape[1] * groups}")
    sizes = tuple(
        conv_transpose_output_size(*numbers)
        for numbers in zip(x.shape[2:], weight.shape[2:], strides, pads, extra, dilations)
    )
    if min(sizes) < 1:
        raise ValueError(f"{name}: padding {pads} leaves no output of x {tuple(x.shape)}: it would be {sizes}")
    shape = check_size((x.shape[0], weight.shape[1] * groups, *sizes), x.dtype.itemsize, name)
    below, right = (e // s for e, s in zip(extra, strides))
    if below or right:  # the convolution of y would see more places than x has: zeros stand in for them
        x = constant_pad(x, ((0, 0), (0, 0), (0, below), (0, right)))
    y = conv2d_input_grad(x, weight, shape, strides, pads, dilations, int(groups))
    return y if bias is None else y + reshape(bias, (-1, 1, 1))
