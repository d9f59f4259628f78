"""The geometry of convolutions and pooling: every check of their arguments against the shapes, before any kernel runs.

A network asks for the same few geometries at every step, so they are computed once and remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tinydl.shapes import (
    QUARTERS,
    Pair,
    Shape,
    at_least,
    check_size,
    conv_output_size,
    conv_transpose_output_size,
    pair,
    pool_output_size,
    same_padding,
)

Pairs: TypeAlias = int | Sequence[int]

remembered = lru_cache(maxsize=1000)


def fixed(value: Any) -> Any:
    """Return a list or array as a tuple, so that it can be remembered; anything else as it is."""
    return tuple(value) if isinstance(value, (list, np.ndarray)) else value


def _groups(value: Any, name: str) -> int:
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}: groups must be an integer of at least 1, got {value!r}")
    return int(value)


def _rank(name: str, x_shape: Shape, weight_shape: Shape) -> None:
    if len(x_shape) != 4 or len(weight_shape) != 4 or min(weight_shape) < 1:
        raise ValueError(
            f"{name}: x must have axes (N, C, H, W) or (C, H, W) and weight 4 axes of at least 1, "
            f"got {x_shape} and {weight_shape}"
        )


class Convolution(NamedTuple):
    """What the kernels of a convolution take, and what is padded before: rows below, columns to the right."""

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    uneven: Pair


@remembered
def convolution(
    x_shape: Shape,
    weight_shape: Shape,
    itemsize: int,
    stride: Pairs,
    padding: Pairs | str,
    dilation: Pairs,
    groups: int,
) -> Convolution:
    """Return the geometry of `conv2d`. Raises: ValueError naming the axis or argument that does not fit."""
    name = "conv2d"
    _rank(name, x_shape, weight_shape)
    groups = _groups(groups, name)
    channels = weight_shape[1] * groups
    if x_shape[1] != channels:
        raise ValueError(
            f"{name}: axis C is {x_shape[1]} in x {x_shape} but weight {weight_shape} wants {channels}"
            + (f" with groups={groups}" if groups != 1 else "")
        )
    if weight_shape[0] % groups:
        raise ValueError(f"{name}: groups {groups} must divide axis O of weight {weight_shape}")
    kernel = weight_shape[2], weight_shape[3]
    strides = at_least(pair(stride, "stride"), 1, "stride", name)
    dilations = at_least(pair(dilation, "dilation"), 1, "dilation", name)
    pads, uneven = _padding(padding, kernel, strides, dilations)
    sizes = tuple(
        conv_output_size(n + more, k, s, p, d)
        for n, more, k, s, p, d in zip(x_shape[2:], uneven, kernel, strides, pads, dilations)
    )
    if min(sizes) < 1:
        raise ValueError(
            f"{name}: kernel {kernel} (dilation {dilations}) does not fit into x {x_shape} with padding {pads}: "
            f"the output would be {sizes}"
        )
    check_size((x_shape[0], weight_shape[0], *sizes), itemsize, name)
    return Convolution(strides, pads, dilations, groups, uneven)


@remembered
def pooled_convolution(
    x_shape: Shape,
    weight_shape: Shape,
    itemsize: int,
    stride: Pairs,
    padding: Pairs,
    dilation: Pairs,
    groups: int,
) -> Convolution:
    """Return the geometry of `conv2d` with a max pooling of 2×2 places behind it.

    Raises: ValueError where one of the two would.
    """
    geometry = convolution(x_shape, weight_shape, itemsize, stride, padding, dilation, groups)
    y_size = map(conv_output_size, x_shape[2:], weight_shape[2:], *geometry[:3])
    windows("max_pool2d", (x_shape[0], weight_shape[0], *y_size), *QUARTERS, False)
    return geometry


def _padding(padding: Pairs | str, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Return the symmetric padding that numbers, "valid" or "same" mean, and the uneven rest."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f'conv2d: padding="same" needs stride 1, got {stride}')
        (top, bottom), (left, right) = same_padding(kernel, dilation)
        return (top, left), (bottom - top, right - left)
    if isinstance(padding, str):
        raise ValueError(f'conv2d: padding must be numbers, "valid" or "same", got {padding!r}')
    return at_least(pair(padding, "padding"), 0, "padding", "conv2d"), (0, 0)


class TransposedConvolution(NamedTuple):
    """What the kernel of a transposed convolution takes, and what is padded before: rows below, columns beside."""

    shape: Shape
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    uneven: Pair


@remembered
def transposed_convolution(
    x_shape: Shape,
    weight_shape: Shape,
    itemsize: int,
    stride: Pairs,
    padding: Pairs,
    output_padding: Pairs,
    groups: int,
    dilation: Pairs,
) -> TransposedConvolution:
    """Return the geometry of `conv_transpose2d`. Raises: ValueError naming the axis or argument that does not fit."""
    name = "conv_transpose2d"
    _rank(name, x_shape, weight_shape)
    groups = _groups(groups, name)
    if x_shape[1] != weight_shape[0] or weight_shape[0] % groups:
        raise ValueError(
            f"{name}: x {x_shape} and weight {weight_shape} (C, O/groups, kh, kw) must share axis C, "
            f"and groups {groups} divide it"
        )
    strides = at_least(pair(stride, "stride"), 1, "stride", name)
    dilations = at_least(pair(dilation, "dilation"), 1, "dilation", name)
    pads = at_least(pair(padding, "padding"), 0, "padding", name)
    extra = at_least(pair(output_padding, "output_padding"), 0, "output_padding", name)
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations)):
        raise ValueError(f"{name}: output_padding {extra} must be below stride {strides} or dilation {dilations}")
    sizes = tuple(map(conv_transpose_output_size, x_shape[2:], weight_shape[2:], strides, pads, extra, dilations))
    if min(sizes) < 1:
        raise ValueError(f"{name}: padding {pads} leaves no output of x {x_shape}: it would be {sizes}")
    shape = check_size((x_shape[0], weight_shape[1] * groups, *sizes), itemsize, name)
    # where output_padding reaches the stride, the convolution of y sees more places than x has: zeros stand in for them
    uneven = extra[0] // strides[0], extra[1] // strides[1]
    return TransposedConvolution(shape, strides, pads, dilations, groups, uneven)


class Windows(NamedTuple):
    """What the kernels of pooling take."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    out_size: Pair


