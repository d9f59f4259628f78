"""Depthwise convolution and its gradients by the tiles of conv.py, with a vector of channels in place of a sum.

m filters a channel are one filter for each of m copies of the channel.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from tinydl.kernels import buffers
from tinydl.kernels.compiled import lowering
from tinydl.kernels.compiled.geometry import Geometry, Image
from tinydl.kernels.compiled.layout import channels_last, patches_first
from tinydl.kernels.compiled.sweep import DEPTHWISE
from tinydl.kernels.reference.conv import out_size
from tinydl.shapes import Array, Pair, Shape

__all__ = ["depthwise_conv2d", "depthwise_conv2d_input_grad", "depthwise_conv2d_weight_grad"]


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
    """Slide m filters over each channel: as in the reference twin."""
    seen = _copies(channels_last(x), len(weight))
    geometry = _geometry(seen.shape, weight.shape, stride, padding, dilation)
    y = buffers.empty_nhwc(len(x), len(weight), *geometry.y[:2], seen.dtype)
    start = np.zeros(len(weight), seen.dtype) if bias is None else np.array(bias, seen.dtype)
    packed = patches_first(weight, 1, seen.dtype, scale, aligned=True)
    lowering.convolve(DEPTHWISE, seen, packed, start, y.transpose(0, 2, 3, 1), geometry, low, high)
    return y


@np.errstate(all="ignore")
def depthwise_conv2d_input_grad(
    g: Array, weight: Array, x_shape: Shape, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """Return the gradient of ⟨g, depthwise_conv2d(x, weight)⟩ by x: as in the reference twin."""
    seen = channels_last(g)
    n, c, h, w = x_shape
    channels = len(weight)
    geometry = _geometry((n, h, w, channels), weight.shape, stride, padding, dilation)
    gx = buffers.empty_nhwc(n, channels, h, w, seen.dtype)
    by_tap = geometry._replace(c=channels, o=1)
    packed = patches_first(weight, 1, seen.dtype, aligned=True)
    lowering.input_grad(DEPTHWISE, seen, packed, gx.transpose(0, 2, 3, 1), by_tap)
    return gx if channels == c else gx.reshape(n, c, channels // c, h, w).sum(2)


def depthwise_conv2d_weight_grad(
    g: Array, x: Array, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """Return the gradient of ⟨g, depthwise_conv2d(x, weight)⟩ by the weight: as in the reference twin."""
    channels, _, kh, kw = weight_shape
    seen = _copies(channels_last(x), channels)
    geometry = _geometry(seen.shape, weight_shape, stride, padding, dilation)
    shape = (kh, kw, channels)
    gw = lowering.weight_grad(DEPTHWISE, channels_last(g), seen, shape, geometry)
    return gw.transpose(2, 0, 1).reshape(weight_shape)


def _copies(x: Array, channels: int) -> Array:
    """Return x (N, H, W, C) with every channel repeated, m = channels/C times in a row."""
    return x if x.shape[3] == channels else np.repeat(x, channels // x.shape[3], axis=3)


@functools.lru_cache(maxsize=256)
def _geometry(x_shape: Shape, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair) -> Geometry:
    n, h, w, _ = x_shape
    channels, _, kh, kw = weight_shape
    return Geometry(
        x=Image(h, w, channels),
        y=Image(*out_size((n, channels, h, w), (kh, kw), stride, padding, dilation), channels),
        kernel=(kh, kw),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=1,
        c=1,
        o=channels,
    )
