"""Pooling layers over images (N, C, H, W) or (C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from tinydl import ops
from tinydl.nn.module import Module
from tinydl.options import whole_pair

Pairs: TypeAlias = int | Sequence[int]


class _Pool(Module):
    """What the windowed ones have in common."""

    def __init__(self, kernel_size: Pairs, stride: Pairs | None, padding: Pairs, ceil_mode: bool) -> None:
        kernel = whole_pair(kernel_size, "kernel_size", 1)
        if any(2 * p > k for p, k in zip(whole_pair(padding, "padding", 0), kernel)):
            raise ValueError(f"padding must be at most half of kernel_size {kernel_size}, got {padding}")
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        whole_pair(self.stride, "stride", 1)
        self.padding = padding
        self.ceil_mode = bool(ceil_mode)

    def extra_repr(self) -> str:
        """Return the window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool):
    """The maximum of each window; see `tinydl.ops.max_pool2d` for shapes and edges.

    Args:
        kernel_size: one number or (kh, kw), as stride, padding and dilation.
        stride: the step of the window; None means kernel_size.
        padding: −∞ added at each border, at most half of the kernel.
        dilation: the distance of the window's elements.
        return_indices: also return the maxima's places in the flattened H·W.
        ceil_mode: let the last window hang over the end.

    Raises: TypeError or ValueError naming the argument.

    >>> import numpy as np
    >>> MaxPool2d(2)(np.zeros((1, 3, 7, 6))).shape
    (1, 3, 3, 3)
    """

    def __init__(
        self,
        kernel_size: Pairs,
        stride: Pairs | None = None,
        padding: Pairs = 0,
        dilation: Pairs = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        whole_pair(dilation, "dilation", 1)
        self.dilation = dilation
        self.return_indices = bool(return_indices)

    def forward(self, input: Any) -> Any:
        """Return the maxima."""
        return self.maxima(input, relu=False)

    def maxima(self, input: Any, relu: bool) -> Any:
        """Return `forward(input)`, or max(forward(input), 0) with `relu`."""
        options = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        return ops.max_pool2d(input, *options, relu)

    def extra_repr(self) -> str:
        """Return the window."""
        return f"{super().extra_repr()}, dilation={self.dilation}, ceil_mode={self.ceil_mode}"


class AvgPool2d(_Pool):
    """The mean of each window; see `tinydl.ops.avg_pool2d`.

    Args:
        kernel_size: and stride, padding (of zeros), ceil_mode: as `MaxPool2d`.
        count_include_pad: whether the padding counts in the mean.

    Raises: TypeError or ValueError naming the argument.

    >>> import numpy as np
    >>> AvgPool2d(2)(np.ones((1, 1, 2, 2)))
    array([[[[1.]]]])
    """

    def __init__(
        self,
        kernel_size: Pairs,
        stride: Pairs | None = None,
        padding: Pairs = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = bool(count_include_pad)

    def forward(self, input: Any) -> Any:
        """Return the means."""
        return ops.avg_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )


class _AdaptivePool(Module):
    """What the ones of a given output size have in common."""

    def __init__(self, output_size: int | Sequence[int | None]) -> None:
        sizes = tuple(output_size) if isinstance(output_size, Sequence) else (output_size, output_size)
        whole_pair([1 if n is None else n for n in sizes], "output_size", 1)
        self.output_size = output_size if isinstance(output_size, int) else sizes

    def extra_repr(self) -> str:
        """Return the size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(_AdaptivePool):
    """The mean over a grid of bins, output_size of them along (H, W); None keeps a size.

    >>> import numpy as np
    >>> AdaptiveAvgPool2d((1, None))(np.ones((1, 3, 4, 5))).shape
    (1, 3, 1, 5)
    """

    def forward(self, input: Any) -> Any:
        """Return the means."""
        return ops.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveMaxPool2d(_AdaptivePool):
    """The maximum over a grid of bins, output_size of them along (H, W); None keeps a size.

    >>> import numpy as np
    >>> AdaptiveMaxPool2d(2)(np.ones((1, 3, 4, 5))).shape
    (1, 3, 2, 2)
    """

    def forward(self, input: Any) -> Any:
        """Return the maxima."""
        return ops.adaptive_max_pool2d(input, self.output_size)


class GlobalAvgPool2d(Module):
    """The mean over H and W: (N, C, H, W) -> (N, C). Not in PyTorch, where it takes AdaptiveAvgPool2d(1) and Flatten.

    Source: Lin, Chen & Yan 2014, Network in network, arXiv:1312.4400, section 3.2.

    >>> import numpy as np
    >>> GlobalAvgPool2d()(np.ones((2, 3, 4, 5))).shape
    (2, 3)
    """

    def forward(self, input: Any) -> Any:
        """Return the means."""
        return ops.global_avg_pool2d(input)
