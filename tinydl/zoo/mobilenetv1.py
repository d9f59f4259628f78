"""MobileNetV1: depthwise-separable convolutions all the way.

| layer | stride | out, at 224 |
|---|--:|---|
| conv 3×3 | 2 | 32 × 112 × 112 |
| separable | 1 | 64 × 112 × 112 |
| separable, twice | 2, 1 | 128 × 56 × 56 |
| separable, twice | 2, 1 | 256 × 28 × 28 |
| separable, 6 times | 2, 1, … | 512 × 14 × 14 |
| separable, twice | 2, 1 | 1024 × 7 × 7 |
| mean, dropout, dense | | 1000 |

The width multiplier α makes c channels int(α c). (The paper's table 1 gives the last depthwise layer stride 2; its
sizes, and the authors' code, say 1.) In a small network the first two strides of 2 are 1.

| α | parameters | multiply-adds | paper: parameters, multiply-adds, top-1 |
|--:|--:|--:|---|
| 1.0 | 4,231,976 | 568,740,352 | 4.2 M, 569 M, 70.6 % |
| 0.75 | 2,585,560 | 325,400,448 | 2.6 M, 325 M, 68.4 % |
| 0.5 | 1,331,592 | 149,497,088 | 1.3 M, 149 M, 63.7 % |
| 0.25 | 470,072 | 41,030,272 | 0.5 M, 41 M, 50.6 % |

Source: Howard et al. 2017, MobileNets, arXiv:1704.04861, tables 1, 6 and 7. ReLU6 is from the authors' code; batch
norm's ε and momentum (0.001 and 0.01; 0.1 where small), the start and the dropout are Keras's, whose weights have this
number of parameters.
"""

from __future__ import annotations

from typing import Any

from tinydl import nn, ops
from tinydl.options import number
from tinydl.zoo.blocks import ConvNormActivation, DepthwiseSeparable, spare_downsampling, tensorflow_norm
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, glorot_start, loaded

WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)


class MobileNetV1(nn.Module):
    """The network; arguments as `mobilenet_v1`.

    Shapes: x (N, in_channels, H, W) -> (N, num_classes), for any H and W.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.001,
        small: bool = False,
    ) -> None:
        super().__init__()
        width = number(width, "width", "(0, inf)")
        norm = tensorflow_norm(small)
        strides = spare_downsampling(STRIDES) if small else STRIDES
        channels = [int(c * width) for c in WIDTHS]
        stem = ConvNormActivation(in_channels, channels[0], 3, strides[0], norm=norm, activation=nn.ReLU6)
        blocks = [
            DepthwiseSeparable(inputs, outputs, stride, norm)
            for inputs, outputs, stride in zip(channels, channels[1:], strides[1:])
        ]
        self.features = nn.Sequential(stem, *blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels[-1], num_classes))
        glorot_start(self)

    def forward(self, input: Any) -> Any:
        """Return the logits of x."""
        return self.classifier(ops.flatten(self.avgpool(self.features(input)), 1))


@network(Paper("Howard et al. 2017, arXiv:1704.04861, table 6", (3, 224, 224), 4.2e6, 569e6, 70.6))
def mobilenet_v1(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.001,
    small: bool = False,
    weights: Weights = None,
) -> MobileNetV1:
    """Return MobileNetV1.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        width: α.
        dropout: probability, before the classifier.
        small: for images of 28×28 or 32×32, with two downsamplings fewer.
        weights: a safetensors file to load.

    >>> sum(p.numel() for p in mobilenet_v1(width=0.25).parameters())
    470072
    """
    return loaded(MobileNetV1(num_classes, in_channels, width, dropout, small), weights)
