"""How many parts of each group are kept, and what the tensors and multiply-adds are then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tinydl.compress.steps import Stored
from tinydl.compress.structured.groups import Dependencies, Group
from tinydl.shapes import Array, Shape

Kept = Mapping[str, int]
"""By the names of groups, how many of their parts are kept; a group that is not there keeps all."""


def rounded(group: Group, parts: float, multiple: int) -> int:
    """Return the whole number of parts nearest to `parts`, at least one, that leaves multiples of a number of channels.

    All layers that make channels of the group are meant. A group that has no such number keeps all its parts.
    """
    made = [len(axis.members(group.classes)) for axis in group.axes if axis.axis == 0]
    fits = [k for k in range(1, group.parts) if all(k * n // group.parts % multiple == 0 for n in made)]
    return min((*fits, group.parts), key=lambda k: (abs(k - parts), -k))


def evenly(groups: Sequence[Group], ratios: Mapping[str, float], multiple: int) -> dict[str, int]:
    """Return what is kept when each group loses its own share of channels."""
    return {group.name: rounded(group, (1 - ratios[group.name]) * group.parts, multiple) for group in groups}


def ranked(groups: Sequence[Group], scores: Mapping[str, Array], ratio: float, multiple: int) -> dict[str, int]:
    """Return what is kept when the least important share of all channels goes, whichever groups these are in."""
    every = np.sort(np.concatenate(list(scores.values())))
    least = every[min(int(ratio * len(every)), len(every) - 1)]
    shares = {name: np.count_nonzero(values >= least) / len(values) for name, values in scores.items()}
    return {group.name: rounded(group, shares[group.name] * group.parts, multiple) for group in groups}


def shapes(found: Dependencies, kept: Kept) -> dict[str, Shape]:
    """Return the shape that each tensor with channels has then."""
    left = {axis[:2]: len(axis.labels) for axis in found.coupling.axes}
    for group in found.groups:
        lost = group.parts - kept.get(group.name, group.parts)
        for axis in group.axes:
            left[axis[:2]] -= len(axis.members(group.classes)) * lost // group.parts
    stored = found.coupling.flow.stored
    result = {axis.tensor: list(stored[axis.tensor].shape) for axis in found.coupling.axes}
    for axis in found.coupling.axes:
        result[axis.tensor][axis.axis] = left[axis[:2]] // axis.groups
    return {name: tuple(shape) for name, shape in result.items()}


def multiply_adds(found: Dependencies, sizes: Mapping[str, Sequence[int]]) -> int:
    """Return the multiply-adds for one input with tensors of those shapes, by the convention of `tinydl.cost.macs`."""
    total = 0
    for step in found.coupling.flow.steps:
        weight = step.operands.get("weight")
        if step.op in ("cross_correlation", "linear") and isinstance(weight, Stored):
            inner = step.shape[2:] if step.op == "cross_correlation" else step.shape[1:-1]
            total += math.prod(inner) * math.prod(sizes.get(weight.name, found.coupling.flow.shape(weight)))
    return total
