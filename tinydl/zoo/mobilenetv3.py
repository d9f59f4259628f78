"""MobileNetV3, large and small: inverted residuals with squeeze and excitation, found by search, finished by hand.

Large: after a 3×3 convolution to 16 channels, stride 2,

| kernel | expanded | out | SE | activation | stride | out, at 224 |
|--:|--:|--:|---|---|--:|---|
| 3 | 16 | 16 | | ReLU | 1 | 16 × 112 × 112 |
| 3 | 64, 72 | 24 | | ReLU | 2, 1 | 24 × 56 × 56 |
| 5 | 72, 120, 120 | 40 | yes | ReLU | 2, 1, 1 | 40 × 28 × 28 |
| 3 | 240, 200, 184, 184 | 80 | | h-swish | 2, 1, 1, 1 | 80 × 14 × 14 |
| 3 | 480, 672 | 112 | yes | h-swish | 1, 1 | 112 × 14 × 14 |
| 5 | 672, 960, 960 | 160 | yes | h-swish | 2, 1, 1 | 160 × 7 × 7 |

Small: after the same convolution,

| kernel | expanded | out | SE | activation | stride | out, at 224 |
|--:|--:|--:|---|---|--:|---|
| 3 | 16 | 16 | yes | ReLU | 2 | 16 × 56 × 56 |
| 3 | 72, 88 | 24 | | ReLU | 2, 1 | 24 × 28 × 28 |
| 5 | 96, 240, 240 | 40 | yes | h-swish | 2, 1, 1 | 40 × 14 × 14 |
| 5 | 120, 144 | 48 | yes | h-swish | 1, 1 | 48 × 14 × 14 |
| 5 | 288, 576, 576 | 96 | yes | h-swish | 2, 1, 1 | 96 × 7 × 7 |

Then a 1×1 convolution to six times the channels, h-swish, mean, dense to 1280 (small: 1024), h-swish, dropout, dense.
First and last convolution have h-swish. The SE gate is hard-sigmoid, squeezed to make_divisible(expanded / 4). The
width multiplier α makes c channels make_divisible(α c); a block still expands by the same factor, and the dense layer
in the middle grows with α > 1 only, as in the authors' code (torchvision scales both with α). In either network for
small images (`small=True`) the first two strides of 2 are 1.

| | parameters | multiply-adds | paper: parameters, multiply-adds, top-1 |
|---|--:|--:|---|
| large 1.0 | 5,483,032 | 216,589,760 | 5.4 M, 219 M, 75.2 % |
| large 0.75 | 3,993,528 | 154,560,624 | 4.0 M, 155 M, 73.3 % |
| small 1.0 | 2,542,856 | 56,510,400 | 2.5 M, 56 M, 67.4 % |
| small 0.75 | 2,041,872 | 43,399,344 | –, 44 M, 65.4 % |

Source: Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244, tables 1 to 3. Names, start and batch norm
(ε = 0.001, momentum 0.01; 0.1 where small) as in torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tinydl import nn, ops
from tinydl.options import number
from tinydl.zoo.blocks import (
    ConvNormActivation,
    MBConv,
    SqueezeExcite,
    make_divisible,
    spare_downsampling,
    tensorflow_norm,
)
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, kaiming_start, loaded


class Bneck(NamedTuple):
    """A row of the paper's tables."""

    kernel: int
    expanded: int
    outputs: int
    excite: bool
    swish: bool
    stride: int


