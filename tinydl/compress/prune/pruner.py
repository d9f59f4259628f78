"""The Pruner: which weights of a network, in which units, by which criterion; it sets the masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinydl.compress.prune.criterion import Criterion, Magnitude
from tinydl.compress.prune.granularity import Granularity, Weight
from tinydl.compress.prune.masks import Report, report
from tinydl.compress.prune.targets import PRUNABLE, Types, targets
from tinydl.nn import Module
from tinydl.options import choice
from tinydl.shapes import Array
from tinydl.tensor import Tensor


class Pruner:
    """Sets the masks of a network such that exactly the asked share of units is zero, those worth least.

    Of n units round(sparsity · n) are pruned (a half is rounded to even), of equal scores the first in position. What
    is pruned stays pruned at the next call, unless the criterion lets it come back; masks set by other means are kept
    as well.

    Args:
        model: the network, changed in place by `prune`; its layers stay what they are.
        criterion: what a unit is worth; by default its `Magnitude`.
        granularity: what the units are; by default single weights.
        scope: "layer", the share of each weight, or "global", the share of all of them together.
        layers: patterns of names, None for all; see `targets`.
        types: the layers whose weights are meant.
        depthwise: "include", "skip" or "refuse" depthwise kernels.

    Raises: ValueError for layers or types that name nothing, and for weights that cannot be divided so.

    >>> from tinydl.zoo import lenet_300_100
    >>> pruner = Pruner(lenet_300_100(), scope="global", layers=["1", "4"])
    >>> pruner.prune(0.9)
    >>> pruner.sparsity
    0.9
    """

    def __init__(
        self,
        model: Module,
        criterion: Criterion | None = None,
        granularity: Granularity | None = None,
        scope: str = "layer",
        layers: str | Sequence[str] | None = None,
        types: Types = PRUNABLE,
        depthwise: str = "include",
    ) -> None:
        self.model = model
        self.criterion = criterion or Magnitude()
        self.granularity = granularity or Weight()
        self.scope = choice(scope, "scope", ("layer", "global"))
        self.targets = targets(model, layers, types, depthwise)
        self.units = [self.granularity.units(target) for target in self.targets]

    def prune(self, sparsity: float | None = None) -> None:
        """Prune to the share `sparsity` of the units, in [0, 1); only `NM` knows its own.

        Raises: TypeError or ValueError, with no mask changed, for a sparsity out of range, or lower than what is
            pruned already and stays so; FloatingPointError for scores that are not finite.
        """
        share = self.granularity.checked(sparsity)
        scores = self.criterion.scores(self.model, self.targets, self.units)
        for target, score in zip(self.targets, scores):
            if not np.isfinite(score).all():
                raise FloatingPointError(f"{type(self.criterion).__name__}: scores of {target.name} are not finite")
        before = self.pruned()
        staying = [np.zeros_like(b) for b in before] if self.criterion.regrows else before
        chosen = self.granularity.choose(scores, staying, share, self.scope)
        for i, units in enumerate(chosen):
            self._mask(i, units)

    def pruned(self) -> list[Array]:
        """Return for each target which units have no living member, bool (units,)."""
        return [_pruned(target.parameter.mask, units) for target, units in zip(self.targets, self.units)]

    @property
    def sparsity(self) -> float:
        """The share of units that are pruned."""
        return sum(int(p.sum()) for p in self.pruned()) / sum(len(p) for p in self.units)

    def report(self) -> Report:
        """Count the zeros of every weight of the network."""
        return report(self.model)

    def _mask(self, i: int, chosen: Array) -> None:
        """Give target i a mask without the members of the `chosen` units."""
        target = self.targets[i]
        present = target.parameter.mask
        before: Array = np.ones(target.parameter.shape, bool) if present is None else present.data
        alive = np.ones(target.parameter.numel(), bool)
        alive[self.units[i][chosen]] = False
        mask = alive.reshape(before.shape)
        self.criterion.put(target, mask if self.criterion.regrows else np.logical_and(mask, before))


def _pruned(mask: Tensor | None, units: Array) -> Array:
    """Return which units a mask leaves no member of."""
    if mask is None:
        return np.zeros(len(units), bool)
    return np.asarray(~mask.data.reshape(-1)[units].any(axis=1))


def sparsify(
    model: Module,
    sparsity: float | None = None,
    criterion: Criterion | None = None,
    granularity: Granularity | None = None,
    scope: str = "layer",
    layers: str | Sequence[str] | None = None,
    types: Types = PRUNABLE,
    depthwise: str = "include",
) -> Pruner:
    """Prune `model` once, in place, and return the Pruner that did; arguments as `Pruner` and `Pruner.prune`.

    >>> from tinydl.zoo import lenet5
    >>> model = lenet5()
    >>> print(sparsify(model, 0.9, scope="global").report())
    weight                  shape    elements       zeros sparsity
    ...
    all weights                       430,500     387,450   90.00%
    """
    pruner = Pruner(model, criterion, granularity, scope, layers, types, depthwise)
    pruner.prune(sparsity)
    return pruner
