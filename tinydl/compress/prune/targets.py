"""Which parameters are pruned: chosen by the type of their layer, by name, by pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from tinydl.nn import Conv2d, ConvTranspose2d, Linear, Module, Parameter
from tinydl.options import choice

Types: TypeAlias = tuple[type[Module], ...]

PRUNABLE: Types = (Conv2d, ConvTranspose2d, Linear)
"""The layers whose weights are pruned unless others are asked for."""


@dataclass(frozen=True, eq=False)
class Target:
    """A parameter to prune, and the layer that it belongs to.

    Attributes:
        name: dotted, as in `named_parameters`.
        parameter: the weight.
        module: the layer.
    """

    name: str
    parameter: Parameter
    module: Module

    @property
    def groups(self) -> int:
        """The groups of a convolution, 1 for other layers."""
        return int(getattr(self.module, "groups", 1))

    @property
    def depthwise(self) -> bool:
        """Whether the layer is a convolution of each channel by itself."""
        return self.groups > 1 and self.groups == getattr(self.module, "in_channels", 0)


def targets(
    model: Module,
    layers: str | Sequence[str] | None = None,
    types: Types = PRUNABLE,
    depthwise: str = "include",
) -> list[Target]:
    """Return the weights of `model` to prune, in the order of the network; one that is shared comes once.

    Weights are the parameters with two or more axes: biases and the scales of norms are not pruned.

    Args:
        model: any Module.
        layers: patterns (`*`, `?`, `[…]`, as for file names) of which one must fit the dotted name of the parameter
            ("conv1.weight") or of its layer ("conv1"); None is all.
        types: the layers whose weights are meant; subclasses count.
        depthwise: what to do about depthwise kernels, which hold few weights and much of the accuracy: "include",
            "skip", or "refuse" with an error.

    Raises: ValueError for a pattern that fits no such weight, for types of which the model has none, and for a
        depthwise kernel that is to be refused.

    >>> from tinydl.zoo import lenet5
    >>> [target.name for target in targets(lenet5(), layers=["0", "5.*"])]
    ['0.weight', '5.weight']
    """
    choice(depthwise, "depthwise", ("include", "skip", "refuse"))
    found = {target.name: target for target in _weights(model, types)}
    if not found:
        wanted = ", ".join(kind.__name__ for kind in types)
        raise ValueError(f"{type(model).__name__} has no weight of the types {wanted}")
    chosen = [found[name] for name in (found if layers is None else matching(list(found), layers))]
    narrow = [target.name for target in chosen if target.depthwise]
    if narrow and depthwise == "refuse":
        raise ValueError(f'depthwise kernels are not to be pruned (depthwise="refuse"), got {", ".join(narrow)}')
    chosen = [target for target in chosen if not (target.depthwise and depthwise == "skip")]
    if not chosen:
        raise ValueError('depthwise="skip" leaves nothing to prune')
    return chosen


def _weights(model: Module, types: Types) -> list[Target]:
    """Return every parameter with two or more axes that belongs to a layer of these types."""
    found, seen = [], set()
    for path, module in model.named_modules():
        if isinstance(module, types):
            for name, p in module.named_parameters(path, recurse=False):
                if p.ndim > 1 and id(p) not in seen:
                    seen.add(id(p))
                    found.append(Target(name, p, module))
    return found


def matching(names: Sequence[str], patterns: str | Sequence[str]) -> list[str]:
    """Return the `names` (of parameters) that a pattern fits, or whose module's name it fits, in their order.

    Raises: ValueError for a pattern that fits none.

    >>> matching(["conv.weight", "fc1.weight", "fc2.weight"], "fc?")
    ['fc1.weight', 'fc2.weight']
    """
    listed = [patterns] if isinstance(patterns, str) else list(patterns)
    fitting: set[str] = set()
    for pattern in listed:
        fits = [name for name in names if _fits(name, pattern)]
        if not fits:
            raise ValueError(f"layers: {pattern!r} fits none of {', '.join(names) or 'no weights at all'}")
        fitting.update(fits)
    if not fitting:
        raise ValueError("layers is empty: name at least one pattern, or None for all")
    return [name for name in names if name in fitting]


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition(".")[0], pattern)
