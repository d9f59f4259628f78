"""The dependency graph of a model's channels: classes that stand or fall together, and the kinds of classes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tinydl.compress.steps import Flow, Given, Made
from tinydl.compress.structured.rules import RULES
from tinydl.compress.structured.walk import Axis, Place, Walk, refuse
from tinydl.shapes import Array

Places: TypeAlias = frozenset[tuple[Place, int]]


@dataclass(frozen=True)
class Coupling:
    """What is tied to what; a class is the smallest thing that can be removed: one channel, wherever it is found.

    Attributes:
        flow: the steps.
        axes: of parameters and buffers, with the class of each position.
        results: the class of each slot of each step's result, by the step's number; none where no input matters.
        places: where each class is found, and how often. Classes with the same places are of one kind: a network with
            fewer of them is the same network, only narrower.
        pinned: classes that cannot be removed: the inputs' and outputs', and what meets a constant.
        depthwise: the steps that are depthwise convolutions.
        mixed: the classes (with repetitions) of each set in which all kinds must change in proportion.
    """

    flow: Flow
    axes: Sequence[Axis]
    results: Mapping[int, Array]
    places: Mapping[int, Places]
    pinned: frozenset[int]
    depthwise: frozenset[int]
    mixed: Sequence[Array]

    def kinds(self, pinned: bool = False) -> dict[Places, Array]:
        """Return the removable (or the pinned) classes of each kind, in the order in which they were made."""
        found: dict[Places, list[int]] = {}
        for label in sorted(self.places):
            if (label in self.pinned) == pinned:
                found.setdefault(self.places[label], []).append(label)
        return {places: np.array(labels) for places, labels in found.items()}


def couple(found: Flow, depthwise: Collection[int] = ()) -> Coupling:
    """Go through all steps of a flow and return what is tied to what.

    Args:
        found: of a model.
        depthwise: the steps that are depthwise convolutions, even with one channel.

    Raises: ValueError naming the step and the layer for an op that channels cannot be followed through, for a weight
        that was itself computed, for what moves or reduces the batch.
    """
    walk = Walk(found, set(depthwise))
    for number, shape in enumerate(found.inputs):
        walk.labels[Given(number)] = walk.fixed(shape[1:])
    for step in found.steps:
        known = [(i, walk.labels[s]) for i, s in enumerate(step.operands.values()) if s in walk.labels]
        if known:
            if step.op not in RULES:
                refuse(step, "is an op that structured pruning does not know")
            result = RULES[step.op](walk, step, [labels for _, labels in known])
            assert result.shape == step.shape[1:], f"{step.at}: labels {result.shape} for {step.shape}"
            walk.labels[Made(step.number)] = result
            for i, labels in (*known, (-1, result)):
                walk.see(step, i, labels)
    for source in found.outputs:
        if source in walk.labels:
            walk.classes.pin(walk.labels[source])
    return _settled(walk)


def _settled(walk: Walk) -> Coupling:
    """Put classes in the place of labels."""
    of = walk.classes.of
    places: dict[int, set[tuple[Place, int]]] = {}
    for place, labels in walk.places:
        for label, n in zip(*(found.tolist() for found in np.unique(of(labels), return_counts=True))):
            places.setdefault(label, set()).add((place, n))
    return Coupling(
        walk.flow,
        [axis._replace(labels=of(axis.labels)) for axis in walk.axes.values()],
        {source.step: of(labels) for source, labels in walk.labels.items() if isinstance(source, Made)},
        {label: frozenset(found) for label, found in places.items()},
        frozenset(walk.classes.pinned()),
        frozenset(walk.depthwise),
        [of(labels) for labels in walk.mixed],
    )


def tied(coupling: Coupling) -> Iterator[list[Array]]:
    """Return the kinds of classes (each an array of them), those together whose numbers change in proportion."""
    kinds = list(coupling.kinds().values())
    number = {label: i for i, labels in enumerate(kinds) for label in labels.tolist()}
    first = list(range(len(kinds)))  # the first kind of the set that each kind is in
    for labels in coupling.mixed:
        met = {first[number[label]] for label in np.unique(labels).tolist() if label in number}
        first = [min(met) if i in met else i for i in first]
    for i in sorted(set(first)):
        yield [labels for labels, of in zip(kinds, first) if of == i]
