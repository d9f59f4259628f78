"""ShuffleNet's units, first and second version."""

from __future__ import annotations

from typing import Any

from tinydl import nn, ops
from tinydl.zoo.blocks.conv import ConvNormActivation


class ShuffleUnit(nn.Module):
    """A residual bottleneck of grouped 1×1 convolutions, with a channel shuffle so that the groups hear of each other.

    block = grouped 1×1, norm, ReLU, shuffle, depthwise 3×3, norm, grouped 1×1, norm; with stride 1 the result is
    relu(x + block(x)), with stride 2 the block's channels are joined to those of a 3×3 average pooling of x.

    Args:
        inputs: channels in.
        outputs: channels out; with stride 2 the block makes outputs − inputs of them.
        middle: channels of the bottleneck.
        groups: of the two 1×1 convolutions.
        stride: 1 (then outputs = inputs) or 2.
        first_groups: of the first 1×1 convolution, if not `groups`.

    Source: Zhang et al. 2018, ShuffleNet, arXiv:1707.01083, figure 2 (b) and (c).

    >>> import numpy as np
    >>> ShuffleUnit(24, 240, 60, 3, 2, first_groups=1).eval()(np.zeros((1, 24, 6, 6), np.float32)).shape
    (1, 240, 3, 3)
    """

    def __init__(
        self, inputs: int, outputs: int, middle: int, groups: int, stride: int = 1, first_groups: int | None = None
    ) -> None:
        super().__init__()
        self.joined = stride > 1
        made = outputs - inputs if self.joined else outputs
        self.block = nn.Sequential(
            ConvNormActivation(inputs, middle, 1, groups=groups if first_groups is None else first_groups),
            nn.ChannelShuffle(groups),
            ConvNormActivation(middle, middle, 3, stride, middle, activation=None),
            ConvNormActivation(middle, made, 1, groups=groups, activation=None),
        )
        self.shortcut = nn.AvgPool2d(3, stride, 1) if self.joined else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, input: Any) -> Any:
        """Return the unit's result."""
        beside, y = self.shortcut(input), self.block(input)
        return self.relu(ops.cat((beside, y), 1)) if self.joined else nn.after_sum(beside, y, self.relu)


class ShuffleUnitV2(nn.Module):
    """Half of the channels pass untouched, the others go 1×1, depthwise 3×3, 1×1; then all are shuffled in two groups.

    With stride 2 nothing passes untouched: both branches see all of x, the first going depthwise 3×3, 1×1.

    Args:
        inputs: channels in.
        outputs: channels out, an even number; half come out of each branch.
        stride: 1 (then outputs = inputs) or 2.

    Source: Ma et al. 2018, ShuffleNet V2, arXiv:1807.11164, figure 3 (c) and (d).

    >>> import numpy as np
    >>> ShuffleUnitV2(24, 116, 2).eval()(np.zeros((1, 24, 6, 6), np.float32)).shape
    (1, 116, 3, 3)
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.split = stride == 1
        half = outputs // 2
        reduced = ConvNormActivation(half if self.split else inputs, half, 1)
        self.branch1 = nn.Sequential() if self.split else nn.Sequential(*_depthwise_pointwise(inputs, half, stride))
        self.branch2 = nn.Sequential(*reduced, *_depthwise_pointwise(half, half, stride))
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, input: Any) -> Any:
        """Return the unit's result."""
        kept, changed = ops.chunk(input, 2, 1) if self.split else (input, input)
        return nn.after_cat(self.branch1(kept), self.branch2(changed), self.shuffle)


def _depthwise_pointwise(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    """Return the layers of a 3×3 depthwise convolution (no activation) and a 1×1 one."""
    depthwise = ConvNormActivation(inputs, inputs, 3, stride, inputs, activation=None)
    return [*depthwise, *ConvNormActivation(inputs, outputs, 1)]
