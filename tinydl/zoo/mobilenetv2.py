"""MobileNetV2: inverted residuals with linear bottlenecks.

| layer | t | c | n | s | out, at 224 |
|---|--:|--:|--:|--:|---|
| conv 3×3 | | 32 | 1 | 2 | 32 × 112 × 112 |
| bottleneck | 1 | 16 | 1 | 1 | 16 × 112 × 112 |
| bottleneck | 6 | 24 | 2 | 2 | 24 × 56 × 56 |
| bottleneck | 6 | 32 | 3 | 2 | 32 × 28 × 28 |
| bottleneck | 6 | 64 | 4 | 2 | 64 × 14 × 14 |
| bottleneck | 6 | 96 | 3 | 1 | 96 × 14 × 14 |
| bottleneck | 6 | 160 | 3 | 2 | 160 × 7 × 7 |
| bottleneck | 6 | 320 | 1 | 1 | 320 × 7 × 7 |
| conv 1×1 | | 1280 | 1 | 1 | 1280 × 7 × 7 |
| mean, dropout, dense | | 1000 | | | 1000 |

t widens, c are the channels out, n the repeats, s the stride of the first of them; 10 of the 17 bottlenecks have a
shortcut. The width multiplier α makes c channels make_divisible(α c); the last convolution grows with α > 1 only. In a
small network the first two strides of 2 are 1.

| α | parameters | multiply-adds | paper: parameters, multiply-adds, top-1 |
|--:|--:|--:|---|
| 1.0 | 3,504,872 | 300,774,272 | 3.4 M, 300 M, 72.0 % |
| 1.4 | 6,108,776 | 582,195,824 | 6.9 M, 585 M, 74.7 % |

Source: Sandler et al. 2018, MobileNetV2, arXiv:1801.04381, tables 2 and 4. Names, start and batch norm as in
torchvision.
"""

from __future__ import annotations

from typing import Any

from tinydl import nn, ops
from tinydl.options import number
from tinydl.zoo.blocks import ConvNormActivation, InvertedResidual, make_divisible, spare_downsampling
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, kaiming_start, loaded

STAGES = (  # t, c, n, s
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(nn.Module):
    """The network; arguments as `mobilenet_v2`.

    Shapes: x (N, in_channels, H, W) -> (N, num_classes), for any H and W.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.2,
        small: bool = False,
    ) -> None:
        super().__init__()
        width = number(width, "width", "(0, inf)")
        strides = [2, *(stage[3] for stage in STAGES)]
        first, *later = spare_downsampling(strides) if small else strides
        inputs, last = make_divisible(32 * width), make_divisible(1280 * max(1.0, width))
        layers: list[nn.Module] = [ConvNormActivation(in_channels, inputs, 3, first, activation=nn.ReLU6)]
        for (expand, channels, repeats, _), stride in zip(STAGES, later):
            outputs = make_divisible(channels * width)
            for i in range(repeats):
                layers.append(InvertedResidual(inputs, outputs, 1 if i else stride, expand))
                inputs = outputs
        layers.append(ConvNormActivation(inputs, last, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        kaiming_start(self)

    def forward(self, input: Any) -> Any:
        """Return the logits of x."""
        return self.classifier(ops.flatten(self.avgpool(self.features(input)), 1))


@network(Paper("Sandler et al. 2018, arXiv:1801.04381, table 4", (3, 224, 224), 3.4e6, 300e6, 72.0))
def mobilenet_v2(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> MobileNetV2:
    """Return MobileNetV2.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        width: α.
        dropout: probability, before the classifier.
        small: for images of 28×28 or 32×32, with two downsamplings fewer.
        weights: a safetensors file to load; torchvision's names fit.

    >>> sum(p.numel() for p in mobilenet_v2().parameters())
    3504872
    """
    return loaded(MobileNetV2(num_classes, in_channels, width, dropout, small), weights)
