"""The dataflow of a model, traced: which op takes what from where. Pruning of channels and integer networks need it."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinydl.compress.steps import Constant, Flow, Given, Made, Source, Step, Stored, frozen
from tinydl.cost.calls import Call, Calls, tensors
from tinydl.cost.live import owner
from tinydl.modes import observe
from tinydl.nn import Module
from tinydl.op import Fused, Op
from tinydl.shapes import Array
from tinydl.tensor import Tensor
from tinydl.train import evaluating


def flow(model: Module, *inputs: Any) -> Flow:
    """Return what the ops of `model(*inputs)` take and make, in evaluation mode and layer by layer (nothing is fused).

    An operand is the result of an earlier step, an input, a parameter or buffer, or a constant; which, is told by the
    array's identity. To find out what depends on the data without an op (`x.numpy()`, a choice by `x.sum() > 0`), the
    model runs a second time, on other numbers: both runs must take the same steps with the same constants.

    Args:
        model: any module; its modes, hooks and buffers are afterwards as they were.
        inputs: Tensors or arrays as the model takes them. Sizes of the batch show up in options (those of a reshape).

    Raises: ValueError naming the step for what cannot be followed: arrays computed outside ops, results changed in
        place, steps that differ from run to run, indices that are data (those of an embedding).
        TypeError when the model returns no Tensor.

    >>> from tinydl.nn import Flatten, Linear, Sequential
    >>> print(flow(Sequential(Flatten(), Linear(4, 3)), np.zeros((1, 1, 2, 2), np.float32)))
    step     op       operands            options       result  module
    ------------------------------------------------------------------
    %0       reshape  input 0             shape=(1, 4)  1×4     0
    %1       linear   %0, .weight, .bias                1×3     1
    ------------------------------------------------------------------
    returns           %1
    inputs: 1×1×2×2
    """
    given = [Tensor(np.array(x.data if isinstance(x, Tensor) else x)) for x in inputs]
    first = _Run(model, given).flow()
    _agree(first, _Run(model, [Tensor(_other(x.data)) for x in given]).flow())
    return first


def _other(x: Array) -> Array:
    """Return other numbers of the same kind, integers among those that came (they may be indices)."""
    if x.dtype.kind == "f":
        return np.random.default_rng(0).standard_normal(x.shape).astype(x.dtype)
    return np.flip(x).copy()


def _agree(first: Flow, second: Flow) -> None:
    """Refuse a model that does other things with other numbers."""
    for a, b in zip(first.steps, second.steps):
        if (a.op, a.name, a.shape) != (b.op, b.name, b.shape):
            raise ValueError(f"model: the steps depend on the data: once {a.at}, once {b.at}; flow needs fixed ones")
        if frozen((a.operands, a.options)) != frozen((b.operands, b.options)):
            raise ValueError(
                f"model: {a.at} takes numbers that differ from run to run: what is drawn at random, or computed "
                f"outside ops, or an index, cannot be followed"
            )
    if len(first.steps) != len(second.steps) or frozen(first.outputs) != frozen(second.outputs):
        raise ValueError("model: the number of steps, or what is returned, depends on the data; flow needs fixed ones")


class _Run:
    """One run of a model; it holds every array that it has seen, so that none gets the identity of another."""

    def __init__(self, model: Module, inputs: Sequence[Tensor]) -> None:
        self.model, self.inputs = model, inputs
        self.steps: list[Step] = []
        self.stored: dict[str, Tensor] = {}
        self.seen: list[tuple[Tensor, int]] = []
        self.sources: dict[int, Source] = {}
        self.owners: dict[int, str] = {}
        self.calls: Calls[_Numbered] = Calls(self._start)
        self.begun: Counter[int] = Counter()
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            self.stored[name] = tensor
            self._know(tensor, Stored(name))
        for number, x in enumerate(inputs):
            self._know(x, Given(number))

    def flow(self) -> Flow:
        """Run the model."""
        with evaluating(self.model), self.calls.of(self.model), observe(self._see):
            output = self.model(*self.inputs)
        for tensor, version in self.seen:
            self._unchanged(tensor, version)
        returned = tensors(output)
        if not returned:
            raise TypeError(f"model: flow needs a model that returns a Tensor, got {type(output).__name__}")
        outputs = [self._find(y.data, "the result") for y in returned]
        return Flow(self.model, [x.shape for x in self.inputs], self.steps, outputs, self.stored)

    def _start(self, name: str, module: Module) -> _Numbered:
        call = _Numbered("" if module is self.model else name, module, self.begun[id(module)])
        self.begun[id(module)] += 1
        return call

    def _know(self, tensor: Tensor, source: Source) -> None:
        """Remember where an array comes from; of several names the first one stays."""
        self.seen.append((tensor, tensor._version.count))
        self.sources.setdefault(id(tensor.data), source)
        self.owners.setdefault(id(owner(tensor.data)), str(source))

    def _see(self, op: Op | Fused, arrays: Sequence[Any], options: Mapping[str, Any], y: Tensor, kept: Any) -> None:
        """Observe one op."""
        call = self.calls.current
        number = len(self.steps)
        at = f"{op.name} (step {number}, {call.name or 'the model itself'})"
        if id(y.data) in self.sources:  # handed on, unless it was changed in place
            version = next(version for tensor, version in self.seen if tensor.data is y.data)
            self._unchanged(y, version, at)
            return
        operands, settings = _named(op, arrays, options)
        found = {name: None if x is None else self._find(x, at) for name, x in operands.items()}
        self.steps.append(Step(number, op.name, found, settings, y.shape, y.dtype, call.module, call.name, call.number))
        self._know(y, Made(number))

    def _find(self, x: Any, at: str) -> Source:
        """Return where an operand comes from."""
        if not isinstance(x, np.ndarray):
            return Constant(x)
        if id(x) in self.sources:
            return self.sources[id(x)]
        if id(owner(x)) in self.owners:
            origin = self.owners[id(owner(x))]
            raise ValueError(f"model: {at} takes a view of {origin} that no op made; use tinydl's ops")
        constant = Tensor.of(x)
        self.seen.append((constant, 0))
        self.sources[id(x)] = Constant(x)
        return self.sources[id(x)]

    def _unchanged(self, tensor: Tensor, version: int, at: str = "the model") -> None:
        if tensor._version.count != version:
            source = self.sources[id(tensor.data)]
            raise ValueError(f"model: {at} changes {source} in place; flow needs a new Tensor for each result")


class _Numbered(Call):
    """A call that knows how many of the same module were before it."""

    def __init__(self, name: str, module: Module, number: int) -> None:
        super().__init__(name, module)
        self.number = number


def _named(
    op: Op | Fused, arrays: Sequence[Any], options: Mapping[str, Any]
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return operands and options by name. A fused kernel's come mixed: arrays, and what is left out, are operands."""
    if isinstance(op, Op):
        names = [f"{op.operands[0]}[{i}]" for i in range(len(arrays))] if op.variadic else op.operands
        return dict(zip(names, arrays)), dict(options)
    every = dict(zip(inspect.signature(op.forward).parameters, arrays))
    operands = {name: x for name, x in every.items() if x is None or isinstance(x, np.ndarray)}
    return operands, {name: x for name, x in every.items() if name not in operands}
