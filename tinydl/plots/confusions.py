"""Which class is taken for which: the confusion matrix, counted and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.plots.figures import dress, panels
from tinydl.plots.inputs import class_indices, class_names
from tinydl.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_WITH_NUMBERS = 20


def confusion_matrix(targets: Any, predictions: Any, classes: Sequence[str] | int | None = None) -> Array:
    """Count how often each class was taken for each.

    counts[t, p] = Σ_n [targets[n] = t] · [predictions[n] = p]

    Args:
        targets: the true classes (N,), integers from 0.
        predictions: the predicted classes (N,).
        classes: how many classes there are, or their names; by default one more than the largest label.

    Returns: counts (C, C), int64: a row a true class, a column a predicted one.

    Raises: TypeError or ValueError for other labels, another length, or more classes than `classes`.

    >>> confusion_matrix([0, 1, 1], [0, 1, 0])
    array([[1, 0],
           [1, 1]])
    """
    t = class_indices(targets, "targets")
    p = class_indices(predictions, "predictions", len(t))
    if not len(t):
        raise ValueError("targets is empty: at least one row is needed")
    n = len(class_names(classes, 1 + int(max(t.max(), p.max()))))
    return np.bincount(t * n + p, minlength=n * n).reshape(n, n)


def confusion(targets: Any, predictions: Any, classes: Sequence[str] | int | None = None, ax: Any = None) -> Axes:
    """Draw the confusion matrix: counts as numbers, the share of each row as colour.

    The low end of the colour scale is stretched, so that one mistake in a hundred can be seen beside the diagonal.
    Numbers are left out when there are more than 20 classes; classes that never occur have an empty row.

    Args:
        targets: the true classes (N,), integers from 0.
        predictions: the predicted classes (N,).
        classes: how many classes there are, or their names; by default one more than the largest label.
        ax: the Axes to draw on.

    Raises: TypeError or ValueError as `confusion_matrix`.

    >>> confusion([0, 1, 1, 1], [0, 1, 1, 0], ["cat", "dog"]).get_title(loc="left")
    'accuracy 75.00 %: 1 of 4 wrong'
    """
    from matplotlib.colors import PowerNorm

    counts = confusion_matrix(targets, predictions, classes)
    n = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = class_names(classes, n)
    side = float(np.clip(0.5 * n, 3.2, 6.0))
    (panel,) = panels(ax, 1, side + 1.0, side)
    image = panel.imshow(100 * shares, cmap="Blues", norm=PowerNorm(0.4, vmin=0, vmax=100))
    bar = panel.figure.colorbar(image, ax=panel, ticks=[0, 1, 5, 20, 50, 100], shrink=0.8)
    bar.set_label("share of the true class (%)")
    right, total = int(np.trace(counts)), int(counts.sum())
    dress(panel, f"accuracy {100 * right / total:.2f} %: {total - right:,} of {total:,} wrong", "predicted", "true")
    panel.grid(False)
    if n <= _MOST_WITH_NUMBERS:
        _write_counts(panel, counts, shares)
        longest = max(map(len, names))
        panel.set_xticks(range(n), names, rotation=90 if longest > 3 else 0)
        panel.set_yticks(range(n), names)
    return panel


def _write_counts(ax: Axes, counts: Array, shares: Array) -> None:
    """Write each count that is not 0 into its square, light on dark."""
    digits = len(str(counts.max()))
    size = np.clip(ax.get_window_extent().width / len(counts) / digits, 5, 9)
    for row, column in zip(*np.nonzero(counts)):
        ink = "white" if shares[row, column] > 0.3 else "black"
        ax.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=size)
