"""A plan of what is removed: made, looked at, applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from tinydl.compress.flow import flow
from tinydl.compress.replay import replay
from tinydl.compress.steps import Step
from tinydl.compress.structured.classes import thin
from tinydl.compress.structured.coupling import Coupling
from tinydl.compress.structured.groups import Dependencies, Group
from tinydl.compress.structured.match import gathered
from tinydl.compress.structured.resize import resized
from tinydl.cost.inputs import zeros_for
from tinydl.nn import Module
from tinydl.shapes import Array
from tinydl.tensor import Tensor

M = TypeVar("M", bound=Module)


@dataclass(frozen=True)
class Plan(Generic[M]):
    """What `apply` will remove; printed, every axis of every tensor with the positions that go.

    Attributes:
        model: the model as it is.
        found: its groups.
        kept: the class in `found` that each class of the smaller network comes from.
        smaller: the coupling of the smaller network.
        macs: its multiply-adds for one input, and before that the model's.
    """

    model: M
    found: Dependencies
    kept: Mapping[int, int]
    smaller: Coupling
    macs: tuple[int, int]

    def removed(self, group: Group) -> Array:
        """Return the classes of a group that go."""
        return group.classes[~np.isin(group.classes, list(self.kept.values()))]

    def __str__(self) -> str:
        lines = [f"{self.macs[0]:,} -> {self.macs[1]:,} multiply-adds"]
        for group in self.found.groups:
            removed = self.removed(group)
            if len(removed):
                lines += [f"{group.name}: {len(removed)} of {len(group)} channels go", *group.lines(removed)]
        return "\n".join(lines)

    def apply(self) -> M:
        """Return the smaller network: a copy of the model with its values, without the channels that go.

        It is an ordinary network of the same classes; layers, parameters and buffers have their new sizes. Its results
        are those of `masked`, which is tried on random numbers before it is returned.

        Raises: RuntimeError if they are not (a model that does what its steps do not show).
        """
        arrays = gathered(self.found.coupling, self.smaller, self.kept)
        network = resized(self.model, arrays)
        draw = np.random.default_rng(0)
        zeros = zeros_for(self.model, [shape[1:] for shape in self.found.coupling.flow.inputs], 2)
        inputs = [draw.standard_normal(x.shape).astype(x.dtype) for x in zeros]
        for a, b in zip(self.masked(*inputs), replay(flow(network, *inputs), inputs)):
            reach = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
            if not np.allclose(a, b, rtol=0, atol=1e-3 * reach, equal_nan=True):
                raise RuntimeError("the smaller network does not compute what the masked one does")
        return network

    def masked(self, *inputs: Any) -> list[Array]:
        """Return what the full model returns when the channels that go are zero after every step.

        So they are zero behind norms, biases and activations, too.
        """
        arrays = [x.data if isinstance(x, Tensor) else np.asarray(x) for x in inputs]
        alive, results = list(self.kept.values()), self.found.coupling.results

        def mask(step: Step, y: Array) -> Array:
            if step.number not in results:
                return y
            return np.where(np.isin(thin(results[step.number]), alive), y, y.dtype.type(0))

        return replay(flow(self.model, *arrays), arrays, mask)
