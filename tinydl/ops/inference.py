"""Layers of weights with what stands behind them, as one kernel: what `nn.Sequential` runs where nothing is recorded.

A batch norm with fixed statistics is a scale and a shift of each output channel, and ReLU or ReLU6 a clamp; both can be
done while the results are still in registers. The scale goes into the weights (Jacob et al. 2018, arXiv:1712.05877,
section 3.2), so results differ from those of layer after layer by rounding (`tests/nn/test_fusion.py` says how far).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinydl import kernels
from tinydl.op import fused
from tinydl.ops.conv import cross_correlation
from tinydl.ops.matmul import linear
from tinydl.ops.movement import cat, deal_channels, reshape
from tinydl.ops.piecewise import hardswish
from tinydl.ops.selection import clamp
from tinydl.ops.smooth import silu
from tinydl.shapes import Array, Pair
from tinydl.tensor import Tensor


@fused
def conv2d_clamped(
    x: Any,
    weight: Any,
    bias: Any,
    scale: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    low: float,
    high: float,
) -> Any:
    """Return min(max(conv2d(x, scale[o] · weight[o]) + bias[o], low), high); shapes are trusted."""
    return kernels.conv2d(x, weight, bias, stride, padding, dilation, groups, scale, low, high)


@conv2d_clamped.composition
def conv2d_clamped_composed(
    x: Any,
    weight: Any,
    bias: Any,
    scale: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    low: float,
    high: float,
) -> Any:
    """The same op by op."""
    scaled = weight if scale is None else weight * reshape(scale, (-1, 1, 1, 1))
    return clamp(cross_correlation(x, scaled, bias, stride, padding, dilation, groups), low, high)


def folded_norm(mean: Any, var: Any, weight: Any, bias: Any, layer_bias: Any, eps: float) -> tuple[Array, Array]:
    """Return the arrays shift and scale that stand for a norm and the bias before it; see `kernels.folded_norm`."""
    weight, bias, layer_bias = (None if a is None else a.data for a in (weight, bias, layer_bias))
    return kernels.folded_norm(mean.data, var.data, weight, bias, layer_bias, eps)


@fused
def linear_clamped(x: Any, weight: Any, bias: Any, low: float, high: float) -> Any:
    """Return min(max(x Wᵀ + b, low), high) for x (M, I), weight (O, I), bias (O,) or None; shapes are trusted."""
    return kernels.linear(x, weight, bias, low, high)


@linear_clamped.composition
def linear_clamped_composed(x: Any, weight: Any, bias: Any, low: float, high: float) -> Any:
    """The same op by op."""
    return clamp(linear(x, weight, bias), low, high)


def linear_chain(x: Tensor, layers: Sequence[tuple[Tensor, Tensor | None, float, float]]) -> Tensor:
    """Return what the layers make of x (M, I), one after the other: each a weight, a bias or None, and the bounds.

    Shapes and dtypes are trusted. It is no fused op that could be recorded or watched: where somebody wants to, the
    layers are called one by one.
    """
    arrays = [(weight.data, None if bias is None else bias.data, low, high) for weight, bias, low, high in layers]
    return Tensor.of(kernels.linear_chain(x.data, arrays))


@fused
def add_clamped(a: Any, b: Any, low: float, high: float) -> Any:
    """Return min(max(a + b, low), high)."""
    return kernels.add(a, b, low, high)


@add_clamped.composition
def add_clamped_composed(a: Any, b: Any, low: float, high: float) -> Any:
    """The same op by op."""
    return clamp(a + b, low, high)


@fused
def shuffled_pair(a: Any, b: Any) -> Any:
    """Return the channels of a and b (N, C, H, W) in turn: both joined, and shuffled in two groups."""
    return kernels.shuffled_pair(a, b)


@shuffled_pair.composition
def shuffled_pair_composed(a: Any, b: Any) -> Any:
    """The same op by op."""
    return deal_channels(cat((a, b), 1), 2)


@fused
def hard_swish_in_place(x: Any) -> Any:
    """Write hard_swish(x) to x: for a result that nothing else has seen."""
    return kernels.hard_swish_in_place(x)


@hard_swish_in_place.composition
def hard_swish_composed(x: Any) -> Any:
    """The same, elsewhere."""
    return hardswish(x)


@fused
def silu_in_place(x: Any) -> Any:
    """Write x σ(x) to x: for a result that nothing else has seen."""
    return kernels.swish_in_place(x, 1.0)


@silu_in_place.composition
def silu_composed(x: Any) -> Any:
    """The same, elsewhere."""
    return silu(x)
