"""What a unit is worth: the base of all criteria, and the two that need nothing but the weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinydl.compress.prune.targets import Target
from tinydl.nn import Module
from tinydl.options import whole
from tinydl.random import default_generator
from tinydl.shapes import Array


class Criterion:
    """The base: scores for units of weights; the lowest are pruned first.

    Attributes:
        regrows: whether what was pruned may come back when another unit is worth less.
    """

    regrows: bool = False

    def scores(self, model: Module, targets: Sequence[Target], units: Sequence[Array]) -> list[Array]:
        """Return what each unit of each target is worth, float64 (units,), finite.

        Args:
            model: the network.
            targets: the weights.
            units: the flat indices of the members (units, members), one array a target.
        """
        raise NotImplementedError(f"{type(self).__name__} gives no scores")

    def observe(self, targets: Sequence[Target]) -> None:
        """Take notice of the gradients of a training step, before the optimizer uses them."""

    def put(self, target: Target, mask: Array) -> None:
        """Give `target` its new mask. A criterion that lets weights return also gives them their values."""
        target.parameter.mask = mask


def members(values: Array, units: Array) -> Array:
    """Return `values` (of a weight's shape) by unit, float64 (units, members)."""
    return np.asarray(values, np.float64).reshape(-1)[units]


class Magnitude(Criterion):
    """(mean over the unit of |w|ᵖ)^(1/p): small weights first.

    The mean, not the sum, so that units of different sizes compare in a global scope.

    Args:
        p: 1 or 2; for single weights both are |w|.

    Source: Han et al. 2015, Learning both weights and connections for efficient neural networks, arXiv:1506.02626; for
    filters: Li et al. 2017, arXiv:1608.08710.
    """

    def __init__(self, p: int = 1) -> None:
        if whole(p, "p", 1) > 2:
            raise ValueError(f"p must be 1 or 2, got {p}")
        self.p = p

    def scores(self, model: Module, targets: Sequence[Target], units: Sequence[Array]) -> list[Array]:
        """Return the mean magnitude of each unit."""
        sizes = [np.abs(members(t.parameter.data, u)) for t, u in zip(targets, units)]
        return [np.mean(size**self.p, axis=1) ** (1 / self.p) for size in sizes]


class Random(Criterion):
    """Uniform random numbers, drawn anew each time: what every other criterion has to beat.

    Args:
        generator: draws them; by default `tinydl.random.default_generator()`.
    """

    def __init__(self, generator: np.random.Generator | None = None) -> None:
        self.generator = generator

    def scores(self, model: Module, targets: Sequence[Target], units: Sequence[Array]) -> list[Array]:
        """Return random numbers in [0, 1)."""
        generator = self.generator or default_generator()
        return [generator.random(len(u)) for u in units]
