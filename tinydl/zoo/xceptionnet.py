"""Xception: Inception taken to its extreme, every convolution but the first two a separable one.

| flow | layer | out, at 299 |
|---|---|---|
| entry | conv 3×3 stride 2 valid, ReLU | 32 × 149 × 149 |
| | conv 3×3 valid, ReLU | 64 × 147 × 147 |
| | separable 128, 128, max 3×3 stride 2; shortcut 1×1 | 128 × 74 × 74 |
| | separable 256, 256, max 3×3 stride 2; shortcut 1×1 | 256 × 37 × 37 |
| | separable 728, 728, max 3×3 stride 2; shortcut 1×1 | 728 × 19 × 19 |
| middle, 8 times | separable 728, 728, 728; shortcut | 728 × 19 × 19 |
| exit | separable 728, 1024, max 3×3 stride 2; shortcut 1×1 | 1024 × 10 × 10 |
| | separable 1536, ReLU | 1536 × 10 × 10 |
| | separable 2048, ReLU | 2048 × 10 × 10 |
| | mean, dropout, dense | 1000 |

Every convolution is followed by batch norm; a ReLU stands before each separable convolution of a block, but not before
the network's first. It is no light network: 22,855,952 parameters (the paper: 22,855,952), 8,357,403,496 multiply-adds.
In a small network the first two convolutions are padded, and the first and the first block have stride 1.

Source: Chollet 2017, Xception, arXiv:1610.02357, figure 5 and table 3; ImageNet top-1 79.0 %: table 1. Start and batch
norm (ε = 0.001, momentum 0.01; 0.1 where small) as in Keras.
"""

from __future__ import annotations

from typing import Any

from tinydl import nn, ops
from tinydl.options import number
from tinydl.zoo.blocks import SeparableConv, SeparableResidual, tensorflow_norm
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, glorot_start, loaded

MIDDLE = 8


class Xception(nn.Module):
    """The network; arguments as `xception`.

    Shapes: x (N, in_channels, H, W) -> (N, num_classes), for H and W of at least 7 (or 1, where small).
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.5,
        small: bool = False,
    ) -> None:
        super().__init__()
        width = number(width, "width", "(0, inf)")
        norm = tensorflow_norm(small)
        widths = (32, 64, 128, 256, 728, 1024, 1536, 2048)
        c1, c2, c3, c4, c5, c6, c7, c8 = (int(c * width) for c in widths)
        stride, padding = (1, 1) if small else (2, 0)
        self.entry = nn.Sequential(
            nn.Conv2d(in_channels, c1, 3, stride, padding, bias=False),
            norm(c1),
            nn.ReLU(),
            nn.Conv2d(c1, c2, 3, 1, padding, bias=False),
            norm(c2),
            nn.ReLU(),
            SeparableResidual(c2, (c3, c3), stride, first_relu=False, norm=norm),
            SeparableResidual(c3, (c4, c4), 2, norm=norm),
            SeparableResidual(c4, (c5, c5), 2, norm=norm),
        )
        self.middle = nn.Sequential(*(SeparableResidual(c5, (c5, c5, c5), norm=norm) for _ in range(MIDDLE)))
        self.exit = nn.Sequential(
            SeparableResidual(c5, (c5, c6), 2, norm=norm),
            SeparableConv(c6, c7, norm),
            nn.ReLU(),
            SeparableConv(c7, c8, norm),
            nn.ReLU(),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(c8, num_classes))
        glorot_start(self)

    def forward(self, input: Any) -> Any:
        """Return the logits of x."""
        y = self.exit(self.middle(self.entry(input)))
        return self.classifier(ops.flatten(self.avgpool(y), 1))


@network(Paper("Chollet 2017, arXiv:1610.02357, tables 1 and 3", (3, 299, 299), 22.9e6, None, 79.0))
def xception(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.5,
    small: bool = False,
    weights: Weights = None,
) -> Xception:
    """Return Xception.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        width: scales every number of channels, which the paper does not do.
        dropout: probability, before the classifier.
        small: for images of 28×28 or 32×32, with two downsamplings fewer.
        weights: a safetensors file to load.

    >>> sum(p.numel() for p in xception().parameters())
    22855952
    """
    return loaded(Xception(num_classes, in_channels, width, dropout, small), weights)
