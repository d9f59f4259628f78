"""A convolution with the max pooling of 2×2 places behind it, and its gradients."""

from __future__ import annotations

import numpy as np

from tinydl.kernels.reference.conv import conv2d, conv2d_bias_grad, conv2d_weight_grad
from tinydl.kernels.reference.pool import max_pool2d, max_pool2d_grad
from tinydl.shapes import QUARTERS, Array, Pair, Shape

__all__ = ["conv2d_max_pool", "conv2d_max_pool_grad"]


def conv2d_max_pool(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int, relu: bool
) -> tuple[Array, Array]:
    """Return the maxima of 2×2 places of the convolution, and their places in it: `max_pool2d` behind `conv2d`.

    Shapes: x (N, C, H, W), weight (O, C/groups, kh, kw), bias (O,) or None -> y and int32 indices (N, O, H'/2, W'/2).

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
    y_shape: Shape,
    weight_shape: Shape,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> tuple[Array, Array]:
    """Return the gradients of ⟨g, conv2d_max_pool(x, weight, bias)⟩ by the weight and by the bias.

    Shapes: g and indices (N, O, h, w), x (N, C, H, W) -> weight_shape = (O, C/groups, kh, kw), (O,); y_shape =
    (N, O, H', W') is that of the convolution.
    """
    spread = max_pool2d_grad(g, indices, y_shape, True)
    return conv2d_weight_grad(spread, x, weight_shape, stride, padding, dilation, groups), conv2d_bias_grad(spread)
