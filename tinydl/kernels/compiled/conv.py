"""Convolution and its gradients by tiles in registers: tile.py has the idea and plan.py the tables."""

from __future__ import annotations

import functools
import math

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled import depthwise, lowering, winograd, winograd_grad
from tinydl.kernels.compiled.dot import dot_into
from tinydl.kernels.compiled.geometry import Geometry, Image
from tinydl.kernels.compiled.layout import channels_last, patch_rows, patches_first, patches_last, taps_first
from tinydl.kernels.compiled.memory import filled, plain
from tinydl.kernels.compiled.sums import image_sums
from tinydl.kernels.compiled.sweep import DENSE
from tinydl.kernels.reference.conv import out_size
from tinydl.shapes import Array, Pair, Shape

DEEP, SHORT = 192, 0.55
"""Channels from which on, and pixels a channel up to which, a convolution is done by dot products: 3×3 of 512 channels
for one image of 7×7 take 1.4 ms in the place of 3.6."""

FEW = 4096
"""Results up to which one whose kernel covers the image is so, too: 16 → 120, 5×5 of 8 images of 5×5 takes 21 µs and
took 57; with ten times as many results it would lose a fifth."""

MANY = 512
"""Pixels from which on the weights are copied for their alignment alone: for 512 pixels, 728 channels take 2.6 ms
instead of 3.1, 116 channels 97 µs instead of 102."""

__all__ = ["conv2d", "conv2d_bias_grad", "conv2d_gradients", "conv2d_input_grad", "conv2d_weight_grad"]


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
    """Slide `weight` over x: as in the reference twin."""
    if _is_depthwise(weight.shape, groups):
        return depthwise.depthwise_conv2d(x, weight, bias, stride, padding, dilation, scale, low, high)
    geometry = geometry_of(x.shape, weight.shape, stride, padding, dilation, groups)
    if _is_short(len(x), geometry):
        return _by_dot_products(x, weight, bias, geometry, scale, low, high)
    seen = channels_last(x)
    y = buffers.empty_nhwc(len(x), len(weight), *geometry.y[:2], seen.dtype)
    start = filled(len(weight), 0, seen.dtype) if bias is None else plain(bias, seen.dtype)
    by_winograd = geometry.kernel == (3, 3) and winograd.pays(len(x), geometry, geometry.y)
    packed = patches_first(weight, groups, seen.dtype, scale, aligned=not by_winograd)
    result = y.transpose(0, 2, 3, 1)
    if by_winograd:
        given = seen, packed.reshape(9, -1, len(weight)), start, result, padding
        by_winograd = winograd.convolve(*given, low, high)
    if not by_winograd:
        lowering.convolve(DENSE, seen, packed, start, result, geometry, low, high)
    return y


