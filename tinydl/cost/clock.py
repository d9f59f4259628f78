"""Clocks on the calls of modules: one for their own part of forward, one for the part of backward that they caused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

from tinydl.cost.calls import Call, Calls
from tinydl.cost.fused import Fusions
from tinydl.graph import Gradient, Node
from tinydl.modes import observe
from tinydl.nn import Module
from tinydl.op import Op
from tinydl.tensor import Tensor


class Timing(Call):
    """A call and the nanoseconds that it took, modules inside it left out.

    Attributes:
        running: the calls that have not ended, of the whole model.
        forward: from its start to its end, less the time of the modules that it called.
        backward: in the derivatives of the ops that it ran, when the model went back through them after its forward.
    """

    def __init__(self, name: str, module: Module, running: Sequence[Timing]) -> None:
        super().__init__(name, module)
        self.forward = self.backward = 0
        self.running = running
        self._inside = 0
        self._began = self._resumed = perf_counter_ns()

    def finish(self, output: Any) -> None:
        """Stop the forward clock; for the caller this was time inside of another module."""
        now = perf_counter_ns()
        took = now - self._began
        self.forward = took - self._inside
        if self.running:
            self.running[-1].pass_to(took, now)

    def pass_to(self, took: int, now: int) -> None:
        """Note that `took` nanoseconds until `now` were another call's."""
        self._inside += took
        self._resumed = now

    def split(self, name: str, module: Module) -> Timing:
        """Return a call that took all the time since the last one inside of this call has ended, until now."""
        part = Timing(name, module, self.running)
        part.forward = part._began - self._resumed
        self.pass_to(part.forward, part._began)
        return part


class TimedOp:
    """An op in the eyes of the graph, which adds the time of its derivatives to the call that ran it."""

    def __init__(self, op: Op, call: Timing) -> None:
        self.name = op.name
        self._op, self._call = op, call

    def pull(self, node: Node, g: Gradient, create_graph: bool) -> Sequence[tuple[Any, Gradient]]:
        """Return the gradients of the node's operands, and note how long it took."""
        began = perf_counter_ns()
        pairs = self._op.pull(node, g, create_graph)
        if not self._call.running:  # else a gradient inside of forward, whose clock is on
            self._call.backward += perf_counter_ns() - began
        return pairs


@contextmanager
def timed(model: Module, fused: Fusions) -> Iterator[list[Timing]]:
    """Time the calls of the modules of `model` made inside the block, forward and on the way back.

    The list yielded fills as calls end. Layers that are fused stay fused: all that their kernel does is one call, of
    the first of them. Each node recorded inside the block knows the call that recorded it, and a walk back through it,
    even after the block, adds to that call's backward clock. As a node belongs to one call, this is right for modules
    with any number of inputs and outputs.
    """
    calls: Calls[Timing] = Calls(lambda name, module: Timing(name, module, calls.running))

    def see(op: Any, arrays: Sequence[Any], options: Any, y: Tensor, kept: Any) -> None:
        if not calls.running:
            return
        call, fusion = calls.current, fused.of(op, arrays)
        if fusion is not None:
            call = call.split(fusion.name, fusion.members[0])
            calls.ended.append(call)
        if y._node is not None:
            y._node.op = TimedOp(op, call)

    with calls.of(model, but=fused.members), observe(see):
        yield calls.ended
