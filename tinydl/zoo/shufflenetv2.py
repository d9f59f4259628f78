"""ShuffleNetV2: half of the channels pass each unit untouched; made for speed, not for few multiply-adds.

| layer | stride | repeats | out, at 224, for 0.5×, 1×, 1.5×, 2× |
|---|--:|--:|---|
| conv 3×3 | 2 | 1 | 24 × 112 × 112 |
| max 3×3 | 2 | 1 | 24 × 56 × 56 |
| units | 2, 1 | 1, 3 | 48, 116, 176, 244 × 28 × 28 |
| units | 2, 1 | 1, 7 | 96, 232, 352, 488 × 14 × 14 |
| units | 2, 1 | 1, 3 | 192, 464, 704, 976 × 7 × 7 |
| conv 1×1 | 1 | 1 | 1024, 1024, 1024, 2048 × 7 × 7 |
| mean, dense | | | 1000 |

In a small network the first convolution has stride 1 and the max pooling is left out.

| | parameters | multiply-adds | paper: parameters, multiply-adds, top-1 |
|---|--:|--:|---|
| 0.5× | 1,366,792 | 40,476,448 | 1.4 M, 41 M, 60.3 % |
| 1× | 2,278,604 | 144,907,992 | 2.3 M, 146 M, 69.4 % |
| 1.5× | 3,503,624 | 295,759,392 | 3.5 M, 299 M, 72.6 % |
| 2× | 7,393,996 | 583,253,464 | 7.4 M, 591 M, 74.9 % |

Source: Ma et al. 2018, ShuffleNet V2, arXiv:1807.11164, tables 5 and 8. Names and start (the layers' own) as in
torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinydl import nn, ops
from tinydl.options import number
from tinydl.zoo.blocks import ConvNormActivation, ShuffleUnitV2
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, loaded

REPEATS = (4, 8, 4)

_SOURCE = "Ma et al. 2018, arXiv:1807.11164, table 8"
_IMAGE = (3, 224, 224)


class ShuffleNetV2(nn.Module):
    """The network with the given channels of stem, three stages, and last convolution.

    The other arguments are those of `shufflenet_v2_x1_0`.

    Shapes: x (N, in_channels, H, W) -> (N, num_classes), for any H and W.
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.0,
        small: bool = False,
    ) -> None:
        super().__init__()
        half = number(width, "width", "(0, inf)") / 2
        stem, *stages, last = [2 * round(c * half) for c in channels]
        self.conv1 = ConvNormActivation(in_channels, stem, 3, 1 if small else 2)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(ShuffleUnitV2(before, after, 2), *(ShuffleUnitV2(after, after) for _ in range(repeats - 1)))
            for before, after, repeats in zip((stem, *stages), stages, REPEATS)
        )
        self.conv5 = ConvNormActivation(stages[-1], last, 1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(last, num_classes)

    def forward(self, input: Any) -> Any:
        """Return the logits of x."""
        y = self.maxpool(self.conv1(input))
        y = self.conv5(self.stage4(self.stage3(self.stage2(y))))
        return self.fc(self.dropout(ops.flatten(self.avgpool(y), 1)))


@network(Paper(_SOURCE, _IMAGE, 1.4e6, 41e6, 60.3))
def shufflenet_v2_x0_5(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    small: bool = False,
    weights: Weights = None,
) -> ShuffleNetV2:
    """Return ShuffleNetV2 0.5×; arguments as `shufflenet_v2_x1_0`.

    >>> sum(p.numel() for p in shufflenet_v2_x0_5().parameters())
    1366792
    """
    channels = 24, 48, 96, 192, 1024
    return loaded(ShuffleNetV2(channels, num_classes, in_channels, width, dropout, small), weights)


@network(Paper(_SOURCE, _IMAGE, 2.3e6, 146e6, 69.4))
def shufflenet_v2_x1_0(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    small: bool = False,
    weights: Weights = None,
) -> ShuffleNetV2:
    """Return ShuffleNetV2 1×.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        width: scales every number of channels once more (to an even number), which the paper does not do.
        dropout: probability, before the classifier; the paper has none.
        small: for images of 28×28 or 32×32, with two downsamplings fewer.
        weights: a safetensors file to load; torchvision's names fit.

    >>> sum(p.numel() for p in shufflenet_v2_x1_0().parameters())
    2278604
    """
    channels = 24, 116, 232, 464, 1024
    return loaded(ShuffleNetV2(channels, num_classes, in_channels, width, dropout, small), weights)


@network(Paper(_SOURCE, _IMAGE, 3.5e6, 299e6, 72.6))
def shufflenet_v2_x1_5(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    small: bool = False,
    weights: Weights = None,
) -> ShuffleNetV2:
    """Return ShuffleNetV2 1.5×; arguments as `shufflenet_v2_x1_0`.

    >>> sum(p.numel() for p in shufflenet_v2_x1_5().parameters())
    3503624
    """
    channels = 24, 176, 352, 704, 1024
    return loaded(ShuffleNetV2(channels, num_classes, in_channels, width, dropout, small), weights)


@network(Paper(_SOURCE, _IMAGE, 7.4e6, 591e6, 74.9))
def shufflenet_v2_x2_0(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    small: bool = False,
    weights: Weights = None,
) -> ShuffleNetV2:
    """Return ShuffleNetV2 2×; arguments as `shufflenet_v2_x1_0`.

    >>> sum(p.numel() for p in shufflenet_v2_x2_0().parameters())
    7393996
    """
    channels = 24, 244, 488, 976, 2048
    return loaded(ShuffleNetV2(channels, num_classes, in_channels, width, dropout, small), weights)
