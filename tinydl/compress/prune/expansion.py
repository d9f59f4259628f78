"""What the loss would lose: Taylor expansions of first and second order around the weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinydl.compress.prune.criterion import Criterion, members
from tinydl.compress.prune.derivatives import batch_mean, gradients, hessian_diagonal
from tinydl.compress.prune.targets import Target
from tinydl.nn import Module
from tinydl.nn.functional import cross_entropy
from tinydl.options import whole
from tinydl.shapes import Array
from tinydl.tensor import Tensor
from tinydl.train import Batches, Loss


class Taylor(Criterion):
    """E over batches of |Σ over the unit of w · ∂L/∂w|ᵖ: how much the loss would change, to first order.

    With p = 2 this is the criterion of 2019. That of 2017 is p = 1, of feature maps: since the gradients by the
    weights of a filter, times the weights, add up to the gradient by its output, times the output, `Filter` gives it
    for a convolution without bias, where each batch is one image.

    Args:
        batches: data to measure on, each time that scores are asked for.
        loss: takes (outputs, targets), returns a scalar, a mean.
        p: 1 or 2.

    Raises: ValueError for another p; when pruning, for no batch at all and for frozen weights.

    Source: Molchanov et al. 2019, Importance estimation for neural network pruning, arXiv:1906.10771, equation 8;
    Molchanov et al. 2017, Pruning convolutional neural networks for resource efficient inference, arXiv:1611.06440.
    """

    def __init__(self, batches: Batches, loss: Loss = cross_entropy, p: int = 2) -> None:
        if whole(p, "p", 1) > 2:
            raise ValueError(f"p must be 1 or 2, got {p}")
        self.batches, self.loss, self.p = batches, loss, p

    def scores(self, model: Module, targets: Sequence[Target], units: Sequence[Array]) -> list[Array]:
        """Return the mean change that the removal of each unit promises."""
        parameters = _learned(targets, "Taylor")

        def change(value: Tensor) -> list[Array]:
            terms = [p.data * g for p, g in zip(parameters, gradients(value, parameters))]
            return [np.abs(members(term, u).sum(axis=1)) ** self.p for term, u in zip(terms, units)]

        return batch_mean(model, self.batches, self.loss, change)


class OptimalBrainDamage(Criterion):
    """Σ over the unit of ½ · ∂²L/∂w² · w²: how much the loss would rise, to second order, where the gradient is zero.

    The terms off the diagonal of the Hessian are left out, as in the paper. Where the loss curves downwards the
    saliency is negative: the first to go. See `hessian_diagonal` for what `probes` cost and how they vary.

    Args:
        batches: data to measure on, each time that scores are asked for.
        loss: takes (outputs, targets), returns a scalar, a mean.
        probes: random vectors a batch that estimate the diagonal; None computes it exactly, a pass for each weight.
        generator: draws them.

    Raises: when pruning, ValueError for no batch at all and for frozen weights.

    Source: LeCun, Denker & Solla 1990, Optimal brain damage, equation 5.
    """

    def __init__(
        self,
        batches: Batches,
        loss: Loss = cross_entropy,
        probes: int | None = 1,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.probes = None if probes is None else whole(probes, "probes", 1)
        self.batches, self.loss, self.generator = batches, loss, generator

    def scores(self, model: Module, targets: Sequence[Target], units: Sequence[Array]) -> list[Array]:
        """Return the saliency of each unit."""
        parameters = _learned(targets, "OptimalBrainDamage")

        def curvature(value: Tensor) -> list[Array]:
            return hessian_diagonal(value, parameters, self.probes, self.generator)

        diagonals = batch_mean(model, self.batches, self.loss, curvature)
        saliencies = [0.5 * h * np.square(p.data, dtype=np.float64) for h, p in zip(diagonals, parameters)]
        return [members(s, u).sum(axis=1) for s, u in zip(saliencies, units)]


def _learned(targets: Sequence[Target], name: str) -> list[Tensor]:
    """Return the parameters, refusing frozen ones."""
    for target in targets:
        if not target.parameter.requires_grad:
            raise ValueError(f"{name} needs the gradient of {target.name}, which is frozen (requires_grad is False)")
    return [target.parameter for target in targets]
