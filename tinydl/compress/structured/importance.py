"""How much a channel matters, by the parameters that would go with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tinydl.compress.structured.groups import Dependencies, Group
from tinydl.compress.structured.walk import Axis
from tinydl.nn import BatchNorm1d, BatchNorm2d, Module, Parameter
from tinydl.nn.functional import cross_entropy
from tinydl.shapes import Array
from tinydl.tensor import Tensor
from tinydl.train import Loss


@dataclass(frozen=True)
class Slices:
    """What is cut out of one parameter for each of n channels.

    Attributes:
        name: the parameter's.
        axis: the axis that is cut.
        owner: the layer that has the parameter.
        groups: of the convolution, where its inputs are cut.
        positions: on that axis (n, k); k > 1 where a channel is flattened.
        parameter: all of it.
    """

    name: str
    axis: int
    owner: Module
    groups: int
    positions: Array
    parameter: Array

    @property
    def values(self) -> Array:
        """The slices (n, numbers in each)."""
        return self.of(self.parameter)

    def of(self, array: Array) -> Array:
        """Return the slices of an array of the parameter's shape, such as its gradient: (n, numbers in each)."""
        if self.groups == 1:
            found = np.moveaxis(array, self.axis, 0)[self.positions]
        else:  # the input of one group is used by that group's outputs only
            parts = array.reshape(self.groups, -1, *array.shape[1:])
            found = np.moveaxis(parts, 2, 1)[self.positions // array.shape[1], self.positions % array.shape[1]]
        return found.reshape(len(self.positions), -1)


Importance: TypeAlias = Callable[[Sequence[Slices]], Array]
"""Makes of the slices of n channels, those of one parameter after another, a number (n,) for each channel."""


def magnitude(p: int = 2) -> Importance:
    """Return the Lᵖ norm of everything that goes with a channel: (Σ |w|ᵖ)^(1/p) over all its slices.

    Source: Li et al. 2017, Pruning filters for efficient convnets, arXiv:1608.08710 (p = 1, the filter alone); Fang et
    al. 2023, arXiv:2301.12900, section 3.3 (all coupled slices).

    Raises: ValueError when p is neither 1 nor 2.
    """
    if p not in (1, 2):
        raise ValueError(f"p must be 1 or 2, got {p!r}")

    def norms(slices: Sequence[Slices]) -> Array:
        total = sum((np.abs(part.values.astype(np.float64)) ** p).sum(axis=1) for part in slices)
        return np.asarray(total) ** (1 / p)

    return norms


def norm_scale() -> Importance:
    """Return Σ |γ| over the batch norms that a channel goes through.

    It says most after training with an L1 penalty on the γ ("network slimming").

    Source: Liu et al. 2017, Learning efficient convolutional networks through network slimming, arXiv:1708.06519.

    Raises: ValueError, when used, for channels without a batch norm.
    """

    def scales(slices: Sequence[Slices]) -> Array:
        own = [s for s in slices if isinstance(s.owner, BatchNorm1d | BatchNorm2d) and s.name.endswith("weight")]
        if not own:
            raise ValueError(f"norm_scale: the channels of {slices[0].name} go through no batch norm with a scale")
        return np.asarray(sum(np.abs(part.values.astype(np.float64)).sum(axis=1) for part in own))

    return scales


def taylor(model: Module, batches: Iterable[tuple[Tensor, Tensor]], loss: Loss = cross_entropy) -> Importance:
    """Return the squared first-order change of the loss when a channel is set to zero, the mean over batches.

    E[(Σ g · w)²] over the parameters that make the channel (weights, bias, norm), with g = ∂loss/∂w of a batch: the
    gradient by a gate at the channel.

    Args:
        model: the one to be pruned; its gradients and modes are left alone. It runs in evaluation mode.
        batches: (inputs, targets), a few of the training data.
        loss: a mean over the batch.

    Source: Molchanov et al. 2019, Importance estimation for neural network pruning, arXiv:1906.10771, section 3.

    Raises: ValueError when `batches` is empty.
    """
    gradients = [_gradients(model, inputs, targets, loss) for inputs, targets in batches]
    if not gradients:
        raise ValueError("batches: taylor needs at least one batch, got none")

    def changes(slices: Sequence[Slices]) -> Array:
        making = [part for part in slices if part.axis == 0]
        every = [sum((part.of(g[part.name]) * part.values).sum(axis=1) for part in making) for g in gradients]
        return np.asarray(np.square(np.asarray(every, np.float64)).mean(axis=0))

    return changes


def _gradients(model: Module, inputs: Tensor, targets: Tensor, loss: Loss) -> dict[str, Array]:
    """Return the loss's gradient by each parameter; zeros by those it does not depend on, or that are frozen."""
    modes = [(module, module.training) for module in model.modules()]
    before = [(p, p.grad) for p in model.parameters()]
    try:
        model.eval().zero_grad()
        loss(model(inputs), targets).backward()
        return {name: np.zeros_like(p.data) if p.grad is None else p.grad.data for name, p in model.named_parameters()}
    finally:
        for module, training in modes:
            module.training = training
        for p, grad in before:
            p.grad = grad


def random(generator: np.random.Generator) -> Importance:
    """Return uniform random numbers: what every other criterion has to beat."""
    return lambda slices: generator.random(len(slices[0].positions))


def scores(found: Dependencies, group: Group, importance: Importance) -> Array:
    """Return the importance of each of the group's channels, in the order of `group.classes`.

    Raises: ValueError when `importance` returns something else than a finite number for each channel.
    """
    parameters, every = dict(found.model.named_parameters()), []
    for kind in group.kinds:
        result = np.asarray(importance(_slices(found.model, parameters, group, kind)), np.float64)
        if result.shape != kind.shape or not np.isfinite(result).all():
            raise ValueError(f"importance must be {len(kind)} finite numbers for {group.name}, got {result}")
        every.append(result)
    return np.concatenate(every)


def _slices(model: Module, parameters: Mapping[str, Parameter], group: Group, kind: Array) -> list[Slices]:
    """Return the slices of all parameters (buffers are not learned) that channels of one kind have."""
    return [
        Slices(
            axis.tensor,
            axis.axis,
            model.get_submodule(axis.tensor.rpartition(".")[0]),
            axis.groups,
            _places(axis, kind),
            parameters[axis.tensor].data,
        )
        for axis in group.axes
        if axis.tensor in parameters and np.isin(kind[:1], axis.labels).any()
    ]


def _places(axis: Axis, kind: Array) -> Array:
    """Return where on an axis each class of a kind lies: (n, k), each equally often."""
    positions = axis.members(kind)
    order = np.argsort(np.searchsorted(kind, axis.labels[positions]), kind="stable")
    return positions[order].reshape(len(kind), -1)
