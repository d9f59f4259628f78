"""The ledger: what each version of a network costs and is worth, in counts, real bytes, real milliseconds and accuracy.

    ledger = Ledger((1, 28, 28), data=test_loader)
    ledger.record("as trained", model)
    ledger.record("pruned", smaller)
    print(ledger)

A parameter that is zero still takes four bytes, and a multiplication by it still takes its time, unless something was
done about it. So nothing here is inferred from anything else: files are written and measured, models are run and timed.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinydl.checkpoint import save_weights
from tinydl.compress.counts import counts
from tinydl.cost import profile
from tinydl.cost.inputs import zeros_for
from tinydl.cost.table import Table, in_bytes
from tinydl.nn import Module
from tinydl.options import whole
from tinydl.plots import pareto
from tinydl.storage import write_atomically
from tinydl.train import Batches, evaluate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Writer: TypeAlias = Callable[[Any, Path], Any]
"""Writes a model to a path; what lies in the path's folder afterwards is what the model takes on disk."""

_COLUMNS = "params", "nonzero", "macs", "bytes", "activation", "ms"


@dataclass(frozen=True)
class Entry:
    """One version of a network.

    Attributes:
        name: what the version is called.
        params, nonzero, macs, activation: see `tinydl.compress.counts`.
        bytes: the size of the file that was written.
        ms: median milliseconds of one inference.
        accuracies: shares of right answers in [0, 1], one a seed; empty where none was measured.
    """

    name: str
    params: int
    nonzero: int
    macs: int
    bytes: int
    activation: int
    ms: float
    accuracies: tuple[float, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """The mean over seeds."""
        return mean(self.accuracies) if self.accuracies else None

    @property
    def sd(self) -> float | None:
        """The standard deviation over seeds (with n − 1), of two or more."""
        return stdev(self.accuracies) if len(self.accuracies) > 1 else None


class Ledger:
    """A row for each version of a network; printed, a table, whose last line compares the last row with the first.

    Args:
        input_shape: sizes of one input (or of each of several), without the batch axis.
        data: batches of (inputs, class indices) to measure the accuracy on; None to leave it out, or to hand it over.
        write: writes a model to a path.
        batch: inputs at a time when latency is measured.
        rounds: how many measurements the median latency is of.

    Raises: TypeError or ValueError naming the argument.

    >>> from tinydl.nn import Linear
    >>> ledger = Ledger((4,), rounds=1)
    >>> row = ledger.record("dense", Linear(4, 2), accuracy=[0.75, 0.85])
    >>> row.params, row.macs, row.bytes - 4 * row.params, row.activation, row.accuracy
    (10, 8, 248, 24, 0.8)
    """

    def __init__(
        self,
        input_shape: Sequence[int] | Sequence[Sequence[int]],
        data: Batches | None = None,
        write: Writer = save_weights,
        batch: int = 1,
        rounds: int = 20,
    ) -> None:
        zeros_for(Module(), input_shape, whole(batch, "batch", 1))  # refuses what is no shape
        self.input_shape, self.data, self.write, self.batch = input_shape, data, write, batch
        self.rounds = whole(rounds, "rounds", 1)
        self.rows: list[Entry] = []

    def record(
        self,
        name: str,
        model: Module | Sequence[Module],
        accuracy: float | Sequence[float] | None = None,
        write: Writer | None = None,
    ) -> Entry:
        """Measure a version of the network, add its row, and return that.

        Args:
            name: of the row; each name once.
            model: the version; or several of one kind, one a seed: then counts, file and time are those of the first.
            accuracy: share(s) of right answers that were measured elsewhere; else those on `data` are.
            write: writes this version, instead of the ledger's own way.

        Raises: TypeError or ValueError naming the argument; whatever the model or the writer raises. No row is added.
        """
        if any(row.name == name for row in self.rows):
            raise ValueError(f"name must be new, the ledger has a row {name!r}")
        models = [model] if isinstance(model, Module) else list(model)
        if not models or not all(isinstance(one, Module) for one in models):
            raise TypeError(f"model must be one Module or several, got {model!r}")
        shares = self._measured(models) if accuracy is None else _shares(accuracy)
        first = models[0]
        counted = counts(first, self.input_shape)
        row = Entry(
            name,
            counted.params,
            counted.nonzero,
            counted.macs,
            size_on_disk(first, write or self.write),
            counted.activation,
            self._latency(first),
            shares,
        )
        self.rows.append(row)
        return row

    def _measured(self, models: Sequence[Module]) -> tuple[float, ...]:
        return () if self.data is None else tuple(evaluate(model, self.data).accuracy for model in models)

    def _latency(self, model: Module) -> float:
        inputs = zeros_for(model, self.input_shape, self.batch)
        draw = np.random.default_rng(0)
        for x in inputs:  # zeros would spare some kernels their work
            x.data[...] = draw.standard_normal(x.shape)
        return profile(model, inputs, self.rounds, training=False).whole.inference

    # ---- how it looks

    def __str__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Table:
        head = "network", "parameters", "non-zero", "MACs", "on disk", "activations", "ms", "accuracy (%)"
        notes = [
            ("on disk", "the size of the file that was written"),
            ("activations", "the most bytes alive at one time in inference on one input"),
            ("ms", f"median of {self.rounds} inferences, batch {self.batch}"),
        ]
        if any(row.sd is not None for row in self.rows):
            notes.append(("accuracy", "mean ± standard deviation over seeds"))
        lines = [_cells(row) for row in self.rows]
        return Table("ledger", head, lines, self._comparison(), 1, notes)

    def _comparison(self) -> list[str]:
        """Return how many times smaller the last row is than the first, and how many points better."""
        if not self.rows:
            return ["no rows"] + [""] * (len(_COLUMNS) + 1)
        first, last = self.rows[0], self.rows[-1]
        factors = [_factor(getattr(first, column), getattr(last, column)) for column in _COLUMNS]
        known = first.accuracy is not None and last.accuracy is not None
        gain = f"{100 * ((last.accuracy or 0) - (first.accuracy or 0)):+.2f}" if known else ""
        return ["first / last", *factors, gain]

    def markdown(self) -> str:
        """Return the table in GitHub's Markdown, numbers flush right."""
        table = self._table()
        lines = [table.head, ["---"] + ["--:"] * (len(table.head) - 1), *table.lines]
        return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)

    def csv(self) -> str:
        """Return the rows as CSV: full precision, a column `accuracies` with one share a seed."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", *_COLUMNS, "accuracy", "sd", "accuracies"])
        for row in self.rows:
            figures = [getattr(row, column) for column in _COLUMNS]
            writer.writerow([row.name, *figures, row.accuracy, row.sd, " ".join(map(str, row.accuracies))])
        return text.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table, atomically, in the form that the path's suffix asks for: .csv or .md.

        Raises: ValueError for another suffix; OSError when writing fails.
        """
        forms = {".csv": self.csv, ".md": self.markdown}
        suffix = Path(path).suffix
        if suffix not in forms:
            raise ValueError(f"path must end in {' or '.join(forms)}, got {os.fspath(path)!r}")
        write_atomically(path, forms[suffix]().encode())

    def points(self) -> dict[str, dict[str, float]]:
        """Return the columns of each row by name, accuracy in %, as `tinydl.plots.pareto` takes them."""
        return {row.name: dict(_point(row)) for row in self.rows}

    def pareto(self, y: str = "accuracy", x: str | Sequence[str] = ("bytes", "ms"), ax: Any = None) -> tuple[Axes, ...]:
        """Draw `y` against each cost in `x` with the front of rows that none beats; see `tinydl.plots.pareto`."""
        return pareto(self.points(), y, x, ax=ax)


