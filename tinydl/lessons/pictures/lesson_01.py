"""Lesson 1: secants that become the tangent, the V of the error, and a knob that rolls downhill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tinydl.lessons.pictures.easel import picture
from tinydl.plots.figures import BLUE, GREEN, ORANGE, VERMILION, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AT, _SLOPE = 1.0, 3.0
_STEPS = [10.0**-k for k in range(1, 13)]


def _cube(x: float) -> float:
    return x**3


@picture
def secant_to_tangent() -> Sequence[Axes]:
    """Draw both halves of the lesson: smaller steps give better slopes, until they give worse ones."""
    left, right = new_figure(8.6, 3.6).subplots(1, 2)
    _secants(left)
    _error_against_step(right)
    return left, right


def _secants(ax: Axes) -> None:
    xs = [i / 50 for i in range(106)]
    ax.plot(xs, [_cube(x) for x in xs], color="0.25", linewidth=2)
    ax.text(2.04, 9.0, "x³", color="0.25", ha="right")
    ax.set_xlim(-0.1, 2.5)
    for row, h in enumerate((1.0, 0.6, 0.3)):
        steep = (_cube(_AT + h) - _cube(_AT)) / h
        ends = (_AT - 0.3, _AT + h)
        ax.plot(ends, [_cube(_AT) + steep * (x - _AT) for x in ends], color=ORANGE, linewidth=1.6)
        ax.plot(_AT + h, _cube(_AT + h), "o", color=ORANGE, markersize=6)
        ax.annotate(f"h = {h:g}", (_AT + h, _cube(_AT + h)), (8, -12), textcoords="offset points", color="#8a5f00")
        ax.text(0, 7.9 - 0.9 * row, f"h = {h:g}: slope {steep:.2f}", color="#8a5f00")
    ax.text(0, 5.2, "tangent: slope 3", color=BLUE, weight="bold")
    ends = (_AT - 0.9, _AT + 0.65)
    ax.plot(ends, [_cube(_AT) + _SLOPE * (x - _AT) for x in ends], "--", color=BLUE, linewidth=2.4)
    ax.plot(_AT, _cube(_AT), "o", color=BLUE, markersize=8, zorder=5)
    dress(ax, "The nearer the second point, the truer the slope …", "x", "height")


def _error_against_step(ax: Axes) -> None:
    ahead = [abs((_cube(_AT + h) - _cube(_AT)) / h - _SLOPE) for h in _STEPS]
    both = [abs((_cube(_AT + h) - _cube(_AT - h)) / (2 * h) - _SLOPE) for h in _STEPS]
    ax.loglog(_STEPS, ahead, "s-", color=VERMILION, markersize=5)
    ax.loglog(_STEPS, both, "o-", color=GREEN, markersize=5)
    ax.set_ylim(1e-13, 3)
    ax.text(3e-5, 2e-3, "one side", color=VERMILION, ha="right")
    ax.text(1e-6, 6e-12, "both sides", color="#007a59", ha="center")
    ax.text(0.02, 0.03, "← too fine: rounding", transform=ax.transAxes, color="0.3", ha="left")
    ax.text(0.99, 0.03, "too coarse: the bend →", transform=ax.transAxes, color="0.3", ha="right")
    dress(ax, "… until h is too small", "h, the step (log scale)", "error of the slope (log scale)")


@picture
def downhill(loss: Callable[[float], float], path: Sequence[float]) -> Axes:
    """Draw the loss by one knob, and where the knob has been."""
    ax: Axes = new_figure(6.4, 3.2).subplots()
    low, high = min(path) - 0.4, max(path) + 0.4
    ws = [low + (high - low) * i / 100 for i in range(101)]
    ax.plot(ws, [loss(w) for w in ws], color="0.25", linewidth=2)
    ax.plot(path, [loss(w) for w in path], "o", color=BLUE, markersize=7)
    for w, text in ((path[0], "start"), (path[-1], f"after {len(path) - 1} steps")):
        ax.annotate(text, (w, loss(w)), (4, 12), textcoords="offset points", color=BLUE)
    dress(ax, "Each step goes against the slope; steps shrink as it flattens", "w, the knob", "loss")
    return ax
