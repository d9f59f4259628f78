"""ResNet-18: the heavy yardstick, plain convolutions with shortcuts.

| layer | stride | repeats | out, at 224 |
|---|--:|--:|---|
| conv 7×7 | 2 | 1 | 64 × 112 × 112 |
| max 3×3 | 2 | 1 | 64 × 56 × 56 |
| block 64 | 1 | 2 | 64 × 56 × 56 |
| block 128 | 2, 1 | 2 | 128 × 28 × 28 |
| block 256 | 2, 1 | 2 | 256 × 14 × 14 |
| block 512 | 2, 1 | 2 | 512 × 7 × 7 |
| mean, dense | | | 1000 |

11,689,512 parameters, 1,814,073,344 multiply-adds (the paper: 1.8 billion; top-1 72.12 % with ten crops). In a small
network the first convolution is a 3×3 one of stride 1, and the max pooling is left out.

Source: He et al. 2016, Deep residual learning, arXiv:1512.03385, tables 1 and 2. Names and start as in torchvision.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tinydl import nn, ops
from tinydl.options import number
from tinydl.zoo.blocks import BasicBlock
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, kaiming_start, loaded


class ResNet18(nn.Module):
    """The network; arguments as `resnet18`.

    Shapes: x (N, in_channels, H, W) -> (N, num_classes), for any H and W.
    """

    norm_after: ClassVar[dict[str, str]] = {"conv1": "bn1"}

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.0,
        small: bool = False,
    ) -> None:
        super().__init__()
        width = number(width, "width", "(0, inf)")
        c1, c2, c3, c4 = (int(c * width) for c in (64, 128, 256, 512))
        geometry = (3, 1, 1) if small else (7, 2, 3)
        self.conv1 = nn.Conv2d(in_channels, c1, *geometry, bias=False)
        self.bn1 = nn.BatchNorm2d(c1)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(c1, c1), BasicBlock(c1, c1))
        self.layer2 = nn.Sequential(BasicBlock(c1, c2, 2), BasicBlock(c2, c2))
        self.layer3 = nn.Sequential(BasicBlock(c2, c3, 2), BasicBlock(c3, c3))
        self.layer4 = nn.Sequential(BasicBlock(c3, c4, 2), BasicBlock(c4, c4))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(c4, num_classes)
        kaiming_start(self, linear_std=None)

    def forward(self, input: Any) -> Any:
        """Return the logits of x."""
        y = nn.in_turn(input, self.conv1, self.bn1, self.relu, self.maxpool)
        y = self.layer4(self.layer3(self.layer2(self.layer1(y))))
        return self.fc(self.dropout(ops.flatten(self.avgpool(y), 1)))


@network(Paper("He et al. 2016, arXiv:1512.03385, tables 1 and 2", (3, 224, 224), None, 1.8e9, 72.12))
def resnet18(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    small: bool = False,
    weights: Weights = None,
) -> ResNet18:
    """Return ResNet-18.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        width: scales every number of channels, which the paper does not do.
        dropout: probability, before the classifier; the paper has none.
        small: for images of 28×28 or 32×32, with two downsamplings fewer.
        weights: a safetensors file to load; torchvision's names fit.

    >>> sum(p.numel() for p in resnet18().parameters())
    11689512
    """
    return loaded(ResNet18(num_classes, in_channels, width, dropout, small), weights)
