"""Movement pruning: what a weight is worth is seen from where training moves it, not from where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinydl.compress.prune.criterion import Criterion, members
from tinydl.compress.prune.targets import Target
from tinydl.modes import no_grad
from tinydl.nn import Module
from tinydl.shapes import Array


class Movement(Criterion):
    """S = −Σ over the steps of (∂L/∂w) · w: weights that training pushes towards zero first.

    S is the score of the paper's "hard" movement pruning, without the learning rate of S, which changes no order. The
    masks let weights return: gradients are those of all weights (straight through the mask), and for a pruned weight
    the value that it had when it was pruned stands for w, as the paper keeps it behind the mask; with it the weight
    comes back. Of a unit of several weights S is the sum.

    S is gathered by `observe`, which the callback `Pruning` calls before every optimizer step; so the schedule must
    begin after the first. A run that is to be resumed captures the criterion too: it has a `state_dict`.

    Source: Sanh, Wolf & Rush 2020, Movement pruning: adaptive sparsity by fine-tuning, arXiv:2005.07683, section 4.
    """

    regrows = True

    def __init__(self) -> None:
        self.movement: dict[str, Array] = {}
        self.held: dict[str, Array] = {}

    def observe(self, targets: Sequence[Target]) -> None:
        """Add the movement of one step to S."""
        for target in targets:
            g = target.parameter.grad
            if g is not None:
                moved = self.movement.setdefault(target.name, np.zeros(target.parameter.shape))
                moved -= np.asarray(g.data * self._values(target), np.float64)

    def scores(self, model: Module, targets: Sequence[Target], units: Sequence[Array]) -> list[Array]:
        """Return S, summed over each unit. Raises: ValueError before any gradient has been observed."""
        for target in targets:
            if target.name not in self.movement:
                raise ValueError(
                    f"Movement has seen no gradient of {target.name}: prune during fit, by a schedule that begins "
                    "after the first step"
                )
        return [members(self.movement[t.name], u).sum(axis=1) for t, u in zip(targets, units)]

    def put(self, target: Target, mask: Array) -> None:
        """Hold the values of what is pruned, and give those of what returns back."""
        values = self.held[target.name] = np.array(self._values(target))
        target.parameter.mask = mask
        with no_grad():
            target.parameter.copy_(values)

    def _values(self, target: Target) -> Array:
        """Return the weights, those behind the mask as they were when they were pruned."""
        mask, weight = target.parameter.mask, target.parameter.data
        if mask is None or target.name not in self.held:
            return weight
        return np.where(mask.data, weight, self.held[target.name])

    def state_dict(self) -> dict[str, Any]:
        """Return S and the held values, by the names of the parameters."""
        return {kind: {name: a.copy() for name, a in getattr(self, kind).items()} for kind in ("movement", "held")}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a `state_dict`. Raises: ValueError when it is of something else."""
        if set(state_dict) != {"movement", "held"}:
            raise ValueError(f"Movement: the state must hold 'movement' and 'held', got {sorted(state_dict)}")
        for kind in ("movement", "held"):
            setattr(self, kind, {name: np.array(array) for name, array in state_dict[kind].items()})
