"""One layer as two: how its weight is laid out as a matrix, and what layers the two factors make.

| kind | layer | matrix | first | second | weights |
|---|---|---|---|---|---|
| linear | linear I → O | O × I | linear I → r | linear r → O | r (I + O) |
| channel | conv k×k, C → O | O × C·kh·kw | conv k×k, C → r | conv 1×1, r → O | r (C kh kw + O) |
| spatial | conv k×k, C → O | C·kh × O·kw | conv kh×1, C → r | conv 1×kw, r → O | r (C kh + O kw) |

Of a 1×1 convolution "channel" is the truncated SVD of its matrix. The first layer has no bias, the second has the old
one. At full rank the pair computes what the layer did, to rounding; below, it is the closest pair in the Frobenius norm
of the *weights*, which is not the closest in the results: training goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydl.compress.factorize.svd import SVD
from tinydl.nn import Conv2d, Linear, Module, Parameter, Sequential
from tinydl.shapes import Array


@dataclass(frozen=True)
class Pair:
    """A layer that can be taken apart at any rank.

    Attributes:
        kind: "linear", "channel" or "spatial".
        layer: what it is made from.
        svd: of the layer's matrix.
        weights_per_rank: how many weights each rank costs.
        build: makes the two layers of a rank.
    """

    kind: str
    layer: Module
    svd: SVD
    weights_per_rank: int
    build: Callable[[int], Sequential]


def linear_pair(layer: Linear) -> Pair:
    """Return y = W x + b as y = P (Q x) + b with W ≈ P Q, P (O, r), Q (r, I).

    Raises: TypeError for another kind of layer.

    Source: Denton et al. 2014, Exploiting linear structure within convolutional networks, arXiv:1404.0736, section 3.3.

    >>> linear_pair(Linear(6, 4)).build(2)
    Sequential(
      (0): Linear(in_features=6, out_features=2, bias=False)
      (1): Linear(in_features=2, out_features=4, bias=True)
    )
    """
    if not isinstance(layer, Linear) or type(layer).forward is not Linear.forward:
        raise TypeError(f"layer must be a Linear, got {type(layer).__name__}")
    svd = SVD(layer.weight.data)

    def build(rank: int) -> Sequential:
        p, q = svd.factors(rank)
        first = Linear(layer.in_features, rank, bias=False)
        second = Linear(rank, layer.out_features, bias=layer.bias is not None)
        return filled(layer, first, q, second, p)

    return Pair("linear", layer, svd, layer.in_features + layer.out_features, build)


def channel_pair(layer: Conv2d) -> Pair:
    """Return a convolution as one of the same geometry with r channels, and a 1×1 one that mixes them.

    W[o, c, i, j] ≈ Σ_r P[o, r] Q[r, c, i, j]

    Raises: TypeError or ValueError for layers other than convolutions with groups = 1.

    Source: Zhang et al. 2016, Accelerating very deep convolutional networks for classification and detection,
    arXiv:1505.06798, section 3.1 (there fitted to the results on data; here to the weights).

    >>> pair = channel_pair(Conv2d(4, 8, 3, stride=2, padding=1))
    >>> pair.build(3)
    Sequential(
      (0): Conv2d(4, 3, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
      (1): Conv2d(3, 8, kernel_size=(1, 1), stride=(1, 1))
    )
    """
    check_conv(layer)
    outputs, inputs, kh, kw = layer.weight.shape
    svd = SVD(layer.weight.data.reshape(outputs, -1))

    def build(rank: int) -> Sequential:
        p, q = svd.factors(rank)
        first = Conv2d(inputs, rank, (kh, kw), bias=False, **geometry(layer))
        second = Conv2d(rank, outputs, 1, bias=layer.bias is not None)
        return filled(layer, first, q, second, p)

    return Pair("channel", layer, svd, inputs * kh * kw + outputs, build)


def spatial_pair(layer: Conv2d) -> Pair:
    """Return a convolution as one along H and one along W.

    W[o, c, i, j] ≈ Σ_r V[r, c, i] H[o, r, j]

    Rows of padding go to the first and columns to the second: as zeros, reflected or replicated, that is the same.

    Raises: TypeError or ValueError for layers other than convolutions with groups = 1.

    Source: Jaderberg, Vedaldi & Zisserman 2014, Speeding up convolutional neural networks with low rank expansions,
    arXiv:1405.3866, scheme 2; by SVD as in Tai et al. 2016, arXiv:1511.06067, theorem 1.

    >>> spatial_pair(Conv2d(4, 8, 3, padding=1)).build(5)
    Sequential(
      (0): Conv2d(4, 5, kernel_size=(3, 1), stride=(1, 1), padding=(1, 0), bias=False)
      (1): Conv2d(5, 8, kernel_size=(1, 3), stride=(1, 1), padding=(0, 1))
    )
    """
    check_conv(layer)
    outputs, inputs, kh, kw = layer.weight.shape
    svd = SVD(layer.weight.data.transpose(1, 2, 0, 3).reshape(inputs * kh, outputs * kw))

    def build(rank: int) -> Sequential:
        left, right = svd.factors(rank)
        first = Conv2d(inputs, rank, (kh, 1), bias=False, **geometry(layer, 0))
        second = Conv2d(rank, outputs, (1, kw), bias=layer.bias is not None, **geometry(layer, 1))
        h = right.reshape(rank, outputs, kw).transpose(1, 0, 2)
        return filled(layer, first, left.T, second, h)

    return Pair("spatial", layer, svd, inputs * kh + outputs * kw, build)


def check_conv(layer: Module) -> None:
    """Refuse what is no plain convolution of all channels. Raises: TypeError or ValueError."""
    if not isinstance(layer, Conv2d) or type(layer).forward is not Conv2d.forward:
        raise TypeError(f"layer must be a Conv2d, got {type(layer).__name__}")
    if layer.groups != 1:
        raise ValueError(f"layer must have groups=1, got {layer.groups}: a channel by itself has nothing to share")


def geometry(layer: Conv2d, axis: int | None = None) -> dict[str, Any]:
    """Return stride, padding and dilation of a layer; or, with `axis`, only what concerns this axis of the image."""

    def along(value: Any, rest: int) -> Any:
        if axis is None or isinstance(value, str):
            return value
        return (value[0], rest) if axis == 0 else (rest, value[1])

    return {
        "stride": along(layer.stride, 1),
        "padding": along(layer.padding, 0),
        "dilation": along(layer.dilation, 1),
        "padding_mode": layer.padding_mode,
    }


def filled(layer: Any, first: Any, a: Array, second: Any, b: Array) -> Sequential:
    """Return both layers with weights `a` and `b`, the old bias in the second; in the old dtype, mode and freedom."""
    dtype, learned = layer.weight.dtype, layer.weight.requires_grad
    for new, weight in ((first, a), (second, b)):
        new.weight = Parameter(np.ascontiguousarray(weight.reshape(new.weight.shape), dtype), learned)
    if layer.bias is not None:
        second.bias = Parameter(layer.bias.data.copy(), layer.bias.requires_grad)
    return Sequential(first, second).train(layer.training)
