"""Convolutions over images (N, C, H, W): general, transposed, depthwise and pointwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tinydl import ops
from tinydl.kernels.buffers import empty_aligned
from tinydl.nn.init import default_
from tinydl.nn.module import Module
from tinydl.nn.parameter import Parameter
from tinydl.options import choice, factor, whole, whole_pair
from tinydl.shapes import Pair, Shape, same_padding

Pairs: TypeAlias = int | Sequence[int]

_PADDING_MODES = ("zeros", "reflect", "replicate")


class _Conv(Module):
    """What all convolutions have: sizes, a weight and a bias; subclasses say the weight's shape and what is done."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pairs,
        stride: Pairs,
        padding: Pairs | str,
        dilation: Pairs,
        groups: int,
        bias: bool,
        generator: np.random.Generator | None,
    ) -> None:
        self.in_channels = whole(in_channels, "in_channels", 1)
        self.out_channels = whole(out_channels, "out_channels", 1)
        self.kernel_size = whole_pair(kernel_size, "kernel_size", 1)
        self.stride = whole_pair(stride, "stride", 1)
        self.padding = padding if isinstance(padding, str) else whole_pair(padding, "padding", 0)
        self.dilation = whole_pair(dilation, "dilation", 1)
        factor(groups, self.in_channels, "groups", "in_channels")
        self.groups = factor(groups, self.out_channels, "groups", "out_channels")
        self.weight = Parameter(empty_aligned((*self._weight_channels(), *self.kernel_size), np.float32))
        self.bias = Parameter(np.empty(self.out_channels, np.float32)) if bias else None
        self.reset_parameters(generator)

    def _weight_channels(self) -> Pair:
        """Return the first two sizes of the weight."""
        return self.out_channels, self.in_channels // self.groups

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the parameters anew."""
        default_(self.weight, self.bias, generator)

    def extra_repr(self) -> str:
        """Return the channels, the kernel, and whatever is not as by default."""
        plain = {"padding": (0, 0), "output_padding": (0, 0), "dilation": (1, 1), "groups": 1, "padding_mode": "zeros"}
        settings = {name: getattr(self, name, usual) for name, usual in plain.items()}
        special = [f", {name}={value}" for name, value in settings.items() if value != plain[name]]
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
            + "".join(special)
            + ("" if self.bias is not None else ", bias=False")
        )


class Conv2d(_Conv):
    """Slide a learned kernel over the image; see `tinydl.ops.conv2d` for the equation.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: one number or (kh, kw), as stride, padding and dilation.
        stride: the step of the kernel.
        padding: what is added at each border, or "valid" (nothing) or "same" (keeps H and W; stride 1 only).
        dilation: the distance of the kernel's elements.
        groups: must divide C and O; each group of outputs sees its own group of inputs only.
        bias: whether one number is added to each output channel.
        padding_mode: "zeros", "reflect" or "replicate".
        generator: draws the start, uniform on ±1/√fan_in; see `tinydl.nn.init.default_`.

    Shapes: weight (O, C/groups, kh, kw), bias (O,); x (N, C, H, W) or (C, H, W) -> (…, O, H', W'),
    H' = ⌊(H + 2p − d(kh−1) − 1)/s⌋ + 1.

    Raises: TypeError or ValueError naming the argument.

    >>> Conv2d(1, 8, 3, stride=2, padding=1)(np.zeros((2, 1, 28, 28), np.float32)).shape
    (2, 8, 14, 14)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pairs,
        stride: Pairs = 1,
        padding: Pairs | str = 0,
        dilation: Pairs = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.padding_mode = choice(padding_mode, "padding_mode", _PADDING_MODES)
        if isinstance(padding, str):
            choice(padding, "padding", ("valid", "same"))
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, generator)
        if padding == "same" and self.stride != (1, 1):
            raise ValueError(f'padding="same" needs stride 1, got {self.stride}')

    def forward(self, input: Any) -> Any:
        """Return the convolution of x."""
        padding = self.padding
        if self.padding_mode != "zeros" and padding != "valid":
            input, padding = ops.pad(input, self._borders(), self.padding_mode), (0, 0)
        return ops.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _borders(self) -> Shape:
        """Return (left, right, top, bottom)."""
        if isinstance(self.padding, str):
            (top, bottom), (left, right) = same_padding(self.kernel_size, self.dilation)
            return left, right, top, bottom
        rows, columns = self.padding
        return columns, columns, rows, rows


class DepthwiseConv2d(Conv2d):
    """A spatial convolution of each channel by itself: `Conv2d` with groups = C.

    It mixes places, not channels: C channels give multiplier · C. With a pointwise convolution behind it, it stands in
    for a full one at 1/O + 1/k² of the multiplications.

    Args:
        channels: C.
        kernel_size: and stride, padding, dilation, bias, padding_mode, generator: as `Conv2d`.
        multiplier: how many results each channel gives.

    Source: Howard et al. 2017, MobileNets, arXiv:1704.04861, section 3.1.

    >>> DepthwiseConv2d(3, 3, padding=1).weight.shape
    (3, 1, 3, 3)
    """

    def __init__(
        self,
        channels: int,
        kernel_size: Pairs,
        stride: Pairs = 1,
        padding: Pairs | str = 0,
        dilation: Pairs = 1,
        bias: bool = True,
        multiplier: int = 1,
        padding_mode: str = "zeros",
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        channels = whole(channels, "channels", 1)
        out_channels = channels * whole(multiplier, "multiplier", 1)
        super().__init__(
            channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            channels,
            bias,
            padding_mode,
            generator=generator,
        )


class PointwiseConv2d(Conv2d):
    """A 1 × 1 convolution: it mixes channels, not places; one matrix product for all places.

    Source: Lin, Chen & Yan 2014, Network in network, arXiv:1312.4400, section 3.1.

    >>> PointwiseConv2d(3, 64)(np.zeros((1, 3, 5, 4), np.float32)).shape
    (1, 64, 5, 4)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bias: bool = True,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias, generator=generator)


class ConvTranspose2d(_Conv):
    """The transposed convolution, which enlarges where `Conv2d` shrinks; see `tinydl.ops.conv_transpose2d`.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: and stride, padding, groups, bias, dilation, generator: those of the `Conv2d` it transposes.
        output_padding: rows and columns added at the bottom and right of the result, fewer than stride or dilation:
            with a stride several sizes shrink to one, and this says which is meant.

    Shapes: weight (C, O/groups, kh, kw), bias (O,); x (N, C, H, W) -> (N, O, H', W'),
    H' = (H−1)s − 2p + d(kh−1) + output_padding + 1.

    Raises: TypeError or ValueError naming the argument.

    >>> ConvTranspose2d(8, 1, 3, stride=2, padding=1, output_padding=1)(np.zeros((2, 8, 14, 14), np.float32)).shape
    (2, 1, 28, 28)
    """

    padding: Pair

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pairs,
        stride: Pairs = 1,
        padding: Pairs = 0,
        output_padding: Pairs = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pairs = 1,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.output_padding = whole_pair(output_padding, "output_padding", 0)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, generator)
        if any(e >= max(s, d) for e, s, d in zip(self.output_padding, self.stride, self.dilation)):
            raise ValueError(
                f"output_padding must be below stride {self.stride} or dilation {self.dilation}, "
                f"got {self.output_padding}"
            )

    def _weight_channels(self) -> Pair:
        return self.in_channels, self.out_channels // self.groups

    def forward(self, input: Any) -> Any:
        """Return the transposed convolution of x."""
        return ops.conv_transpose2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )
