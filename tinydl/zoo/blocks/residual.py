"""Blocks beside a shortcut: ResNet's, the inverted ones of the MobileNets and EfficientNet, and Xception's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tinydl import nn
from tinydl.zoo.blocks.conv import Activation, ConvNormActivation, Norm, SeparableConv


class BasicBlock(nn.Module):
    """relu(block(x) + shortcut(x)), where block is conv, norm, ReLU, conv, norm.

    Args:
        inputs: channels in.
        outputs: channels out.
        stride: of the first convolution; with a stride, or other channels, the shortcut is a 1×1 convolution and norm.

    Source: He et al. 2016, Deep residual learning, arXiv:1512.03385, figure 5 (left), shortcuts "B".

    >>> import numpy as np
    >>> BasicBlock(4, 8, 2).eval()(np.zeros((1, 4, 6, 6), np.float32)).shape
    (1, 8, 3, 3)
    """

    norm_after: ClassVar[dict[str, str]] = {"conv1": "bn1", "conv2": "bn2"}
    """Which norm takes the result of which convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.downsample = None if same else ConvNormActivation(inputs, outputs, 1, stride, activation=None)

    def forward(self, input: Any) -> Any:
        """Return the block's result."""
        y = nn.in_turn(input, self.conv1, self.bn1, self.relu, self.conv2, self.bn2)
        return nn.after_sum(y, input if self.downsample is None else self.downsample(input), self.relu)


class InvertedResidual(nn.Module):
    """x + block(x), where block widens with a 1×1 convolution, goes depthwise, and projects back without activation.

    The shortcut joins the narrow ends; it is there only when stride is 1 and outputs = inputs.

    Args:
        inputs: channels in.
        outputs: channels out.
        stride: of the depthwise convolution.
        expand_ratio: t; the block is round(t · inputs) wide. With t = 1 there is no convolution to widen.

    Source: Sandler et al. 2018, MobileNetV2, arXiv:1801.04381, table 1 and figure 4 (d).

    >>> import numpy as np
    >>> InvertedResidual(16, 24, 2, 6).eval()(np.zeros((1, 16, 8, 8), np.float32)).shape
    (1, 24, 4, 4)
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expand_ratio: float) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        hidden = round(inputs * expand_ratio)
        widen = [] if expand_ratio == 1 else [ConvNormActivation(inputs, hidden, 1, activation=nn.ReLU6)]
        self.conv = nn.Sequential(
            *widen,
            ConvNormActivation(hidden, hidden, 3, stride, hidden, activation=nn.ReLU6),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, input: Any) -> Any:
        """Return the block's result."""
        return input + self.conv(input) if self.residual else self.conv(input)


class MBConv(nn.Module):
    """The inverted residual with a kernel of any size, squeeze and excitation in the middle, and stochastic depth.

    Args:
        inputs: channels in.
        expanded: channels in the middle; when they equal `inputs` there is no convolution to widen.
        outputs: channels out.
        kernel_size: of the depthwise convolution.
        stride: of the depthwise convolution.
        activation: makes the activations (the projection has none).
        excite: what acts on the middle, such as a `SqueezeExcite`; None for nothing.
        norm: makes the norms.
        drop: probability that a sample skips the block in training; only where there is a shortcut.

    Source: Howard et al. 2019, MobileNetV3, arXiv:1905.02244, figure 4; Tan & Le 2019, EfficientNet, arXiv:1905.11946,
    section 4; the name is Tan et al.'s, MnasNet, arXiv:1807.11626, figure 7.

    >>> import numpy as np
    >>> MBConv(16, 64, 24, 5, 2).eval()(np.zeros((1, 16, 8, 8), np.float32)).shape
    (1, 24, 4, 4)
    """

    def __init__(
        self,
        inputs: int,
        expanded: int,
        outputs: int,
        kernel_size: int = 3,
        stride: int = 1,
        activation: Activation = nn.SiLU,
        excite: nn.Module | None = None,
        norm: Norm = nn.BatchNorm2d,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        layers: list[nn.Module] = []
        if expanded != inputs:
            layers.append(ConvNormActivation(inputs, expanded, 1, norm=norm, activation=activation))
        layers.append(ConvNormActivation(expanded, expanded, kernel_size, stride, expanded, norm, activation))
        if excite is not None:
            layers.append(excite)
        layers.append(ConvNormActivation(expanded, outputs, 1, norm=norm, activation=None))
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = nn.DropPath(drop)

    def forward(self, input: Any) -> Any:
        """Return the block's result."""
        y = self.block(input)
        return input + self.stochastic_depth(y) if self.residual else y


class SeparableResidual(nn.Module):
    """Separable convolutions, a ReLU before each, beside a shortcut.

    Args:
        inputs: channels in.
        widths: channels out of each convolution.
        stride: 2 puts a 3×3 max pooling behind the convolutions and a stride into the shortcut.
        first_relu: whether a ReLU stands before the first convolution, too.
        norm: makes the norms.

    With a stride, or other channels out than in, the shortcut is a 1×1 convolution and norm.

    Source: Chollet 2017, Xception, arXiv:1610.02357, figure 5.

    >>> import numpy as np
    >>> SeparableResidual(4, (8, 8), 2).eval()(np.zeros((1, 4, 7, 6), np.float32)).shape
    (1, 8, 4, 3)
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        stride: int = 1,
        first_relu: bool = True,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((inputs, *widths), widths):
            layers += [nn.ReLU(), SeparableConv(before, after, norm)]
        pooling = [nn.MaxPool2d(3, stride, 1)] if stride > 1 else []
        self.block = nn.Sequential(*layers[0 if first_relu else 1 :], *pooling)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inputs == widths[-1]
            else ConvNormActivation(inputs, widths[-1], 1, stride, norm=norm, activation=None)
        )

    def forward(self, input: Any) -> Any:
        """Return the block's result."""
        return self.block(input) + self.shortcut(input)
