"""Squeeze and excitation: channels that weigh each other."""

from __future__ import annotations

from typing import Any

from tinydl import nn
from tinydl.zoo.blocks.conv import Activation


class SqueezeExcite(nn.Module):
    """Scale each channel by a factor that is computed from the means of all channels (channel attention).

    y[n, c, h, w] = s[n, c] · x[n, c, h, w],  s = gate(W₂ · activation(W₁ · z + b₁) + b₂),  z[n, c] = mean x[n, c]

    Args:
        channels: C.
        squeezed: how many numbers the means are squeezed into.
        activation: makes the activation in the middle.
        gate: makes the one at the end, with values in [0, 1].

    Shapes: W₁ (squeezed, C, 1, 1) and W₂ (C, squeezed, 1, 1) are 1×1 convolutions with biases; x (N, C, H, W) -> same.

    Source: Hu, Shen & Sun 2018, Squeeze-and-excitation networks, arXiv:1709.01507, equations 2 to 4.

    >>> import numpy as np
    >>> SqueezeExcite(8, 2)(np.ones((1, 8, 3, 4), np.float32)).shape
    (1, 8, 3, 4)
    """

    def __init__(
        self, channels: int, squeezed: int, activation: Activation = nn.ReLU, gate: Activation = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = activation()
        self.scale_activation = gate()

    def forward(self, input: Any) -> Any:
        """Return x with its channels scaled."""
        squeezed = nn.in_turn(self.avgpool(input), self.fc1, self.activation)
        return self.scale_activation(self.fc2(squeezed)) * input
