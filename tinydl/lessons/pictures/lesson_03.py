"""Lesson 3: a network that bends its border around two moons, and four runs of which one was never swept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tinydl.lessons.lesson_03 import as_values, beginning, mean_loss, moons
from tinydl.lessons.pictures.easel import picture
from tinydl.lessons.solutions import lesson_02 as boxes
from tinydl.lessons.solutions import lesson_03 as answers
from tinydl.plots.figures import BLUE, ORANGE, VERMILION, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_value: Callable[[float], Any] = boxes.Value
_backward: Callable[[Any], None] = boxes.backward
_train: Callable[..., list[float]] = answers.train
_STOPS = (0, 10, 50, 200)
_XS, _YS = [-2 + i / 15 for i in range(61)], [-1.6 + i / 15 for i in range(49)]
_SHADES = ["#7fb8d8", "#d4e8f3", "#faecc8", "#f2cf80"]
_RUNS = {"A": (0.02, True), "B": (0.02, False), "C": (0.96, True), "D": (-0.01, True)}
"""Step length and whether the gradient is swept."""


@picture
def film_strip() -> Sequence[Axes]:
    """Train six hidden neurons on the moons, and draw what they say before, in between and afterwards."""
    hidden, last = as_values(*beginning(6))
    knobs = [knob for line in [*hidden, last] for knob in line]
    points, done = moons(40), 0
    axes: list[Axes] = list(new_figure(7.6, 5.8).subplots(2, 2, sharex=True, sharey=True).flat)
    for ax, stop in zip(axes, _STOPS):
        _train(knobs, lambda: mean_loss(hidden, last, points), stop - done, 0.5)
        done = stop
        loss = mean_loss(hidden, last, points).data
        _region(ax, [[k.data for k in line] for line in hidden], [k.data for k in last], points)
        dress(ax, f"after {stop} steps: loss {loss:.3f}", "x", "y")
    return axes


@picture
def region(
    hidden: Sequence[Sequence[float]], last: Sequence[float], points: Sequence[tuple[float, float, int]], title: str
) -> Axes:
    """Draw the points, what a network of these knobs says about every place, and the line of each hidden neuron."""
    ax: Axes = new_figure(4.8, 3.6).subplots()
    _region(ax, hidden, last, points)
    dress(ax, title, "x", "y")
    return ax


def _region(ax: Axes, hidden: Any, last: Any, points: Sequence[tuple[float, float, int]]) -> None:
    heights = [[_says(hidden, last, x, y) for x in _XS] for y in _YS]
    ax.contourf(_XS, _YS, heights, levels=[-1.01, -0.5, 0, 0.5, 1.01], colors=_SHADES)
    ax.contour(_XS, _YS, heights, levels=[0], colors="black", linewidths=2)
    for a, b, c in hidden:
        _line(ax, a, b, c)
    for side, colour, marker in ((1, ORANGE, "^"), (-1, BLUE, "o")):
        xs, ys = zip(*[(x, y) for x, y, s in points if s == side])
        ax.plot(xs, ys, marker, color=colour, markeredgecolor="black", markersize=6)
    ax.set_xlim(_XS[0], _XS[-1])
    ax.set_ylim(_YS[0], _YS[-1])


def _says(hidden: Sequence[Sequence[float]], last: Sequence[float], x: float, y: float) -> float:
    return math.tanh(last[-1] + sum(w * math.tanh(a * x + b * y + c) for (a, b, c), w in zip(hidden, last)))


def _line(ax: Axes, a: float, b: float, c: float) -> None:
    """Draw where a·x + b·y + c = 0, through its point nearest to the origin."""
    square = a * a + b * b
    near = (-a * c / square, -b * c / square)
    ax.axline(near, (near[0] - b, near[1] + a), color="0.35", linewidth=1, linestyle="--")


@picture
def four_runs(steps: int = 60) -> Sequence[Axes]:
    """Draw one knob on its way to 1, the bottom of (knob − 1)², in four runs."""
    axes: list[Axes] = list(new_figure(8.6, 4.6).subplots(2, 2, sharex=True, sharey=True).flat)
    for ax, (name, (lr, swept)) in zip(axes, _RUNS.items()):
        ax.axhline(1, color="0.4", linestyle="--", linewidth=1)
        ax.plot(_run(lr, swept, steps), ".-", color=VERMILION, linewidth=1)
        ax.set_ylim(-3.4, 3.4)
        dress(ax, f"run {name}", "step", "the knob")
    return axes


def _run(lr: float, swept: bool, steps: int) -> list[float]:
    knob, path = _value(-0.5), []
    for _ in range(steps):
        path.append(knob.data)
        if swept:
            knob.grad = 0.0
        miss = knob + _value(-1.0)
        _backward(miss * miss)
        knob.data -= lr * knob.grad
    return path
