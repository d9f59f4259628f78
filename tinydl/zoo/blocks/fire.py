"""SqueezeNet's module: few channels between many."""

from __future__ import annotations

from typing import Any

from tinydl import nn, ops


class Fire(nn.Module):
    """A 1×1 convolution to few channels, then 1×1 and 3×3 convolutions side by side, their results joined.

    Args:
        inputs: channels in.
        squeeze: s₁ₓ₁, channels between.
        expand1x1: e₁ₓ₁, channels out of the 1×1 convolution.
        expand3x3: e₃ₓ₃, channels out of the 3×3 one.

    Shapes: x (N, inputs, H, W) -> (N, expand1x1 + expand3x3, H, W). Every convolution has a bias and a ReLU.

    Source: Iandola et al. 2016, SqueezeNet, arXiv:1602.07360, section 3.2 and figure 1.

    >>> import numpy as np
    >>> Fire(96, 16, 64, 64)(np.zeros((1, 96, 3, 4), np.float32)).shape
    (1, 128, 3, 4)
    """

    def __init__(self, inputs: int, squeeze: int, expand1x1: int, expand3x3: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeeze, expand1x1, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeeze, expand3x3, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, input: Any) -> Any:
        """Return both expansions of the squeezed x."""
        squeezed = nn.in_turn(input, self.squeeze, self.squeeze_activation)
        narrow = nn.in_turn(squeezed, self.expand1x1, self.expand1x1_activation)
        return ops.cat((narrow, nn.in_turn(squeezed, self.expand3x3, self.expand3x3_activation)), 1)
