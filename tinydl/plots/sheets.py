"""Sheets of small images on one pair of axes: samples with their labels, and the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.plots.figures import panels
from tinydl.plots.inputs import class_indices, class_names, image_stack
from tinydl.shapes import Array
from tinydl.tensor import as_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_GAP = 0.12
"""Between neighbours, in widths of a tile."""


def tiles(
    ax: Any,
    stack: Array,
    titles: Sequence[str] = (),
    columns: int | None = None,
    inches: float = 0.8,
    beside: float = 0.0,
    **style: Any,
) -> tuple[Axes, AxesImage]:
    """Draw a stack of images row by row, every tile 1 wide, on one shared scale; return the Axes and an image of them.

    Args:
        ax: the Axes to draw on, or None for a new figure.
        stack: images (N, H, W) or (N, H, W, 3).
        titles: a line or two above each tile.
        columns: tiles in a row; by default what fills the rows best.
        inches: the width of a tile in a new figure.
        beside: the room to leave at the right side of a new figure, in inches.
        **style: options of `Axes.imshow`; `vmin` and `vmax` default to the extremes of the stack.
    """
    n, height = len(stack), stack.shape[1] / stack.shape[2]
    columns = columns or _columns(n)
    rows = -(-n // columns)
    strip = 0.16 / inches * max((title.count("\n") + 1 for title in titles), default=0)
    width, pitch = columns * (1 + _GAP), height + _GAP + strip
    (panel,) = panels(ax, 1, 0.1 + beside + inches * width, 0.3 + inches * rows * pitch)
    points = 72 * inches if ax is None else 72 / panel.figure.dpi * panel.get_window_extent().width / width
    size = _font_size(titles, points * (1 + _GAP))
    style = {"vmin": stack.min(), "vmax": stack.max(), "interpolation": "nearest"} | style
    for i, tile in enumerate(stack):
        left, bottom = i % columns * (1 + _GAP), -(i // columns) * pitch
        image = panel.imshow(tile, extent=(left, left + 1, bottom, bottom + height), **style)
        x, y = [left, left + 1, left + 1, left, left], [bottom, bottom, bottom + height, bottom + height, bottom]
        panel.plot(x, y, color="0.85", linewidth=0.6)
        if titles:
            panel.text(left + 0.5, y[2] + 0.02, titles[i], ha="center", va="bottom", fontsize=size, linespacing=1.05)
    panel.set(
        xlim=(-0.02, width - _GAP + 0.02), ylim=(-(rows - 1) * pitch - 0.02, height + strip + 0.02), aspect="equal"
    )
    panel.axis("off")
    return panel, image


def _columns(n: int) -> int:
    """Return how many tiles to put in a row: between 1 and 3 times as wide as high, with few gaps in the last row.

    >>> _columns(25), _columns(50), _columns(64), _columns(7)
    (5, 10, 8, 4)
    """
    shapes = range(int(np.ceil(np.sqrt(n))), int(np.ceil(np.sqrt(3 * n))) + 1)
    return min(shapes, key=lambda columns: (-n % columns, abs(columns - np.sqrt(1.5 * n))))


def _font_size(titles: Sequence[str], points: float) -> float:
    """Return the size at which the longest line fits into `points`, within what can be read."""
    longest = max((len(line) for title in titles for line in title.split("\n")), default=1)
    return float(np.clip(points / (0.6 * longest), 5, 9))


def images(images: Any, labels: Any = None, columns: int | None = None, ax: Any = None) -> Axes:
    """Draw a sheet of images with their labels; one channel is drawn as ink on paper (large values dark).

    Args:
        images: (N, H, W), (N, 1, H, W) or (N, 3, H, W); all share one scale, from the smallest value to the largest.
        labels: a number or name for each.
        columns: images in a row.
        ax: the Axes to draw on.

    Raises: ValueError for other shapes or another number of labels.

    >>> sheet = images(np.random.default_rng(0).random((6, 1, 8, 8)), labels=range(6))
    >>> len(sheet.images), [text.get_text() for text in sheet.texts]
    (6, ['0', '1', '2', '3', '4', '5'])
    """
    stack = image_stack(images, "images")
    titles = [] if labels is None else [str(label) for label in _as_list(labels)]
    if labels is not None and len(titles) != len(stack):
        raise ValueError(f"labels has {len(titles)} entries for {len(stack)} images")
    return tiles(ax, _unit(stack), titles, columns, cmap="gray_r")[0]


def _as_list(values: Any) -> list[Any]:
    """Return the entries of a sequence, an array or a Tensor."""
    plain: list[Any] = values.tolist() if hasattr(values, "tolist") else list(values)
    return plain


def _unit(stack: Array) -> Array:
    """Return the stack as float on the scale 0…1, whatever numbers it holds."""
    low, high = float(stack.min()), float(stack.max())
    return (stack.astype(np.float32) - low) / (high - low or 1.0)


def worst_mistakes(targets: Any, predictions: Any, probabilities: Any, n: int = 25) -> Array:
    """Return the rows of the wrong predictions with the highest loss −ln p[target], the worst first.

    Args:
        targets: the true classes (N,).
        predictions: the predicted classes (N,).
        probabilities: the predicted probabilities (N, C).
        n: how many at most.

    Raises: TypeError or ValueError for other labels, lengths, or probabilities outside 0…1.

    >>> worst_mistakes([0, 1, 1], [1, 1, 0], [[0.4, 0.6], [0.1, 0.9], [0.7, 0.3]])
    array([2, 0])
    """
    p = as_array(probabilities, name="probabilities")
    if p.ndim != 2 or not (p.min(initial=0) >= -1e-6 and p.max(initial=0) <= 1 + 1e-6):
        raise ValueError(f"probabilities must be (N, C) with entries in 0…1, got shape {p.shape} (logits? use softmax)")
    t = class_indices(targets, "targets", len(p))
    said = class_indices(predictions, "predictions", len(p))
    if max(t.max(initial=0), said.max(initial=0)) >= p.shape[1]:
        raise ValueError(f"probabilities has {p.shape[1]} columns, but class {max(t.max(), said.max())} occurs")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    wrong = np.flatnonzero(t != said)
    order: Array = wrong[np.argsort(p[wrong, t[wrong]], kind="stable")][:n]
    return order


def mistakes(
    images: Any,
    targets: Any,
    predictions: Any,
    probabilities: Any,
    n: int = 25,
    classes: Sequence[str] | None = None,
    ax: Any = None,
) -> Axes:
    """Draw the worst mistakes, each under its title "is 4, said 9 (97 %)": how sure the network was of its answer.

    Args:
        images: (N, H, W), (N, 1, H, W) or (N, 3, H, W).
        targets: the true classes (N,).
        predictions: the predicted classes (N,).
        probabilities: the predicted probabilities (N, C).
        n: how many at most; fewer are drawn when there are fewer mistakes.
        classes: names of the classes.
        ax: the Axes to draw on.

    Raises: TypeError or ValueError as `worst_mistakes`, or when the number of images differs.

    >>> sheet = mistakes(np.zeros((2, 4, 4)), [0, 1], [1, 1], [[0.2, 0.8], [0.1, 0.9]])
    >>> sheet.texts[0].get_text()
    'is 0, said 1 (80 %)'
    """
    stack = image_stack(images, "images")
    t = class_indices(targets, "targets", len(stack))
    said = class_indices(predictions, "predictions", len(stack))
    p = as_array(probabilities, name="probabilities")
    rows = worst_mistakes(t, said, p, n)
    names = class_names(classes, p.shape[1])
    if not len(rows):
        (panel,) = panels(ax, 1, 4.0, 1.0)
        panel.axis("off")
        panel.text(0.5, 0.5, f"no mistake among {len(t):,} images", ha="center", va="center", transform=panel.transAxes)
        return panel
    titles = [f"is {names[t[i]]}, said {names[said[i]]} ({100 * p[i, said[i]]:.0f} %)" for i in rows]
    if max(map(len, titles)) > 22:
        titles = [title.replace(", said", ",\nsaid") for title in titles]
    return tiles(ax, _unit(stack[rows]), titles, inches=1.25, cmap="gray_r")[0]
