"""ShuffleNet: grouped 1×1 convolutions, and a shuffle that keeps the groups from living apart.

| layer | stride | repeats | out, at 224, for g = 1, 2, 3, 4, 8 groups |
|---|--:|--:|---|
| conv 3×3 | 2 | 1 | 24 × 112 × 112 |
| max 3×3 | 2 | 1 | 24 × 56 × 56 |
| units | 2, 1 | 1, 3 | 144, 200, 240, 272, 384 × 28 × 28 |
| units | 2, 1 | 1, 7 | 288, 400, 480, 544, 768 × 14 × 14 |
| units | 2, 1 | 1, 3 | 576, 800, 960, 1088, 1536 × 7 × 7 |
| mean, dense | | | 1000 |

A unit's bottleneck has a quarter of its channels. The very first 1×1 convolution is not grouped: it sees 24 channels.
The width multiplier s makes c channels s c, raised to a multiple of g (the authors' code keeps 24 channels in the stem
at s = 1.5). In a small network the first convolution has stride 1 and the max pooling is left out.

| g | parameters | multiply-adds | paper: multiply-adds, top-1 |
|--:|--:|--:|---|
| 1 | 1,531,936 | 143,078,976 | 143 M, 66.4 % |
| 2 | 1,733,848 | 140,836,512 | 140 M, 67.3 % |
| 3 | 1,865,728 | 137,460,672 | 137 M, 67.4 % (65.5 % without the shuffle) |
| 4 | 1,968,344 | 134,339,776 | 133 M, 67.2 % |
| 8 | 2,434,768 | 138,365,952 | 137 M, 67.6 % |

The paper's multiply-adds are these without the dense layer's.

Source: Zhang et al. 2018, ShuffleNet, arXiv:1707.01083, tables 1 to 3. The start is the authors' code's; their
classifier has no bias, this one has.
"""

from __future__ import annotations

from typing import Any

from tinydl import nn, ops
from tinydl.nn import init
from tinydl.options import number
from tinydl.zoo.blocks import ConvNormActivation, ShuffleUnit
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, loaded

WIDTHS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
"""Channels of the first stage, by groups; each later stage doubles them."""

REPEATS = (4, 8, 4)


def _multiple(channels: float, groups: int) -> int:
    """Return the least multiple of `groups` that is at least `channels`, whose fraction is dropped."""
    return -(-int(channels) // groups) * groups


class ShuffleNetV1(nn.Module):
    """The network; arguments as `shufflenet_v1`.

    Shapes: x (N, in_channels, H, W) -> (N, num_classes), for any H and W.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        groups: int = 3,
        width: float = 1.0,
        dropout: float = 0.0,
        small: bool = False,
    ) -> None:
        super().__init__()
        if groups not in WIDTHS:
            raise ValueError(f"groups must be one of {', '.join(map(str, WIDTHS))}, got {groups!r}")
        width = number(width, "width", "(0, inf)")
        inputs = _multiple(24 * width, groups)
        self.conv1 = ConvNormActivation(in_channels, inputs, 3, 1 if small else 2)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        units: list[nn.Module] = []
        for stage, repeats in enumerate(REPEATS):
            outputs = _multiple(WIDTHS[groups] * 2**stage * width, groups)
            middle = _multiple(outputs / 4, groups)
            for i in range(repeats):
                first = groups if units else 1
                units.append(ShuffleUnit(inputs, outputs, middle, groups, 1 if i else 2, first))
                inputs = outputs
        self.features = nn.Sequential(*units)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, num_classes))
        self._start()

    def _start(self) -> None:
        """Draw each convolution from N(0, 1/I²) with I channels into a group, stem and classifier from N(0, 0.01²)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.normal_(module.weight, 0.0, 1.0 / module.weight.shape[1])
            elif isinstance(module, nn.BatchNorm2d) and module.bias is not None:
                init.constant_(module.bias, 1e-4)
        init.normal_(self.conv1[0].weight, 0.0, 0.01)
        init.normal_(self.classifier[1].weight, 0.0, 0.01)
        init.zeros_(self.classifier[1].bias)

    def forward(self, input: Any) -> Any:
        """Return the logits of x."""
        y = self.features(self.maxpool(self.conv1(input)))
        return self.classifier(ops.flatten(self.avgpool(y), 1))


@network(Paper("Zhang et al. 2018, arXiv:1707.01083, tables 1 and 2 (g = 3)", (3, 224, 224), None, 137e6, 67.4))
def shufflenet_v1(
    num_classes: int = 1000,
    in_channels: int = 3,
    groups: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    small: bool = False,
    weights: Weights = None,
) -> ShuffleNetV1:
    """Return ShuffleNet, the first version.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        groups: g, of the 1×1 convolutions: 1, 2, 3, 4 or 8.
        width: s.
        dropout: probability, before the classifier; the paper has none.
        small: for images of 28×28 or 32×32, with two downsamplings fewer.
        weights: a safetensors file to load.

    >>> sum(p.numel() for p in shufflenet_v1(groups=3).parameters())
    1865728
    """
    return loaded(ShuffleNetV1(num_classes, in_channels, groups, width, dropout, small), weights)
