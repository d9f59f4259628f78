"""How far each layer sees: receptive fields as a pyramid over the pixels of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.plots.figures import BLUE, SKY, dress, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tinydl.cost import Row, Summary


def receptive_fields(found: Summary, ax: Any = None) -> Axes:
    """Draw, layer by layer from the top down, which columns of the image the middle of its result can see.

    The image lies between the dashed lines; what is beyond them is padding. Layers that see just what the one before
    them does are left out, and so is what stands behind the first one that sees the whole image at once.

    Args:
        found: what `tinydl.cost.summary` counted.
        ax: the Axes to draw on.

    Raises: ValueError when the network's input is no image.

    >>> from tinydl.cost import summary
    >>> from tinydl.nn import Conv2d, Sequential
    >>> found = summary(Sequential(Conv2d(1, 2, 3), Conv2d(2, 2, 3, stride=2)), (1, 9, 9))
    >>> [float(bar.get_width()) for bar in receptive_fields(found).patches]
    [3.0, 5.0]
    """
    rows = _growing(found)
    width = next(shape[2] for shape in found.input_shapes if len(shape) == 3)
    (panel,) = panels(ax, 1, 7.0, 1.1 + 0.22 * len(rows))
    places = np.arange(len(rows))
    starts, sizes = (np.array(part, float) for part in zip(*(_middle(row) for row in rows)))
    panel.barh(places, sizes, left=starts, color=SKY, edgecolor=BLUE, height=0.8)
    for place, row, start, size in zip(places, rows, starts, sizes):
        steps = "" if row.field is None or row.field[1].jump in (0, 1) else f", steps of {row.field[1].jump}"
        text = panel.annotate(f"{size:.0f}{steps}", (start + size, place), (4, 0), textcoords="offset points")
        text.set(va="center", fontsize=8, bbox={"color": "white", "pad": 0.5})
    for border in (0, width):
        panel.axvline(border, color="0.4", linestyle="--", linewidth=1)
    panel.set_yticks(places, [f"{row.name}  {row.kind}" for row in rows], fontsize=8)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.use_sticky_edges = False  # the bars should not touch the frame
    panel.margins(x=0.12)
    widest = int(sizes.max())
    dress(panel, f"{found.name}: up to {widest} pixels wide, on an image of {width}", "column of the image", "")
    panel.grid(axis="y", visible=False)
    return panel


def _growing(found: Summary) -> list[Row]:
    """Return the rows whose windows differ from those of the row before, down to the first that sees all at once."""
    rows: list[Row] = []
    for row in found.rows:
        if row.field is not None and row.shape is not None and (not rows or row.field != rows[-1].field):
            rows.append(row)
            if row.field[1].jump == 0:
                break
    if not rows:
        raise ValueError("found has no receptive fields: the network's input must be an image (C, H, W)")
    return rows


def _middle(row: Row) -> tuple[int, int]:
    """Return where the middle position of a layer begins to see along W, and how far it sees."""
    assert row.field is not None
    assert row.shape is not None
    window = row.field[1]
    i = row.shape[-1] // 2 if window.jump else 0
    return window.start + i * window.jump, window.size
