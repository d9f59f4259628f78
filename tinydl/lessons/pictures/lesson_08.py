"""Lesson 8: paths in a ravine, losses over time, a rate that rises and falls, and the best rate of each optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinydl import Tensor, float64, optim, tensor
from tinydl.lessons.pictures.easel import picture
from tinydl.plots.figures import BLUE, GREEN, ORANGE, VERMILION, dress, new_figure
from tinydl.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEEP = np.array([1.0, 25.0])
_START = [-4.0, 1.0]
_COLOURS = VERMILION, BLUE, ORANGE, GREEN
_MARKERS = "s", "o", "^", "D"

_FOUR: dict[str, Callable[[list[Tensor]], optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.07),
    "momentum": lambda p: optim.SGD(p, lr=0.04, momentum=0.7),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.2, alpha=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.4, betas=(0.8, 0.99)),
}


def _ravine(points: Array) -> Array:
    height: Array = (_STEEP * points * points).sum(-1) / 2
    return height


def _descend(make: Callable[[list[Tensor]], optim.Optimizer], steps: int) -> Array:
    """Return the path (steps + 1, 2) of an optimizer of the library."""
    p, steep = tensor(_START, dtype=float64, requires_grad=True), tensor(_STEEP.tolist(), dtype=float64)
    optimizer, path = make([p]), [p.tolist()]
    for _ in range(steps):
        optimizer.zero_grad()
        (steep * p * p / 2).sum().backward()
        optimizer.step()
        path.append(p.tolist())
    return np.array(path)


@picture
def four_paths() -> Sequence[Axes]:
    """Draw where four optimizers of the library walk in one ravine, and how fast they come down."""
    left, right = new_figure(8.2, 3.1).subplots(1, 2, width_ratios=(1.25, 1))
    paths = {name: _descend(make, 40) for name, make in _FOUR.items()}
    _draw_paths(left, _ravine, paths)
    dress(left, "One ravine, one start, four ways down …", "a, the flat direction", "b, the steep direction")
    _draw_losses(right, {name: _ravine(path) for name, path in paths.items()})
    dress(right, "… and how deep they are after each step", "step", "loss (log scale)")
    return left, right


@picture
def paths_in(loss: Callable[[Array], Array], paths: Mapping[str, Array], title: str) -> Axes:
    """Draw paths (each of shape (steps + 1, 2)) over the contours of a loss of points (…, 2)."""
    ax: Axes = new_figure(5.2, 2.7).subplots()
    _draw_paths(ax, loss, paths)
    dress(ax, title, "a", "b")
    return ax


@picture
def losses_of(losses: Mapping[str, Array], title: str) -> Axes:
    """Draw a loss for each step of several runs."""
    ax: Axes = new_figure(5.2, 2.6).subplots()
    _draw_losses(ax, losses)
    dress(ax, title, "step", "loss (log scale)")
    return ax


@picture
def best_rates(table: Mapping[str, Sequence[float]], rates: Sequence[float]) -> Axes:
    """Draw the loss after training against the learning rate, a line for each optimizer; a ring marks its best."""
    ax: Axes = new_figure(5.2, 2.7).subplots()
    for (name, losses), colour, marker in zip(table.items(), (VERMILION, BLUE, GREEN), "soD"):
        ax.loglog(rates, losses, marker=marker, color=colour, markersize=5, label=name)
        best = int(np.argmin(losses))
        ax.plot(rates[best], losses[best], "o", color="black", fillstyle="none", markersize=13)
    ax.set_ylim(min(map(min, table.values())) / 2)  # room for the legend
    ax.legend(frameon=False, fontsize=9, loc="lower center", ncols=3)
    dress(ax, "Each optimizer has its own best rate (rings)", "learning rate (log scale)", "loss (log scale)")
    return ax


def _draw_paths(ax: Axes, loss: Callable[[Array], Array], paths: Mapping[str, Array]) -> None:
    a, b = np.meshgrid(np.linspace(-4.6, 1.9, 131), np.linspace(-1.6, 1.6, 65))
    height = loss(np.stack([a, b], -1))
    ax.contour(a, b, height, levels=[0.5, 3, 10, 25], colors="0.75", linewidths=0.8)
    for (name, path), colour, marker in zip(paths.items(), _COLOURS, _MARKERS):
        ax.plot(*path.T, marker=marker, color=colour, markersize=3, linewidth=1.3, label=name)
    first = next(iter(paths.values()))[0]
    ax.plot(*first, "o", color="black", markersize=7)
    ax.annotate("start", first, (-4, 9), textcoords="offset points", ha="center")
    ax.plot(0, 0, "*", color="black", markersize=12, zorder=5)
    ax.set_xlim(a.min(), a.max())
    ax.set_ylim(b.min(), b.max())
    ax.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=9, loc="lower left", ncols=2)


def _draw_losses(ax: Axes, losses: Mapping[str, Array]) -> None:
    for (name, loss), colour in zip(losses.items(), _COLOURS):
        ax.semilogy(loss, color=colour, linewidth=1.8, label=name)
    ax.legend(frameon=False, fontsize=9)
