"""Depthwise convolution: every channel has its own filters and channels are never mixed.

Source: Howard et al. 2017, arXiv:1704.04861, equation 3.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import math

import numpy as np

from tinydl.kernels.reference.windows import add_windows, windows
from tinydl.shapes import Array, Pair, Shape, conv_output_size

__all__ = ["depthwise_conv2d", "depthwise_conv2d_input_grad", "depthwise_conv2d_weight_grad"]


def _windows(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    h, w = map(conv_output_size, x.shape[2:], kernel, stride, padding, dilation)
    return windows(x, kernel, stride, padding, dilation, (h, w), 0.0)


@np.errstate(all="ignore")
def depthwise_conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    scale: Array | None = None,
    low: float = -math.inf,
    high: float = math.inf,
) -> Array:
    """Slide m filters over each channel: conv2d with as many groups as channels.

    y[n, c·m + k, h, w] = bias[c·m + k] + Σ_{i,j} x[n, c, h·s + i·d − p, w·s + j·d − p] · weight[c·m + k, 0, i, j].

    Shapes: x (N, C, H, W), weight (C·m, 1, kh, kw), bias and scale (C·m,) or None -> (N, C·m, H', W').

    >>> x = np.ones((1, 2, 2, 2))
    >>> depthwise_conv2d(x, np.array([1.0, 2.0]).reshape(2, 1, 1, 1), None, (1, 1), (0, 0), (1, 1))[0, :, 0, 0]
    array([1., 2.])
    """
    weight = weight if scale is None else weight * scale[:, None, None, None]
    v = _windows(x, weight.shape[2:], stride, padding, dilation)
    y = np.einsum("nchwij,ckij->nckhw", v, _by_channel(weight, x.shape[1]))
    y = y.reshape(len(x), len(weight), *v.shape[2:4])
    return np.clip(y if bias is None else y + bias[:, None, None], low, high)


@np.errstate(all="ignore")
def depthwise_conv2d_input_grad(
    g: Array, weight: Array, x_shape: Shape, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """Return the gradient of ⟨g, depthwise_conv2d(x, weight)⟩ by x.

    gx[n, c, h·s + i·d − p, w·s + j·d − p] += Σ_k g[n, c·m + k, h, w] · weight[c·m + k, 0, i, j].

    Shapes: g (N, C·m, H', W'), weight (C·m, 1, kh, kw) -> x_shape = (N, C, H, W).
    """
    v = np.einsum("nckhw,ckij->nchwij", _split(g, x_shape[1]), _by_channel(weight, x_shape[1]))
    return add_windows(v, x_shape, stride, padding, dilation)


@np.errstate(all="ignore")
def depthwise_conv2d_weight_grad(
    g: Array, x: Array, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """Return the gradient of ⟨g, depthwise_conv2d(x, weight)⟩ by the weight.

    gw[c·m + k, 0, i, j] = Σ_{n,h,w} g[n, c·m + k, h, w] · x[n, c, h·s + i·d − p, w·s + j·d − p].

    Shapes: g (N, C·m, H', W'), x (N, C, H, W) -> weight_shape = (C·m, 1, kh, kw).
    """
    v = _windows(x, (weight_shape[2], weight_shape[3]), stride, padding, dilation)
    channels, places = x.shape[1], len(x) * g.shape[2] * g.shape[3]
    rows = _split(g, channels).transpose(1, 2, 0, 3, 4).reshape(channels, weight_shape[0] // channels, places)
    columns = v.transpose(1, 0, 2, 3, 4, 5).reshape(channels, places, weight_shape[2] * weight_shape[3])
    return (rows @ columns).reshape(weight_shape)


def _by_channel(weight: Array, channels: int) -> Array:
    """Return weight (C·m, 1, kh, kw) as (C, m, kh, kw)."""
    return weight.reshape(channels, len(weight) // channels, *weight.shape[2:])


def _split(g: Array, channels: int) -> Array:
    """Return g (N, C·m, H', W') as (N, C, m, H', W')."""
    return g.reshape(len(g), channels, g.shape[1] // channels, *g.shape[2:])
