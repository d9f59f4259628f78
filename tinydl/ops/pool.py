"""Pooling: the maximum or the mean of each window.

Both are linear once it is known which element each window takes, so adjoint pairs (pick, put) close every order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl import kernels
from tinydl.op import composite, op
from tinydl.ops.geometry import Pairs, fixed, grid, windows
from tinydl.ops.movement import squeeze, unsqueeze
from tinydl.ops.reduce import mean
from tinydl.shapes import QUARTERS, Array, Pair, Shape
from tinydl.tensor import alike


@op("N C H W", keeps=("indices",), kernel=True)
def max_pool(x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, out_size: Pair) -> Any:
    """Return the maximum of each window (`max_pool2d` with every argument spelled out), and where it stood."""
    return kernels.max_pool2d(x, kernel, stride, padding, dilation, out_size)


@op("N C H W", keeps=("indices",), kernel=True)
def max_pool_relu(x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, out_size: Pair) -> Any:
    """Return max(max_pool(x, …), 0) in the same pass, and where it stood; a 0 that is no maximum stands at −1."""
    return kernels.max_pool2d(x, kernel, stride, padding, dilation, out_size, True)


@max_pool.vjp()
@max_pool_relu.vjp()
def max_pool_vjp(
    g: Any, indices: Array, x_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Any:
    """∂y/∂x = 1 at the (first) maximum; the g of place −1 goes nowhere."""
    return max_pool_grad(g, indices, x_shape, (kernel, stride, padding, dilation) == QUARTERS)


@op("N C h w", kernel=True)
def max_pool_grad(g: Any, indices: Array, x_shape: Shape, quarters: bool = False) -> Any:
    """Return zeros of `x_shape` with g added where the maxima stood; `quarters` as the kernel's."""
    return kernels.max_pool2d_grad(g, indices, x_shape, quarters)


@max_pool_grad.vjp()
def max_pool_grad_vjp(gg: Any, indices: Array) -> Any:
    """Read where the maxima stood."""
    return max_pool_gather(gg, indices)


@op("N C H W", kernel=True)
def max_pool_gather(x: Any, indices: Array) -> Any:
    """Return y[n, c, i, j] = x[n, c].flat[indices[n, c, i, j]]."""
    return kernels.max_pool2d_gather(x, indices)


@max_pool_gather.vjp()
def max_pool_gather_vjp(g: Any, indices: Array, x_shape: Shape) -> Any:
    """Write where was read."""
    return max_pool_grad(g, indices, x_shape)


@op("N C H W", kernel=True)
def avg_pool(x: Any, kernel: Pair, stride: Pair, padding: Pair, out_size: Pair, count_include_pad: bool) -> Any:
    """Return the mean of each window (`avg_pool2d` with every argument spelled out)."""
    return kernels.avg_pool2d(x, kernel, stride, padding, out_size, count_include_pad)


