"""Softmax and the losses.

Classification losses take logits (N, C) or (N, C, d₁, …) and class indices (N,) or (N, d₁, …), as integer arrays or Tensors.
Every loss ends in a `reduction`: "none", "sum", or "mean" (the mean of an empty batch is NaN).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import kernels
from tinydl.op import composite, fused, op
from tinydl.ops.activation import relu
from tinydl.ops.elementwise import abs as absolute
from tinydl.ops.elementwise import exp, log
from tinydl.ops.movement import permute, reshape
from tinydl.ops.reduce import mean, sum
from tinydl.ops.selection import gt, where
from tinydl.shapes import Array, Shape, normalize_dim
from tinydl.tensor import Tensor, as_array

_REDUCTIONS = ("none", "mean", "sum")


@op("...")
def softmax(x: Any, dim: int) -> Any:
    """Return e^(x − m) / Σ e^(x − m) over `dim`, m = max x, so that nothing overflows.

    >>> softmax(np.array([1e4, 1e4]), 0)
    array([0.5, 0.5])
    """
    return kernels.softmax(x, normalize_dim(dim, x.ndim, "softmax"))


@softmax.vjp()
def softmax_vjp(g: Any, y: Any, dim: int) -> Any:
    """∂yᵢ/∂xⱼ = yᵢ (δᵢⱼ − yⱼ)."""
    return softmax_grad(g, y, dim)


@fused
def softmax_grad(g: Any, y: Any, dim: int) -> Any:
    """Return y · (g − Σ g y)."""
    return kernels.softmax_grad(g, y, normalize_dim(dim, g.ndim))


@softmax_grad.composition
def softmax_grad_composed(g: Any, y: Any, dim: int) -> Any:
    """The same, with ops."""
    return y * (g - sum(g * y, dim, True))


@op("...")
def log_softmax(x: Any, dim: int) -> Any:
    """Return x − m − log Σ e^(x − m) over `dim`, m = max x: finite for any finite x.

    >>> log_softmax(np.array([1e4, -1e4]), 0)
    array([     0., -20000.])
    """
    return kernels.log_softmax(x, normalize_dim(dim, x.ndim, "log_softmax"))


@log_softmax.vjp()
def log_softmax_vjp(g: Any, y: Any, dim: int) -> Any:
    """∂yᵢ/∂xⱼ = δᵢⱼ − e^(yⱼ)."""
    return log_softmax_grad(g, y, dim)


@fused
def log_softmax_grad(g: Any, y: Any, dim: int) -> Any:
    """Return g − e^y Σ g."""
    return kernels.log_softmax_grad(g, y, normalize_dim(dim, g.ndim))


@log_softmax_grad.composition
def log_softmax_grad_composed(g: Any, y: Any, dim: int) -> Any:
    """The same, with ops."""
    return g - exp(y) * sum(g, dim, True)


@op("N C")
def pick_nll(logp: Any, target: Array, weight: Array | None, ignore_index: int) -> Any:
    """Return −weight[t] · logp[n, t] for each row's target t, and 0 where t is `ignore_index`; `target` is trusted."""
    return kernels.nll(logp, target, weight, ignore_index)


@pick_nll.vjp()
def pick_nll_vjp(g: Any, logp_shape: Shape, target: Array, weight: Array | None, ignore_index: int) -> Any:
    """∂y/∂logp = −weight[t] at the target."""
    return pick_nll_grad(g, target, weight, ignore_index, logp_shape[1])


@op("N")
def pick_nll_grad(g: Any, target: Array, weight: Array | None, ignore_index: int, classes: int) -> Any:
    """Return zeros (N, classes) with −weight[t] · g[n] at each row's target."""
    return kernels.nll_grad(g, target, weight, ignore_index, classes)


@pick_nll_grad.vjp()
def pick_nll_grad_vjp(gg: Any, target: Array, weight: Array | None, ignore_index: int) -> Any:
    """Read where was written, with the same sign and weight."""
    return pick_nll(gg, target, weight, ignore_index)


def _reduce(losses: Any, reduction: str, name: str) -> Any:
    """Apply `reduction`."""
    _check_reduction(reduction, name)
    return losses if reduction == "none" else (sum(losses) if reduction == "sum" else mean(losses))


def _check_reduction(reduction: str, name: str) -> None:
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{name}: reduction must be one of {_REDUCTIONS}, got {reduction!r}")


def _class_indices(target: Any, shape: Shape, ignore_index: int, name: str) -> Array:
    """Return the targets flattened to int64. Raises: TypeError, ValueError or IndexError before any kernel runs."""
    array = as_array(target, name=f"{name}: target")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: target must hold integer class indices, got dtype {array.dtype}")
    if array.shape != shape[:1] + shape[2:]:
        raise ValueError(f"{name}: target {array.shape} must be {shape[:1] + shape[2:]} for input {shape}")
    flat = array.reshape(-1).astype(np.int64, copy=False)
    seen = flat[flat != ignore_index] if flat.size and ignore_index in (flat.min(), flat.max()) else flat
    if seen.size and (seen.min() < 0 or seen.max() >= shape[1]):
        raise IndexError(f"{name}: target must lie in 0…{shape[1] - 1}, got {seen.min()}…{seen.max()}")
    return flat


