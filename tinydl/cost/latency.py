"""How long a network takes, layer by layer: measured, not inferred from MACs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from typing import Any

from tinydl import kernels
from tinydl.cost.rounds import Clocks, Times, numbered
from tinydl.cost.table import Table
from tinydl.cost.trace import trace
from tinydl.kernels.threads import num_threads
from tinydl.nn import Module
from tinydl.tensor import as_tensor


@dataclass(frozen=True)
class TimedRow:
    """What one call of a layer takes by itself, layers inside it left out.

    Attributes:
        name: its place in the model.
        kind: its class.
        macs: multiply-adds of the whole batch.
        ms: medians over the rounds.
        fused_inference: whether inference does its work in the kernel of a layer before it, and time it there.
        fused_training: the same for a training step.
    """

    name: str
    kind: str
    macs: int
    ms: Times
    fused_inference: bool = False
    fused_training: bool = False

    @property
    def gflops(self) -> float:
        """Billions of multiplications and additions a second in inference: 2 · MACs / time."""
        return 2e-6 * self.macs / self.ms.inference if self.ms.inference else 0.0


@dataclass(frozen=True)
class Profile:
    """Where the time goes; printed, a table.

    Attributes:
        name: the model's class.
        batch: the first axis of the first input.
        rounds: how many measurements each median is of.
        rows: the layers in the order in which they ran.
        rest: what passes between layers: containers, the walk back, watching itself, layers that run in training only.
        whole: the time of the whole model when no layer is watched.
        watched: the time of the whole model when all are; the difference is what watching costs.
    """

    name: str
    batch: int
    rounds: int
    rows: tuple[TimedRow, ...]
    rest: Times
    whole: Times
    watched: Times

    def __str__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Table:
        trained = not isnan(self.whole.step)
        macs = sum(row.macs for row in self.rows)
        total = Times(*(sum(t) for t in zip(self.rest, *(row.ms for row in self.rows))))
        every = [*self.rows, TimedRow("between layers", "", 0, self.rest)]
        lines = [[row.name, row.kind, *self._cells(row, total)] for row in every]
        totals = ["total", "", *self._cells(TimedRow("", "", macs, total), total)]
        head = ["layer", "kind", "MACs", "inference", "share", "GFLOP/s", "forward", "backward", "of step"]
        columns = len(head) if trained else 6
        return Table(
            f"{self.name}: {self.whole.inference:.2f} ms an inference, batch {self.batch}",
            head[:columns],
            [line[:columns] for line in lines],
            totals[:columns],
            2,
            list(self._notes(trained)),
        )

    def _cells(self, row: TimedRow, total: Times) -> Iterator[str]:
        ms, fused = row.ms, ("fused", "")
        yield f"{row.macs:,}"
        yield from fused if row.fused_inference else (f"{ms.inference:.3f}", _percent(ms.inference, total.inference))
        yield f"{row.gflops:.1f}" if row.macs else ""
        yield from fused if row.fused_training else (f"{ms.forward:.3f}", f"{ms.backward:.3f}")
        yield "" if row.fused_training else _percent(ms.step, total.step)

    def _notes(self, trained: bool) -> Iterator[tuple[str, str]]:
        step = "; forward, backward: a training step" if trained else ""
        yield "times", f"milliseconds, medians of {self.rounds} rounds; inference: nothing is recorded{step}"
        for word, ms in (("whole", self.whole), ("watched", self.watched)):
            halves = f", forward {ms.forward:.3f}, backward {ms.backward:.3f}" if trained else ""
            how = "no layer is timed" if word == "whole" else "all layers are"
            yield word, f"inference {ms.inference:.3f}{halves} when {how}"
        engine = f"{kernels.active()} kernels, threads: {num_threads()}, batch: {self.batch}"
        yield "engine", f"{engine}; GFLOP/s: 2 · MACs / inference"


def _percent(part: float, total: float) -> str:
    return f"{100 * part / total:.1f} %" if total else ""


def profile(model: Module, x: Any, rounds: int = 10, warmup: int = 2, training: bool = True) -> Profile:
    """Measure how long each layer of `model` takes for the input `x`, forward and backward.

    Each round runs the model unwatched and watched, in evaluation mode and (with `training`) for one training step,
    whose upstream gradient is all ones. What training changes is put back afterwards, gradients too. A layer's time
    is that of what it does itself; its backward time is that of the derivatives of its ops.

    Args:
        model: any module.
        x: a Tensor or array; a tuple or list of them for several inputs.
        rounds: how often to measure, at least 1.
        warmup: how many rounds before that do not count (kernels compile in the first).
        training: measure forward and backward of a training step as well, else they are NaN.

    Raises: TypeError or ValueError naming the argument; ValueError with `training` when nothing needs a gradient;
        whatever the model raises.

    >>> import numpy as np
    >>> from tinydl.nn import Linear, ReLU, Sequential
    >>> found = profile(Sequential(Linear(8, 4), ReLU()), np.ones((2, 8), np.float32), rounds=3)
    >>> [(row.kind, row.macs) for row in found.rows], found.whole.inference > 0
    ([('Linear', 64), ('ReLU', 0)], True)
    """
    inputs = [as_tensor(part) for part in (x if isinstance(x, (tuple, list)) else [x])]
    clocks = Clocks(model, inputs, rounds, warmup)
    work = [(key, call) for key, call in numbered(trace(model, inputs)) if call.matters]
    guests = [{id(m) for m in clocks.infer().guests}, {id(m) for m in clocks.train().guests} if training else set()]
    rows = tuple(
        TimedRow(call.name, call.kind, call.macs, clocks.own(key), *(id(call.module) in some for some in guests))
        for key, call in work
    )
    batch = inputs[0].shape[0] if inputs and inputs[0].ndim else 1
    rest = clocks.rest([key for key, _ in work])
    return Profile(type(model).__name__, batch, rounds, rows, rest, clocks.whole(), clocks.watched())
