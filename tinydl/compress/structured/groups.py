"""Groups: the channels of a model that can be removed, with everything that has to be cut for them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinydl.compress.flow import flow
from tinydl.compress.structured.coupling import Coupling, couple, tied
from tinydl.compress.structured.walk import Axis
from tinydl.cost.inputs import Shapes, zeros_for
from tinydl.nn import Module
from tinydl.shapes import Array


@dataclass(frozen=True)
class Group:
    """Channels that one size decides about; printed, the list of the axes to be cut.

    Mostly these are the outputs of one layer, or of several that a sum joins, and any number of them may go. Where
    channels are shuffled, split or convolved in groups, they are of several kinds (by the ways that they go), and the
    network remains the same network only when all kinds shrink in proportion: to 1/`parts`, 2/`parts`, ….

    Attributes:
        name: the first layer that makes these channels.
        kinds: the classes of each kind.
        parts: the number of equal steps in which the group can shrink.
        axes: the axes of parameters and buffers on which its channels lie.
    """

    name: str
    kinds: Sequence[Array]
    parts: int
    axes: Sequence[Axis]

    @cached_property
    def classes(self) -> Array:
        """All classes, kind after kind."""
        return np.concatenate(self.kinds)

    def __len__(self) -> int:
        """Return the number of channels, those that are coupled counted once."""
        return len(self.classes)

    def lines(self, chosen: Array) -> Iterator[str]:
        """Return a line for each axis that is cut when the `chosen` classes are removed."""
        for axis in self.axes:
            positions = axis.members(chosen)
            if len(positions):
                within = f", its {axis.groups} groups side by side" if axis.groups > 1 else ""
                yield f"  {axis.tensor}, axis {axis.axis}{within}: {ranges(positions)} of {len(axis.labels)}"

    def __str__(self) -> str:
        kinds = f", {len(self.kinds)} kinds of them" if len(self.kinds) > 1 else ""
        steps = "" if self.parts == len(self) else f", in steps of 1/{self.parts}"
        return "\n".join([f"{self.name}: {len(self)} channels{kinds}{steps}", *self.lines(self.classes)])


@dataclass(frozen=True)
class Dependencies:
    """The groups of a model, in the order in which their channels are made; printed, all of them."""

    model: Module
    coupling: Coupling
    groups: Sequence[Group]

    def __getitem__(self, name: str) -> Group:
        """Return the group of that name. Raises: ValueError naming those that there are."""
        for group in self.groups:
            if group.name == name:
                return group
        raise ValueError(f"no group is called {name!r}; there are {', '.join(group.name for group in self.groups)}")

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.groups)) or "no channels can be removed"


def dependencies(model: Module, input_shape: Shapes) -> Dependencies:
    """Return which channels of `model` can be removed, and what has to be cut together.

    The model runs on zeros, and channels are followed through everything that it does (`tinydl.compress.flow`). Tied
    are: a channel and its norm, activation, depthwise convolution; what sums, products, gates join; a channel and its
    places in a flattened vector. The inputs and outputs of the model stay as they are.

    Args:
        model: any module.
        input_shape: the sizes of its input without the batch axis, or a sequence of such.

    Raises: ValueError naming step and layer where channels cannot be followed; TypeError or ValueError naming
        `input_shape`; see `flow` for models that cannot be traced.

    Source: Fang et al. 2023, DepGraph: towards any structural pruning, arXiv:2301.12900, whose groups these are; that
    kinds are told by the ways they go, and shrink in proportion, is ours, and what lets shuffles and splits be pruned.

    >>> from tinydl.nn import BatchNorm2d, Conv2d, Flatten, Linear, Sequential
    >>> net = Sequential(Conv2d(1, 4, 3), BatchNorm2d(4), Flatten(), Linear(16, 2))
    >>> print(dependencies(net, (1, 4, 4)))
    0: 4 channels
      0.weight, axis 0: 0-3 of 4
      0.bias, axis 0: 0-3 of 4
      1.running_mean, axis 0: 0-3 of 4
      1.running_var, axis 0: 0-3 of 4
      1.weight, axis 0: 0-3 of 4
      1.bias, axis 0: 0-3 of 4
      3.weight, axis 1: 0-15 of 16
    """
    coupling = couple(flow(model, *zeros_for(model, input_shape, 2)))
    groups = [_group(coupling, kinds) for kinds in tied(coupling)]
    return Dependencies(model, coupling, [group for group in groups if group is not None])


def _group(coupling: Coupling, kinds: Sequence[Array]) -> Group | None:
    """Return a group of kinds; None where nothing has to be cut, or can be."""
    member = np.zeros(max(coupling.places) + 1, bool)
    member[np.concatenate(kinds)] = True
    axes = [axis for axis in coupling.axes if member[axis.labels].any()]
    if not axes:
        return None
    sizes = [member[labels].sum() for labels in coupling.mixed]
    sizes += [member[part].sum() for axis in axes for part in np.split(axis.labels, axis.groups)]
    name = next((axis.tensor for axis in axes if axis.axis == 0), axes[0].tensor).rpartition(".")[0]
    return Group(name, kinds, math.gcd(*map(int, sizes)), axes)


def ranges(positions: Sequence[int] | Array) -> str:
    """Return rising numbers, neighbours as ranges.

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2, 5, 7-8'
    """
    runs: list[list[int]] = []
    for i in map(int, positions):
        if runs and i == runs[-1][-1] + 1:
            runs[-1][1:] = [i]
        else:
            runs.append([i])
    return ", ".join("-".join(map(str, run)) for run in runs)
