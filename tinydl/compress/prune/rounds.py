"""Pruning in rounds: train, prune, train again, from where the weights are or from where they began."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinydl.compress.prune.pruner import Pruner
from tinydl.nn import Module
from tinydl.nn.parameter import mask_name
from tinydl.options import number, whole
from tinydl.shapes import Array
from tinydl.tensor import Tensor
from tinydl.train import Callback, Trainer


def geometric(rounds: int, fraction: float = 0.2) -> list[float]:
    """Return the sparsity after each round, when each prunes `fraction` of what is left: 1 − (1 − fraction)ⁿ.

    >>> [round(s, 4) for s in geometric(3, 0.5)]
    [0.5, 0.75, 0.875]
    """
    share = number(fraction, "fraction", "(0, 1)")
    return [1 - (1 - share) ** n for n in range(1, whole(rounds, "rounds", 1) + 1)]


class Rewind(Callback):
    """Remembers a network as it is after `step` batches, to train the weights that are left from there again.

    Put it among the callbacks of the first training. Later trainings leave what it remembers alone.

    Args:
        step: 0 for the start (Frankle & Carbin 2019), or a little later (2020), which larger networks need.

    Source: Frankle & Carbin 2019, The lottery ticket hypothesis, arXiv:1803.03635; Frankle et al. 2020, Linear mode
    connectivity and the lottery ticket hypothesis, arXiv:1912.05671 (step k).
    """

    def __init__(self, step: int = 0) -> None:
        self.step = whole(step, "step", 0)
        self.state: dict[str, Array] | None = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Remember the start."""
        self._look(trainer)

    def on_step_end(self, trainer: Trainer) -> None:
        """Remember the network after the step meant."""
        self._look(trainer)

    def _look(self, trainer: Trainer) -> None:
        if self.state is None and trainer.step == self.step:
            state, masks = trainer.model.state_dict(), _masks(trainer.model)
            self.state = {name: np.array(value.data) for name, value in state.items() if name not in masks}

    def restore(self, model: Module) -> None:
        """Put weights, biases and running statistics back; the masks that `model` has now stay, and prune them.

        Raises: ValueError when the step has not been reached yet, or for a network with other names or shapes.
        """
        if self.state is None:
            raise ValueError(f"Rewind: step {self.step} has not been reached in any training")
        model.load_state_dict({**self.state, **_masks(model)})


def _masks(model: Module) -> dict[str, Tensor]:
    """Return the masks of `model` as they are in its `state_dict`."""
    named = model.named_parameters(remove_duplicate=False)
    return {mask_name(name): p.mask for name, p in named if p.mask is not None}


def iterate(
    pruner: Pruner,
    sparsities: Iterable[float],
    train: Callable[[Module], Any],
    rewind: Rewind | None = None,
) -> Iterator[tuple[float, Any]]:
    """Prune to each sparsity in turn and train after each; yield (sparsity, what `train` returned) as it goes.

    Without `rewind` the weights are fine-tuned. With it every training begins with the weights remembered, but for
    those that are pruned: the lottery ticket, of which the network must have been trained once, with `rewind` among
    the callbacks.

    Args:
        pruner: what is pruned, and how.
        sparsities: rising; see `geometric`.
        train: trains the network (with an optimizer of its own) and returns whatever is wanted of it.
        rewind: where each training begins.

    Raises: as `Pruner.prune` and `Rewind.restore`, when it comes to it.

    >>> from tinydl.nn import Linear
    >>> layer = Linear(4, 2)
    >>> list(iterate(Pruner(layer), geometric(3, 0.5), train=lambda model: "trained"))
    [(0.5, 'trained'), (0.75, 'trained'), (0.875, 'trained')]
    """
    for sparsity in sparsities:
        pruner.prune(sparsity)
        if rewind is not None:
            rewind.restore(pruner.model)
        yield pruner.sparsity, train(pruner.model)
