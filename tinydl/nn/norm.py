"""Normalisation layers: batch, layer and group norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tinydl import ops
from tinydl.nn.init import ones_, zeros_
from tinydl.nn.module import Module
from tinydl.nn.parameter import Parameter
from tinydl.options import factor, number, whole
from tinydl.shapes import Shape
from tinydl.tensor import Tensor


class _Norm(Module):
    """What all of them have: ε, and perhaps a learned scale and shift of one shape."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(self, shape: Shape, eps: float, affine: bool, bias: bool = True) -> None:
        self.eps = number(eps, "eps", "[0, inf)")
        self.weight = Parameter(np.ones(shape, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(shape, np.float32)) if affine and bias else None

    def _settings(self, *names: str) -> str:
        """Return ε, the attributes named, and whether there is a shift, for `repr`."""
        named = "".join(f", {name}={getattr(self, name)}" for name in names)
        return f"eps={self.eps}{named}, bias={self.bias is not None}"

    def reset_parameters(self) -> None:
        """Put the scale back to 1 and the shift to 0."""
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)


class _BatchNorm(_Norm):
    """Batch norm for inputs with a given number of axes."""

    axes: ClassVar[tuple[int, ...]]
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        bias: bool = True,
    ) -> None:
        self.num_features = whole(num_features, "num_features", 1)
        super().__init__((self.num_features,), eps, affine, bias)
        self.momentum = None if momentum is None else number(momentum, "momentum", "[0, 1]")
        self.affine, self.track_running_stats = bool(affine), bool(track_running_stats)
        tracked = self.track_running_stats
        self.register_buffer("running_mean", Tensor(np.zeros(num_features, np.float32)) if tracked else None)
        self.register_buffer("running_var", Tensor(np.ones(num_features, np.float32)) if tracked else None)
        self.register_buffer("num_batches_tracked", Tensor(np.zeros((), np.int64)) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget the batches seen: mean 0, variance 1."""
        if self.num_batches_tracked is not None and self.running_mean is not None and self.running_var is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def forward(self, input: Any) -> Any:
        """Return x normalised by the batch's statistics in training, by the running ones in evaluation."""
        return self.normalize(input, relu=False)

    def normalize(self, input: Any, relu: bool) -> Any:
        """Return `forward(input)`, or max(forward(input), 0) with `relu`."""
        shape = tuple(input.shape)
        if len(shape) not in self.axes:
            raise ValueError(
                f"{type(self).__name__}: input needs {' or '.join(map(str, self.axes))} axes, got shape {shape}"
            )
        running, learned = (self.running_mean, self.running_var), (self.weight, self.bias)
        if self.num_batches_tracked is None:
            return ops.batch_norm(input, None, None, *learned, True, 0.0, self.eps, relu)
        if not self.training:
            return ops.batch_norm(input, *running, *learned, False, 0.0, self.eps, relu)
        seen = int(self.num_batches_tracked.item()) + 1
        momentum = 1.0 / seen if self.momentum is None else self.momentum
        y = ops.batch_norm(input, *running, *learned, True, momentum, self.eps, relu)
        self.num_batches_tracked.fill_(seen)
        return y

    def extra_repr(self) -> str:
        """Return the settings."""
        settings = self._settings("momentum", "affine")
        return f"{self.num_features}, {settings}, track_running_stats={self.track_running_stats}"


class BatchNorm1d(_BatchNorm):
    """Normalise each channel of x (N, C) or (N, C, L); see `tinydl.ops.batch_norm` for the equation.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: the weight of a new batch in the running statistics; None makes them plain means over all batches.
        affine: learn a scale (and a shift) a channel.
        track_running_stats: keep running statistics for evaluation; without them the batch's own are always used.
        bias: whether there is a shift.

    Buffers: running_mean and running_var (C,), num_batches_tracked ().

    Raises: TypeError or ValueError naming the argument; ValueError for one value a channel in training.

    >>> BatchNorm1d(2, eps=0)(Tensor([[1.0, 5.0], [3.0, 5.5]])).detach()
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of x (N, C, H, W); arguments as `BatchNorm1d`."""

    axes = (4,)


class LayerNorm(_Norm):
    """Normalise over the last axes; see `tinydl.ops.layer_norm`.

    Args:
        normalized_shape: the sizes of those axes.
        eps: ε, added to the variance.
        elementwise_affine: learn a scale (and a shift) of that shape.
        bias: whether there is a shift.

    Raises: TypeError or ValueError naming the argument.

    >>> LayerNorm(2, eps=0)(Tensor([[1.0, 3.0]])).detach()
    tensor([[-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        sizes = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        self.normalized_shape = tuple(whole(n, "normalized_shape", 1) for n in sizes)
        if not self.normalized_shape:
            raise ValueError("normalized_shape must name at least one axis, got ()")
        self.elementwise_affine = bool(elementwise_affine)
        super().__init__(self.normalized_shape, eps, self.elementwise_affine, bias)

    def forward(self, input: Any) -> Any:
        """Return x normalised."""
        return ops.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"{self.normalized_shape}, {self._settings('elementwise_affine')}"


class GroupNorm(_Norm):
    """Normalise each sample over groups of channels of x (N, C, …); see `tinydl.ops.group_norm`.

    Args:
        num_groups: must divide C.
        num_channels: C.
        eps: ε, added to the variance.
        affine: learn a scale (and a shift) a channel.
        bias: whether there is a shift.

    Raises: TypeError or ValueError naming the argument.

    >>> GroupNorm(1, 2, eps=0)(Tensor([[1.0, 3.0]])).detach()
    tensor([[-1.,  1.]])
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, bias: bool = True
    ) -> None:
        self.num_channels = whole(num_channels, "num_channels", 1)
        self.num_groups = factor(num_groups, self.num_channels, "num_groups", "num_channels")
        self.affine = bool(affine)
        super().__init__((self.num_channels,), eps, self.affine, bias)

    def forward(self, input: Any) -> Any:
        """Return x normalised."""
        if len(input.shape) > 1 and input.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm: axis C must be {self.num_channels}, got input {tuple(input.shape)}")
        return ops.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"{self.num_groups}, {self.num_channels}, {self._settings('affine')}"