def size_on_disk(model: Module, write: Writer = save_weights) -> int:
    """Write `model` to a folder of its own and return how many bytes its files have.

    Raises: ValueError when `write` leaves nothing there; whatever `write` raises.

    >>> from tinydl.nn import Linear
    >>> size_on_disk(Linear(2, 1), lambda model, path: path.write_bytes(model.weight.data.tobytes()))
    8
    """
    with tempfile.TemporaryDirectory() as folder:
        write(model, Path(folder, "model"))
        sizes = [path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()]
    if not sizes:
        raise ValueError("write must leave a file at the path it is given (or in its folder), there is none")
    return sum(sizes)


def _shares(accuracy: float | Sequence[float]) -> tuple[float, ...]:
    """Return accuracies as a tuple of shares. Raises: ValueError for percentages and other numbers outside [0, 1]."""
    every = tuple(float(share) for share in (accuracy if isinstance(accuracy, Sequence) else [accuracy]))
    if not all(isfinite(share) and 0 <= share <= 1 for share in every):
        raise ValueError(f"accuracy must be shares in [0, 1], got {accuracy}")
    return every


def _cells(row: Entry) -> list[str]:
    spread = "" if row.sd is None else f" ± {100 * row.sd:.2f}"
    accuracy = "" if row.accuracy is None else f"{100 * row.accuracy:.2f}{spread}"
    counts = [f"{n:,}" for n in (row.params, row.nonzero, row.macs)]
    return [row.name, *counts, in_bytes(row.bytes), in_bytes(row.activation), f"{row.ms:.3f}", accuracy]


def _factor(before: float, after: float) -> str:
    return f"{before / after:.2f}×" if after else ""


def _point(row: Entry) -> Iterator[tuple[str, float]]:
    yield from ((column, getattr(row, column)) for column in _COLUMNS)
    if row.accuracy is not None:
        yield "accuracy", 100 * row.accuracy
