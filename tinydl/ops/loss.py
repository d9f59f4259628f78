"""Losses that compare numbers with numbers, element by element.

Each ends in a `reduction`: "none", "sum", or "mean" (the mean of an empty batch is NaN).
"""

from __future__ import annotations

from typing import Any

from tinydl.op import composite
from tinydl.ops.comparison import gt
from tinydl.ops.elementwise import abs as absolute
from tinydl.ops.elementwise import exp, log, to
from tinydl.ops.reduce import reduced, sum
from tinydl.ops.selection import where
from tinydl.ops.smooth import softplus
from tinydl.tensor import Tensor, as_array


def _beside(x: Any, target: Any, name: str) -> Any:
    """Return the target in x's dtype, refusing another shape: a silent broadcast is a well-known trap."""
    target = _like(x, target, f"{name}: target")
    if tuple(target.shape) != tuple(x.shape):
        raise ValueError(f"{name}: target {tuple(target.shape)} must have the shape of input {tuple(x.shape)}")
    return target


def _like(x: Any, other: Any, name: str) -> Any:
    """Return an array or Tensor in x's dtype."""
    other = other if isinstance(other, Tensor) else as_array(other, name=name)
    return other if other.dtype == x.dtype else to(other, x.dtype)


@composite
def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """Return (x − target)², reduced.

    >>> import numpy as np
    >>> float(mse_loss(np.array([1.0, 3.0]), np.array([0.0, 0.0])))
    5.0
    """
    d = x - _beside(x, target, "mse_loss")
    return reduced(d * d, reduction, "mse_loss")


@composite
def l1_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """Return |x − target|, reduced; slope 0 where they meet.

    >>> import numpy as np
    >>> float(l1_loss(np.array([1.0, 3.0]), np.array([0.0, 0.0])))
    2.0
    """
    return reduced(absolute(x - _beside(x, target, "l1_loss")), reduction, "l1_loss")


@composite
def smooth_l1_loss(x: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Return d²/(2β) where d < β, else d − β/2, with d = |x − target|, reduced.

    Source: Girshick 2015, Fast R-CNN, arXiv:1504.08083, equation 3.

    Raises: ValueError for a negative beta.

    >>> import numpy as np
    >>> float(smooth_l1_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), "sum"))
    2.625
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    d = absolute(x - _beside(x, target, "smooth_l1_loss"))
    losses = d if beta == 0 else where(gt(beta, d), d * d * (0.5 / beta), d - 0.5 * beta)
    return reduced(losses, reduction, "smooth_l1_loss")


@composite
def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """Return −(q log σ(x) + (1 − q) log(1 − σ(x))) for logits x and probabilities q = target, reduced.

    Computed as (1 − q) x + log(1 + e⁻ˣ), which cannot overflow. `weight` multiplies each loss; `pos_weight` w the part
    of the positives: (1 − q) x + (1 + (w − 1) q) log(1 + e⁻ˣ).

    >>> import numpy as np
    >>> float(binary_cross_entropy_with_logits(np.array([1e4]), np.array([1.0])))
    0.0
    """
    name = "binary_cross_entropy_with_logits"
    target = _beside(x, target, name)
    cost = softplus(-x, 1.0, float("inf"))
    if pos_weight is not None:
        cost = cost * (1.0 + (_like(x, pos_weight, f"{name}: pos_weight") - 1.0) * target)
    losses = (1.0 - target) * x + cost
    return reduced(losses if weight is None else losses * _like(x, weight, f"{name}: weight"), reduction, name)


@composite
def kl_div(x: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """Return q · (log q − x) for log-probabilities x and probabilities q (or their logarithms), 0 where q = 0.

    "batchmean" divides the sum by N: the divergence proper. "mean" divides by the number of elements, as in PyTorch.

    >>> import numpy as np
    >>> p = np.array([[0.5, 0.5]])
    >>> float(kl_div(np.log(p), p, "batchmean"))
    0.0
    """
    target = _beside(x, target, "kl_div")
    if log_target:
        losses = exp(target) * (target - x)
    else:
        positive = gt(target, 0)
        losses = where(positive, target * (log(where(positive, target, 1.0)) - x), 0.0)
    if reduction == "batchmean":
        return sum(losses) / (x.shape[0] if len(x.shape) else 1)
    return reduced(losses, reduction, "kl_div")
