"""Stochastic gradient descent, with momentum and Nesterov's look ahead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tinydl import kernels
from tinydl.optim.optimizer import Group, Optimizer, Parameters, State
from tinydl.shapes import Array
from tinydl.tensor import Tensor


class SGD(Optimizer):
    """Step against the gradient, or against a running sum of gradients.

    g ← g + weight_decay·p
    v ← momentum·v + (1 − dampening)·g      (v = g at the first step)
    p ← p − lr·(g + momentum·v) with nesterov, p − lr·v without, p − lr·g without momentum

    Args:
        params: Tensors, (name, Tensor) pairs, or dicts of groups; see `Optimizer`.
        lr: learning rate, in [0, inf).
        momentum: in [0, 1).
        dampening: in [0, 1].
        weight_decay: L2 penalty ½·weight_decay·|p|², in [0, inf).
        nesterov: look one step of momentum ahead.
        maximize: climb instead.

    Raises: ValueError for an option out of range, or nesterov without momentum or with dampening; see `Optimizer`.
    Source: Polyak 1964; Sutskever et al. 2013, "On the importance of initialization and momentum", equations 1–4,
        in PyTorch's form, where lr multiplies v and not the gradients inside it.

    >>> p = Tensor([1.0], requires_grad=True)
    >>> (p * p).sum().backward()
    >>> SGD([p], lr=0.1).step()
    >>> p.tolist()
    [0.800000011920929]
    """

    ranges: ClassVar[Mapping[str, str]] = {
        "lr": "[0, inf)",
        "momentum": "[0, 1)",
        "dampening": "[0, 1]",
        "weight_decay": "[0, inf)",
    }
    slots: ClassVar[Mapping[str, str]] = {"momentum_buffer": "momentum"}

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return `options` with plain floats. Raises: TypeError, ValueError for what is out of range."""
        options = super().checked(options)
        if options["nesterov"] and (not options["momentum"] or options["dampening"]):
            raise ValueError(
                "nesterov needs momentum above 0 and dampening 0, "
                f"got momentum {options['momentum']} and dampening {options['dampening']}"
            )
        return options

    def update(self, p: Tensor, g: Array, state: State, group: Group) -> None:
        """Write the next value of `p` into its array."""
        first = "momentum_buffer" not in state
        velocity = self.slot(p, state, "momentum_buffer") if group["momentum"] else None
        kernels.sgd_step(
            p.data,
            g,
            velocity,
            group["lr"],
            group["momentum"],
            group["dampening"],
            group["nesterov"],
            group["weight_decay"],
            first,
        )
