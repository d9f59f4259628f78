"""Losses as layers. Their equations and edge conventions stand at the ops; `reduction` is "mean", "sum" or "none"."""

from __future__ import annotations

from typing import Any, ClassVar

from tinydl import ops
from tinydl.nn.module import Module
from tinydl.options import choice, number
from tinydl.tensor import Tensor


class _Loss(Module):
    """What all losses have: a reduction, and perhaps weights that are no parameters."""

    reductions: ClassVar[tuple[str, ...]] = ("none", "mean", "sum")

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = choice(reduction, "reduction", self.reductions)

    def _register_weight(self, name: str, values: Any) -> None:
        self.register_buffer(name, values if values is None else Tensor(values))


class CrossEntropyLoss(_Loss):
    """Cross-entropy of logits (N, C, …) against class indices or probabilities; see `tinydl.ops.cross_entropy`.

    Args:
        weight: one factor a class.
        ignore_index: class indices that count for nothing.
        reduction: "mean" divides by the sum of the weights of the targets that count.
        label_smoothing: ε in [0, 1]; the target becomes (1 − ε) · q + ε/C.

    Raises: TypeError or ValueError naming the argument.

    >>> CrossEntropyLoss()(Tensor([[0.0, 0.0]]), Tensor([1]))
    tensor(0.6931)
    """

    weight: Tensor | None

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction)
        self._register_weight("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = number(label_smoothing, "label_smoothing", "[0, 1]")

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss of logits x."""
        return ops.cross_entropy(input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)


class NLLLoss(_Loss):
    """−weight[t] · x[n, t] for log-probabilities x (N, C, …) and class indices t; see `tinydl.ops.nll_loss`.

    Args:
        weight: one factor a class.
        ignore_index: class indices that count for nothing.
        reduction: "mean" divides by the sum of the weights of the targets that count.
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._register_weight("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss of log-probabilities x."""
        return ops.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class MSELoss(_Loss):
    """(x − target)².

    >>> MSELoss()(Tensor([1.0, 3.0]), Tensor([0.0, 0.0]))
    tensor(5.)
    """

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss of x."""
        return ops.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """|x − target|."""

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss of x."""
        return ops.l1_loss(input, target, self.reduction)


class SmoothL1Loss(_Loss):
    """d²/(2β) where |d| < β, else |d| − β/2, with d = x − target; β at least 0."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = number(beta, "beta", "[0, inf)")

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss of x."""
        return ops.smooth_l1_loss(input, target, self.reduction, self.beta)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of logits; see `tinydl.ops.binary_cross_entropy_with_logits`.

    Args:
        weight: multiplies each loss.
        reduction: as all losses.
        pos_weight: multiplies the part of the positives.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self._register_weight("weight", weight)
        self._register_weight("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss of logits x."""
        return ops.binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)


class KLDivLoss(_Loss):
    """q · (log q − x) for log-probabilities x and probabilities q (or, with log_target, their logarithms).

    "batchmean" divides the sum by N, which is the divergence; "mean" divides by the number of elements.
    """

    reductions = ("none", "mean", "sum", "batchmean")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = bool(log_target)

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss of log-probabilities x."""
        return ops.kl_div(input, target, self.reduction, self.log_target)
