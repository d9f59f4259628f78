"""What a network costs: parameters and multiply-adds, layer by layer.

MACs are the multiply-adds of convolutions and linear layers for one image; biases, normalisation and activations are
not counted. (Other conventions differ by 2–4 %.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydl.nn import Conv2d, ConvTranspose2d, Linear, Module
from tinydl.shapes import Shape
from tinydl.tensor import Tensor
from tinydl.train import evaluating


@dataclass(frozen=True)
class Row:
    """One layer: its place in the model, its kind, what it puts out for one image, and what it costs."""

    name: str
    kind: str
    shape: Shape
    params: int
    macs: int


@dataclass(frozen=True)
class Summary:
    """The layers of a model in the order in which they ran, with totals; printed, a table."""

    rows: tuple[Row, ...]
    params: int

    @property
    def macs(self) -> int:
        """All multiply-adds for one image."""
        return sum(row.macs for row in self.rows)

    def __str__(self) -> str:
        table = [("layer", "kind", "output", "parameters", "MACs")]
        for row in self.rows:
            table.append((row.name, row.kind, "×".join(map(str, row.shape)), f"{row.params:,}", f"{row.macs:,}"))
        table.append(("total", "", "", f"{self.params:,}", f"{self.macs:,}"))
        widths = [max(len(line[i]) for line in table) for i in range(5)]
        lines = [
            "  ".join(
                cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))
            ).rstrip()
            for line in table
        ]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def summary(model: Module, input_shape: Sequence[int]) -> Summary:
    """Return what each layer of `model` costs for one input of `input_shape` (without the batch axis).

    The model runs once on zeros, in evaluation mode; layers that hold no others are listed. A shared parameter is
    counted once in the total.

    Raises: whatever the model raises for an input of that shape.

    >>> from tinydl.nn import Linear
    >>> summary(Linear(3, 2), (3,)).params
    8
    """
    rows: list[Row] = []
    handles = [
        module.register_forward_hook(_recorder(rows, name or type(module).__name__))
        for name, module in model.named_modules()
        if not list(module.children())
    ]
    try:
        with evaluating(model):
            model(Tensor(np.zeros((1, *input_shape), np.float32)))
    finally:
        for handle in handles:
            handle.remove()
    return Summary(tuple(rows), sum(p.numel() for p in model.parameters()))


def _recorder(rows: list[Row], name: str) -> Any:
    def record(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        y = output[0] if isinstance(output, tuple) else output
        params = sum(p.numel() for p in module.parameters())
        rows.append(Row(name, type(module).__name__, tuple(y.shape[1:]), params, _macs(module, inputs[0], y)))

    return record


def _macs(module: Module, x: Tensor, y: Tensor) -> int:
    """Return multiply-adds: each output of a convolution costs one window, each of a linear layer one row."""
    if isinstance(module, ConvTranspose2d):
        return math.prod(x.shape[2:]) * module.weight.numel()
    if isinstance(module, Conv2d):
        return math.prod(y.shape[2:]) * module.weight.numel()
    if isinstance(module, Linear):
        return math.prod(y.shape[1:-1]) * module.weight.numel()
    return 0
