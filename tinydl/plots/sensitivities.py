"""What each layer bears: accuracy over the sparsity of one layer at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.plots.figures import COLOURS, dress, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = ("-", "--", ":")
_MARKS = ("o", "s", "^")


def sensitivity(
    sparsities: Sequence[float], values: Mapping[str, Sequence[float]], dense: float | None = None, ax: Any = None
) -> Axes:
    """Draw a line for each layer: the network's accuracy when this layer alone is pruned.

    Up to 18 layers have a colour, a line and a mark of their own; of more, the colour is the depth (blue first, yellow
    last). The title names the layer that suffers most on average.

    Args:
        sparsities: shares, 0…1.
        values: for each layer by name the accuracies (shares) at these sparsities, in the order of the network.
        dense: the accuracy of the network as it was, a level line.
        ax: the Axes to draw on.

    Raises: ValueError without layers, or naming the layer that has another number of values, or one that is no share.

    >>> sensitivity([0.5, 0.9], {"conv": [0.98, 0.4], "fc": [0.99, 0.98]}, dense=0.99).get_title(loc="left")
    'accuracy suffers most from pruning conv'
    """
    x = _shares("sparsities", sparsities, len(sparsities))
    rows = {name: _shares(f"values[{name!r}]", row, len(x)) for name, row in values.items()}
    if not rows:
        raise ValueError("values is empty: accuracies by layer are needed")
    (panel,) = panels(ax, 1, 6.4, 4.2)
    depths = _depths(len(rows))
    for i, (name, y) in enumerate(rows.items()):
        turn = i // len(COLOURS) % 3 if len(rows) <= 18 else 0
        colour = COLOURS[i % len(COLOURS)] if len(rows) <= 18 else depths[i]
        panel.plot(
            100 * x, 100 * y, _STYLES[turn], color=colour, marker=_MARKS[turn], markersize=4, linewidth=1.4, label=name
        )
    if dense is not None:
        panel.axhline(100 * dense, color="0.45", linewidth=1, linestyle="-.", label="dense")
    worst = min(rows, key=lambda name: float(rows[name].mean()))
    dress(panel, f"accuracy suffers most from pruning {worst}", "sparsity of the layer (%)", "accuracy (%)")
    panel.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), ncols=1 + len(rows) // 24)
    return panel


def _depths(count: int) -> Any:
    """Return a colour for each layer, from the first to the last."""
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0, 0.95, count))


def _shares(name: str, values: Sequence[float], length: int) -> Any:
    array = np.asarray(values, float)
    if array.shape != (length,) or not length or not ((array >= 0) & (array <= 1)).all():
        raise ValueError(f"{name} must be {length or 'some'} shares from 0 to 1, got {array.tolist()}")
    return array
