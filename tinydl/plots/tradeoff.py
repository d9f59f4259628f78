"""What a network gives for what it costs: points, and the front of those that none beats in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinydl.plots.figures import BLUE, dress, panels
from tinydl.plots.labels import label_points
from tinydl.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points: TypeAlias = Mapping[str, Mapping[str, float]]
"""Columns by name for each network by name."""

_LABELS = {
    "params": "parameters",
    "nonzero": "non-zero parameters",
    "macs": "multiply-adds (MACs)",
    "accuracy": "accuracy (%)",
    "top1": "ImageNet top-1 (%)",
    "ms": "latency (ms)",
    "bytes": "file (bytes)",
    "activation": "activations (bytes)",
}
_GREY = "0.45"


def pareto_front(cost: Any, value: Any, higher: bool = True) -> Array:
    """Return the indices of the points that no other one beats, by rising cost.

    A point is beaten by one that costs no more and is worth no less, and is better in one of the two.

    Args:
        cost: (N,), the less the better.
        value: (N,).
        higher: whether more is better; else less is.

    Raises: ValueError unless both are as long as each other, and finite.

    >>> pareto_front([3, 1, 2, 2], [9, 5, 5, 7])
    array([1, 3, 0])
    """
    x, y = np.asarray(cost, float), np.asarray(value, float) * (1 if higher else -1)
    if x.shape != y.shape or x.ndim != 1 or not np.isfinite([x, y]).all():
        raise ValueError(f"cost and value must be equally many finite numbers, got shapes {x.shape} and {y.shape}")
    beaten = [bool(np.any((x <= a) & (y >= b) & ((x < a) | (y > b)))) for a, b in zip(x, y)]
    order: Array = np.argsort(x, kind="stable")
    on_front: Array = order[~np.array(beaten, bool)[order]]
    return on_front


def _label_ticks(panel: Axes, large: bool) -> None:
    """Label a log axis at 1, 2 and 5 times the powers of ten, large numbers with k and M; no minor tick has a label."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, StrMethodFormatter

    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(EngFormatter(sep="") if large else StrMethodFormatter("{x:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def pareto(
    points: Points,
    y: str = "accuracy",
    x: str | Sequence[str] = ("params", "macs"),
    higher: bool | None = None,
    ax: Any = None,
) -> tuple[Axes, ...]:
    """Draw `y` against each cost in `x`, one panel a cost, with the names of the networks and the Pareto front.

    Costs are on a log axis. On the front (filled, joined by steps) are the networks that no other one beats in both
    cost and `y`. Values of which less is better, and which span more than a factor of 10, get a log axis as well. A
    network that lacks a column is left out of that panel.

    Args:
        points: for each network by name its columns: "params", "macs", "accuracy" (in %), "ms", …
        y: the column to draw upwards.
        x: the column, or columns, of costs; positive numbers.
        higher: whether more of `y` is better; by default it is unless `y` is "ms", "bytes", "error" or "loss".
        ax: the Axes to draw on, one a cost.

    Returns: the Axes, one a cost.

    Raises: ValueError naming the column that no network has, or whose numbers are not finite, or not positive for a
        cost.

    >>> nets = {"a": {"params": 1e5, "accuracy": 99.0}, "b": {"params": 2e5, "accuracy": 98.0}}
    >>> pareto(nets, x="params")[0].get_title(loc="left")
    'on the front: a'
    """
    costs = [x] if isinstance(x, str) else list(x)
    columns = [_columns(points, cost, y) for cost in costs]
    better = y not in ("ms", "bytes", "error", "loss") if higher is None else higher
    axes = panels(ax, len(costs), 5.6 * len(costs), 4.4)
    for i, (panel, cost, (names, a, b)) in enumerate(zip(axes, costs, columns)):
        front = pareto_front(a, b, better)
        panel.set_xscale("log")
        _label_ticks(panel, a.min() >= 1)
        if not better and b.min() > 0 and b.max() > 10 * b.min():
            panel.set_yscale("log")
        panel.margins(0.14, 0.12)
        on = np.isin(np.arange(len(a)), front)
        steps = np.repeat(a[front], 2)[1:], np.repeat(b[front], 2)[:-1]
        panel.plot(*steps, color=BLUE, linewidth=1.2, alpha=0.5)
        panel.plot(a[~on], b[~on], "o", color=_GREY, markersize=5, fillstyle="none")
        panel.plot(a[front], b[front], "o", color=BLUE, markersize=6)
        best = f"on the front: {', '.join(names[j] for j in front)}"
        title = best if len(best) <= 60 else f"on the front: {len(front)} of {len(a)}"
        dress(panel, title, _LABELS.get(cost, cost), _LABELS.get(y, y) if i == 0 else "")
        label_points(panel, a, b, names, [BLUE if here else _GREY for here in on], steps)
    return tuple(axes)


def _columns(points: Points, cost: str, y: str) -> tuple[list[str], Array, Array]:
    """Return the names, the costs and the values of the networks that have both."""
    names = [name for name, row in points.items() if row.get(cost) is not None and row.get(y) is not None]
    if not names:
        raise ValueError(f"points has no network with both {cost!r} and {y!r}")
    a, b = (np.array([points[name][column] for name in names], float) for column in (cost, y))
    if not np.isfinite([a, b]).all() or a.min() <= 0:
        raise ValueError(f"points: {cost!r} must be positive and {y!r} finite, got {a.tolist()} and {b.tolist()}")
    return names, a, b