def conv2d_input_grad(
    g: Array, weight: Array, x_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """Return the gradient of ⟨g, conv2d(x, weight)⟩ by x: as in the reference twin."""
    if _is_depthwise(weight.shape, groups):
        return depthwise.depthwise_conv2d_input_grad(g, weight, x_shape, stride, padding, dilation)
    seen = channels_last(g)
    geometry = geometry_of(x_shape, weight.shape, stride, padding, dilation, groups)
    n, c, h, w = x_shape
    gx = buffers.empty_nhwc(n, c, h, w, seen.dtype)
    by_winograd = winograd.pays(n, geometry, geometry.x)
    packed = taps_first(weight, groups, seen.dtype, aligned=not by_winograd and seen.size >= MANY * len(weight))
    if by_winograd:  # the convolution of g with the weight turned round
        given = seen, packed.reshape(9, len(weight), c), filled(c, 0, seen.dtype), gx.transpose(0, 2, 3, 1)
        by_winograd = winograd.convolve(*given, (2 - padding[0], 2 - padding[1]), transform=winograd.TURNED)
    if not by_winograd:
        lowering.input_grad(DENSE, seen, packed, gx.transpose(0, 2, 3, 1), geometry)
    return gx


def conv2d_weight_grad(
    g: Array, x: Array, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """Return the gradient of ⟨g, conv2d(x, weight)⟩ by the weight: as in the reference twin."""
    if _is_depthwise(weight_shape, groups):
        return depthwise.depthwise_conv2d_weight_grad(g, x, weight_shape, stride, padding, dilation)
    o, c, kh, kw = weight_shape
    if (kh, kw, stride, padding, groups) == (1, 1, (1, 1), (0, 0), 1) and c >= o:
        # gw = gᵀ x as it stands, not transposed: its long rows fill the widest tiles.
        geometry = geometry_of(g.shape, (c, o, 1, 1), stride, padding, dilation, groups)
        return lowering.weight_grad(DENSE, channels_last(x), channels_last(g), weight_shape, geometry)
    geometry = geometry_of(x.shape, weight_shape, stride, padding, dilation, groups)
    shape = (groups, kh * kw * c, o // groups)
    arrays = channels_last(g), channels_last(x)
    gw = winograd_grad.weight_grad(*arrays, padding) if winograd.pays(len(x), geometry, geometry.y) else None
    if gw is None:
        gw = lowering.weight_grad(DENSE, *arrays, shape, geometry)
    return patches_last(gw.reshape(shape), weight_shape)


def conv2d_gradients(
    g: Array, x: Array, weight: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> tuple[Array, Array]:
    """Return the gradients by x and by the weight: as in the reference twin."""
    sizes = stride, padding, dilation, groups
    found = winograd_gradients(g, None, x, weight, geometry_of(x.shape, weight.shape, *sizes))
    if found is None:
        return conv2d_input_grad(g, weight, x.shape, *sizes), conv2d_weight_grad(g, x, weight.shape, *sizes)
    return found[:2]


def winograd_gradients(
    g: Array, indices: Array | None, x: Array, weight: Array, geometry: Geometry
) -> tuple[Array, Array, Array] | None:
    """Return all gradients of a convolution, or None unless that pays and all is finite.

    g is that of the convolution or, with indices, that of maxima of 2×2 places of it; only then the last one counts.
    """
    if len(x) < threads.num_threads() or not winograd.pays(len(x), geometry, geometry.y):
        return None
    seen, given = channels_last(x), channels_last(g)
    packed = taps_first(weight, 1, seen.dtype).reshape(9, len(weight), -1)
    n, c, h, w = x.shape
    gx = buffers.empty_nhwc(n, c, h, w, seen.dtype)
    places = None if indices is None else channels_last(indices)
    result = gx.transpose(0, 2, 3, 1)
    found = winograd_grad.gradients(given, places, seen, packed, (n, *geometry.y), geometry.padding, result)
    if found is None:
        return None
    gw, gb = found
    return gx, patches_last(gw.reshape(1, -1, len(weight)), weight.shape), gb


@np.errstate(all="ignore")
def conv2d_bias_grad(g: Array) -> Array:
    """Return the gradient of ⟨g, conv2d(x, weight, bias)⟩ by the bias: as in the reference twin.

    It is added up image by image: one long sum of small numbers would lose their digits.
    """
    total: Array = image_sums(channels_last(g)).sum(0)
    return total


def _is_short(n: int, geometry: Geometry) -> bool:
    """Tell whether so few pixels meet the weights that to transpose these would cost more than it gains.

    Dot products need no transposed weights, but lose time at their end; with few channels there is one all too often.
    """
    pixels, channels = n * geometry.y.height * geometry.y.width, geometry.x.channels
    few = pixels == 1 or (pixels * geometry.o <= FEW and _sees_all(geometry))
    return geometry.groups == 1 and (few or (channels >= DEEP and pixels <= SHORT * channels))


def _sees_all(geometry: Geometry) -> bool:
    """Tell whether the kernel covers the image: then that is its own patch, in the order of the weights as they lie."""
    return geometry.kernel == geometry.x[:2] and geometry.padding == (0, 0)


def _by_dot_products(
    x: Array, weight: Array, bias: Array | None, geometry: Geometry, scale: Array | None, low: float, high: float
) -> Array:
    """Return the convolution as patches by weights as they lie."""
    kernel, stride, padding, y_size = geometry.kernel, geometry.stride, geometry.padding, geometry.y[:2]
    dtype, flat = x.dtype.newbyteorder("="), weight.reshape(len(weight), -1)
    y = buffers.empty_nhwc(len(x), len(weight), *y_size, dtype)
    if _sees_all(geometry):
        rows = plain(x, dtype).reshape(-1, flat.shape[1])
    elif (kernel, stride, padding) == ((1, 1), (1, 1), (0, 0)):
        rows = channels_last(x).reshape(-1, x.shape[1])
    else:
        rows = patch_rows(channels_last(x), *geometry[2:6], y_size)
    dot_into(y.transpose(0, 2, 3, 1).reshape(-1), rows, flat, bias, scale, low, high)
    return y


def _is_depthwise(weight_shape: Shape, groups: int) -> bool:
    return groups > 1 and weight_shape[1] == 1


@functools.lru_cache(maxsize=256)
def geometry_of(
    x_shape: Shape, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Geometry:
    o, c, kh, kw = weight_shape
    return Geometry(
        x=Image(x_shape[2], x_shape[3], x_shape[1]),
        y=Image(*out_size(x_shape, (kh, kw), stride, padding, dilation), o),
        kernel=(kh, kw),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        c=c,
        o=o // groups,
    )
