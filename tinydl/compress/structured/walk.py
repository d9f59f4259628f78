"""Which channels are coupled: labels are carried through the steps of a model, and joined where an op ties them.

Every value has an array of labels of its own shape (without the batch axis), so a shuffle, a split or a concatenation
does to the labels what it does to the numbers, and nothing about it has to be known. What each op does is said in
`tinydl.compress.structured.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import numpy as np

from tinydl.compress.steps import Flow, Source, Step, Stored
from tinydl.compress.structured.classes import Classes, thin
from tinydl.shapes import Array

Place = tuple[int, int, int]
"""A step, its operand's number (−1 for the result), and 1, 2, … for the group of a grouped convolution (else 0)."""


class Axis(NamedTuple):
    """An axis of a parameter or buffer, and the label of each position on it.

    The second axis of a grouped convolution's weight has the labels of all its inputs: `groups` parts of equal length,
    of which each serves its own part of the outputs.
    """

    tensor: str
    axis: int
    labels: Array
    groups: int = 1

    def members(self, chosen: Array) -> Array:
        """Return the positions whose label is among `chosen`."""
        return np.flatnonzero(np.isin(self.labels, chosen))


@dataclass
class Walk:
    """What is known so far of a flow whose steps are gone through.

    Attributes:
        flow: the steps.
        depthwise: the numbers of the steps that are depthwise convolutions. With one channel they look like others, so
            those of a narrower network are told beforehand.
        classes: the labels.
        labels: of each value that depends on the inputs, an array of its shape without the batch axis.
        axes: of parameters and buffers, by tensor, axis and groups.
        places: labels, and where they were seen: channels seen in the same places are interchangeable.
        mixed: labels that one layer makes, or that were dealt, split or grouped together, with all repetitions: however
            many kinds of channels these are, their numbers can only change in proportion.
    """

    flow: Flow
    depthwise: set[int] = field(default_factory=set)
    classes: Classes = field(default_factory=Classes)
    labels: dict[Source, Array] = field(default_factory=dict)
    axes: dict[tuple[str, int, int], Axis] = field(default_factory=dict)
    places: list[tuple[Place, Array]] = field(default_factory=list)
    mixed: list[Array] = field(default_factory=list)

    def fixed(self, shape: Sequence[int]) -> Array:
        """Return one label that cannot be removed, everywhere on `shape`."""
        label = self.classes.new(1)
        self.classes.pin(label)
        return np.broadcast_to(label, tuple(shape))

    def see(self, step: Step, operand: int, labels: Array, group: int = 0) -> None:
        """Note that a step has these labels in one of its places."""
        self.places.append(((step.number, operand, group), thin(labels)))

    def mix(self, *labels: Array) -> None:
        """Note that each of these sets can only change in proportion."""
        self.mixed += [thin(part).ravel() for part in labels]

    def attach(self, tensor: str, axis: int, labels: Array, groups: int = 1) -> None:
        """Note that an axis of a tensor has the (n,) labels given; a tensor that is used twice joins them."""
        known = self.axes.setdefault((tensor, axis, groups), Axis(tensor, axis, labels, groups))
        if known.labels is not labels:
            self.classes.join(known.labels, labels)

    def stored(self, step: Step, *names: str) -> list[str | None]:
        """Return the names of the parameters that a step takes as these operands, None for one that is left out."""
        sources = [step.operands[name] for name in names]
        for name, source in zip(names, sources):
            if not isinstance(source, Stored | None):
                refuse(step, f"takes a {name} that is no parameter or buffer but {source}")
        return [source.name if isinstance(source, Stored) else None for source in sources]

    def channels(self, labels: Array, axis: int = 0) -> Array:
        """Return the (n,) labels along an axis, after joining those that share a place on it."""
        first = tuple(slice(None) if i == axis else slice(0, 1) for i in range(labels.ndim))
        self.classes.join(labels, labels[first])
        return labels[first].ravel()

    def varies(self, labels: Array, axis: int) -> bool:
        """Tell whether labels along an axis are of several classes."""
        found = self.classes.of(thin(labels))
        return bool((found != found.take([0], axis)).any())


def refuse(step: Step, why: str) -> NoReturn:
    """Say that a step cannot be pruned through."""
    raise ValueError(
        f"model: {step.at}, in a {type(step.module).__name__}, {why}; channels cannot be followed through it"
    )