@remembered
def windows(
    name: str,
    x_shape: Shape,
    kernel_size: Pairs,
    stride: Pairs | None,
    padding: Pairs,
    dilation: Pairs,
    ceil_mode: bool,
) -> Windows:
    """Return the geometry of pooling. Raises: ValueError naming the argument that does not fit."""
    kernel = at_least(pair(kernel_size, "kernel_size"), 1, "kernel_size", name)
    strides = kernel if stride is None else at_least(pair(stride, "stride"), 1, "stride", name)
    pads = at_least(pair(padding, "padding"), 0, "padding", name)
    dilations = at_least(pair(dilation, "dilation"), 1, "dilation", name)
    if len(x_shape) != 4:
        raise ValueError(f"{name}: x needs axes (N, C, H, W) or (C, H, W), got shape {x_shape}")
    if any(2 * p > k for p, k in zip(pads, kernel)):
        raise ValueError(f"{name}: padding {pads} must be at most half of kernel_size {kernel}")
    h, w = (
        pool_output_size(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(x_shape[2:], kernel, strides, pads, dilations)
    )
    if min(h, w) < 1:
        raise ValueError(f"{name}: kernel_size {kernel} does not fit into x {x_shape} with padding {pads}")
    return Windows(kernel, strides, pads, dilations, (h, w))


@remembered
def grid(name: str, x_shape: Shape, itemsize: int, output_size: int | Sequence[int | None]) -> Pair:
    """Return the (h, w) of adaptive pooling; None keeps x's size. Raises: ValueError for what does not fit."""
    sizes = tuple(output_size) if isinstance(output_size, Iterable) else (output_size, output_size)
    if len(x_shape) != 4 or min(x_shape[2:]) < 1:
        raise ValueError(f"{name}: x needs axes (N, C, H, W) or (C, H, W) with elements to pool, got shape {x_shape}")
    h, w = pair([x_shape[2 + i % 2] if size is None else size for i, size in enumerate(sizes)], "output_size")
    check_size((*x_shape[:2], h, w), itemsize, name)
    return at_least((h, w), 1, "output_size", name)
