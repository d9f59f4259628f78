"""A convolution with the max pooling of 2×2 places behind it, and its gradients."""

from __future__ import annotations

from tinydl.kernels.reference.conv import conv2d, conv2d_bias_grad, conv2d_input_grad, conv2d_weight_grad, out_size
from tinydl.kernels.reference.pool import max_pool2d, max_pool2d_grad
from tinydl.shapes import QUARTERS, Array, Pair

__all__ = ["conv2d_max_pool", "conv2d_max_pool_grad"]


def conv2d_max_pool(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int, relu: bool
) -> tuple[Array, Array]:
    """Return the maxima of 2×2 places of the convolution, and their places in it: `max_pool2d` behind `conv2d`.

    Shapes: x (N, C, H, W), weight (O, C/groups, kh, kw), bias (O,) or None -> y and int32 indices (N, O, H'/2, W'/2).

    >>> import numpy as np
    >>> y, indices = conv2d_max_pool(
    ...     np.arange(4.0).reshape(1, 1, 2, 2), np.ones((1, 1, 1, 1)), None, (1, 1), (0, 0), (1, 1), 1, True
    ... )
    >>> y[0, 0], indices[0, 0]
    (array([[3.]]), array([[3]], dtype=int32))
    """
    y = conv2d(x, weight, bias, stride, padding, dilation, groups)
    return max_pool2d(y, *QUARTERS, (y.shape[2] // 2, y.shape[3] // 2), relu)


def conv2d_max_pool_grad(
    g: Array,
    indices: Array,
    x: Array,
    weight: Array,
    by_x: bool,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> tuple[Array, ...]:
    """Return the gradients of ⟨g, conv2d_max_pool(x, weight, bias)⟩: by x if `by_x`, by the weight and by the bias.

    Shapes: g and indices (N, O, H'/2, W'/2), x (N, C, H, W), weight (O, C/groups, kh, kw) -> x's, weight's, (O,).
    """
    sizes = stride, padding, dilation, groups
    y_size = out_size(x.shape, (weight.shape[2], weight.shape[3]), stride, padding, dilation)
    spread = max_pool2d_grad(g, indices, (len(x), len(weight), *y_size), True)
    gx = (conv2d_input_grad(spread, weight, x.shape, *sizes),) if by_x else ()
    return *gx, conv2d_weight_grad(spread, x, weight.shape, *sizes), conv2d_bias_grad(spread)
