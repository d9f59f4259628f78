"""Adam and AdamW: each parameter's step is scaled by the recent size of its own gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tinydl import kernels
from tinydl.optim.optimizer import Group, Optimizer, Parameters, State
from tinydl.options import number
from tinydl.shapes import Array
from tinydl.tensor import Tensor


class Adam(Optimizer):
    """Step along the mean of recent gradients, divided by the root of their mean square.

    g ← g + weight_decay·p                  (decoupled: p ← p − lr·weight_decay·p instead)
    m ← β₁·m + (1 − β₁)·g
    v ← β₂·v + (1 − β₂)·g²
    p ← p − lr·m̂ / (√v̂ + eps),  m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ),  t = 1, 2, … the steps of this parameter

    Args:
        params: Tensors, (name, Tensor) pairs, or dicts of groups; see `Optimizer`.
        lr: learning rate, in [0, inf).
        betas: (β₁, β₂), each in [0, 1).
        eps: in [0, inf); keeps the division finite.
        weight_decay: in [0, inf).
        maximize: climb instead.
        decoupled_weight_decay: shrink the parameter itself and leave m and v alone, as AdamW does.

    Raises: ValueError for an option out of range; see `Optimizer`.
    Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1. PyTorch's `amsgrad` is not offered.

    >>> p = Tensor([1.0], requires_grad=True)
    >>> (p * p).sum().backward()
    >>> Adam([p], lr=0.1).step()
    >>> round(p.item(), 4)
    0.9
    """

    ranges: ClassVar[Mapping[str, str]] = {"lr": "[0, inf)", "eps": "[0, inf)", "weight_decay": "[0, inf)"}
    slots: ClassVar[Mapping[str, str]] = {"step": "", "exp_avg": "", "exp_avg_sq": ""}

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return `options` with plain floats. Raises: TypeError, ValueError for what is out of range."""
        betas = options["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"betas must be a pair of numbers in [0, 1), got {betas!r}")
        pair = tuple(number(beta, f"betas[{i}]", "[0, 1)") for i, beta in enumerate(betas))
        return super().checked(options) | {"betas": pair}

    def update(self, p: Tensor, g: Array, state: State, group: Group) -> None:
        """Write the next value of `p` into its array."""
        state["step"] = state.get("step", 0) + 1
        beta1, beta2 = group["betas"]
        kernels.adam_step(
            p.data,
            g,
            self.slot(p, state, "exp_avg"),
            self.slot(p, state, "exp_avg_sq"),
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            group["decoupled_weight_decay"],
            state["step"],
        )


class AdamW(Adam):
    """Adam whose weight decay is decoupled: p ← p − lr·weight_decay·p, outside the gradient's statistics.

    Args:
        params: Tensors, (name, Tensor) pairs, or dicts of groups; see `Optimizer`.
        lr: learning rate, in [0, inf).
        betas: (β₁, β₂), each in [0, 1).
        eps: in [0, inf).
        weight_decay: in [0, inf); biases and normalisation weights usually go in a group with 0.
        maximize: climb instead.

    Raises: ValueError for an option out of range; see `Optimizer`.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2.

    >>> p = Tensor([1.0], requires_grad=True)
    >>> (p * 0).sum().backward()
    >>> AdamW([p], lr=0.1, weight_decay=0.5).step()
    >>> round(p.item(), 4)
    0.95
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, maximize=maximize, decoupled_weight_decay=True)
