"""Sensitivity: how the network fares when one layer at a time is pruned, and nothing trained afterwards."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tinydl.compress.prune.criterion import Criterion
from tinydl.compress.prune.granularity import Granularity
from tinydl.compress.prune.pruner import Pruner
from tinydl.compress.prune.targets import PRUNABLE, Types, targets
from tinydl.nn import Module
from tinydl.options import number

SPARSITIES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Sensitivity:
    """What `sensitivity` measured; `print` shows it as a table.

    Attributes:
        sparsities: the columns.
        dense: the figure of the network as it was.
        values: for each weight by name, the figure at each sparsity of it alone.
    """

    sparsities: tuple[float, ...]
    dense: float
    values: Mapping[str, tuple[float, ...]]

    def tolerated(self, loss: float) -> dict[str, float]:
        """Return for each weight the highest sparsity up to which the figure falls by at most `loss`; 0 for none.

        >>> Sensitivity((0.5, 0.9), 0.99, {"conv": (0.98, 0.5), "fc": (0.99, 0.99)}).tolerated(0.02)
        {'conv': 0.5, 'fc': 0.9}
        """
        limit = self.dense - number(loss, "loss", "[0, inf)")
        found = {}
        for name, row in self.values.items():
            bad = [i for i, value in enumerate(row) if not value >= limit]
            held = bad[0] if bad else len(row)
            found[name] = self.sparsities[held - 1] if held else 0.0
        return found

    def __str__(self) -> str:
        width = max(len("sparsity"), *(len(name) for name in self.values))
        lines = [f"{'sparsity':{width}} " + " ".join(f"{s:>8.3g}" for s in self.sparsities)]
        lines += [f"{name:{width}} " + " ".join(f"{v:8.4f}" for v in row) for name, row in self.values.items()]
        return "\n".join([*lines, f"{'dense':{width}} {self.dense:8.4f}"])


def sensitivity(
    model: Module,
    evaluate: Callable[[Module], float],
    sparsities: Sequence[float] = SPARSITIES,
    criterion: Criterion | None = None,
    granularity: Granularity | None = None,
    layers: str | Sequence[str] | None = None,
    types: Types = PRUNABLE,
    depthwise: str = "include",
) -> Sensitivity:
    """Prune each weight by itself to each sparsity, on a copy, and note what `evaluate` says of it.

    Args:
        model: a trained network; it stays as it is.
        evaluate: returns a figure of a network, more is better: accuracy on validation data, never on the test set.
        sparsities: rising, each in [0, 1).
        criterion: what a unit is worth; by default its magnitude.
        granularity: what the units are; by default single weights.
        layers: patterns of names, None for all; see `targets`.
        types: the layers whose weights are meant.
        depthwise: "include", "skip" or "refuse" depthwise kernels.

    Raises: ValueError for sparsities that do not rise or are out of range, before anything is measured.

    Source: Li et al. 2017, Pruning filters for efficient ConvNets, arXiv:1608.08710, section 3.2; Han et al. 2015,
    arXiv:1506.02626, figure 6.

    >>> from tinydl.nn import Linear
    >>> found = sensitivity(Linear(2, 2), lambda net: float((net.weight.data != 0).mean()), [0.25, 0.75])
    >>> found.values
    {'weight': (0.75, 0.25)}
    """
    rising = tuple(number(s, "sparsities", "[0, 1)") for s in sparsities)
    if not rising or any(a >= b for a, b in pairwise(rising)):
        raise ValueError(f"sparsities must rise, and be at least one, got {rising}")
    names = [target.name for target in targets(model, layers, types, depthwise)]
    values = {}
    for name in names:
        pruner = Pruner(copy.deepcopy(model), criterion, granularity, layers=name, types=types)
        row = []
        for sparsity in rising:
            pruner.prune(sparsity)
            row.append(float(evaluate(pruner.model)))
        values[name] = tuple(row)
    return Sensitivity(rising, float(evaluate(model)), values)
