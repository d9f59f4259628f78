"""EfficientNet B0 to B7: one searched network, scaled in width, depth and resolution together.

| B0 | kernel | expand | stride | repeats | out, at 224 |
|---|--:|--:|--:|--:|---|
| conv | 3 | | 2 | 1 | 32 × 112 × 112 |
| MBConv | 3 | 1 | 1 | 1 | 16 × 112 × 112 |
| MBConv | 3 | 6 | 2 | 2 | 24 × 56 × 56 |
| MBConv | 5 | 6 | 2 | 2 | 40 × 28 × 28 |
| MBConv | 3 | 6 | 2 | 3 | 80 × 14 × 14 |
| MBConv | 5 | 6 | 1 | 3 | 112 × 14 × 14 |
| MBConv | 5 | 6 | 2 | 4 | 192 × 7 × 7 |
| MBConv | 3 | 6 | 1 | 1 | 320 × 7 × 7 |
| conv | 1 | | 1 | 1 | 1280 × 7 × 7 |
| mean, dropout, dense | | | | | 1000 |

Swish everywhere but after the projections; squeeze and excitation in every block, with a sigmoid gate, squeezed to a
quarter of the block's *input*. Of n blocks number i is skipped with probability 0.2 · i/n in training, where it has a
shortcut. Scaled by (w, d), c channels are make_divisible(w c), n repeats ⌈d n⌉. In a small network the first two
strides of 2 are 1.

| | w, d, resolution, dropout | parameters | multiply-adds | paper: parameters, multiply-adds, top-1 |
|---|---|--:|--:|---|
| B0 | 1.0, 1.0, 224, 0.2 | 5,288,548 | 385,814,752 | 5.3 M, 0.39 B, 77.1 % |
| B1 | 1.0, 1.1, 240, 0.2 | 7,794,184 | 686,802,832 | 7.8 M, 0.70 B, 79.1 % |
| B2 | 1.1, 1.2, 260, 0.3 | 9,109,994 | 993,561,872 | 9.2 M, 1.0 B, 80.1 % |
| B3 | 1.2, 1.4, 300, 0.3 | 12,233,232 | 1,827,141,392 | 12 M, 1.8 B, 81.6 % |
| B4 | 1.4, 1.8, 380, 0.4 | 19,341,616 | 4,393,771,024 | 19 M, 4.2 B, 82.9 % |
| B5 | 1.6, 2.2, 456, 0.4 | 30,389,784 | 10,266,384,752 | 30 M, 9.9 B, 83.6 % |
| B6 | 1.8, 2.6, 528, 0.5 | 43,040,704 | 19,067,593,536 | 43 M, 19 B, 84.0 % |
| B7 | 2.0, 3.1, 600, 0.5 | 66,347,960 | 37,745,884,192 | 66 M, 37 B, 84.3 % |

Source: Tan & Le 2019, EfficientNet, arXiv:1905.11946, tables 1 and 2, and section 5.2 for the rates; the scaling
coefficients are the authors' code's. Names, start and batch norm as in torchvision: ε = 1e-5 and momentum 0.1 up to B4,
0.001 and 0.01 (0.1 where small), which is what the authors have everywhere, from B5 on.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tinydl import nn, ops
from tinydl.nn import init
from tinydl.options import number
from tinydl.zoo.blocks import (
    ConvNormActivation,
    MBConv,
    Norm,
    SqueezeExcite,
    make_divisible,
    spare_downsampling,
    tensorflow_norm,
)
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, kaiming_start, loaded


class Stage(NamedTuple):
    """A row of the paper's table 1."""

    kernel: int
    expand: int
    stride: int
    outputs: int
    repeats: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 6, 2, 24, 2),
    Stage(5, 6, 2, 40, 2),
    Stage(3, 6, 2, 80, 3),
    Stage(5, 6, 1, 112, 3),
    Stage(5, 6, 2, 192, 4),
    Stage(3, 6, 1, 320, 1),
)


