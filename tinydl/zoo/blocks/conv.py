"""Convolution with norm and activation, the two ways to take one apart, and the arithmetic of channels and strides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from tinydl import nn

Norm: TypeAlias = Callable[[int], nn.Module]
"""Makes a norm for a number of channels: `nn.BatchNorm2d`, or a `partial` of it."""

Activation: TypeAlias = Callable[[], nn.Module]
"""Makes an activation: `nn.ReLU6`."""


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Return the multiple of `divisor` nearest to `channels`, but at least `divisor`, and no more than 10 % below.

    Source: Sandler et al. 2018, MobileNetV2, arXiv:1801.04381, in the authors' code; since then a custom.

    >>> [make_divisible(c) for c in (3, 11, 12, 30, 60)]
    [8, 16, 16, 32, 64]
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def spare_downsampling(strides: Iterable[int]) -> list[int]:
    """Return `strides` with the first two 2s made 1.

    A network that halves 224×224 five times to 7×7 then brings 28×28 and 32×32 to 4×4.

    >>> spare_downsampling([2, 1, 2, 2, 2, 2])
    [1, 1, 1, 2, 2, 2]
    """
    found = list(strides)
    for place in [i for i, stride in enumerate(found) if stride == 2][:2]:
        found[place] = 1
    return found


def tensorflow_norm(small: bool) -> Norm:
    """Return what makes batch norms as TensorFlow's networks have them: ε = 0.001, momentum 0.01.

    With that momentum running statistics follow over hundreds of steps. Small images are learned in a few hundred, and
    tested with statistics that are not there yet, so for `small` networks it is 0.1.

    >>> tensorflow_norm(small=False)(8)
    BatchNorm2d(8, eps=0.001, momentum=0.01, affine=True, bias=True, track_running_stats=True)
    """
    return partial(nn.BatchNorm2d, eps=1e-3, momentum=0.1 if small else 0.01)


class ConvNormActivation(nn.Sequential):
    """Convolution without bias (the norm has one), norm, activation; the image keeps its size, but for the stride.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel_size: k, odd; (k − 1)/2 zeros are added at each border.
        stride: the step of the kernel.
        groups: of the convolution; `inputs` makes it depthwise.
        norm: makes the norm.
        activation: makes the activation; None for a linear result.

    >>> len(ConvNormActivation(3, 8)), len(ConvNormActivation(3, 8, activation=None))
    (3, 2)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int = 3,
        stride: int = 1,
        groups: int = 1,
        norm: Norm = nn.BatchNorm2d,
        activation: Activation | None = nn.ReLU,
    ) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
        super().__init__(conv, norm(outputs), *([] if activation is None else [activation()]))


class DepthwiseSeparable(nn.Sequential):
    """A 3×3 convolution of each channel by itself, then a 1×1 one of all channels, each with norm and activation.

    Multiply-adds: H·W·C·(9 + O) instead of H·W·C·9·O.

    Args:
        inputs: C.
        outputs: O.
        stride: of the depthwise part.
        norm: makes both norms.
        activation: makes both activations.

    Source: Howard et al. 2017, MobileNets, arXiv:1704.04861, section 3.1 and figure 3.

    >>> sum(p.numel() for p in DepthwiseSeparable(3, 64).parameters() if p.ndim > 1)
    219
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        norm: Norm = nn.BatchNorm2d,
        activation: Activation = nn.ReLU6,
    ) -> None:
        depthwise = ConvNormActivation(inputs, inputs, 3, stride, inputs, norm, activation)
        super().__init__(depthwise, ConvNormActivation(inputs, outputs, 1, norm=norm, activation=activation))


class SeparableConv(nn.Sequential):
    """A 3×3 convolution of each channel by itself, then a 1×1 one, with nothing in between; then a norm.

    Args:
        inputs: channels in.
        outputs: channels out.
        norm: makes the norm.

    Source: Chollet 2017, Xception, arXiv:1610.02357, sections 3 and 4.7: an activation in between does harm there.

    >>> sum(p.numel() for p in SeparableConv(3, 64).parameters() if p.ndim > 1)
    219
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm = nn.BatchNorm2d) -> None:
        depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        super().__init__(depthwise, nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs))
