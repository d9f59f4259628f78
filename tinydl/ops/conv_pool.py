"""A convolution, the max pooling of 2×2 places behind it and perhaps a ReLU as one op: what small networks begin with.

The result of the convolution, four times as large as that of the op, is not kept, nor written as a whole.
"""

from __future__ import annotations

from typing import Any

from tinydl import kernels
from tinydl.op import fused, op
from tinydl.ops.conv import conv2d_bias_grad, conv2d_input_grad, conv2d_weight_grad
from tinydl.ops.pool import max_pool_grad
from tinydl.shapes import Array, Pair, Shape, conv_output_size


@op("N C H W, O C/groups kh kw, O", keeps=("indices",), kernel=True)
def conv_max_pool(
    x: Any, weight: Any, bias: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int, relu: bool
) -> Any:
    """Return the maxima of 2×2 places of `cross_correlation`, with `relu` max(…, 0), and where they stood there.

    As `max_pool2d(conv2d(x, weight, bias, …), 2, relu=relu)`, every argument spelled out.

    >>> import numpy as np
    >>> x, weight = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> conv_max_pool(x, weight, None, (1, 1), (0, 0), (1, 1), 1, True)
    array([[[[24.]]]])
    """
    return kernels.conv2d_max_pool(x, weight, bias, stride, padding, dilation, groups, relu)


@conv_max_pool.vjp("x")
def conv_max_pool_vjp_x(
    g: Any, indices: Array, weight: Any, x_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """The maxima's g go to where they stood, and from there to the convolution's sides."""
    spread = _spread(g, indices, x_shape, weight.shape, stride, padding, dilation)
    return conv2d_input_grad(spread, weight, x_shape, stride, padding, dilation, groups)


@conv_max_pool.vjp("weight", "bias")
def conv_max_pool_vjp_weight(
    g: Any, indices: Array, x: Any, weight: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """The same, to the weight and the bias."""
    return conv_max_pool_grad(g, indices, x, weight, False, stride, padding, dilation, groups)


@conv_max_pool.vjp("x", "weight", "bias")
def conv_max_pool_vjp(
    g: Any, indices: Array, x: Any, weight: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """All at once, which costs less."""
    return conv_max_pool_grad(g, indices, x, weight, True, stride, padding, dilation, groups)


@fused
def conv_max_pool_grad(
    g: Any,
    indices: Array,
    x: Any,
    weight: Any,
    by_x: bool,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Any:
    """Return the gradients by x if `by_x`, by the weight and by the bias."""
    return kernels.conv2d_max_pool_grad(g, indices, x, weight, by_x, stride, padding, dilation, groups)


@conv_max_pool_grad.composition
def conv_max_pool_grad_composed(
    g: Any,
    indices: Array,
    x: Any,
    weight: Any,
    by_x: bool,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Any:
    """The same op by op."""
    sizes = stride, padding, dilation, groups
    spread = _spread(g, indices, x.shape, weight.shape, *sizes[:3])
    gx = (conv2d_input_grad(spread, weight, x.shape, *sizes),) if by_x else ()
    return *gx, conv2d_weight_grad(spread, x, weight.shape, *sizes), conv2d_bias_grad(spread)


def _spread(
    g: Any, indices: Array, x_shape: Shape, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair
) -> Any:
    """Return the gradient of the convolution."""
    size = map(conv_output_size, x_shape[2:], weight_shape[2:], stride, padding, dilation)
    return max_pool_grad(g, indices, (x_shape[0], weight_shape[0], *size), True)