LARGE = (
    Bneck(3, 16, 16, False, False, 1),
    Bneck(3, 64, 24, False, False, 2),
    Bneck(3, 72, 24, False, False, 1),
    Bneck(5, 72, 40, True, False, 2),
    Bneck(5, 120, 40, True, False, 1),
    Bneck(5, 120, 40, True, False, 1),
    Bneck(3, 240, 80, False, True, 2),
    Bneck(3, 200, 80, False, True, 1),
    Bneck(3, 184, 80, False, True, 1),
    Bneck(3, 184, 80, False, True, 1),
    Bneck(3, 480, 112, True, True, 1),
    Bneck(3, 672, 112, True, True, 1),
    Bneck(5, 672, 160, True, True, 2),
    Bneck(5, 960, 160, True, True, 1),
    Bneck(5, 960, 160, True, True, 1),
)
SMALL = (
    Bneck(3, 16, 16, True, False, 2),
    Bneck(3, 72, 24, False, False, 2),
    Bneck(3, 88, 24, False, False, 1),
    Bneck(5, 96, 40, True, True, 2),
    Bneck(5, 240, 40, True, True, 1),
    Bneck(5, 240, 40, True, True, 1),
    Bneck(5, 120, 48, True, True, 1),
    Bneck(5, 144, 48, True, True, 1),
    Bneck(5, 288, 96, True, True, 2),
    Bneck(5, 576, 96, True, True, 1),
    Bneck(5, 576, 96, True, True, 1),
)


class MobileNetV3(nn.Module):
    """The network of the `rows`, with `last` features before the classifier; other arguments as `mobilenet_v3_large`.

    Shapes: x (N, in_channels, H, W) -> (N, num_classes), for any H and W.
    """

    def __init__(
        self,
        rows: Sequence[Bneck],
        last: int,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.2,
        small: bool = False,
    ) -> None:
        super().__init__()
        width = number(width, "width", "(0, inf)")
        norm = tensorflow_norm(small)
        strides = [2, *(row.stride for row in rows)]
        first, *later = spare_downsampling(strides) if small else strides
        inputs, unscaled = make_divisible(16 * width), 16
        layers: list[nn.Module] = [ConvNormActivation(in_channels, inputs, 3, first, 1, norm, nn.Hardswish)]
        for row, stride in zip(rows, later):
            expanded, outputs = make_divisible(row.expanded / unscaled * inputs), make_divisible(row.outputs * width)
            squeezed = make_divisible(expanded // 4)
            excite = SqueezeExcite(expanded, squeezed, gate=nn.Hardsigmoid) if row.excite else None
            activation = nn.Hardswish if row.swish else nn.ReLU
            layers.append(MBConv(inputs, expanded, outputs, row.kernel, stride, activation, excite, norm))
            inputs, unscaled = outputs, row.outputs
        layers.append(ConvNormActivation(inputs, 6 * inputs, 1, norm=norm, activation=nn.Hardswish))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        last = make_divisible(last * max(1.0, width))
        dense = nn.Linear(6 * inputs, last)
        self.classifier = nn.Sequential(dense, nn.Hardswish(), nn.Dropout(dropout), nn.Linear(last, num_classes))
        kaiming_start(self)

    def forward(self, input: Any) -> Any:
        """Return the logits of x."""
        return self.classifier(ops.flatten(self.avgpool(self.features(input)), 1))


@network(Paper("Howard et al. 2019, arXiv:1905.02244, table 3", (3, 224, 224), 5.4e6, 219e6, 75.2))
def mobilenet_v3_large(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> MobileNetV3:
    """Return MobileNetV3-large.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        width: α.
        dropout: probability, before the last layer.
        small: for images of 28×28 or 32×32, with two downsamplings fewer.
        weights: a safetensors file to load; torchvision's names fit.

    >>> sum(p.numel() for p in mobilenet_v3_large().parameters())
    5483032
    """
    return loaded(MobileNetV3(LARGE, 1280, num_classes, in_channels, width, dropout, small), weights)


@network(Paper("Howard et al. 2019, arXiv:1905.02244, table 3", (3, 224, 224), 2.5e6, 56e6, 67.4))
def mobilenet_v3_small(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> MobileNetV3:
    """Return MobileNetV3-small; arguments as `mobilenet_v3_large`.

    >>> sum(p.numel() for p in mobilenet_v3_small().parameters())
    2542856
    """
    return loaded(MobileNetV3(SMALL, 1024, num_classes, in_channels, width, dropout, small), weights)