@avg_pool.vjp()
def avg_pool_vjp(g: Any, x_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> Any:
    """∂y/∂x = 1/count within the window."""
    return avg_pool_grad(g, x_shape, kernel, stride, padding, count_include_pad)


@op("N C h w", kernel=True)
def avg_pool_grad(g: Any, x_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> Any:
    """Return each window's g, divided by its count, added to every element of the window."""
    return kernels.avg_pool2d_grad(g, x_shape, kernel, stride, padding, count_include_pad)


@avg_pool_grad.vjp()
def avg_pool_grad_vjp(
    gg: Any, g_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool
) -> Any:
    """The adjoint of the adjoint is the pooling."""
    return avg_pool(gg, kernel, stride, padding, g_shape[2:], count_include_pad)


@op("N C H W", kernel=True)
def adaptive_avg_pool(x: Any, out_size: Pair) -> Any:
    """Return means over bins ⌊iH/h⌋ … ⌈(i+1)H/h⌉ (`adaptive_avg_pool2d` with the size as a pair)."""
    return kernels.adaptive_avg_pool2d(x, out_size)


@adaptive_avg_pool.vjp()
def adaptive_avg_pool_vjp(g: Any, x_shape: Shape) -> Any:
    """∂y/∂x = 1/count within the bin."""
    return adaptive_avg_pool_grad(g, x_shape)


@op("N C h w", kernel=True)
def adaptive_avg_pool_grad(g: Any, x_shape: Shape) -> Any:
    """Return each bin's g, divided by its count, added to every element of the bin."""
    return kernels.adaptive_avg_pool2d_grad(g, x_shape)


@adaptive_avg_pool_grad.vjp()
def adaptive_avg_pool_grad_vjp(gg: Any, g_shape: Shape) -> Any:
    """The adjoint of the adjoint is the pooling."""
    return adaptive_avg_pool(gg, g_shape[2:])


@op("N C H W", keeps=("indices",), kernel=True)
def adaptive_max_pool(x: Any, out_size: Pair) -> Any:
    """Return maxima over bins ⌊iH/h⌋ … ⌈(i+1)H/h⌉, and where they stood."""
    return kernels.adaptive_max_pool2d(x, out_size)


@adaptive_max_pool.vjp()
def adaptive_max_pool_vjp(g: Any, indices: Array, x_shape: Shape) -> Any:
    """∂y/∂x = 1 at the (first) maximum of the bin."""
    return max_pool_grad(g, indices, x_shape)


@composite
def max_pool2d(
    x: Any,
    kernel_size: Pairs,
    stride: Pairs | None = None,
    padding: Pairs = 0,
    dilation: Pairs = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    relu: bool = False,
) -> Any:
    """Return the maximum of each window; padding counts as −∞, NaN wins, the first of equal maxima gets the gradient.

    Shapes: (N, C, H, W) or (C, H, W) -> (…, H', W'), H' = ⌊(H + 2p − d(k−1) − 1)/s⌋ + 1; with `ceil_mode` ⌈…⌉, but the
    last window must start inside x or its padding on the left. stride defaults to kernel_size. With `return_indices`
    also the maxima's places in the flattened H·W. With `relu` the result is max(y, 0), without a pass of its own
    forward or backward; where that made a 0 of y ≤ 0, the place is −1.

    Raises: ValueError for sizes that do not fit, or padding above half the kernel.

    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    if len(x.shape) == 3:
        found = max_pool2d(unsqueeze(x, 0), kernel_size, stride, padding, dilation, ceil_mode, return_indices, relu)
        return tuple(squeeze(part, 0) for part in found) if return_indices else squeeze(found, 0)
    sizes = fixed(kernel_size), fixed(stride), fixed(padding), fixed(dilation)
    geometry = windows("max_pool2d", x.shape, *sizes, ceil_mode)
    y, (indices,) = (max_pool_relu if relu else max_pool).run((x, *geometry), {})
    return (y, alike(indices.astype(np.int64), x)) if return_indices else y


@composite
def avg_pool2d(
    x: Any,
    kernel_size: Pairs,
    stride: Pairs | None = None,
    padding: Pairs = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """Return the mean of each window, padding counted as zeros (or left out of the count).

    Shapes as `max_pool2d`. With `ceil_mode`, the part of a window beyond the padding never counts.

    Raises: ValueError for sizes that do not fit, or padding above half the kernel.

    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    if len(x.shape) == 3:
        found = avg_pool2d(unsqueeze(x, 0), kernel_size, stride, padding, ceil_mode, count_include_pad)
        return squeeze(found, 0)
    sizes = fixed(kernel_size), fixed(stride), fixed(padding)
    kernel, strides, pads, _, out_size = windows("avg_pool2d", x.shape, *sizes, 1, ceil_mode)
    return avg_pool(x, kernel, strides, pads, out_size, bool(count_include_pad))


@composite
def adaptive_avg_pool2d(x: Any, output_size: int | Sequence[int | None]) -> Any:
    """Return means over an h × w grid of bins that cover x evenly; (1, 1) is global average pooling.

    y[…, i, j] = mean x[…, ⌊iH/h⌋ : ⌈(i+1)H/h⌉, ⌊jW/w⌋ : ⌈(j+1)W/w⌉]

    >>> adaptive_avg_pool2d(np.arange(9.0).reshape(1, 1, 3, 3), 1)
    array([[[[4.]]]])
    """
    if len(x.shape) == 3:
        return squeeze(adaptive_avg_pool2d(unsqueeze(x, 0), output_size), 0)
    return adaptive_avg_pool(x, grid("adaptive_avg_pool2d", x.shape, x.dtype.itemsize, fixed(output_size)))


@composite
def adaptive_max_pool2d(x: Any, output_size: int | Sequence[int | None], return_indices: bool = False) -> Any:
    """Return maxima over an h × w grid of bins that cover x evenly; (1, 1) is global max pooling.

    With `return_indices` also their places in the flattened H·W.

    >>> adaptive_max_pool2d(np.arange(9.0).reshape(1, 1, 3, 3), 1)
    array([[[[8.]]]])
    """
    if len(x.shape) == 3:
        found = adaptive_max_pool2d(unsqueeze(x, 0), output_size, return_indices)
        return tuple(squeeze(part, 0) for part in found) if return_indices else squeeze(found, 0)
    out_size = grid("adaptive_max_pool2d", x.shape, x.dtype.itemsize, fixed(output_size))
    y, (indices,) = adaptive_max_pool.run((x, out_size), {})
    return (y, alike(indices.astype(np.int64), x)) if return_indices else y


@composite
def global_avg_pool2d(x: Any) -> Any:
    """Return the mean over H and W: (N, C, H, W) -> (N, C).

    >>> global_avg_pool2d(np.ones((2, 3, 4, 4))).shape
    (2, 3)
    """
    return mean(x, (2, 3))
