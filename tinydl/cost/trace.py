"""One run of a model in evaluation mode, watched op by op: what each call of a module computes, makes and sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydl.cost.calls import Call, Calls, tensors
from tinydl.cost.field import Tracker
from tinydl.cost.live import Live
from tinydl.cost.macs import macs
from tinydl.cost.window import Field
from tinydl.modes import observe
from tinydl.nn import Module
from tinydl.op import Op
from tinydl.shapes import Shape
from tinydl.tensor import Tensor
from tinydl.train import evaluating


class Work(Call):
    """What one call of a module did by itself, what the modules inside it did left out.

    Attributes:
        ops: how many ops it ran.
        macs: their multiply-adds.
        made: the bytes of activations that they made; views make none.
        shape: the shape of its (first) result, with the batch; None when it returned no Tensor.
        field: the receptive field of that result, if it depends on an image.
    """

    def __init__(self, name: str, module: Module) -> None:
        super().__init__(name, module)
        self.ops = self.macs = self.made = 0
        self.shape: Shape | None = None
        self.field: Field | None = None


@dataclass(frozen=True)
class Trace:
    """What was seen of a run.

    Attributes:
        calls: the calls of all modules, in the order in which they ended.
        peak: the most bytes of activations that were alive at one time; see `trace`.
        at: the name of the module that was running then.
    """

    calls: Sequence[Work]
    peak: int
    at: str


class _Watch:
    """Takes down what each op does for the module that is running."""

    def __init__(self, model: Module, inputs: Sequence[Tensor]) -> None:
        self.calls = Calls(self._start)
        self.live = Live(tensor.data for tensor in (*model.parameters(), *model.buffers()))
        self.fields = Tracker()
        self.at = ""
        for x in inputs:
            self.live.add(x.data)
            if x.ndim == 4:
                self.fields.image(x.data)

    def _start(self, name: str, module: Module) -> Work:
        return _Watched(name, module, self.fields)

    def see(self, op: Op, arrays: Sequence[Any], options: Mapping[str, Any], y: Tensor, kept: Sequence[Any]) -> None:
        """Observe one op."""
        work, before = self.calls.current, self.live.peak
        work.ops += 1
        work.macs += macs(op, arrays, options, y.data)
        if any(isinstance(array, np.ndarray) and self.live.holds(array) for array in arrays):
            work.made += self.live.add(y.data)
            for array in kept:
                self.live.add(array)
        if self.live.peak > before:
            self.at = work.name
        self.fields.follow(op, arrays, options, y)


class _Watched(Work):
    def __init__(self, name: str, module: Module, fields: Tracker) -> None:
        super().__init__(name, module)
        self._fields = fields

    def finish(self, output: Any) -> None:
        found = tensors(output)
        if found:
            self.shape, self.field = found[0].shape, self._fields.of(found[0].data)


def trace(model: Module, inputs: Sequence[Tensor]) -> Trace:
    """Run `model(*inputs)` in evaluation mode, recording nothing for backward, and return what it did.

    Activations are the inputs, and the results of ops on activations with what the op hands on beside them (like the
    places of maxima); each memory counts once, however many views there are, from the op that makes it until Python
    frees it. Not among them: parameters, buffers and what is computed from these alone; working space inside a kernel.
    """
    watch = _Watch(model, inputs)
    with evaluating(model), watch.calls.of(model), observe(watch.see):
        model(*inputs)
    return Trace(watch.calls.ended, watch.live.peak, watch.at)
