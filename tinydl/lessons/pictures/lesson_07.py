"""Lesson 7: signals that die, live or burst with depth, and a layer's signal over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinydl.lessons.pictures.easel import picture
from tinydl.plots.activations import activation_histograms
from tinydl.plots.figures import BLUE, GREEN, VERMILION, dress, new_figure
from tinydl.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _BATCH, _REACH = 512, 200, 4.0
_SHOWN = 1, 5, 10, 15, 20
_STARTS = (
    ("variance 1 / n: it dies", 1.0, VERMILION),
    ("variance 2 / n: it lives", 2.0, GREEN),
    ("variance 4 / n: it bursts", 4.0, BLUE),
)


def _sums(variance: float) -> list[Array]:
    """Return the sums of each of 20 layers, before their ReLU."""
    rng = np.random.default_rng(7)
    x, sums = rng.standard_normal((_BATCH, _WIDTH)), []
    for _ in range(_SHOWN[-1]):
        sums.append(x @ rng.normal(0, (variance / _WIDTH) ** 0.5, (_WIDTH, _WIDTH)))
        x = np.maximum(sums[-1], 0)
    return sums


@picture
def three_starts() -> Sequence[Axes]:
    """Draw how the sums of 20 ReLU layers are spread, for weights too small, right and too large."""
    panels = new_figure(9.0, 3.6).subplots(1, 3, sharey=True)
    for ax, (title, variance, colour) in zip(panels, _STARTS):
        sums = _sums(variance)
        for row, depth in enumerate(_SHOWN):
            _ridge(ax, row, sums[depth - 1], colour)
        dress(ax, title, "sums before ReLU", "")
        ax.set(yticks=range(len(_SHOWN)), yticklabels=[f"layer {depth}" for depth in _SHOWN])
        ax.set(ylim=(len(_SHOWN) - 0.8, -1.1), xlim=(-_REACH, _REACH))
    return list(panels)


def _ridge(ax: Axes, row: int, values: Array, colour: str) -> None:
    counts, edges = np.histogram(values, 81, (-_REACH, _REACH))
    ridge = row - 0.8 * counts / max(counts.max(), 1)
    ax.fill_between((edges[1:] + edges[:-1]) / 2, row, ridge, color=colour, alpha=0.75, linewidth=0)
    ax.text(_REACH, row - 0.5, f"sd {values.std():.2g}", ha="right", fontsize=9, backgroundcolor="#ffffffb0")


@picture
def over_time(without: Sequence[Array], with_norm: Sequence[Array]) -> Sequence[Axes]:
    """Draw the sums of one layer step after step: without BatchNorm, and with it."""
    panels: Sequence[Axes] = new_figure(7.4, 2.6).subplots(1, 2)
    for ax, steps, title in zip(panels, (without, with_norm), ("without BatchNorm", "with BatchNorm")):
        activation_histograms(list(steps), ax)
        ax.set_title(title, loc="left", fontsize=10)
        ax.set_ylabel("sums before ReLU")
    return list(panels)
