"""Lesson 4: a row that is stretched and its slopes summed back, digits and weights as images, a ladder of speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinydl.lessons.pictures.easel import picture
from tinydl.plots.figures import BLUE, GREEN, VERMILION, dress, new_figure
from tinydl.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _cells(ax: Axes, values: Array, top: float, colour: str, alpha: float, ink: str = "black") -> None:
    """Write a matrix as squares with numbers, its first row at height `top`, going down."""
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            sides, low = [column, column + 1], top - row - 1
            ax.fill_between(sides, low, low + 1, facecolor=colour, alpha=alpha, edgecolor="white", linewidth=3)
            ax.text(column + 0.5, top - row - 0.5, f"{value:g}", ha="center", va="center", fontsize=12, color=ink)


def _arrows(ax: Axes, count: int, start: float, end: float, colour: str) -> None:
    """Draw one arrow over each column."""
    for column in range(count):
        ax.annotate(
            "",
            (column + 0.5, end),
            (column + 0.5, start),
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2},
        )


@picture
def stretched_and_summed(row: Array, slopes: Array) -> Sequence[Axes]:
    """Draw a row copied to all rows of a matrix, and the slopes of its copies added up again."""
    left, right = new_figure(8.2, 3.9).subplots(1, 2)
    rows, columns = slopes.shape
    _cells(left, row[None], rows + 2, BLUE, 0.6)
    _arrows(left, columns, rows + 1, rows + 0.1, BLUE)
    _cells(left, np.tile(row, (rows, 1)), rows, BLUE, 0.2, "0.35")
    _cells(right, slopes, rows + 2, VERMILION, 0.25)
    _arrows(right, columns, 2, 1.1, VERMILION)
    _cells(right, slopes.sum(0)[None], 1, VERMILION, 0.65)
    words = (
        (
            left,
            "Forward: one row is copied into all",
            [(rows + 1.5, "the bias"), (rows / 2, "as every\nexample\nsees it")],
        ),
        (
            right,
            "Backward: the slopes of the copies are added",
            [(rows / 2 + 2, "slope by\neach copy"), (0.5, "slope by\nthe bias")],
        ),
    )
    for ax, title, labels in words:
        ax.set_title(title, loc="left", fontsize=10)
        for height, text in labels:
            ax.text(columns + 0.25, height, text, va="center", color="0.25")
        ax.set(xlim=(0, columns + 1.6), ylim=(0, rows + 2.1), aspect="equal")
        ax.axis("off")
    return left, right


@picture
def images(pictures: Sequence[Array], titles: Sequence[str], per_row: int = 6) -> Sequence[Axes]:
    """Draw images side by side: ink in grey, or, where numbers are negative too, orange below 0 and purple above."""
    rows = -(-len(pictures) // per_row)
    figure = new_figure(1.3 * per_row, 1.55 * rows)
    axes: list[Axes] = list(figure.subplots(rows, per_row, squeeze=False).flat)
    for ax in axes[len(pictures) :]:
        ax.axis("off")
    for ax, image, title in zip(axes, pictures, titles):
        largest, signed = float(np.abs(image).max()), bool((image < 0).any())
        ax.imshow(image, "PuOr" if signed else "Greys", vmin=-largest if signed else 0, vmax=largest)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color("0.8")
        ax.set_title(title, fontsize=9)
    return axes


@picture
def ladder(sizes: Sequence[int], ratios: Sequence[float]) -> Axes:
    """Draw how many times faster one product of tensors is than its multiplications one by one."""
    ax: Axes = new_figure(6.0, 3.0).subplots()
    ax.loglog(sizes, ratios, "o-", color=GREEN, base=2)
    ax.axhline(1, color="0.4", linewidth=1)
    ax.text(sizes[-1], 1.15, "as fast as plain Python", color="0.3", ha="right")
    ax.set_yscale("log")
    ax.set_xticks(list(sizes), [str(size) for size in sizes])
    dress(
        ax, "The larger the matrices, the more it pays (one machine's measurement)", "rows and columns", "times faster"
    )
    return ax
