"""Names beside points, such that none lies on another one or on a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = 6.0
"""Between a point and its name, in points (1/72 inch)."""

_RINGS = (1.0, 2.0, 3.2, 4.6)
_ANGLES = (0.0, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75, 1.0)
"""Where a name may go: rings of so many gaps, in these directions (in half turns), the right-hand side first."""


def label_points(
    ax: Axes,
    x: Array,
    y: Array,
    names: Sequence[str],
    colours: Sequence[str],
    corners: tuple[Array, Array],
    size: float = 8,
) -> None:
    """Write each name near its point (x[i], y[i]), within `ax`; one that is moved away gets a line to its point.

    Names are placed one after the other, each where it covers least of what is there: points, names, and the upright
    and level lines between the `corners` (x, y). The scales and limits of `ax` must be final, as they decide what
    covers what.
    """
    figure: Any = ax.get_figure(root=True)
    figure.draw_without_rendering()  # settles the layout, and with it where points are
    points = ax.transData.transform(np.column_stack([x, y]))
    inside = ax.get_window_extent()
    pixel = figure.dpi / 72
    taken = [_box(p, (6 * pixel, 6 * pixel), (0.5, 0.5)) for p in points]
    ends = ax.transData.transform(np.column_stack(corners))
    taken += [_around(a, b, 2 * pixel) for a, b in pairwise(ends)]
    for i, name in enumerate(names):
        text = ax.annotate(
            name, (x[i], y[i]), (0, 0), textcoords="offset points", fontsize=size, color=colours[i], in_layout=False
        )
        extent = text.get_window_extent()
        sizes = (extent.width + 2 * pixel, extent.height)
        best = min(_places(), key=lambda place: _cost(points[i], place, sizes, pixel, taken, inside))
        taken.append(_placed(points[i], best, sizes, pixel))
        dx, dy, anchor = best
        text.set(position=(dx, dy), ha=_HORIZONTAL[anchor[0]], va=_VERTICAL[anchor[1]])
        if hypot(dx, dy) > 1.5 * _GAP:
            line = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 3}
            ax.annotate("", (x[i], y[i]), (dx, dy), textcoords="offset points", arrowprops=line)


_HORIZONTAL = {0.0: "left", 0.5: "center", 1.0: "right"}
_VERTICAL = {0.0: "bottom", 0.5: "center", 1.0: "top"}

_Place = tuple[float, float, tuple[float, float]]
"""An offset in points, and which part of the text is put there: (0, 0) its lower left corner, (1, 1) the other one."""


def _places() -> Iterator[_Place]:
    """Return places around a point, the nearest first."""
    for ring in _RINGS:
        for angle in _ANGLES:
            dx, dy = cos(angle * pi), sin(angle * pi)
            anchor = tuple(0.0 if d > 0.5 else 1.0 if d < -0.5 else 0.5 for d in (dx, dy))
            yield ring * _GAP * dx, ring * _GAP * dy, (anchor[0], anchor[1])


def _placed(point: Array, place: _Place, sizes: tuple[float, float], pixel: float) -> Array:
    dx, dy, anchor = place
    return _box((point[0] + dx * pixel, point[1] + dy * pixel), sizes, anchor)


def _box(at: Any, sizes: tuple[float, float], anchor: tuple[float, float]) -> Array:
    """Return (x0, y0, x1, y1) of a rectangle of which the part `anchor` lies at `at`."""
    x, y = at[0] - anchor[0] * sizes[0], at[1] - anchor[1] * sizes[1]
    return np.array([x, y, x + sizes[0], y + sizes[1]])


def _around(a: Array, b: Array, margin: float) -> Array:
    """Return the rectangle around two points."""
    return np.concatenate([np.minimum(a, b) - margin, np.maximum(a, b) + margin])


def _cost(
    point: Array, place: _Place, sizes: tuple[float, float], pixel: float, taken: Sequence[Array], inside: Any
) -> float:
    """Return how bad a place is: what it covers and what sticks out, in pixels²; then how far away it is."""
    box = _placed(point, place, sizes, pixel)
    area = sizes[0] * sizes[1]
    sticks_out = area - _overlap(box, np.array([inside.x0, inside.y0, inside.x1, inside.y1]))
    covered = sum(_overlap(box, other) for other in taken)
    return covered + 4 * sticks_out + 0.02 * area * hypot(*place[:2]) / _GAP


def _overlap(a: Array, b: Array) -> float:
    """Return the area that two rectangles share.

    >>> (
    ...     _overlap(np.array([0, 0, 2, 2]), np.array([1, 1, 5, 5])),
    ...     _overlap(np.array([0, 0, 1, 1]), np.array([2, 0, 3, 1])),
    ... )
    (1.0, 0.0)
    """
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)))
