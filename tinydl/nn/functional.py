"""PyTorch's `torch.nn.functional`: the ops under its names, with its arguments in its order and its defaults.

What each one computes, its shapes, edges and sources stand at the op of `tinydl.ops` that it calls. Left out are the
arguments that PyTorch has deprecated (`size_average`, `reduce`); `inplace` is accepted and has no effect. Where PyTorch
guesses a missing `dim` of softmax, here it must be given.

>>> import numpy as np
>>> relu(np.array([-1.0, 2.0]), inplace=True)
array([0., 2.])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tinydl import ops
from tinydl.options import number
from tinydl.shapes import normalize_dim
from tinydl.tensor import Tensor

Pairs: TypeAlias = int | Sequence[int]
Generator: TypeAlias = np.random.Generator | None

# ---- activations


def relu(input: Any, inplace: bool = False) -> Any:
    """Return max(x, 0)."""
    return ops.relu(input)


def relu6(input: Any, inplace: bool = False) -> Any:
    """Return min(max(x, 0), 6)."""
    return ops.relu6(input)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """Return x where x > 0, else negative_slope · x."""
    return ops.leaky_relu(input, negative_slope)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """Return x where x > 0, else α (eˣ − 1)."""
    return ops.elu(input, alpha)


def gelu(input: Any, approximate: str = "none") -> Any:
    """Return x Φ(x), or its tanh approximation."""
    return ops.gelu(input, approximate)


def sigmoid(input: Any) -> Any:
    """Return 1 / (1 + e⁻ˣ)."""
    return ops.sigmoid(input)


def tanh(input: Any) -> Any:
    """Return tanh x."""
    return ops.tanh(input)


def silu(input: Any, inplace: bool = False) -> Any:
    """Return x σ(x)."""
    return ops.silu(input)


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """Return relu6(x + 3) / 6."""
    return ops.hardsigmoid(input)


def hardswish(input: Any, inplace: bool = False) -> Any:
    """Return x · relu6(x + 3) / 6."""
    return ops.hardswish(input)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """Return log(1 + e^(βx)) / β."""
    return ops.softplus(input, beta, threshold)


def mish(input: Any, inplace: bool = False) -> Any:
    """Return x tanh(softplus(x))."""
    return ops.mish(input)


def softmax(input: Any, dim: int) -> Any:
    """Return eˣ / Σ eˣ over `dim`."""
    return ops.softmax(input, dim)


def log_softmax(input: Any, dim: int) -> Any:
    """Return x − log Σ eˣ over `dim`."""
    return ops.log_softmax(input, dim)


# ---- linear maps


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """Return x Wᵀ + b."""
    return ops.linear(input, weight, bias)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Pairs = 1,
    padding: Pairs | str = 0,
    dilation: Pairs = 1,
    groups: int = 1,
) -> Any:
    """Return the convolution of images (N, C, H, W) with `weight` (O, C/groups, kh, kw)."""
    return ops.conv2d(input, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Pairs = 1,
    padding: Pairs = 0,
    output_padding: Pairs = 0,
    groups: int = 1,
    dilation: Pairs = 1,
) -> Any:
    """Return the transposed convolution of images (N, C, H, W) with `weight` (C, O/groups, kh, kw)."""
    return ops.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Return row i of `weight` (V, D) for each integer i; row `padding_idx` gets no gradient.

    >>> table = Tensor([[1.0], [2.0]], requires_grad=True)
    >>> embedding(Tensor([0, 1, 1]), table, padding_idx=0).sum().backward()
    >>> table.grad.tolist()
    [[0.0], [2.0]]
    """
    rows = ops.embedding(input, weight)
    if padding_idx is None or not isinstance(rows, Tensor):
        return rows
    learned = ops.ne(input, normalize_dim(padding_idx, weight.shape[0], "embedding: padding_idx"))
    return ops.where(ops.unsqueeze(learned, -1), rows, rows.detach())


# ---- pooling


def max_pool2d(
    input: Any,
    kernel_size: Pairs,
    stride: Pairs | None = None,
    padding: Pairs = 0,
    dilation: Pairs = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the maximum of each window, perhaps with its place."""
    return ops.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool2d(
    input: Any,
    kernel_size: Pairs,
    stride: Pairs | None = None,
    padding: Pairs = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """Return the mean of each window."""
    return ops.avg_pool2d(input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def adaptive_avg_pool2d(input: Any, output_size: int | Sequence[int | None]) -> Any:
    """Return means over a grid of bins of the given size."""
    return ops.adaptive_avg_pool2d(input, output_size)


def adaptive_max_pool2d(input: Any, output_size: int | Sequence[int | None]) -> Any:
    """Return maxima over a grid of bins of the given size."""
    return ops.adaptive_max_pool2d(input, output_size)


# ---- normalisation


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Return x (N, C, …) normalised a channel, by the batch's statistics in training, else by the running ones."""
    return ops.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def layer_norm(
    input: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Return x normalised over its last axes."""
    return ops.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Return x (N, C, …) normalised over groups of channels of each sample."""
    return ops.group_norm(input, num_groups, weight, bias, eps)


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """Return x / max(‖x‖ₚ, ε), norms over `dim`.

    >>> normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    return input / ops.clamp(ops.norm(input, p, dim, keepdim=True), min=eps)


# ---- dropping


def dropout(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator = None
) -> Any:
    """Return x with elements dropped with probability p, the others scaled by 1/(1 − p)."""
    return ops.dropout(input, p, training, generator)


def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator = None
) -> Any:
    """Return x (N, C, …) with whole channels dropped with probability p, the others scaled by 1/(1 − p)."""
    number(p, "p", "[0, 1]")
    if not training:
        return input
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise ValueError(f"dropout2d: input needs axes (N, C, …), got shape {shape}")
    ones = np.ones((*shape[:2], *(1,) * (len(shape) - 2)), input.dtype)
    return input * ops.dropout(ones, p, True, generator)


# ---- movement


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Return x with elements added at its borders, (left, right, top, bottom, …)."""
    return ops.pad(input, pad, mode, 0.0 if value is None else value)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Return int64 zeros with a 1 at each index along a new last axis."""
    return ops.one_hot(tensor, num_classes)


def channel_shuffle(input: Any, groups: int) -> Any:
    """Return x (N, C, …) with its channels dealt out."""
    return ops.channel_shuffle(input, groups)


# ---- losses


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Return the cross-entropy of logits (N, C, …) against class indices or probabilities."""
    return ops.cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)


def nll_loss(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """Return the negative log-likelihood of log-probabilities (N, C, …) against class indices."""
    return ops.nll_loss(input, target, weight, ignore_index, reduction)


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Return (x − target)², reduced."""
    return ops.mse_loss(input, target, reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Return |x − target|, reduced."""
    return ops.l1_loss(input, target, reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Return d²/(2β) where |d| < β, else |d| − β/2, with d = x − target, reduced."""
    return ops.smooth_l1_loss(input, target, reduction, beta)


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """Return the binary cross-entropy of logits."""
    return ops.binary_cross_entropy_with_logits(input, target, weight, reduction, pos_weight)


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """Return q · (log q − x) for log-probabilities x, reduced."""
    return ops.kl_div(input, target, reduction, log_target)