class EfficientNet(nn.Module):
    """B0 scaled to `width` w and `depth` d; `stochastic_depth` is the last block's rate, `norm` makes the norms.

    The other arguments are those of `efficientnet_b0`.

    Shapes: x (N, in_channels, H, W) -> (N, num_classes), for any H and W.

    >>> len(EfficientNet(width=0.25, depth=0.5).features)
    9
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        depth: float = 1.0,
        dropout: float = 0.2,
        stochastic_depth: float = 0.2,
        small: bool = False,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        width, depth = number(width, "width", "(0, inf)"), number(depth, "depth", "(0, inf)")
        number(stochastic_depth, "stochastic_depth", "[0, 1]")
        strides = [2, *(stage.stride for stage in STAGES)]
        first, *later = spare_downsampling(strides) if small else strides
        inputs = make_divisible(32 * width)
        layers: list[nn.Module] = [ConvNormActivation(in_channels, inputs, 3, first, 1, norm, nn.SiLU)]
        repeats = [math.ceil(stage.repeats * depth) for stage in STAGES]
        place = 0
        for stage, stride, n in zip(STAGES, later, repeats):
            outputs, blocks = make_divisible(stage.outputs * width), []
            for i in range(n):
                expanded = inputs * stage.expand
                excite = SqueezeExcite(expanded, max(1, inputs // 4), nn.SiLU)
                drop = stochastic_depth * place / sum(repeats)
                step = 1 if i else stride
                blocks.append(MBConv(inputs, expanded, outputs, stage.kernel, step, nn.SiLU, excite, norm, drop))
                inputs, place = outputs, place + 1
            layers.append(nn.Sequential(*blocks))
        layers.append(ConvNormActivation(inputs, 4 * inputs, 1, norm=norm, activation=nn.SiLU))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * inputs, num_classes))
        kaiming_start(self)
        bound = 1.0 / math.sqrt(num_classes)
        init.uniform_(self.classifier[1].weight, -bound, bound)

    def forward(self, input: Any) -> Any:
        """Return the logits of x."""
        return self.classifier(ops.flatten(self.avgpool(self.features(input)), 1))


_SOURCE = "Tan & Le 2019, arXiv:1905.11946, table 2"


def _scaled(own: float, width: float) -> float:
    """Return the network's own w times the caller's."""
    return own * number(width, "width", "(0, inf)")


@network(Paper(_SOURCE, (3, 224, 224), 5.3e6, 0.39e9, 77.1))
def efficientnet_b0(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> EfficientNet:
    """Return EfficientNet-B0, for 224×224.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        width: scales the channels, beyond what the network's own w does.
        dropout: probability, before the classifier.
        stochastic_depth: probability that the last block is skipped in training; earlier ones less, linearly.
        small: for images of 28×28 or 32×32, with two downsamplings fewer.
        weights: a safetensors file to load; torchvision's names fit.

    >>> sum(p.numel() for p in efficientnet_b0().parameters())
    5288548
    """
    model = EfficientNet(num_classes, in_channels, width, 1.0, dropout, stochastic_depth, small)
    return loaded(model, weights)


@network(Paper(_SOURCE, (3, 240, 240), 7.8e6, 0.70e9, 79.1))
def efficientnet_b1(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> EfficientNet:
    """Return EfficientNet-B1, for 240×240; arguments as `efficientnet_b0`."""
    model = EfficientNet(num_classes, in_channels, width, 1.1, dropout, stochastic_depth, small)
    return loaded(model, weights)


@network(Paper(_SOURCE, (3, 260, 260), 9.2e6, 1.0e9, 80.1))
def efficientnet_b2(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.3,
    stochastic_depth: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> EfficientNet:
    """Return EfficientNet-B2, for 260×260; arguments as `efficientnet_b0`."""
    model = EfficientNet(num_classes, in_channels, _scaled(1.1, width), 1.2, dropout, stochastic_depth, small)
    return loaded(model, weights)


@network(Paper(_SOURCE, (3, 300, 300), 12e6, 1.8e9, 81.6))
def efficientnet_b3(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.3,
    stochastic_depth: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> EfficientNet:
    """Return EfficientNet-B3, for 300×300; arguments as `efficientnet_b0`."""
    model = EfficientNet(num_classes, in_channels, _scaled(1.2, width), 1.4, dropout, stochastic_depth, small)
    return loaded(model, weights)


@network(Paper(_SOURCE, (3, 380, 380), 19e6, 4.2e9, 82.9))
def efficientnet_b4(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.4,
    stochastic_depth: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> EfficientNet:
    """Return EfficientNet-B4, for 380×380; arguments as `efficientnet_b0`."""
    model = EfficientNet(num_classes, in_channels, _scaled(1.4, width), 1.8, dropout, stochastic_depth, small)
    return loaded(model, weights)


@network(Paper(_SOURCE, (3, 456, 456), 30e6, 9.9e9, 83.6))
def efficientnet_b5(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.4,
    stochastic_depth: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> EfficientNet:
    """Return EfficientNet-B5, for 456×456; arguments as `efficientnet_b0`."""
    model = EfficientNet(
        num_classes, in_channels, _scaled(1.6, width), 2.2, dropout, stochastic_depth, small, tensorflow_norm(small)
    )
    return loaded(model, weights)


@network(Paper(_SOURCE, (3, 528, 528), 43e6, 19e9, 84.0))
def efficientnet_b6(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.5,
    stochastic_depth: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> EfficientNet:
    """Return EfficientNet-B6, for 528×528; arguments as `efficientnet_b0`."""
    model = EfficientNet(
        num_classes, in_channels, _scaled(1.8, width), 2.6, dropout, stochastic_depth, small, tensorflow_norm(small)
    )
    return loaded(model, weights)


@network(Paper(_SOURCE, (3, 600, 600), 66e6, 37e9, 84.3))
def efficientnet_b7(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.5,
    stochastic_depth: float = 0.2,
    small: bool = False,
    weights: Weights = None,
) -> EfficientNet:
    """Return EfficientNet-B7, for 600×600; arguments as `efficientnet_b0`."""
    model = EfficientNet(
        num_classes, in_channels, _scaled(2.0, width), 3.1, dropout, stochastic_depth, small, tensorflow_norm(small)
    )
    return loaded(model, weights)
