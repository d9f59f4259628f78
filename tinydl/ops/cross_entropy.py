"""Losses of classification: negative log likelihood and cross entropy.

They take scores (N, C), (N, C, d₁, …) or (C,), and class indices of that shape without C, as integer arrays or Tensors.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tinydl import kernels
from tinydl.op import composite, fused, op
from tinydl.ops.movement import permute, reshape
from tinydl.ops.reduce import check_reduction, mean, reduced, sum
from tinydl.ops.softmax import log_softmax, softmax
from tinydl.shapes import Array, Shape
from tinydl.tensor import Tensor, as_array


@op("N C", kernel=True)
def pick_nll(logp: Any, target: Array, weight: Array | None, ignore_index: int) -> Any:
    """Return −weight[t] · logp[n, t] for each row's target t, and 0 where t is `ignore_index`; `target` is trusted.

    >>> pick_nll(np.array([[-1.0, -2.0]]), np.array([1]), None, -100)
    array([2.])
    """
    return kernels.nll(logp, target, _like(weight, logp), ignore_index)


@pick_nll.vjp()
def pick_nll_vjp(g: Any, logp_shape: Shape, target: Array, weight: Array | None, ignore_index: int) -> Any:
    """∂y/∂logp = −weight[t] at the target."""
    return pick_nll_grad(g, target, weight, ignore_index, logp_shape[1])


@op("N", kernel=True)
def pick_nll_grad(g: Any, target: Array, weight: Array | None, ignore_index: int, classes: int) -> Any:
    """Return zeros (N, classes) with −weight[t] · g[n] at each row's target.

    >>> pick_nll_grad(np.array([1.0]), np.array([1]), None, -100, 3)
    array([[ 0., -1.,  0.]])
    """
    return kernels.nll_grad(g, target, _like(weight, g), ignore_index, classes)


@pick_nll_grad.vjp()
def pick_nll_grad_vjp(gg: Any, target: Array, weight: Array | None, ignore_index: int) -> Any:
    """Read where was written, with the same sign and weight."""
    return pick_nll(gg, target, weight, ignore_index)


@op("N C", kernel=True)
def cross_entropy_of_labels(
    x: Any, target: Array, weight: Array | None, ignore_index: int, smoothing: float, total: float | None
) -> Any:
    """Return each row's `cross_entropy` with its label, or their sum divided by `total`; `target` is trusted.

    >>> cross_entropy_of_labels(np.zeros((2, 4)), np.array([1, -100]), None, -100, 0.0, None)
    array([1.38629436, 0.        ])
    """
    losses = kernels.cross_entropy(x, target, _like(weight, x), ignore_index, smoothing)
    if total is None:
        return losses
    with np.errstate(all="ignore"):
        return losses.sum() / total


@cross_entropy_of_labels.vjp()
def cross_entropy_of_labels_vjp(
    g: Any, x: Any, target: Array, weight: Array | None, ignore_index: int, smoothing: float, total: float | None
) -> Any:
    """∂y[n]/∂x[n, c] = softmax(x[n])[c] · Σ q[n] − q[n, c]."""
    return cross_entropy_of_labels_grad(g, x, target, weight, ignore_index, smoothing, total)


@fused
def cross_entropy_of_labels_grad(
    g: Any, x: Any, target: Array, weight: Array | None, ignore_index: int, smoothing: float, total: float | None
) -> Any:
    """Return g[n] · (softmax(x[n]) · Σ q[n] − q[n]) for each row."""
    rows = g if total is None else np.full(len(x), g / total)
    return kernels.cross_entropy_grad(rows, x, target, _like(weight, x), ignore_index, smoothing)


@cross_entropy_of_labels_grad.composition
def cross_entropy_of_labels_grad_composed(
    g: Any, x: Any, target: Array, weight: Array | None, ignore_index: int, smoothing: float, total: float | None
) -> Any:
    """The same, with ops: q is constant."""
    classes = x.shape[1]
    q = pick_nll_grad(np.full(len(target), smoothing - 1.0, x.dtype), target, weight, ignore_index, classes)
    even = np.full(classes, smoothing / classes) if weight is None else weight * (smoothing / classes)
    q = q + np.outer(target != ignore_index, even).astype(x.dtype)
    rows = reshape(g if total is None else g / total, (-1, 1))
    return rows * (softmax(x, 1) * q.sum(1, keepdims=True) - q)


def _like(weight: Array | None, x: Array) -> Array | None:
    """Return the class weights in the dtype of what they multiply."""
    return None if weight is None else weight.astype(x.dtype, copy=False)


class Labels(NamedTuple):
    """Checked class indices, with what the reductions need to know of them.

    Attributes:
        target: one class a row, int64; a copy, because the graph keeps it.
        weight: one factor a class, or None.
        ignore_index: the class index that counts for nothing.
        shape: what the losses have before reduction.
        total: the sum of the weights of the rows that count (their number, without weights).
    """

    target: Array
    weight: Array | None
    ignore_index: int
    shape: Shape
    total: float


def _labels(name: str, x: Any, target: Any, weight: Any, ignore_index: int) -> Labels:
    """Check everything about the target. Raises: TypeError, ValueError or IndexError before any kernel runs."""
    shape = tuple(x.shape)
    if not shape:
        raise ValueError(f"{name}: input needs axes (N, C, …) or (C,), got shape ()")
    axis = min(len(shape) - 1, 1)
    index = as_array(target, name=f"{name}: target")
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: target must hold integer class indices, got dtype {index.dtype}")
    if index.shape != shape[:axis] + shape[axis + 1 :]:
        raise ValueError(f"{name}: target {index.shape} must be {shape[:axis] + shape[axis + 1 :]} for input {shape}")
    classes, flat = shape[axis], index.astype(np.int64).reshape(-1)
    weights = _class_weight(name, weight, classes, x.dtype)
    counted = flat
    if 0 <= ignore_index < classes or _outside(flat, classes):
        counted = flat[flat != ignore_index]
        if _outside(counted, classes):
            raise IndexError(f"{name}: target must lie in 0…{classes - 1}, got {counted.min()}…{counted.max()}")
    total = counted.size if weights is None else weights[counted].sum(dtype=np.float64)
    return Labels(flat, weights, ignore_index, index.shape, float(total))


def _outside(target: Array, classes: int) -> bool:
    """Tell whether an int64 target is below 0 or at least `classes`: read as unsigned, negative numbers are huge."""
    return bool(target.size) and bool(target.view(np.uint64).max() >= classes)


def _class_weight(name: str, weight: Any, classes: int, dtype: Any) -> Array | None:
    """Return the class weights as a plain array of the scores' dtype."""
    if weight is None:
        return None
    array = as_array(weight, dtype, name=f"{name}: weight")
    if array.shape != (classes,):
        raise ValueError(f"{name}: weight {array.shape} must have one entry for each of the {classes} classes")
    return array