def _class_weight(weight: Any, classes: int, dtype: Any, name: str) -> Array | None:
    """Return the class weights as a plain array of the logits' dtype."""
    if weight is None:
        return None
    array = as_array(weight, dtype, name=f"{name}: weight")
    if array.shape != (classes,):
        raise ValueError(f"{name}: weight {array.shape} must have one entry for each of the {classes} classes")
    return array


def _rows(x: Any) -> Any:
    """Return (N, C, d…) as a matrix with one row for each place."""
    if len(x.shape) == 2:
        return x
    return reshape(permute(x, (0, *range(2, len(x.shape)), 1)), (-1, x.shape[1]))


@composite
def nll_loss(x: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """Return −weight[t] · x[n, t]: the negative log likelihood of log-probabilities x.

    "mean" divides by the sum of the weights of the targets that count.

    Raises: TypeError, ValueError or IndexError naming `target` before anything is computed.

    >>> float(nll_loss(np.log(np.array([[0.5, 0.5]])), np.array([1])))
    0.6931471805599453
    """
    return _nll("nll_loss", x, target, weight, ignore_index, reduction)


def _nll(name: str, x: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    _check_reduction(reduction, name)
    if len(x.shape) == 1 and np.ndim(target.data if isinstance(target, Tensor) else target) == 0:
        losses = _nll(name, reshape(x, (1, -1)), reshape(target, (1,)), weight, ignore_index, reduction)
        return reshape(losses, ()) if reduction == "none" else losses
    shape = tuple(x.shape)
    if len(shape) < 2:
        raise ValueError(f"{name}: input needs axes (N, C, …), got shape {shape}")
    indices = _class_indices(target, shape, ignore_index, name)
    weights = _class_weight(weight, shape[1], x.dtype, name)
    losses = pick_nll(_rows(x), indices, weights, ignore_index)
    if reduction == "none":
        return reshape(losses, shape[:1] + shape[2:])
    if reduction == "sum":
        return sum(losses)
    return sum(losses) * _reciprocal(_total_weight(indices, weights, ignore_index))


def _total_weight(target: Array, weight: Array | None, ignore_index: int) -> float:
    kept = target[target != ignore_index]
    return float(kept.size) if weight is None else float(weight[kept].sum())


def _reciprocal(total: float) -> float:
    """Return 1/total; the mean over nothing is NaN."""
    return 1.0 / total if total else float("nan")


@composite
def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Return −Σ_c q[c] · log softmax(x)[c], q the target distribution: −log p[t] for class indices t.

    Args:
        x: logits (N, C), (N, C, d₁, …) or (C,).
        target: class indices (integers, x's shape without C), or probabilities (floats, x's shape).
        weight: one factor a class.
        ignore_index: class indices that count for nothing.
        reduction: "mean" (weighted: divides by the sum of the target weights), "sum" or "none".
        label_smoothing: ε; the target becomes (1 − ε) · q + ε/C.

    Raises: TypeError, ValueError or IndexError naming the argument before anything is computed.

    Source: smoothing: Szegedy et al. 2016, arXiv:1512.00567, section 7.

    >>> float(cross_entropy(np.array([[1e4, -1e4]]), np.array([0])))
    0.0
    """
    name = "cross_entropy"
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{name}: label_smoothing must lie in [0, 1], got {label_smoothing}")
    if not len(x.shape):
        raise ValueError(f"{name}: input needs axes (N, C, …), got shape ()")
    logp = log_softmax(x, 0 if len(x.shape) == 1 else 1)
    target = target if isinstance(target, Tensor) else as_array(target, name=f"{name}: target")
    if target.dtype.kind == "f":
        return _soft_cross_entropy(logp, target, weight, reduction, label_smoothing)
    loss = _nll(name, logp, target, weight, ignore_index, reduction)
    if not label_smoothing:
        return loss
    return (1.0 - label_smoothing) * loss + label_smoothing * _uniform_part(
        logp, target, weight, ignore_index, reduction
    )


def _uniform_part(logp: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    """Return the loss against the uniform distribution, over the targets that count."""
    if len(logp.shape) == 1:
        logp, target = reshape(logp, (1, -1)), reshape(target, (1,))
    shape = tuple(logp.shape)
    indices = _class_indices(target, shape, ignore_index, "cross_entropy")
    weights = _class_weight(weight, shape[1], logp.dtype, "cross_entropy")
    rows = _rows(logp) if weights is None else _rows(logp) * weights
    losses = sum(rows, 1) * (indices != ignore_index).astype(logp.dtype) * (-1.0 / shape[1])
    if reduction == "none":
        return reshape(losses, shape[:1] + shape[2:])
    total = sum(losses)
    return total if reduction == "sum" else total * _reciprocal(_total_weight(indices, weights, ignore_index))


def _soft_cross_entropy(logp: Any, target: Any, weight: Any, reduction: str, label_smoothing: float) -> Any:
    """Cross entropy against probabilities; "mean" divides by the number of rows."""
    _check_reduction(reduction, "cross_entropy")
    shape = tuple(logp.shape)
    if tuple(target.shape) != shape:
        raise ValueError(f"cross_entropy: target probabilities {tuple(target.shape)} must have input's shape {shape}")
    dim = 0 if len(shape) == 1 else 1
    weights = _class_weight(weight, shape[dim], logp.dtype, "cross_entropy")
    if label_smoothing:
        target = (1.0 - label_smoothing) * target + label_smoothing / shape[dim]
    if weights is not None:
        target = target * reshape(weights, (-1,) + (1,) * (len(shape) - dim - 1))
    losses = -sum(logp * target, dim)
    if reduction != "mean":
        return losses if reduction == "none" else sum(losses)
    rows = int(np.prod(losses.shape, dtype=np.int64))
    return sum(losses) * _reciprocal(rows)


def _same_shape(x: Any, target: Any, name: str) -> Any:
    """Return the target, refusing another shape: a silent broadcast is a well-known trap."""
    target = target if isinstance(target, Tensor) else as_array(target, name=f"{name}: target")
    if tuple(target.shape) != tuple(x.shape):
        raise ValueError(f"{name}: target {tuple(target.shape)} must have the shape of input {tuple(x.shape)}")
    return target


@composite
def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """Return (x − target)², reduced.

    >>> float(mse_loss(np.array([1.0, 3.0]), np.array([0.0, 0.0])))
    5.0
    """
    d = x - _same_shape(x, target, "mse_loss")
    return _reduce(d * d, reduction, "mse_loss")


@composite
def l1_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """Return |x − target|, reduced; slope 0 where they meet.

    >>> float(l1_loss(np.array([1.0, 3.0]), np.array([0.0, 0.0])))
    2.0
    """
    return _reduce(absolute(x - _same_shape(x, target, "l1_loss")), reduction, "l1_loss")


@composite
def smooth_l1_loss(x: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Return d²/(2β) where |d| < β, else |d| − β/2, with d = x − target, reduced.

    Source: Girshick 2015, Fast R-CNN, arXiv:1504.08083, equation 3.

    Raises: ValueError for a negative beta.

    >>> float(smooth_l1_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), "sum"))
    2.625
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    d = absolute(x - _same_shape(x, target, "smooth_l1_loss"))
    losses = d if beta == 0 else where(gt(beta, d), d * d * (0.5 / beta), d - 0.5 * beta)
    return _reduce(losses, reduction, "smooth_l1_loss")


@composite
def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """Return −(q log σ(x) + (1 − q) log(1 − σ(x))) in the form max(x, 0) − x q + log(1 + e^(−|x|)), which cannot overflow.

    `weight` multiplies each loss, `pos_weight` the part of the positives.

    >>> float(binary_cross_entropy_with_logits(np.array([1e4]), np.array([1.0])))
    0.0
    """
    name = "binary_cross_entropy_with_logits"
    target = _same_shape(x, target, name)
    tail = log(1.0 + exp(-absolute(x)))
    if pos_weight is None:
        losses = relu(x) - x * target + tail
    else:
        losses = (1.0 - target) * x + (1.0 + (pos_weight - 1.0) * target) * (tail + relu(-x))
    return _reduce(losses if weight is None else losses * weight, reduction, name)


@composite
def kl_div(x: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """Return q · (log q − x) for log-probabilities x and probabilities q (or their logarithms), 0 where q = 0.

    "batchmean" divides the sum by N: the divergence proper. "mean" divides by the number of elements, as in PyTorch.

    >>> p = np.array([[0.5, 0.5]])
    >>> float(kl_div(np.log(p), p, "batchmean"))
    0.0
    """
    target = _same_shape(x, target, "kl_div")
    if log_target:
        losses = exp(target) * (target - x)
    else:
        positive = gt(target, 0)
        losses = where(positive, target * (log(where(positive, target, 1.0)) - x), 0.0)
    if reduction == "batchmean":
        return sum(losses) * _reciprocal(x.shape[0])
    return _reduce(losses, reduction, "kl_div")


__all__ = (
    "binary_cross_entropy_with_logits cross_entropy kl_div l1_loss log_softmax mse_loss nll_loss pick_nll pick_nll_grad "
    "smooth_l1_loss softmax"
).split()
