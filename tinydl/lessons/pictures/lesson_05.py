"""Lesson 5: the pushes of the gradient beside the probabilities, the curve of surprise, and arrows over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinydl.lessons.pictures.easel import picture
from tinydl.plots.figures import BLUE, GREEN, VERMILION, dress, new_figure
from tinydl.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _softmax(scores: Array) -> Array:
    weights = np.exp(scores - scores.max())
    result: Array = weights / weights.sum()
    return result


@picture
def pushes(scores: Array, right: int, names: Sequence[str]) -> Sequence[Axes]:
    """Draw scores, the probabilities that softmax makes of them, and how hard each score is pushed."""
    axes: list[Axes] = list(new_figure(8.6, 3.4).subplots(1, 3))
    p = _softmax(scores)
    push = np.eye(len(scores))[right] - p
    colours = [GREEN if i == right else "0.6" for i in range(len(scores))]
    columns = (scores, "Scores …", "score"), (p, "… become shares of 1 …", "p, the probability")
    for ax, (values, title, label) in zip(axes, columns):
        ax.bar(names, values, color=colours)
        for i, value in enumerate(values):
            ax.text(i, max(value, 0), f"{value:.2f}", ha="center", va="bottom", fontsize=9)
        dress(ax, title, f"digit (the right one is {names[right]})", label)
        ax.margins(y=0.12)
    axes[2].axhline(0, color="0.4", linewidth=1)
    for i, value in enumerate(push):
        colour = BLUE if value > 0 else VERMILION
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 3, "mutation_scale": 16, "shrinkA": 0, "shrinkB": 0}
        axes[2].annotate("", (i, value), (i, 0), arrowprops=arrow)
        edge = "bottom" if value > 0 else "top"
        axes[2].text(i, value, f"{value:+.2f}", ha="center", va=edge, fontsize=9)
    axes[2].set_xticks(range(len(scores)), list(names))
    axes[2].set(xlim=(-0.6, len(scores) - 0.4), ylim=(-1, 1))
    dress(axes[2], "… and pull by y − p", "digit", "y − p, the push on the score")
    return axes


@picture
def surprise_curve() -> Axes:
    """Draw −log p beside the squared error that lesson 4 used."""
    ax: Axes = new_figure(6.0, 3.2).subplots()
    p = np.linspace(0.002, 1, 400)
    ax.plot(p, -np.log(p), color=BLUE, linewidth=2)
    ax.plot(p, (1 - p) ** 2, "--", color=VERMILION, linewidth=2)
    ax.text(0.1, 2.9, "surprise, −log p", color=BLUE)
    ax.text(0.02, 0.03, "square, (1 − p)²", color=VERMILION)
    dress(ax, "Certain and wrong costs without limit", "p, the probability of the right class", "loss")
    return ax


@picture
def shares_over_time(history: Sequence[Array], names: Sequence[str]) -> Axes:
    """Draw how the probabilities of one image move while its scores are trained."""
    ax: Axes = new_figure(6.4, 3.2).subplots()
    table = np.array(history)
    order = np.argsort(table[-1])
    for i in order:
        best = i == order[-1]
        ax.plot(table[:, i], color=GREEN if best else "0.6", linewidth=2.4 if best else 1.4)
    ax.text(len(table) - 1, table[-1, order[-1]], f" {names[order[-1]]}", color=GREEN, va="center")
    ax.text(0.98, 0.12, "the others: " + ", ".join(names[i] for i in sorted(order[:-1])), transform=ax.transAxes,
            color="0.4", ha="right")  # fmt: skip
    dress(ax, "What one class wins, the others lose", "step", "probability")
    return ax
