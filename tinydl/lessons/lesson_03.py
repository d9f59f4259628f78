"""Lesson 3, neurons draw lines: its data, its exercises and how they are checked."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from tinydl.lessons.exercise import Arguments, NotAttempted, Wrong, ask, compare, exercise, need_function, unanswered
from tinydl.lessons.search import Pick
from tinydl.lessons.solutions import lesson_02 as boxes
from tinydl.lessons.solutions import lesson_03 as answers

_value: Callable[[float], Any] = boxes.Value
_backward: Callable[[Any], None] = boxes.backward
_train: Callable[..., list[float]] = answers.train
_CULPRIT: str = answers.culprit


def moons(count: int, seed: int = 0) -> list[tuple[float, float, int]]:
    """Return points (x, y, side) on two crescents that reach round each other; side is 1 or -1, in turn.

    >>> [(round(x, 2), round(y, 2), side) for x, y, side in moons(2)]
    [(1.39, -0.32, -1), (0.09, 0.47, 1)]
    """
    draw = random.Random(seed)
    points = []
    for i in range(count):
        turn, side = math.pi * draw.random(), 1 if i % 2 else -1
        x, y = side * (math.cos(turn) - 0.5), side * (math.sin(turn) - 0.25)
        points.append((x + draw.gauss(0, 0.1), y + draw.gauss(0, 0.1), side))
    return points


def beginning(hidden: int, seed: int = 1) -> tuple[list[list[float]], list[float]]:
    """Return random knobs: for each hidden neuron two weights and a bias, and for the last one weights and a bias.

    >>> hidden, last = beginning(6)
    >>> [len(knobs) for knobs in hidden], len(last)
    ([3, 3, 3, 3, 3, 3], 7)
    """
    draw = random.Random(seed)
    lines = [[draw.gauss(0, 1) for _ in range(3)] for _ in range(hidden)]
    return lines, [draw.gauss(0, 0.5) for _ in range(hidden + 1)]


def as_values(lines: Sequence[Sequence[float]], last: Sequence[float]) -> tuple[list[list[Any]], list[Any]]:
    """Return the same knobs as Values."""
    return [[_value(k) for k in line] for line in lines], [_value(k) for k in last]


def mean_loss(hidden: Sequence[Sequence[Any]], last: Sequence[Any], points: Sequence[tuple[float, float, int]]) -> Any:
    """Return the mean of (network(x, y) − side)² over the points, as a Value."""
    total = _value(0.0)
    for x, y, side in points:
        score = last[-1]
        for (a, b, c), weight in zip(hidden, last):
            score = score + (a * _value(x) + b * _value(y) + c).tanh() * weight
        miss = score.tanh() + _value(-side)
        total = total + miss * miss
    return total * _value(1 / len(points))


def _outcome(train: Callable[..., Any]) -> Callable[..., Any]:
    """Make of a training loop a function of numbers: (start, steps, lr) -> losses, then where the knobs end.

    The loss is Σ (k_i² − 1)² + k_0 · k_last, so that the slope by a knob may depend on another.
    """

    def run(start: list[float], steps: int, lr: float) -> Any:
        knobs = [_value(x) for x in start]

        def loss() -> Any:
            total = knobs[0] * knobs[-1]
            for knob in knobs:
                miss = knob * knob + _value(-1.0)
                total = total + miss * miss
            return total

        history = train(knobs, loss, steps, lr)
        if history is None or unanswered(history):
            return history
        if not isinstance(history, (list, tuple)):
            raise TypeError(f"a list of losses is wanted, got {type(history).__name__}")
        return [*(getattr(x, "data", x) for x in history), *(knob.data for knob in knobs)]

    return run


def _problem(pick: Pick) -> Arguments:
    start = [pick.number(-1, 1) for _ in range(pick.integer(1, 3))]
    return {"start": start, "steps": pick.integer(1, 4), "lr": pick.one_of((0.125, 0.0625, 0.03125))}


def _step(knobs: Sequence[Any], lr: float) -> None:
    for knob in knobs:
        knob.data -= lr * knob.grad


def _sweep(knobs: Sequence[Any]) -> None:
    for knob in knobs:
        knob.grad = 0.0


def _nobody_sweeps(knobs: Sequence[Any], loss: Callable[[], Any], steps: int, lr: float) -> list[float]:
    history = []
    for _ in range(steps):
        now = loss()
        history.append(now.data)
        _backward(now)
        _step(knobs, lr)
    return history


def _climbs(knobs: Sequence[Any], loss: Callable[[], Any], steps: int, lr: float) -> list[float]:
    return _train(knobs, loss, steps, -lr)


def _swept_too_early(knobs: Sequence[Any], loss: Callable[[], Any], steps: int, lr: float) -> list[float]:
    return _train(knobs, loss, steps, 0.0)


def _one_graph(knobs: Sequence[Any], loss: Callable[[], Any], steps: int, lr: float) -> list[float]:
    now, history = loss(), []
    for _ in range(steps):
        history.append(now.data)
        for box in boxes.order(now):  # type: ignore[no-untyped-call]  # the solutions are untyped
            box.grad = 0.0
        _backward(now)
        _step(knobs, lr)
    return history


def _one_knob(knobs: Sequence[Any], loss: Callable[[], Any], steps: int, lr: float) -> list[float]:
    return _train(knobs[:1], loss, steps, lr)


def _one_step(knobs: Sequence[Any], loss: Callable[[], Any], steps: int, lr: float) -> list[float]:
    return _train(knobs, loss, 1, lr)


def _afterwards(knobs: Sequence[Any], loss: Callable[[], Any], steps: int, lr: float) -> list[float]:
    history = []
    for _ in range(steps):
        _train(knobs, loss, 1, lr)
        history.append(loss().data)
    return history


def _last_loss(knobs: Sequence[Any], loss: Callable[[], Any], steps: int, lr: float) -> list[float]:
    return _train(knobs, loss, steps, lr)[-1:]


_TRAIN_MISTAKES: dict[str, Callable[..., Any]] = {
    "nobody sweeps: set the grad of every knob to 0.0 in each step, before backward adds to it": _nobody_sweeps,
    "you climb: go against the slope, with -= and not +=": _climbs,
    "the knobs do not move; the grads must still be there when you turn the knobs: sweep before backward": (
        _swept_too_early
    ),
    "loss() is called once, before the loop; the knobs have moved, so build the graph anew in each step": _one_graph,
    "only the first knob is turned; go through all of them": _one_knob,
    "it stops after one step: is the `return` inside the loop?": _one_step,
    "you note the loss after each step; note it before": _afterwards,
    "only the last loss is returned; collect one for each step": _last_loss,
}


@exercise(
    "03.1",
    "your loop trains the moons to a loss below 0.1",
    solution="train",
    hints=[
        "Four things in each step, in this order: build the loss, sweep the grads, walk back, turn the knobs.",
        "now = loss() builds a fresh graph; history.append(now.data) notes the number. After that: for knob in knobs: "
        "knob.grad = 0.0",
        "Then backward(now), and for each knob: knob.data -= lr * knob.grad. After the loop: return history.",
    ],
)
def train(answer: Any) -> None:
    """Hold losses and knobs against ours on small problems; then the moons must be learned."""
    need_function(answer)
    mistakes = {sentence: _outcome(loop) for sentence, loop in _TRAIN_MISTAKES.items()}
    compare(_outcome(answer), _outcome(_train), _problem, mistakes, tries=60)
    hidden, out = as_values(*beginning(6))
    points = moons(40)
    knobs = [knob for line in [*hidden, out] for knob in line]
    history = ask(answer, knobs, lambda: mean_loss(hidden, out, points), 60, 0.5)
    if getattr(history[-1], "data", history[-1]) >= 0.1:
        raise Wrong("after 60 steps on the moons the loss is not below 0.1", yours=history[-1])


_WHY_NOT = {
    "A": "A comes nearer and nearer, slowly: a healthy run whose steps are too short",
    "C": "C jumps over the valley with every step: the steps are too long, but each follows its own slope",
    "D": "D walks away from the valley: it climbs, a wrong sign",
}


@exercise(
    "03.2",
    "the old gradients add up and push on, past the valley and up the other side",
    solution="culprit",
    hints=[
        "Without a sweep each step is lr times the sum of all slopes so far. The first step is right. And then?",
        "Later, slopes that pointed the same way have piled up: the steps become longer, and they do not stop at the "
        "bottom, where the slope is 0 but the pile is not.",
        "So look for the run that begins like a good one, then swings through the valley in slow, wide waves.",
    ],
)
def culprit(answer: Any) -> None:
    """Accept the letter, in either case."""
    if unanswered(answer):
        raise NotAttempted
    letter = answer.strip().upper() if isinstance(answer, str) else answer
    if letter not in ("A", "B", "C", "D"):
        raise Wrong('one of the letters "A", "B", "C", "D" is wanted', yours=answer)
    if letter != _CULPRIT:
        raise Wrong(f"not {letter}", _WHY_NOT[letter])
