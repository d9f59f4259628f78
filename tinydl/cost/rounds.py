"""Rounds of measurement: the whole model and each call of a module, in inference and in a training step."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import nan
from time import perf_counter_ns
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from tinydl import ops
from tinydl.cost.calls import Call, tensors
from tinydl.cost.clock import timed
from tinydl.cost.fused import Fusions, fusions
from tinydl.cost.undisturbed import undisturbed
from tinydl.modes import enable_grad
from tinydl.nn import Module
from tinydl.options import whole
from tinydl.tensor import Tensor
from tinydl.train import evaluating

C = TypeVar("C", bound=Call)

Key: TypeAlias = tuple[str, int]
"""A module's name, and which of its calls."""


class Times(NamedTuple):
    """Milliseconds: of inference (evaluation mode, nothing recorded), and of the two halves of a training step."""

    inference: float
    forward: float
    backward: float

    @property
    def step(self) -> float:
        """Forward and backward."""
        return self.forward + self.backward


def numbered(calls: Iterable[C]) -> Iterator[tuple[Key, C]]:
    """Return each call with its key."""
    seen: Counter[str] = Counter()
    for call in calls:
        yield (call.name, seen[call.name]), call
        seen[call.name] += 1


class Clocks:
    """The measurements of all rounds, in milliseconds: of the whole and of each call, one list a kind of time.

    Args:
        model: what to run.
        inputs: what on.
        rounds: how many measurements.
        warmup: how many rounds before that do not count.
    """

    def __init__(self, model: Module, inputs: Sequence[Tensor], rounds: int, warmup: int) -> None:
        self._model, self._inputs = model, inputs
        self._rounds = range(-whole(warmup, "warmup", 0), whole(rounds, "rounds", 1))
        self._whole: dict[str, list[float]] = defaultdict(list)
        self._watched: dict[str, list[float]] = defaultdict(list)
        self._calls: dict[str, list[dict[Key, float]]] = defaultdict(list)

    def infer(self) -> Fusions:
        """Run the model in evaluation mode, unwatched and watched in each round; return what was fused."""
        with evaluating(self._model):
            fused = fusions(self._model, self._inputs)
            for n in self._rounds:
                ms, _ = self._run()
                with timed(self._model, fused) as calls:
                    watched, _ = self._run()
                if n >= 0:
                    self._add("inference", ms, watched, {key: call.forward for key, call in numbered(calls)})
        return fused

    def train(self) -> Fusions:
        """Make training steps (without an optimizer), unwatched and watched in each round; return what was fused."""
        with undisturbed(self._model), enable_grad():
            self._model.train()
            fused = fusions(self._model, self._inputs)
            for n in self._rounds:
                forward, y = self._run()
                backward = _backward(self._model, y)
                with timed(self._model, fused) as calls:
                    watched, y = self._run()
                watched_backward = _backward(self._model, y)
                if n >= 0:
                    keyed = list(numbered(calls))
                    self._add("forward", forward, watched, {key: call.forward for key, call in keyed})
                    self._add("backward", backward, watched_backward, {key: call.backward for key, call in keyed})
        return fused

    def _run(self) -> tuple[float, Any]:
        return _time(lambda: self._model(*self._inputs))

    def _add(self, kind: str, ms: float, watched: float, calls: dict[Key, int]) -> None:
        self._whole[kind].append(ms)
        self._watched[kind].append(watched)
        self._calls[kind].append({key: 1e-6 * nanoseconds for key, nanoseconds in calls.items()})

    def whole(self) -> Times:
        """Return the time of the whole model, unwatched."""
        return _medians(lambda kind: self._whole[kind])

    def watched(self) -> Times:
        """Return the time of the whole model, watched."""
        return _medians(lambda kind: self._watched[kind])

    def own(self, key: Key) -> Times:
        """Return the time of one call; 0 where it was not made."""
        return _medians(lambda kind: [calls.get(key, 0.0) for calls in self._calls[kind]])

    def rest(self, keys: Sequence[Key]) -> Times:
        """Return what is left of the watched whole without the calls of `keys`."""
        return _medians(
            lambda kind: [
                total - sum(calls.get(key, 0.0) for key in keys)
                for total, calls in zip(self._watched[kind], self._calls[kind])
            ]
        )


def _medians(of: Callable[[str], list[float]]) -> Times:
    found = (of(kind) for kind in Times._fields)
    return Times(*(float(np.median(ms)) if ms else nan for ms in found))


def _time(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the milliseconds that `run()` takes, and its result."""
    began = perf_counter_ns()
    result = run()
    return 1e-6 * (perf_counter_ns() - began), result


def _backward(model: Module, output: Any) -> float:
    """Go back from all outputs, forget the gradients, and return the milliseconds that the walk took."""
    roots = [y for y in tensors(output) if y.requires_grad]
    if not roots:
        raise ValueError("profile: no output of the model needs a gradient; use training=False")
    root = roots[0] if len(roots) == 1 else ops.stack([y.sum() for y in roots])
    ones = Tensor(np.ones_like(root.data))
    ms, _ = _time(lambda: root.backward(ones))
    model.zero_grad()
    return ms
