"""What a training step keeps alive between forward and backward, layer by layer.

The derivatives of an op name what they need (`tinydl.rule`), so the recorded graph holds exactly the memory that
backward will use; that is what is counted here. While backward goes on, the graph shrinks and gradients grow: the end
of the forward pass is where most of it is alive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydl.cost.calls import Call, Calls, tensors
from tinydl.cost.fused import Fusions, fusions
from tinydl.cost.inputs import Shapes, zeros_for
from tinydl.cost.live import Live
from tinydl.cost.table import Table, in_bytes
from tinydl.cost.undisturbed import undisturbed
from tinydl.graph import Node, ancestors
from tinydl.modes import enable_grad, observe
from tinydl.nn import Module
from tinydl.rule import Saved
from tinydl.shapes import Array
from tinydl.tensor import Tensor


@dataclass(frozen=True)
class Kept:
    """The memory that the ops of one call of a layer keep for backward, but for what an earlier row has counted."""

    name: str
    kind: str
    bytes: int


@dataclass(frozen=True)
class TrainingMemory:
    """What a model's graph keeps at the end of the forward pass in training; printed, a table.

    Attributes:
        name: the model's class.
        batch: how many inputs the step had.
        rows: the calls of layers that ran recorded ops, in the order in which they ended.
    """

    name: str
    batch: int
    rows: tuple[Kept, ...]

    @property
    def bytes(self) -> int:
        """All that is kept, in bytes."""
        return sum(row.bytes for row in self.rows)

    def __str__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Table:
        lines = [(row.name, row.kind, in_bytes(row.bytes)) for row in self.rows]
        title = f"{self.name}: {in_bytes(self.bytes)} kept for backward, batch {self.batch}"
        note = "activations that the graph holds at the end of the forward pass, each memory once; parameters left out"
        return Table(title, ("layer", "kind", "kept"), lines, ("total", "", in_bytes(self.bytes)), 2, [("kept", note)])


class _Work(Call):
    """A call, and whether it ran ops that are recorded."""

    recorded = False


def training_memory(model: Module, input_shape: Shapes, batch: int = 1) -> TrainingMemory:
    """Return how much memory a training step on a batch of inputs of `input_shape` keeps for backward.

    The model runs forward once, on zeros, in training mode; what that changes (running statistics, random generators)
    is put back. Each memory counts once, for the first layer that keeps it, however many ops save it or views of it;
    parameters and buffers are not counted. The loss will add its own.

    Args:
        model: any module.
        input_shape: as in `tinydl.cost.summary`.
        batch: how many inputs; batch norm refuses one that leaves it a single value a channel.

    Raises: TypeError or ValueError naming the argument; whatever the model raises.

    >>> from tinydl.nn import Linear, ReLU, Sequential
    >>> model = Sequential(Linear(8, 4), ReLU(), Linear(4, 2))
    >>> [row.bytes for row in training_memory(model, (8,), batch=10).rows]  # x; max(0, Wx), which the last layer shares
    [320, 160, 0]
    """
    inputs = zeros_for(model, input_shape, batch)
    calls, makers = Calls(_Work), dict[int, _Work]()
    fused = Fusions({})

    def see(op: Any, arrays: Sequence[Any], options: Any, y: Tensor, kept: Any) -> None:
        call, fusion = calls.current, fused.of(op, arrays)
        if fusion is not None:
            call = _Work(fusion.name, fusion.members[0])
            calls.ended.append(call)
        if y._node is not None:
            makers[y._node.number], call.recorded = call, True

    with undisturbed(model), enable_grad():
        model.train()
        fused = fusions(model, inputs)
        with calls.of(model, but=fused.members), observe(see):
            outputs = tensors(model(*inputs))
        parts = Live(tensor.data for tensor in (*model.parameters(), *model.buffers()))
        kept = dict.fromkeys(calls.ended, 0)
        for node in reversed(ancestors(y._node for y in outputs)):
            kept[makers.get(node.number, calls.ended[-1])] += sum(map(parts.add, saved_arrays(node)))
    rows = tuple(Kept(call.name, call.kind, n) for call, n in kept.items() if call.recorded or n)
    return TrainingMemory(type(model).__name__, batch, rows)


def saved_arrays(node: Node) -> list[Array]:
    """Return the arrays that a node of the graph holds for its derivatives.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x)._node is None, saved_arrays((x * x)._node)
    (False, [array([1., 2.], dtype=float32), array([1., 2.], dtype=float32)])
    """
    return list(_arrays(node.saved or ()))


def _arrays(saved: Sequence[Any]) -> Iterator[Array]:
    for value in saved:
        if isinstance(value, Saved):
            yield value.array
        elif isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _arrays(value)
