"""Which layers share a kernel, as watching them one by one would prevent.

Hooks on a module keep it from being fused with its neighbours (`tinydl.nn.fusion`). So that watching a model does not
change what it does, what can be fused is left without hooks, and recognised by the weight that its kernel is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tinydl.modes import mode, observe
from tinydl.nn import Module, Sequential
from tinydl.nn.fusion import groups, recorded_groups
from tinydl.tensor import Tensor

KERNELS = frozenset({"conv2d_clamped", "conv_max_pool", "linear_clamped", "batch_norm_relu_train"})
"""The kernels of several layers; the second operand of each is the weight of the first layer."""


class Fusion(NamedTuple):
    """The modules that run in one kernel, and the name of the first, which has the weight."""

    name: str
    members: Sequence[Module]


class Fusions:
    """Fusions, each by the identity of its weight's array.

    Attributes:
        members: all modules that are part of one.
        guests: those whose work is done in the kernel of a module before them.
    """

    def __init__(self, found: dict[int, Fusion]) -> None:
        self.found = found
        self.members = [module for fusion in found.values() for module in fusion.members]
        self.guests = [module for fusion in found.values() for module in fusion.members[1:]]

    def of(self, op: Any, arrays: Sequence[Any]) -> Fusion | None:
        """Return the fusion that a call of an op is, if it is one."""
        return self.found.get(id(arrays[1])) if op.name in KERNELS else None


def possible_fusions(model: Module) -> Fusions:
    """Return what can be fused in the modes that the model and the thread are in, if shapes and dtypes permit.

    >>> from tinydl.modes import no_grad
    >>> from tinydl.nn import BatchNorm1d, Linear, ReLU
    >>> model = Sequential(Linear(2, 2), ReLU(), BatchNorm1d(2), ReLU())
    >>> with no_grad():
    ...     [fusion.name for fusion in possible_fusions(model).found.values()]
    ['0']
    >>> [fusion.name for fusion in possible_fusions(model).found.values()]
    ['2']
    """
    names = {id(module): name for name, module in model.named_modules()}
    found = {}
    for module in model.modules():
        if type(module).forward is Sequential.forward:
            for members in _groups(tuple(module.children())):
                first: Any = members[0]
                if len(members) > 1 and getattr(first, "weight", None) is not None:
                    found[id(first.weight.data)] = Fusion(names[id(first)], members)
    return Fusions(found)


def _groups(modules: Sequence[Module]) -> Iterator[Sequence[Module]]:
    return recorded_groups(modules) if mode.recording else (members for _, members in groups(modules))


def fusions(model: Module, inputs: Sequence[Tensor]) -> Fusions:
    """Run `model(*inputs)`, in the modes that it and the thread are in, and return what was fused."""
    possible = possible_fusions(model)
    ran: set[int] = set()

    def see(op: Any, arrays: Sequence[Any], options: Any, y: Tensor, kept: Any) -> None:
        if possible.of(op, arrays) is not None:
            ran.add(id(arrays[1]))

    if possible.found:
        with observe(see):
            model(*inputs)
    return Fusions({weight: fusion for weight, fusion in possible.found.items() if weight in ran})
