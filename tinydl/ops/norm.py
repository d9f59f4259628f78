"""Normalisation: batch norm over (N, …) a channel, layer and group norm over the elements of one sample.

The fused gradients use the statistics of the forward pass; their compositions compute them anew with ops, because a
second derivative has to go through the statistics as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinydl import kernels
from tinydl.dtypes import FLOATS
from tinydl.methods import plain
from tinydl.op import composite, fused, op
from tinydl.ops.elementwise import sqrt, to
from tinydl.ops.movement import reshape
from tinydl.ops.piecewise import relu as rectified
from tinydl.ops.piecewise import relu_grad
from tinydl.ops.reduce import mean, sum
from tinydl.shapes import Array, Shape
from tinydl.tensor import Tensor


def _axes(x: Any) -> tuple[int, ...]:
    """Return every axis but the channels'."""
    return (0, *range(2, len(x.shape)))


def _per_channel(v: Any, ndim: int) -> Any:
    """Return a vector (C,) shaped to stand beside x (N, C, …)."""
    return reshape(v, (1, -1) + (1,) * (ndim - 2))


@op("..., C, C", keeps=("mean", "var", "rstd"), kernel=True)
def batch_norm_train(x: Any, weight: Any, bias: Any, eps: float = 1e-5) -> Any:
    """Return x normalised a channel by the batch's own mean and (biased) variance; keeps those statistics.

    y = weight · (x − mean) / √(var + ε) + bias
    """
    return kernels.batch_norm(x, weight, bias, eps)


@batch_norm_train.vjp()
def batch_norm_train_vjp(g: Any, x: Any, weight: Any, mean: Array, rstd: Array, eps: float) -> Any:
    """One pass for all three gradients."""
    return batch_norm_grad(g, x, weight, mean, rstd, eps)


@fused
def batch_norm_grad(g: Any, x: Any, weight: Any, mean: Array, rstd: Array, eps: float) -> Any:
    """Return (gx, gw, gb) of batch norm in training.

    With n values a channel and x̂ = (x − mean) · rstd: gb = Σ g, gw = Σ g x̂, gx = w · rstd · (g − gb/n − x̂ · gw/n).

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.
    """
    return kernels.batch_norm_grad(g, x, weight, mean, rstd)


@batch_norm_grad.composition
def batch_norm_grad_composed(g: Any, x: Any, weight: Any, mean_: Array, rstd_: Array, eps: float) -> Any:
    """The same from x itself: the statistics are functions of it."""
    axes, ndim = _axes(x), len(x.shape)
    centred = x - mean(x, axes, True)
    rstd = 1.0 / sqrt(mean(centred * centred, axes, True) + eps)
    xhat = centred * rstd
    gw, gb = sum(g * xhat, axes), sum(g, axes)
    gx = (g - mean(g, axes, True) - xhat * mean(g * xhat, axes, True)) * rstd
    return gx if weight is None else gx * _per_channel(weight, ndim), gw, gb


@op("..., C, C", keeps=("mean", "var", "rstd"), kernel=True)
def batch_norm_relu_train(x: Any, weight: Any, bias: Any, eps: float = 1e-5) -> Any:
    """Return max(batch_norm_train(x, …), 0) in the same pass; keeps the statistics."""
    return kernels.batch_norm(x, weight, bias, eps, True)


@batch_norm_relu_train.vjp()
def batch_norm_relu_train_vjp(g: Any, x: Any, y: Any, weight: Any, mean: Array, rstd: Array, eps: float) -> Any:
    """That of batch norm, of the g that ReLU let through."""
    return batch_norm_relu_grad(g, x, y, weight, mean, rstd, eps)


@fused
def batch_norm_relu_grad(g: Any, x: Any, y: Any, weight: Any, mean: Array, rstd: Array, eps: float) -> Any:
    """Return (gx, gw, gb) of batch norm with ReLU behind it: `batch_norm_grad` with g = 0 where y ≤ 0."""
    return kernels.batch_norm_grad(g, x, weight, mean, rstd, y)


