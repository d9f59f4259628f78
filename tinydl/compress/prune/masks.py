"""Looking at the masks of a network, and making them permanent; the mask itself lives in `Parameter.mask`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinydl.compress.prune.targets import matching
from tinydl.nn import Module, Parameter
from tinydl.shapes import Array


def masks(model: Module) -> dict[str, Array]:
    """Return the mask of every parameter that has one, by the parameter's name; True is what lives.

    >>> from tinydl.nn import Linear
    >>> layer = Linear(2, 1)
    >>> layer.weight.mask = [[True, False]]
    >>> masks(layer)
    {'weight': array([[ True, False]])}
    """
    return {name: p.mask.data for name, p in _masked(model).items() if p.mask is not None}


def remove(model: Module, layers: str | Sequence[str] | None = None) -> list[str]:
    """Take the masks away and return the names of the parameters that had them: the zeros stay, as weights.

    From then on the network is an ordinary one: its `state_dict` holds no masks, and training moves every weight.

    Args:
        model: the pruned network, changed in place.
        layers: patterns for names of parameters or of the modules they belong to, as in `targets`; None is all.

    Raises: ValueError when a pattern names nothing that has a mask; then no mask is removed.
    """
    masked = _masked(model)
    names = list(masked) if layers is None else matching(list(masked), layers)
    for name in names:
        masked[name].mask = None
    return names


def _masked(model: Module) -> dict[str, Parameter]:
    return {name: p for name, p in model.named_parameters() if p.mask is not None}


@dataclass(frozen=True)
class Report:
    """What is pruned of each parameter; `print` shows it as a table.

    Attributes:
        rows: (name, shape, elements, zeros) of the weights (parameters with two or more axes).
    """

    rows: tuple[tuple[str, tuple[int, ...], int, int], ...]

    @property
    def sparsity(self) -> float:
        """The share of zeros in all weights together; 0 where there are none."""
        return sum(row[3] for row in self.rows) / max(sum(row[2] for row in self.rows), 1)

    def __str__(self) -> str:
        width = max([len("all weights"), *(len(row[0]) for row in self.rows)])
        total = ("all weights", (), sum(row[2] for row in self.rows), sum(row[3] for row in self.rows))
        lines = [f"{'weight':{width}}  {'shape':>16} {'elements':>11} {'zeros':>11} {'sparsity':>8}"]
        for name, shape, size, zeros in (*self.rows, total):
            sides = "×".join(map(str, shape))
            lines.append(f"{name:{width}}  {sides:>16} {size:11,} {zeros:11,} {zeros / max(size, 1):8.2%}")
        return "\n".join(lines)


def report(model: Module) -> Report:
    """Count the zeros of every weight, with or without a mask.

    >>> from tinydl.nn import Linear
    >>> layer = Linear(2, 2)
    >>> layer.weight.mask = [[True, False], [True, True]]
    >>> print(report(layer))
    weight                  shape    elements       zeros sparsity
    weight                    2×2           4           1   25.00%
    all weights                             4           1   25.00%
    """
    weights = [(name, p) for name, p in model.named_parameters() if p.ndim > 1]
    return Report(tuple((n, p.shape, p.numel(), p.numel() - int(np.count_nonzero(p.data))) for n, p in weights))
