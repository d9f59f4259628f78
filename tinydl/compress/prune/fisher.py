"""What a weight is worth by the curvature of the loss, which the gradients of training tell for free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinydl.compress.prune.criterion import Criterion, members
from tinydl.compress.prune.targets import Target
from tinydl.nn import Module
from tinydl.options import number
from tinydl.shapes import Array


class Fisher(Criterion):
    """Σ over the unit of w² · E[g²]: the weights first whose removal raises the loss least.

    At a minimum of the loss L removing w costs about ½ · w² · ∂²L/∂w² (optimal brain damage), and for a loss that is a
    −log likelihood the expected square of the gradient stands in for the second derivative: the diagonal of the Fisher
    information. E is a moving average over training steps, with the gradients of whole batches, as Adam keeps one.

    The scores are changes of one loss, so that weights of all layers compare: use it with `scope="global"`. A weight
    without influence (its neuron is dead, or nothing reads it) has no gradient, and is pruned next.

    Gradients are gathered by `observe`, which the callback `Pruning` calls before every optimizer step; so the schedule
    must begin after the first. A run that is to be resumed captures the criterion too: it has a `state_dict`.

    Args:
        decay: of the average, in [0, 1): it reaches back about 1 / (1 − decay) steps.

    Raises: TypeError or ValueError for a decay out of range; ValueError when scores are asked for before any gradient.

    Source: LeCun, Denker & Solla 1990, Optimal brain damage, equation 5; Theis et al. 2018, Faster gaze prediction with
    dense networks and Fisher pruning, arXiv:1801.05787, section 2.1.

    >>> from tinydl.compress.prune import Pruner
    >>> from tinydl.nn import Linear
    >>> from tinydl.tensor import Tensor
    >>> layer, criterion = Linear(3, 1, bias=False), Fisher()
    >>> layer.weight.data = np.array([[1.0, 2.0, 3.0]], np.float32)
    >>> pruner = Pruner(layer, criterion)
    >>> layer(Tensor([[5.0, 1.0, 1.0]])).sum().backward()  # the gradient is the input: 1 · 25, 4 · 1, 9 · 1
    >>> criterion.observe(pruner.targets)
    >>> pruner.prune(2 / 3)
    >>> layer.weight.tolist()
    [[1.0, 0.0, 0.0]]
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = number(decay, "decay", "[0, 1)")
        self.squares: dict[str, Array] = {}

    def observe(self, targets: Sequence[Target]) -> None:
        """Take the gradients of one step into the average; all averages lack the same factor 1 − decayᵗ."""
        for target in targets:
            g = target.parameter.grad
            if g is not None:
                square = self.squares.setdefault(target.name, np.zeros(target.parameter.shape, np.float32))
                square *= self.decay
                square += (1 - self.decay) * g.data**2

    def scores(self, model: Module, targets: Sequence[Target], units: Sequence[Array]) -> list[Array]:
        """Return w² · E[g²], summed over each unit."""
        unseen = [target.name for target in targets if target.name not in self.squares]
        if unseen:
            raise ValueError(f"no gradients of {unseen} were observed yet; let the schedule begin later")
        worths = [target.parameter.data.astype(np.float64) ** 2 * self.squares[target.name] for target in targets]
        return [members(worth, unit).sum(axis=1) for worth, unit in zip(worths, units)]

    def state_dict(self) -> dict[str, Any]:
        """Return a snapshot of the averages."""
        return {name: square.copy() for name, square in self.squares.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to a snapshot."""
        self.squares = {name: np.array(square, np.float32) for name, square in state.items()}