@batch_norm_relu_grad.composition
def batch_norm_relu_grad_composed(g: Any, x: Any, y: Any, weight: Any, mean_: Array, rstd_: Array, eps: float) -> Any:
    """The same op by op."""
    return batch_norm_grad_composed(relu_grad(g, y), x, weight, mean_, rstd_, eps)


@op("..., C, C", kernel=True)
def channel_affine(x: Any, scale: Any, shift: Any) -> Any:
    """Return x · scale[c] + shift[c] for x (N, C, …).

    >>> import numpy as np
    >>> channel_affine(np.ones((1, 2, 1)), np.array([2.0, 3.0]), np.array([0.0, 1.0])).ravel()
    array([2., 4.])
    """
    return kernels.channel_affine(x, scale, shift)


@channel_affine.vjp("x")
def channel_affine_vjp_x(g: Any, scale: Any) -> Any:
    """∂y/∂x = scale."""
    return g * _per_channel(scale, len(g.shape))


@channel_affine.vjp("scale")
def channel_affine_vjp_scale(g: Any, x: Any) -> Any:
    """∂y/∂scale = x, summed over all but the channels."""
    return sum(g * x, _axes(x))


@channel_affine.vjp("shift")
def channel_affine_vjp_shift(g: Any) -> Any:
    """∂y/∂shift = 1, summed over all but the channels."""
    return sum(g, _axes(g))


@composite
def batch_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    relu: bool = False,
) -> Any:
    """Normalise each channel of x (N, C, …), by the batch's statistics in training, by the running ones otherwise.

    y = weight · (x − mean) / √(var + ε) + bias. In training the running statistics move in place:
    running ← (1 − momentum) · running + momentum · batch, where the batch variance is the unbiased one. With `relu` the
    result is max(y, 0); in training that costs no pass of its own, forward or backward.

    Raises: ValueError for shapes that do not fit, one value a channel in training, missing statistics in evaluation.

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1.

    >>> import numpy as np
    >>> x = np.array([[1.0], [3.0]])
    >>> batch_norm(x, training=True, eps=0.0).ravel()
    array([-1.,  1.])
    """
    shape = tuple(x.shape)
    if len(shape) < 2:
        raise ValueError(f"batch_norm: x needs axes (N, C, …), got shape {shape}")
    for name, v in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if v is not None and tuple(v.shape) != (shape[1],):
            raise ValueError(f"batch_norm: {name} has shape {tuple(v.shape)}, but axis C is {shape[1]} in x {shape}")
    if not training:
        y = _batch_norm_eval(x, running_mean, running_var, weight, bias, eps)
        return rectified(y) if relu else y
    n = math.prod(shape) // max(shape[1], 1)
    if n < 2:
        raise ValueError(f"batch_norm: training needs more than 1 value a channel, x {shape} has {n}")
    train = batch_norm_relu_train if relu else batch_norm_train
    y, (mean, var, _) = train.run((x, weight, bias, eps), {})
    for running, batch in ((running_mean, mean), (running_var, var * (n / (n - 1)))):
        if running is not None:
            _move(running, batch, momentum)
    return y


def _move(running: Any, batch: Array, momentum: float) -> None:
    array = plain(running)
    array *= 1 - momentum
    array += momentum * batch
    if isinstance(running, Tensor):
        running.mark_changed()


