"""Derivative rules, and what a recorded call keeps alive for them: exactly what their parameters name.

A rule is a function `vjp(g, **wanted)`. A parameter named after an operand keeps that operand; `x_shape` and `x_dtype`
keep no more than they say; `y` keeps the result; a name of the op's `keeps` keeps what the forward function returned
beside its result; an option's name keeps its value; and `shapes`, for ops of a sequence, the shapes of all of it.

An operand may have a rule of its own and one together with others, for where all of them need gradients.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tinydl.graph import Node
from tinydl.methods import plain
from tinydl.shapes import Array
from tinydl.tensor import Tensor, Version

Source: TypeAlias = Callable[[Sequence[Any], dict[str, Any], Tensor, Sequence[Any]], Any]
"""Picks what to keep from a call's (operands, options, result, what the forward function kept)."""


class Saved:
    """An operand or result kept for backward, with the version it had; `tensor` is None for a result.

    A result is kept without its Tensor, whose node is the one that keeps it: so there is no cycle, and a graph that is
    dropped is gone at once.
    """

    __slots__ = ("array", "count", "name", "tensor", "version")

    def __init__(self, name: str, array: Array, version: Version, tensor: Tensor | None) -> None:
        self.name, self.array, self.version, self.tensor = name, array, version, tensor
        self.count = version.count

    def restore(self, node: Node, create_graph: bool) -> Any:
        """Return the array (or Tensor) as it was. Raises: RuntimeError when it was changed in place since."""
        if self.version.count != self.count:
            raise RuntimeError(
                f"backward of {node.op.name}: its {self.name} was changed in place after the forward pass "
                f"(version {self.version.count}, needed {self.count})"
            )
        if not create_graph:
            return self.array
        return Tensor.of(self.array, node, self.version) if self.tensor is None else self.tensor


class Rule(NamedTuple):
    """One derivative: `function(g, *wanted)` gives the gradients of the operands numbered `operands`."""

    function: Callable[..., Any]
    operands: tuple[int, ...]
    wanted: tuple[str, ...]


class Step(NamedTuple):
    """A rule within a plan: `places` are where its arguments stand among what the plan keeps."""

    function: Callable[..., Any]
    operands: tuple[int, ...]
    places: tuple[int, ...]


class Plan:
    """What a call records when the operands numbered `needs` are those that need gradients.

    Attributes:
        steps: the rules that give one of those gradients.
        sources: where what they want comes from, each thing once.
        needs: the operands' numbers.
    """

    __slots__ = ("needs", "sources", "steps")

    def __init__(
        self, rules: Sequence[Rule], sources: dict[str, Source], needs: frozenset[int], variadic: bool
    ) -> None:
        useful = rules if variadic else _useful(rules, needs)
        wanted = list(dict.fromkeys(name for rule in useful for name in rule.wanted))
        self.steps = [Step(r.function, r.operands, tuple(wanted.index(name) for name in r.wanted)) for r in useful]
        self.sources = [sources[name] for name in wanted]
        self.needs = needs


def _useful(rules: Sequence[Rule], needs: frozenset[int]) -> list[Rule]:
    """Return rules that give each needed gradient once: those that give several at once go first, if all are needed."""
    chosen: list[Rule] = []
    given: set[int] = set()

    def rank(rule: Rule) -> tuple[bool, int]:
        n, all_needed = len(rule.operands), needs.issuperset(rule.operands)
        return not all_needed, -n if all_needed else n

    for rule in sorted(rules, key=rank):
        if given.isdisjoint(rule.operands) and not needs.isdisjoint(rule.operands):
            chosen.append(rule)
            given.update(rule.operands)
    return chosen


def wanted_by(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of what a rule wants: its parameters after g."""
    return tuple(inspect.signature(function).parameters)[1:]


def source(name: str, operands: Sequence[str], options: Sequence[str], keeps: Sequence[str]) -> Source:
    """Return where the thing that a rule's parameter `name` stands for comes from.

    Raises: TypeError when it stands for nothing.
    """
    if name in options:
        return lambda operands, options, y, kept: options[name]
    if name in keeps:
        place = keeps.index(name)
        return lambda operands, options, y, kept: kept[place]
    if name == "y":
        return lambda operands, options, y, kept: Saved("result", y._data, y._version, None)
    if name == "shapes":
        return lambda operands, options, y, kept: [np.shape(plain(x)) for x in operands]
    if name in operands:
        return _of_operand(operands.index(name), _keeper(name))
    base, _, property_ = name.rpartition("_")
    if base in operands and property_ in _PROPERTIES:
        return _of_operand(operands.index(base), _PROPERTIES[property_])
    raise TypeError(f"a derivative rule has no parameter {name!r}: it is no operand, option, or anything kept of them")


def _of_operand(number: int, pick: Callable[[Any], Any]) -> Source:
    return lambda operands, options, y, kept: pick(operands[number])


def _keeper(name: str) -> Callable[[Any], Any]:
    """Return a function that keeps an operand: a Tensor with its version, anything else as it is."""
    what = f"operand {name}"
    return lambda x: Saved(what, x._data, x._version, x) if isinstance(x, Tensor) else x


_PROPERTIES: dict[str, Callable[[Any], Any]] = {
    "shape": lambda x: np.shape(plain(x)),
    "dtype": lambda x: np.asarray(plain(x)).dtype,
}
