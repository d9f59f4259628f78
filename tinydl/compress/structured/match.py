"""The same network, narrower: which channel of the old network each channel of the new one is.

A class of the narrower network may stand for any class of the old one that is found in the same places, because then
the same layers make it, change it and read it. So the least important ones of each kind are left out, and the values of
the others are gathered.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinydl.compress.structured.coupling import Coupling
from tinydl.compress.structured.groups import Dependencies, Group
from tinydl.compress.structured.walk import Axis
from tinydl.shapes import Array


def same_steps(old: Coupling, new: Coupling) -> bool:
    """Tell whether the same ops run in the same modules."""
    return [(s.op, s.name, s.call) for s in old.flow.steps] == [(s.op, s.name, s.call) for s in new.flow.steps]


def too_wide(found: Dependencies, new: Coupling) -> list[str]:
    """Return the names of groups of which the narrower network has more channels of some kind than there are.

    Where channels are shuffled or split, kinds do not shrink exactly in proportion: their numbers are whole.
    """
    old = found.coupling.kinds()
    more = [labels for places, labels in new.kinds().items() if len(labels) > len(old.get(places, ()))]
    return sorted({_group_at(found, new, int(labels[0])).name for labels in more})


def _group_at(found: Dependencies, new: Coupling, label: int) -> Group:
    """Return the group that a class of the narrower network belongs to, by the axes that it is on."""
    on = {(axis.tensor, axis.axis) for axis in new.axes if label in axis.labels}
    several = [g for g in found.groups if len(g.kinds) > 1] or list(found.groups)
    return max(several, key=lambda g: sum((axis.tensor, axis.axis) in on for axis in g.axes))


def matched(found: Dependencies, new: Coupling, scores: Mapping[str, Array]) -> dict[int, int]:
    """Return the old class of each new one: of each kind those with the best scores, in their old order.

    Ties go to the first.

    Raises: ValueError when what cannot be removed is not what it was.
    """
    value: dict[int, float] = {}
    for name, own in scores.items():
        value |= zip(found[name].classes.tolist(), own.tolist())
    result: dict[int, int] = {}
    for pinned in (False, True):
        old = found.coupling.kinds(pinned)
        for places, labels in new.kinds(pinned).items():
            if places not in old or (pinned and len(labels) != len(old[places])):
                raise ValueError("model: with fewer channels it uses those otherwise that have to stay")
            result |= _chosen(labels, old[places], value)
    return result


def _chosen(new: Array, old: Array, value: Mapping[int, float]) -> dict[int, int]:
    best = sorted(old.tolist(), key=lambda label: (-value.get(label, 0.0), label))[: len(new)]
    return dict(zip(new.tolist(), sorted(best)))


def gathered(old: Coupling, new: Coupling, kept: Mapping[int, int]) -> dict[str, Array]:
    """Return the values of the narrower network's tensors, from the old network's."""
    result = {axis.tensor: old.flow.stored[axis.tensor].data for axis in old.axes}
    for before, after in zip(old.axes, new.axes):
        assert before[:2] == after[:2], "the same steps attach the same tensors in the same order"
        if before.groups == 1:
            result[before.tensor] = result[before.tensor].take(_origins(before, after, kept), before.axis)
    for before, after in zip(old.axes, new.axes):
        if before.groups > 1:
            result[before.tensor] = _within(result[before.tensor], before, _origins(before, after, kept))
    return result


def _origins(before: Axis, after: Axis, kept: Mapping[int, int]) -> Array:
    """Return the old position of each new one; a class with several positions keeps their order."""
    places: dict[int, list[int]] = {}
    for position, label in enumerate(before.labels.tolist()):
        places.setdefault(label, []).append(position)
    left = {label: iter(positions) for label, positions in places.items()}
    return np.array([next(left[kept[label]]) for label in after.labels.tolist()], np.int64)


def _within(weight: Array, axis: Axis, origins: Array) -> Array:
    """Take the inputs of a grouped convolution, of which each group has its own; the outputs are cut already."""
    size = len(axis.labels) // axis.groups
    group, inner = np.divmod(origins.reshape(axis.groups, -1), size)
    assert (group == np.arange(axis.groups)[:, None]).all(), "kinds tell groups apart"
    parts = weight.reshape(axis.groups, -1, *weight.shape[1:])
    taken = [part[:, chosen] for part, chosen in zip(parts, inner)]
    return np.concatenate(taken)