def _batch_norm_eval(x: Any, mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Check that there are statistics, and that x is floating: kernels trust their callers with that."""
    if mean is None or var is None:
        raise ValueError("batch_norm: evaluation needs running_mean and running_var, got None")
    return (batch_norm_eval if x.dtype in FLOATS else batch_norm_eval_composed)(x, mean, var, weight, bias, eps)


@fused
def batch_norm_eval(x: Any, mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Return weight · (x − mean) / √(var + ε) + bias in one pass, with statistics that are given."""
    return kernels.batch_norm_eval(x, mean, var, weight, bias, eps)


@batch_norm_eval.composition
def batch_norm_eval_composed(x: Any, mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> Any:
    """The same with the statistics folded into a scale and a shift a channel."""
    mean, var = (v if v.dtype == x.dtype else to(v, x.dtype) for v in (mean, var))
    rstd = 1.0 / sqrt(var + eps)
    scale = rstd if weight is None else weight * rstd
    shift = -mean * scale
    return channel_affine(x, scale, shift if bias is None else shift + bias)


@op("M D", keeps=("rstd",), kernel=True)
def standardize(x: Any, eps: float = 1e-5) -> Any:
    """Return each row less its mean, divided by √(its biased variance + ε).

    >>> import numpy as np
    >>> standardize(np.array([[1.0, 3.0]]), 0.0)
    array([[-1.,  1.]])
    """
    return kernels.standardize(x, eps)


@standardize.vjp()
def standardize_vjp(g: Any, x: Any, y: Any, rstd: Array, eps: float) -> Any:
    """Through the mean and the deviation as well."""
    return standardize_grad(g, x, y, rstd, eps)


@fused
def standardize_grad(g: Any, x: Any, y: Any, rstd: Array, eps: float) -> Any:
    """Return rstd · (g − mean g − y · mean(g y)), means over the row."""
    return kernels.standardize_grad(g, y, rstd)


@standardize_grad.composition
def standardize_grad_composed(g: Any, x: Any, y: Any, rstd_: Array, eps: float) -> Any:
    """The same from x itself: y and the deviation are functions of it."""
    centred = x - mean(x, 1, True)
    rstd = 1.0 / sqrt(mean(centred * centred, 1, True) + eps)
    normal = centred * rstd
    return (g - mean(g, 1, True) - normal * mean(g * normal, 1, True)) * rstd


@composite
def layer_norm(
    x: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Normalise over the last axes, whose sizes are `normalized_shape`; then scale and shift each element.

    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450, equations 3 and 4.

    >>> import numpy as np
    >>> layer_norm(np.array([[1.0, 3.0]]), 2, eps=0.0)
    array([[-1.,  1.]])
    """
    tail: Shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    shape = tuple(x.shape)
    if not tail or shape[-len(tail) :] != tail:
        raise ValueError(f"layer_norm: the last axes of x {shape} must be normalized_shape {tail}")
    for name, v in (("weight", weight), ("bias", bias)):
        if v is not None and tuple(v.shape) != tail:
            raise ValueError(f"layer_norm: {name} has shape {tuple(v.shape)}, needed {tail}")
    size = math.prod(tail)
    y = reshape(standardize(reshape(x, (math.prod(shape[: -len(tail)]), size)), eps), shape)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@composite
def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Normalise each sample over groups of neighbouring channels of x (N, C, …); then scale and shift each channel.

    Source: Wu & He 2018, arXiv:1803.08494, section 3.1.

    >>> import numpy as np
    >>> group_norm(np.array([[1.0, 3.0]]), 1, eps=0.0)
    array([[-1.,  1.]])
    """
    shape = tuple(x.shape)
    if len(shape) < 2 or num_groups < 1 or shape[1] % num_groups:
        raise ValueError(f"group_norm: num_groups {num_groups} must divide axis C of x {shape}")
    for name, v in (("weight", weight), ("bias", bias)):
        if v is not None and tuple(v.shape) != (shape[1],):
            raise ValueError(f"group_norm: {name} has shape {tuple(v.shape)}, but axis C is {shape[1]} in x {shape}")
    rows = shape[0] * num_groups
    size = math.prod(shape[1:]) // num_groups
    y = reshape(standardize(reshape(x, (rows, size)), eps), shape)
    y = y if weight is None else y * _per_channel(weight, len(shape))
    return y if bias is None else y + _per_channel(bias, len(shape))