def _rows(x: Any) -> Any:
    """Return scores (N, C, d…) or (C,) as a matrix with one row for each place."""
    ndim = len(x.shape)
    if ndim == 2:
        return x
    if ndim == 1:
        return reshape(x, (1, -1))
    return reshape(permute(x, (0, *range(2, ndim), 1)), (-1, x.shape[1]))


def _averaged(losses: Any, labels: Labels, reduction: str) -> Any:
    """Reduce the rows' losses; "mean" divides by the labels' total."""
    if reduction == "none":
        return reshape(losses, labels.shape)
    if reduction == "mean" and labels.total == losses.shape[0]:
        return mean(losses)
    return sum(losses) if reduction == "sum" else sum(losses) / (labels.total or float("nan"))


@composite
def nll_loss(x: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """Return −weight[t] · x[n, t]: the negative log likelihood of log-probabilities x.

    "mean" divides by the sum of the weights of the targets that count; the mean of none is NaN.

    Raises: TypeError, ValueError or IndexError naming `target` before anything is computed.

    >>> float(nll_loss(np.log(np.array([[0.5, 0.5]])), np.array([1])))
    0.6931471805599453
    """
    check_reduction(reduction, "nll_loss")
    labels = _labels("nll_loss", x, target, weight, ignore_index)
    return _averaged(pick_nll(_rows(x), labels.target, labels.weight, ignore_index), labels, reduction)


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
    check_reduction(reduction, name)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{name}: label_smoothing must lie in [0, 1], got {label_smoothing}")
    target = target if isinstance(target, Tensor) else as_array(target, name=f"{name}: target")
    if target.dtype.kind == "f":
        return _of_probabilities(x, target, weight, reduction, label_smoothing)
    labels = _labels(name, x, target, weight, ignore_index)
    total = {"none": None, "sum": 1.0, "mean": labels.total or math.nan}[reduction]
    y = cross_entropy_of_labels(_rows(x), labels.target, labels.weight, ignore_index, label_smoothing, total)
    return y if total else reshape(y, labels.shape)


def _of_probabilities(x: Any, target: Any, weight: Any, reduction: str, label_smoothing: float) -> Any:
    """Return cross entropy against probabilities; "mean" divides by the number of rows."""
    name, shape = "cross_entropy", tuple(x.shape)
    if tuple(target.shape) != shape or not shape:
        raise ValueError(f"{name}: target probabilities {tuple(target.shape)} must have the shape of input {shape}")
    axis = min(len(shape) - 1, 1)
    weights = _class_weight(name, weight, shape[axis], x.dtype)
    if label_smoothing:
        target = (1.0 - label_smoothing) * target + label_smoothing / shape[axis]
    if weights is not None:
        target = target * reshape(weights, (-1,) + (1,) * (len(shape) - axis - 1))
    return reduced(-sum(log_softmax(x, axis) * target, axis), reduction, name)
