"""A pipeline: steps that each take a model and return a smaller one, with a row in the ledger after each.

    smaller = pipeline([prune(0.9), finetune(loader, epochs=2), share(5), code()])
    model = smaller(model, ledger)

A step is anything that can be called with a model and returns one; `name` and `write`, if it has them, are what the
row is called, and how the model is written to disk from here on. Ready ones stand in `tinydl.compress.stages`.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tinydl.checkpoint import save_weights
from tinydl.compress.ledger import Entry, Ledger, Writer
from tinydl.nn import Module

Transform: TypeAlias = Callable[[Module], Module]


@dataclass(frozen=True)
class Step:
    """A named step.

    Attributes:
        name: what its row in the ledger is called.
        transform: takes a model, which it may change, and returns the next one.
        write: how models are written from here on; None for no change.
        suffix: of the name of such a file.
    """

    name: str
    transform: Transform
    write: Writer | None = None
    suffix: str = ".safetensors"

    def __call__(self, model: Module) -> Module:
        """Return the next model."""
        return self.transform(model)


@dataclass(frozen=True)
class Pipeline:
    """Steps in a row. Printed, their names."""

    steps: tuple[Transform, ...]

    def __call__(
        self, model: Module, ledger: Ledger | None = None, said: Callable[[Entry], Any] | None = None
    ) -> Module:
        """Return what the steps make of a copy of `model`; the model itself stays as it is.

        Args:
            model: where to start.
            ledger: gets a row for the model as it came, and one after each step. A name that is there already gets a
                number.
            said: is told each row as soon as it is there.

        Raises: TypeError for a step that returns no Module; whatever a step raises, with the rows before it kept.
        """
        current = copy.deepcopy(model)
        write = None
        _note(ledger, "as it came", current, write, said)
        for step in self.steps:
            found: Any = step(current)
            if not isinstance(found, Module):
                raise TypeError(f"step {step_name(step)!r} must return a Module, got {type(found).__name__}")
            current, write = found, getattr(step, "write", None) or write
            _note(ledger, step_name(step), current, write, said)
        return current

    def save(self, model: Module, path: str | os.PathLike[str]) -> Path:
        """Write what the pipeline made of a model as its last step wants it, and return the file.

        Args:
            model: the result of calling the pipeline.
            path: the file's name without a suffix; what fits is added.

        Raises: OSError when writing fails, or whatever the writer raises.
        """
        write: Writer = save_weights
        suffix = Step.suffix
        for step in self.steps:
            if isinstance(step, Step) and step.write is not None:
                write, suffix = step.write, step.suffix
        file = Path(f"{os.fspath(path)}{suffix}")
        write(model, file)
        return file

    def __str__(self) -> str:
        return ", ".join(map(step_name, self.steps))


def pipeline(steps: Sequence[Transform]) -> Pipeline:
    """Return the steps as one.

    Raises: TypeError for a step that cannot be called; ValueError for none.

    >>> from tinydl.compress import fold_batch_norm, fuse_linear
    >>> from tinydl.nn import Linear, Sequential
    >>> small = pipeline([fold_batch_norm, fuse_linear])
    >>> print(small)
    fold_batch_norm, fuse_linear
    >>> ledger = Ledger((4,), rounds=1)
    >>> model = small(Sequential(Linear(4, 9), Linear(9, 2)), ledger)
    >>> [(row.name, row.params) for row in ledger.rows]
    [('as it came', 65), ('fold_batch_norm', 65), ('fuse_linear', 10)]
    """
    for step in steps:
        if not callable(step):
            raise TypeError(f"steps must be callables that take a model, got {step!r}")
    if not steps:
        raise ValueError("steps must be one or more, got none")
    return Pipeline(tuple(steps))


def step_name(step: Any) -> str:
    """Return what a step is called: its `name`, else its `__name__`, else that of its class."""
    return str(getattr(step, "name", None) or getattr(step, "__name__", None) or type(step).__name__)


def _note(ledger: Ledger | None, name: str, model: Module, write: Writer | None, said: Any) -> None:
    if ledger is None:
        return
    taken = {row.name for row in ledger.rows}
    candidates = (name if n == 1 else f"{name} ({n})" for n in range(1, len(taken) + 2))
    row = ledger.record(next(c for c in candidates if c not in taken), model, write=write)
    if said is not None:
        said(row)
