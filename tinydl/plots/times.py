"""Where a network's time goes, beside what counting multiply-adds would have made one expect."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.plots.figures import BLUE, ORANGE, SKY, dress, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tinydl.cost import Profile, TimedRow, Times


def profile(found: Profile, training: bool = False, n: int = 24, ax: Any = None) -> tuple[Axes, ...]:
    """Draw the milliseconds of each layer, and beside them its multiply-adds.

    Layers stand in the order in which they run, the first at the top. The `n` that take most time have a bar; what the
    others and the time between layers take together is written below. Layers that run in another one's kernel have no
    time of their own.

    Args:
        found: what `tinydl.cost.profile` measured.
        training: draw forward and backward of a training step; else inference.
        n: how many layers at most, at least 1.
        ax: the two Axes to draw on.

    Returns: the Axes of the times and of the multiply-adds.

    Raises: ValueError when n is below 1, or `found` has no training times.

    >>> from tinydl.cost import profile as measure
    >>> from tinydl.nn import Linear, Sequential, Tanh
    >>> found = measure(Sequential(Linear(4, 4), Tanh()), np.ones((1, 4), np.float32), rounds=1)
    >>> [panel.get_xlabel() for panel in profile(found)]
    ['inference (ms)', 'multiply-adds (millions)']
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if training and isnan(found.whole.step):
        raise ValueError("found has no training times: measure with training=True")
    rows = [row for row in found.rows if not (row.fused_training if training else row.fused_inference)]
    longest = sorted(range(len(rows)), key=lambda i: -_time(rows[i], training))[:n]
    shown = [rows[i] for i in sorted(longest)]
    others = [row for i, row in enumerate(rows) if i not in longest]
    left, right = panels(ax, 2, 10.0, 1.4 + 0.24 * len(shown))
    _bars(left, [row.ms for row in shown], training)
    right.barh(range(len(shown)), [row.macs / 1e6 for row in shown], color=ORANGE)
    what = "a training step" if training else "inference"
    ms = found.whole.step if training else found.whole.inference
    dress(left, f"{found.name}: {ms:.2f} ms {what}, batch {found.batch}", f"{what} (ms)", "")
    dress(right, _surprise(rows, training), "multiply-adds (millions)", "")
    rest = sum(_time(row, training) for row in others) + (found.rest.step if training else found.rest.inference)
    where = f"{len(others)} other layers, and what is between" if others else "between layers"
    left.annotate(f"{rest:.2f} ms: {where}", (0, len(shown)), (4, 0), **_NOTE)
    right.annotate(f"{sum(row.macs for row in others) / 1e6:.1f} million: these", (0, len(shown)), (4, 0), **_NOTE)
    for panel, ticks in ((left, [f"{row.name}  {row.kind}" for row in shown]), (right, [""] * len(shown))):
        panel.set_yticks(range(len(shown)), ticks, fontsize=8)
        panel.set_ylim(len(shown) + 0.6, -0.6)
        panel.grid(axis="y", visible=False)
    return left, right


_NOTE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8, "color": "0.35"}


def _bars(ax: Axes, shown: Sequence[Times], training: bool) -> None:
    """Draw a bar for each layer; backward goes on where forward ends."""
    times = np.array(shown).reshape(-1, 3)
    columns = {"forward": (1, SKY), "backward": (2, BLUE)} if training else {"inference": (0, BLUE)}
    start = np.zeros(len(times))
    for label, (column, colour) in columns.items():
        ax.barh(range(len(times)), times[:, column], left=start, color=colour, label=label)
        start = start + times[:, column]
    if training:
        ax.legend(frameon=False, fontsize=9)


def _time(row: TimedRow, training: bool) -> float:
    return row.ms.step if training else row.ms.inference


def _surprise(rows: Sequence[TimedRow], training: bool) -> str:
    """Say how much of the layers' time goes where no multiply-adds are."""
    total = sum(_time(row, training) for row in rows)
    without = sum(_time(row, training) for row in rows if not row.macs)
    return f"layers without MACs: {100 * without / total:.0f} % of the time" if total else ""
