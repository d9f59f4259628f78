"""How a training went: losses and accuracies over time, of one run or of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinydl.plots.figures import BLUE, COLOURS, GREEN, VERMILION, dress, panels
from tinydl.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

History: TypeAlias = Mapping[str, Sequence[Any]] | Iterable[Mapping[str, Any]]
"""Columns by name, or one mapping a row (as `csv.DictReader` reads them: numbers may still be text)."""

_WORDS = {"": "training", "train": "training", "val": "validation", "valid": "validation"}
_ROLES = {"training": BLUE, "validation": VERMILION, "test": GREEN}


def curves(history: History, ax: Any = None) -> tuple[Axes, ...]:
    """Draw every loss, and every accuracy, over the epochs; a ring marks the best.

    Columns are found by name: "epoch" or "step" is the horizontal axis, names with "loss" go to the first panel, names
    with "acc" (shares, 0…1) to the second, which is left out when there are none; other columns are not drawn. Entries
    that are missing, empty or NaN leave out that point. Losses that span more than a factor of 30 get a log axis.

    Args:
        history: columns by name, or a mapping for each row.
        ax: the Axes to draw on, one a panel.

    Returns: the Axes, one a panel.

    Raises: ValueError naming the column when it is no loss or accuracy, or when there is none at all.

    >>> len(curves({"epoch": [1, 2], "train_loss": [0.9, 0.4], "val_loss": [0.8, 0.5], "val_accuracy": [0.7, 0.9]}))
    2
    """
    table = _columns(history)
    groups = [names for names in (_named(table, "loss"), _named(table, "acc")) if names]
    if not groups:
        raise ValueError(f"history needs a column with 'loss' or 'acc' in its name, got {list(table)}")
    axes = panels(ax, len(groups), 4.6 * len(groups), 3.4)
    for panel, names in zip(axes, groups):
        lines = {_label(name): table[name] for name in names}
        _panel(panel, lines, *_time(table), _is_share(names[0]))
    return tuple(axes)


def histories(runs: Mapping[str, History], column: str = "validation_accuracy", ax: Any = None) -> Axes:
    """Draw one column of several runs over the epochs, a colour a run.

    Args:
        runs: a history for each name (as in `curves`).
        column: the column to compare; one with "acc" in its name is a share (0…1) and shown in %.
        ax: the Axes to draw on.

    Raises: ValueError without runs, or naming the run that lacks the column.

    >>> slow, fast = {"val_loss": [0.9, 0.8]}, {"val_loss": [0.9, 0.4]}
    >>> histories({"slow": slow, "fast": fast}, "val_loss").get_title(loc="left")
    'val loss: best 0.4 (fast)'
    """
    tables = {name: _columns(history) for name, history in runs.items()}
    for name, table in tables.items():
        if column not in table:
            raise ValueError(f"runs[{name!r}] has no column {column!r}, it has {list(table)}")
    if not tables:
        raise ValueError("runs is empty: a history by name is needed")
    share = _is_share(column)
    (panel,) = panels(ax, 1, 6.4, 3.8)
    best = {}
    for i, (name, table) in enumerate(tables.items()):
        y = table[column]
        x, xlabel = _time(table)
        style = ("-", "--", ":")[i // len(COLOURS) % 3]
        _line(panel, x, y, share, label=name, color=COLOURS[i % len(COLOURS)], linestyle=style)
        best[name] = _best(y, share)
    winner = (max if share else min)(best, key=lambda name: best[name][1])
    title = f"{column.replace('_', ' ')}: best {_number(best[winner][1], share)} ({winner})"
    _finish(panel, title, xlabel, column.replace("_", " "), share)
    return panel


def _columns(history: History) -> dict[str, Array]:
    """Return float columns; what a row lacks is NaN."""
    if isinstance(history, Mapping):
        table = {str(name): list(column) for name, column in history.items()}
    else:
        rows = list(history)
        table = {
            str(name): [row.get(name) for row in rows] for name in dict.fromkeys(key for row in rows for key in row)
        }
    drawn = {name: column for name, column in table.items() if name in ("epoch", "step") or _is_curve(name)}
    lengths = {name: len(column) for name, column in drawn.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(f"history needs equally long columns with at least one row, got lengths {lengths}")
    return {name: _floats(name, column) for name, column in drawn.items()}


def _is_curve(name: str) -> bool:
    return "loss" in name or _is_share(name)


def _is_share(name: str) -> bool:
    return "acc" in name


def _named(table: dict[str, Array], part: str) -> list[str]:
    return [name for name in table if part in name]


def _floats(name: str, column: list[Any]) -> Array:
    try:
        values = np.array([np.nan if entry in (None, "") else float(entry) for entry in column])
    except (TypeError, ValueError) as error:
        raise ValueError(f"history column {name!r} must hold numbers: {error}") from None
    if _is_share(name) and np.nanmax(values, initial=0) > 1:
        raise ValueError(f"history column {name!r} must hold shares from 0 to 1, got {np.nanmax(values):g}")
    return values


def _time(table: dict[str, Array]) -> tuple[Array, str]:
    """Return the horizontal axis and its label: the epoch, the step, or the number of the row from 1."""
    for name in ("epoch", "step"):
        if name in table:
            return table[name], name
    return np.arange(1.0, 1 + len(next(iter(table.values())))), "epoch"


def _label(name: str) -> str:
    """Return what is left of a column's name without "loss" or "accuracy", in full words.

    >>> _label("train_loss"), _label("val_accuracy"), _label("loss")
    ('training', 'validation', 'training')
    """
    rest = name.replace("accuracy", "").replace("acc", "").replace("loss", "").strip("_ ")
    return _WORDS.get(rest, rest.replace("_", " "))


def _panel(ax: Axes, lines: dict[str, Array], x: Array, xlabel: str, share: bool) -> None:
    spare = iter([colour for colour in COLOURS if colour not in _ROLES.values()] * len(lines))
    for label, y in lines.items():
        _line(ax, x, y, share, label=label, color=_ROLES.get(label) or next(spare))
    label = "validation" if "validation" in lines else next(iter(lines))
    at, value = _best(lines[label], share)
    ax.plot(x[at], value * (100 if share else 1), "o", color="black", markersize=10, fillstyle="none", label="_best")
    word = "accuracy" if share else "loss"
    _finish(ax, f"best {label} {word} {_number(value, share)} ({xlabel} {x[at]:g})", xlabel, word, share)
    values = np.concatenate(list(lines.values()))
    values = values[np.isfinite(values)]
    if not share and values.min() > 0 and values.max() > 30 * values.min():
        ax.set_yscale("log")


def _line(ax: Axes, x: Array, y: Array, share: bool, **style: Any) -> None:
    there = np.isfinite(y)
    marker = "o" if there.sum() <= 40 else None
    ax.plot(x[there], y[there] * (100 if share else 1), marker=marker, markersize=4, linewidth=1.8, **style)


def _best(y: Array, share: bool) -> tuple[int, float]:
    """Return where the best value stands, and the value: the highest share, the lowest loss."""
    if not np.isfinite(y).any():
        raise ValueError("history needs a finite number in each column that is drawn")
    at = int(np.nanargmax(y) if share else np.nanargmin(y))
    return at, float(y[at])


def _number(value: float, share: bool) -> str:
    return f"{100 * value:.2f} %" if share else f"{value:.3g}"


def _finish(ax: Axes, title: str, xlabel: str, ylabel: str, share: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    dress(ax, title, xlabel, f"{ylabel} (%)" if share else ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=9)
