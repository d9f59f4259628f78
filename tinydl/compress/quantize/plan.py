"""Where a network of integers quantizes, read off the dataflow of the floating one, and with which scales.

Each value of the flow is one of three things:

- it has scales of its own: inputs, results of convolutions, linear layers, sums, products and curved functions;
- it shares those of other values, for its integers are theirs, moved, compared or averaged: poolings, reshapes,
  concatenations (all pieces alike), channel shuffles, and a ReLU that is not the next case;
- it never exists as integers: the result of a convolution, linear layer, sum or product that only a ReLU or ReLU6
  takes. There the clamp acts on the accumulators, and its result is what is quantized.

Source: Jacob et al. 2018, arXiv:1712.05877, section 2.4 and appendix A.3; TensorFlow Lite, 8-bit quantization
specification.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tinydl.compress.quantize.scheme import Quantizer
from tinydl.compress.steps import Flow, Given, Made, Source, Step, Stored
from tinydl.cost.table import Table
from tinydl.shapes import Array

Value: TypeAlias = Made | Given
"""A value of the flow that depends on the inputs."""

SHARING = frozenset(
    "adaptive_avg_pool adaptive_max_pool avg_pool cat constant_pad deal_channels expand flip max_pool permute pick "
    "reshape".split()
)
"""The ops whose result has the scale and zero point of what they take."""

CLAMPS = frozenset({"relu", "relu6"})
"""The ops that bound the integers of what they take."""

CLAMPED = frozenset({"add", "cross_correlation", "linear", "mul", "sub"})
"""The ops whose accumulators a clamp can act on, before they become integers of a few bits."""

WEIGHTED = frozenset({"cross_correlation", "linear"})
"""The ops with a `weight` whose axis 0 are the output channels."""


@dataclass(frozen=True)
class Places:
    """What is to be quantized in a flow.

    Attributes:
        groups: for each value that exists as integers, the first value with the same scale and zero point.
        makers: those of them that are computed anew, and so decide the range of their group.
        weights: the parameters that are weights of convolutions and linear layers, in order.
    """

    groups: Mapping[Value, Value]
    makers: frozenset[Value]
    weights: tuple[str, ...]


def places(flow: Flow) -> Places:
    """Return where an integer network with this flow quantizes.

    Batch norm should be folded before; one that is left counts as a function with a result of its own.

    >>> from tinydl.compress.flow import flow
    >>> from tinydl.nn import Conv2d, Flatten, MaxPool2d, ReLU, Sequential
    >>> import numpy as np
    >>> net = Sequential(Conv2d(1, 2, 3), ReLU(), MaxPool2d(2), Flatten())
    >>> found = places(flow(net, np.zeros((1, 1, 4, 4), np.float32)))
    >>> {str(value): str(first) for value, first in found.groups.items()}, found.weights
    ({'input 0': 'input 0', '%1': '%1', '%2': '%1', '%3': '%1'}, ('0.weight',))
    """
    parents: dict[Value, Value] = {Given(number): Given(number) for number in range(len(flow.inputs))}
    makers: set[Value] = set(parents)
    weights: dict[str, None] = {}
    for step in flow.steps:
        result = Made(step.number)
        taken = [source for source in step.operands.values() if isinstance(source, Made | Given) and source in parents]
        if step.op in CLAMPS and _is_inner(flow, step.operands["x"]):
            makers.remove(taken[0])
            del parents[taken[0]]
        if step.op in SHARING or (step.op in CLAMPS and taken[0] in parents):
            _join(parents, [*taken, result])
        elif step.dtype.kind == "f":
            parents[result] = result
            makers.add(result)
        weight = step.operands.get("weight")
        if step.op in WEIGHTED and isinstance(weight, Stored):
            weights[weight.name] = None
    return Places({value: _first(parents, value) for value in parents}, frozenset(makers), tuple(weights))


def _is_inner(flow: Flow, source: Source | None) -> bool:
    """Tell whether only one step takes this, and it was made by an op whose accumulators can be clamped."""
    made = isinstance(source, Made) and flow.steps[source.step].op in CLAMPED
    return made and source is not None and len(flow.users(source)) == 1 and source not in flow.outputs


def _first(parents: dict[Value, Value], value: Value) -> Value:
    while parents[value] != value:
        value = parents[value]
    return value


def _join(parents: dict[Value, Value], values: list[Value]) -> None:
    """Make one group of the groups of these values; the earliest value stands for it."""
    firsts = [_first(parents, value) for value in values if value in parents]
    earliest = min(firsts, key=_age, default=values[-1])
    for value in (*firsts, *values):
        parents[value] = earliest


def _age(value: Value) -> int:
    return value.step if isinstance(value, Made) else value.number - (1 << 30)


@dataclass(frozen=True)
class Plan:
    """All that turns a floating network into one of integers; printed, a table.

    Attributes:
        flow: what is computed, batch norm folded.
        activations: the Quantizer of each value that exists as integers; the same object for values that share it.
        weights: the Quantizer of each weight, by the parameter's name. Biases are not listed: they have the scale of
            input times weight, and zero point 0.
    """

    flow: Flow
    activations: Mapping[Value, Quantizer]
    weights: Mapping[str, Quantizer]

    def integers(self) -> dict[str, Array]:
        """Return the weights as int8 arrays, by name."""
        return {name: q.quantize(self.flow.stored[name].data) for name, q in self.weights.items()}

    def __str__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Table:
        head = "value", "op", "module", "bits", "scale", "zero point", "real range"
        lines = list(self._lines())
        totals = (f"{len(lines)} values", *[""] * (len(head) - 1))
        notes = [("weights", f"{len(self.weights)} arrays, {self._weight_bits()} bits")]
        return Table(f"{type(self.flow.model).__name__}: {len(lines)} quantized values", head, lines, totals, 3, notes)

    def _weight_bits(self) -> str:
        return ", ".join(map(str, sorted({q.scheme.bits for q in self.weights.values()}))) or "no"

    def _lines(self) -> Iterator[tuple[str, ...]]:
        for value, quantizer in self.activations.items():
            step: Step | None = self.flow.steps[value.step] if isinstance(value, Made) else None
            low, high = (float(end) for end in quantizer.real_range)
            yield (
                str(value),
                "" if step is None else step.op,
                "" if step is None else step.name,
                str(quantizer.scheme.bits),
                f"{float(quantizer.scale):.4g}",
                str(int(quantizer.zero_point)),
                f"{low:.4g} to {high:.4g}",
            )
