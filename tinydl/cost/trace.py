"""One run of a model in evaluation mode, watched op by op: what each call of a module computes, makes and sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinydl.cost.calls import Call, Calls, tensors
from tinydl.cost.field import Tracker
from tinydl.cost.live import Live
from tinydl.cost.macs import macs
from tinydl.cost.window import Field
from tinydl.modes import observe
from tinydl.nn import Module
from tinydl.shapes import Shape
from tinydl.tensor import Tensor
from tinydl.train import evaluating


class Work(Call):
    """What one call of a module did by itself, what the modules inside it did left out.

    Attributes:
        macs: the multiply-adds of the ops it ran.
        made: the bytes of activations that they made; views make none.
        shape: the shape of its (first) result, with the batch; None when it returned no Tensor.
        field: the receptive field of that result, if it depends on an image.
    """

    def __init__(self, name: str, module: Module) -> None:
        super().__init__(name, module)
        self.macs = self.made = 0
        self.shape: Shape | None = None
        self.field: Field | None = None

    @property
    def matters(self) -> bool:
        """Whether the module holds no other, or computed something by itself (views are not enough)."""
        return bool(self.macs or self.made or not any(True for _ in self.module.children()))


class _Watch:
    """Takes down what each op does for the module that is running."""

    def __init__(self, model: Module, inputs: Sequence[Tensor]) -> None:
        self.calls = Calls(self._start)
        self.live = Live(tensor.data for tensor in (*model.parameters(), *model.buffers()))
        self.fields = Tracker()
        for x in inputs:
            self.live.add(x.data)
            if x.ndim == 4:
                self.fields.image(x.data)

    def _start(self, name: str, module: Module) -> Work:
        return _Watched(name, module, self.fields)

    def see(self, op: Any, arrays: Sequence[Any], options: Mapping[str, Any], y: Tensor, kept: Sequence[Any]) -> None:
        """Observe one op."""
        work = self.calls.current
        work.macs += macs(op, arrays, options, y.data)
        work.made += self.live.follow(arrays, y.data, kept)
        self.fields.follow(op, arrays, options, y)


class _Watched(Work):
    def __init__(self, name: str, module: Module, fields: Tracker) -> None:
        super().__init__(name, module)
        self._fields = fields

    def finish(self, output: Any) -> None:
        found = tensors(output)
        if found:
            self.shape, self.field = found[0].shape, self._fields.of(found[0].data)


def trace(model: Module, inputs: Sequence[Tensor]) -> Sequence[Work]:
    """Run `model(*inputs)` in evaluation mode, layer after layer, and return the calls of its modules as they ended.

    Activations are the inputs and the results of ops on activations. As each layer is watched, none is fused with the
    next: what is seen is what the layers do, not what `tinydl.cost.peak` says inference needs.
    """
    watch = _Watch(model, inputs)
    with evaluating(model), watch.calls.of(model), observe(watch.see):
        model(*inputs)
    return watch.calls.ended
