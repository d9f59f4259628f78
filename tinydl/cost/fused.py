"""Which layers inference runs as one kernel: there, a convolution may take its batch norm and activation along.

Hooks on a module keep it from being fused (`tinydl.nn.fusion`). So that watching a model does not change what it does,
the layers that are fused are found first, without hooks, and then recognised by the weight that their kernel is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tinydl.modes import observe
from tinydl.nn import Module, Sequential
from tinydl.nn.fusion import groups
from tinydl.ops.inference import conv2d_clamped, linear_clamped
from tinydl.tensor import Tensor
from tinydl.train import evaluating

KERNELS = (conv2d_clamped, linear_clamped)


class Fusion(NamedTuple):
    """A layer with weights, and the modules that run in its kernel, itself the first."""

    name: str
    members: Sequence[Module]


class Fusions:
    """The fusions in a model.

    Attributes:
        members: all modules that are part of one.
        layers: those of them that have the weights.
    """

    def __init__(self, found: dict[int, Fusion]) -> None:
        self._by_weight = found
        self.layers = [fusion.members[0] for fusion in found.values()]
        self.members = [module for fusion in found.values() for module in fusion.members]

    def of(self, op: Any, arrays: Sequence[Any]) -> Fusion | None:
        """Return the fusion that a call of an op is, if it is one."""
        return self._by_weight.get(id(arrays[1])) if op in KERNELS else None


def fusions(model: Module, inputs: Sequence[Tensor]) -> Fusions:
    """Run `model(*inputs)` in evaluation mode and return what was fused.

    >>> import numpy as np
    >>> from tinydl.nn import Linear, ReLU
    >>> found = fusions(Sequential(Linear(2, 2), ReLU()), [Tensor(np.ones((1, 2), np.float32))])
    >>> [type(module).__name__ for module in found.members]
    ['Linear', 'ReLU']
    """
    with evaluating(model):
        possible = _possible(model)
        ran: set[int] = set()
        if possible:
            with observe(lambda op, arrays, options, y, kept: ran.add(id(arrays[1])) if op in KERNELS else None):
                model(*inputs)
    return Fusions({weight: fusion for weight, fusion in possible.items() if weight in ran})


def _possible(model: Module) -> dict[int, Fusion]:
    """Return what could be fused, by the identity of the weight's array."""
    names = {id(module): name for name, module in reversed(list(model.named_modules()))}
    found = {}
    for module in model.modules():
        if type(module).forward is Sequential.forward:
            for group, members in groups(tuple(module.children())):
                if len(members) > 1:
                    found[id(group.layer.weight.data)] = Fusion(names[id(group.layer)], members)
    return found
