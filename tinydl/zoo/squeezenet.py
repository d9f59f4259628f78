"""SqueezeNet 1.0 and 1.1: AlexNet's accuracy with fifty times fewer parameters, and no batch norm.

| 1.0 | squeeze, expand | out, at 224 | | 1.1 | squeeze, expand | out, at 224 |
|---|--:|---|---|---|--:|---|
| conv 7×7, stride 2 | | 96 × 109 × 109 | | conv 3×3, stride 2 | | 64 × 111 × 111 |
| max 3×3 | | 96 × 54 × 54 | | max 3×3 | | 64 × 55 × 55 |
| fire 2, 3 | 16, 64 + 64 | 128 × 54 × 54 | | fire 2, 3 | 16, 64 + 64 | 128 × 55 × 55 |
| fire 4 | 32, 128 + 128 | 256 × 54 × 54 | | max 3×3 | | 128 × 27 × 27 |
| max 3×3 | | 256 × 27 × 27 | | fire 4, 5 | 32, 128 + 128 | 256 × 27 × 27 |
| fire 5 | 32, 128 + 128 | 256 × 27 × 27 | | max 3×3 | | 256 × 13 × 13 |
| fire 6, 7 | 48, 192 + 192 | 384 × 27 × 27 | | fire 6, 7 | 48, 192 + 192 | 384 × 13 × 13 |
| fire 8 | 64, 256 + 256 | 512 × 27 × 27 | | fire 8, 9 | 64, 256 + 256 | 512 × 13 × 13 |
| max 3×3 | | 512 × 13 × 13 | | | | |
| fire 9 | 64, 256 + 256 | 512 × 13 × 13 | | | | |

Then dropout, a 1×1 convolution to the classes, ReLU, mean. The poolings have stride 2 and ceil mode. In a small network
the first convolution is a 3×3 one of stride 1 with padding; the poolings stay.

| | parameters | multiply-adds | paper: parameters, top-1 |
|---|--:|--:|---|
| 1.0 | 1,248,424 | 818,924,576 | 1.2 M, 57.5 % |
| 1.1 | 1,235,496 | 349,151,936 | – (the authors: 2.4 times less computation, the same accuracy) |

Source: Iandola et al. 2016, SqueezeNet, arXiv:1602.07360, table 1; 1.1 is from the authors' repository. Names and start
as in torchvision.
"""

from __future__ import annotations

from typing import Any

from tinydl import nn, ops
from tinydl.nn import init
from tinydl.options import choice, number
from tinydl.zoo.blocks import Fire
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, loaded

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""Squeezed channels, and those of each expansion, of fire modules 2 to 9."""

POOLED_BEFORE = {"1.0": (2, 5, 9), "1.1": (2, 4, 6)}
"""The numbers of the fire modules with a pooling before them."""


class SqueezeNet(nn.Module):
    """The network in `version` "1.0" or "1.1"; other arguments as `squeezenet1_0`.

    Shapes: x (N, in_channels, H, W) -> (N, num_classes), for H and W of at least 21 (or 8, where small).
    """

    def __init__(
        self,
        version: str,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.5,
        small: bool = False,
    ) -> None:
        super().__init__()
        choice(version, "version", tuple(POOLED_BEFORE))
        width = number(width, "width", "(0, inf)")
        channels, kernel = (96, 7) if version == "1.0" else (64, 3)
        inputs = int(channels * width)
        geometry = (3, 1, 1) if small else (kernel, 2, 0)
        layers: list[nn.Module] = [nn.Conv2d(in_channels, inputs, *geometry), nn.ReLU()]
        for place, (squeeze, expand) in enumerate(FIRES, 2):
            if place in POOLED_BEFORE[version]:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            expanded = int(expand * width)
            layers.append(Fire(inputs, int(squeeze * width), expanded, expanded))
            inputs = 2 * expanded
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(inputs, num_classes, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), last, nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self._start()

    def _start(self) -> None:
        """Draw each convolution from ±√(6 / fan_in), the last from N(0, 0.01²)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                init.kaiming_uniform_(module.weight)
                init.zeros_(module.bias)
        init.normal_(self.classifier[1].weight, 0.0, 0.01)

    def forward(self, input: Any) -> Any:
        """Return the logits of x."""
        return ops.flatten(self.classifier(self.features(input)), 1)


@network(Paper("Iandola et al. 2016, arXiv:1602.07360, table 1", (3, 224, 224), 1.2e6, None, 57.5))
def squeezenet1_0(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.5,
    small: bool = False,
    weights: Weights = None,
) -> SqueezeNet:
    """Return SqueezeNet 1.0.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        width: scales every number of channels, which the paper does not do.
        dropout: probability, before the last convolution.
        small: for images of 28×28 or 32×32, with a first convolution of 3×3, stride 1.
        weights: a safetensors file to load; torchvision's names fit.

    >>> sum(p.numel() for p in squeezenet1_0().parameters())
    1248424
    """
    return loaded(SqueezeNet("1.0", num_classes, in_channels, width, dropout, small), weights)


@network(Paper("the SqueezeNet authors' repository, SqueezeNet_v1.1", (3, 224, 224)))
def squeezenet1_1(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.5,
    small: bool = False,
    weights: Weights = None,
) -> SqueezeNet:
    """Return SqueezeNet 1.1: pooled earlier, so that it computes less; arguments as `squeezenet1_0`.

    >>> sum(p.numel() for p in squeezenet1_1().parameters())
    1235496
    """
    return loaded(SqueezeNet("1.1", num_classes, in_channels, width, dropout, small), weights)
