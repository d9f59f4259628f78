"""Lesson 9: patches that become rows, grids of numbers, and a ladder of costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.kernels import im2col
from tinydl.lessons.pictures.easel import picture
from tinydl.lessons.story import SEVEN
from tinydl.plots.figures import BLUE, GREEN, VERMILION, dress, new_figure
from tinydl.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EDGE = np.array([[1.0, 1, 1], [0, 0, 0], [-1, -1, -1]])
_PLACES = {(0, 0): BLUE, (2, 2): VERMILION, (4, 4): GREEN}


@picture
def patches_and_rows() -> Sequence[Axes]:
    """Draw the seven, its patches as rows of a matrix, the kernel as a column, and their product as a map."""
    x = np.array(SEVEN, np.float64)
    rows = im2col(x[None, None], (3, 3), (1, 1), (0, 0), (1, 1))
    y = rows @ _EDGE.ravel()
    figure = new_figure(9.2, 4.2)
    image, matrix, kernel, result = figure.subplots(1, 4, width_ratios=[3, 2.9, 0.34, 2.4])
    _sheet(image, x, "a patch of the picture …")
    _sheet(matrix, rows, "… is a row of the matrix", numbers=False)
    _sheet(kernel, _EDGE.reshape(9, 1), "kernel")
    _sheet(result, y.reshape(5, 5), "matrix × kernel")
    for (h, w), colour in _PLACES.items():
        row = 5 * h + w
        _frame(image, h, w, 3, 3, colour)
        _frame(matrix, row, 0, 1, 9, colour)
        _frame(result, h, w, 1, 1, colour)
        _numbers(matrix, rows, [row], 7)
    matrix.set_ylabel("25 places of the kernel")
    matrix.set_xlabel("9 pixels in each")
    return image, matrix, kernel, result


@picture
def sheets(grids: Mapping[str, Any]) -> Sequence[Axes]:
    """Draw grids of numbers side by side, each under its title."""
    axes = new_figure(3.1 * len(grids), 3.3).subplots(1, len(grids), squeeze=False)[0]
    for ax, (title, grid) in zip(axes, grids.items()):
        _sheet(ax, np.asarray(grid, np.float64), title)
    return list(axes)


@picture
def ladder(rungs: Mapping[str, float], unit: str) -> Axes:
    """Draw one bar a way of computing, on a scale on which each line is ten times the one before."""
    ax: Axes = new_figure(6.6, 0.9 + 0.5 * len(rungs)).subplots()
    lowest = min(rungs.values()) / 3
    values = list(rungs.values())[::-1]
    ax.barh(list(rungs)[::-1], [value - lowest for value in values], left=lowest, color=BLUE, height=0.55)
    ax.set_xscale("log")
    ax.set_xlim(lowest, max(values) * 12)
    for place, value in enumerate(values):
        ax.text(value * 1.2, place, f"{value:,.3g}" if value < 100 else f"{value:,.0f}", va="center")
    dress(ax, "The ladder", f"{unit} (log scale)", "")
    return ax


def _sheet(ax: Axes, grid: Array, title: str, numbers: bool = True) -> None:
    """Draw a matrix as a sheet of grey cells, darker for more."""
    reach = max(1.0, float(abs(grid).max()))
    low = -reach if grid.min() < 0 else 0.0
    ax.imshow(grid, cmap="Greys", vmin=low, vmax=2 * reach, aspect="equal" if numbers else "auto")
    ax.set_title(title, fontsize=9.5)
    ax.set_xticks([])
    ax.set_yticks([])
    if numbers:
        _numbers(ax, grid, range(len(grid)), 9)


def _numbers(ax: Axes, grid: Array, rows: Sequence[int], size: float) -> None:
    for row in rows:
        for column, value in enumerate(grid[row]):
            ax.text(column, row, f"{value:g}", ha="center", va="center", fontsize=size, color="black")


def _frame(ax: Axes, row: int, column: int, height: int, width: int, colour: str) -> None:
    """Draw a frame around a block of cells."""
    from matplotlib.patches import Rectangle

    box = Rectangle((column - 0.5, row - 0.5), width, height, fill=False, edgecolor=colour, linewidth=2.6, zorder=5)
    box.set_clip_on(False)
    ax.add_patch(box)
