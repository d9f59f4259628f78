"""RMSprop: the gradient divided by its own recent size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tinydl import kernels
from tinydl.optim.optimizer import Group, Optimizer, Parameters, State
from tinydl.shapes import Array
from tinydl.tensor import Tensor


class RMSprop(Optimizer):
    """Step along the gradient divided by the root of its running mean square.

    g ← g + weight_decay·p
    s ← alpha·s + (1 − alpha)·g²
    d = g / (√s + eps);  centered: d = g / (√(s − a²) + eps) with a ← alpha·a + (1 − alpha)·g
    p ← p − lr·d, or with momentum: v ← momentum·v + d, p ← p − lr·v

    Args:
        params: Tensors, (name, Tensor) pairs, or dicts of groups; see `Optimizer`.
        lr: learning rate, in [0, inf).
        alpha: smoothing of the mean square, in [0, 1).
        eps: in [0, inf), outside the root.
        weight_decay: L2 penalty ½·weight_decay·|p|², in [0, inf).
        momentum: in [0, 1).
        centered: divide by the standard deviation of the gradient instead of its root mean square.
        maximize: climb instead.

    Raises: ValueError for an option out of range; see `Optimizer`.
    Source: Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6e; centered: Graves 2013,
        arXiv:1308.0850, equations 38–41.

    >>> p = Tensor([1.0], requires_grad=True)
    >>> (p * p).sum().backward()
    >>> RMSprop([p], lr=0.1, alpha=0.75).step()
    >>> round(p.item(), 4)
    0.8
    """

    ranges: ClassVar[Mapping[str, str]] = {
        "lr": "[0, inf)",
        "alpha": "[0, 1)",
        "eps": "[0, inf)",
        "weight_decay": "[0, inf)",
        "momentum": "[0, 1)",
    }
    slots: ClassVar[Mapping[str, str]] = {
        "step": "",
        "square_avg": "",
        "momentum_buffer": "momentum",
        "grad_avg": "centered",
    }

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def update(self, p: Tensor, g: Array, state: State, group: Group) -> None:
        """Write the next value of `p` into its array."""
        state["step"] = state.get("step", 0) + 1
        kernels.rmsprop_step(
            p.data,
            g,
            self.slot(p, state, "square_avg"),
            self.slot(p, state, "grad_avg") if group["centered"] else None,
            self.slot(p, state, "momentum_buffer") if group["momentum"] else None,
            group["lr"],
            group["alpha"],
            group["eps"],
            group["weight_decay"],
            group["momentum"],
        )
