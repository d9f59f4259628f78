"""Running the steps of a flow without the model: to see, or to change, what each of them makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinydl.compress.steps import Constant, Flow, Given, Made, Source, Step
from tinydl.op import FUSED, OPS
from tinydl.shapes import Array


def _same(step: Step, y: Array) -> Array:
    return y


def replay(flow: Flow, inputs: Sequence[Array], change: Callable[[Step, Array], Array] = _same) -> list[Array]:
    """Return what the model would return for these inputs, each step's result passed through `change(step, result)`.

    Args:
        flow: of the model, traced with inputs of the same shapes.
        inputs: arrays.
        change: what to make of each result before other steps see it.

    Raises: ValueError for another number of inputs, or other shapes.

    >>> from tinydl.compress.flow import flow
    >>> from tinydl.nn import ReLU, Sequential
    >>> found = flow(Sequential(ReLU()), np.zeros((1, 2)))
    >>> replay(found, [np.array([[-1.0, 2.0]])]), replay(found, [np.array([[-1.0, 2.0]])], lambda step, y: y + 1)
    ([array([[0., 2.]])], [array([[1., 3.]])])
    """
    shapes = [np.shape(x) for x in inputs]
    if shapes != list(flow.inputs):
        raise ValueError(f"inputs: the flow was traced with shapes {list(flow.inputs)}, got {shapes}")
    made: list[Array] = []

    def value(source: Source | None) -> Any:
        if isinstance(source, Made):
            return made[source.step]
        if isinstance(source, Given):
            return inputs[source.number]
        if isinstance(source, Constant):
            return source.value
        return None if source is None else flow.stored[source.name].data

    for step in flow.steps:
        made.append(change(step, _run(step, [value(source) for source in step.operands.values()])))
    return [value(source) for source in flow.outputs]


def _run(step: Step, operands: Sequence[Any]) -> Array:
    if step.op in FUSED:
        return np.asarray(FUSED[step.op](*operands, *step.options.values()))
    op = OPS[step.op]
    return np.asarray(op(operands, **step.options) if op.variadic else op(*operands, **step.options))
