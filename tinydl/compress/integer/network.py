"""A network of integers: int8 from the quantized input to the result, with nothing floating in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from tinydl import kernels
from tinydl.compress.integer.layers import IntegerLayer
from tinydl.methods import plain
from tinydl.nn import Module, ModuleList
from tinydl.shapes import Array
from tinydl.tensor import Tensor


class Grid(NamedTuple):
    """The integers of one value: real = scale · (q − zero), low ≤ q ≤ high."""

    scale: float
    zero: int
    low: int = -128
    high: int = 127

    def quantize(self, x: Array) -> Array:
        """Return the integers next to x, halves to even. Raises: ValueError for NaN."""
        return kernels.int8_quantize(x, np.float32(self.scale), self.zero, self.low, self.high)

    def dequantize(self, q: Array) -> Array:
        """Return the real numbers that integers stand for, in float32."""
        real: Array = (q.astype(np.float32) - np.float32(self.zero)) * np.float32(self.scale)
        return real


class Wire(NamedTuple):
    """Which values a layer takes, and the name of the one that it makes."""

    takes: tuple[str, ...]
    makes: str


class IntegerNetwork(Module):
    """Layers of integers in the order in which they run; made by `convert` or `load`.

    Called like the floating network: with images, it returns real numbers. In between there are int8 arrays only, and
    int32 sums. Images of a batch do not see each other, and integers have one right sum: so neither the batch nor the
    number of threads changes a bit.

    Attributes:
        layers: the layers.
        wires: what each takes and makes, by name; "input 0" is the first input.
        inputs, outputs: the grids of the values that come and go, by name.

    Raises: ValueError when a layer takes what no earlier one makes.
    """

    def __init__(
        self,
        layers: Sequence[IntegerLayer],
        wires: Sequence[Wire],
        inputs: Mapping[str, Grid],
        outputs: Mapping[str, Grid],
    ) -> None:
        super().__init__()
        known = set(inputs)
        for wire in wires:
            if not set(wire.takes) <= known:
                raise ValueError(f"layers: {wire.makes} takes {wire.takes}, of which {sorted(known)} are known")
            known.add(wire.makes)
        if not set(outputs) <= known or len(wires) != len(layers):
            raise ValueError(f"outputs: {list(outputs)} must be among the values {sorted(known)}")
        self.layers = ModuleList(layers)
        self.wires, self.inputs, self.outputs = list(wires), dict(inputs), dict(outputs)
        self._last = {name: i for i, wire in enumerate(wires) for name in wire.takes}

    def forward(self, *inputs: Any) -> Any:
        """Return real numbers for images (Tensors or arrays of floats): a Tensor, or a tuple of them."""
        if len(inputs) != len(self.inputs):
            raise ValueError(f"inputs: the network takes {len(self.inputs)}, got {len(inputs)}")
        integers = [grid.quantize(np.asarray(plain(x))) for x, grid in zip(inputs, self.inputs.values())]
        results = self.run_int8(*integers)
        real = tuple(Tensor(grid.dequantize(q)) for q, grid in zip(results, self.outputs.values()))
        return real[0] if len(real) == 1 else real

    def run_int8(self, *inputs: Array) -> tuple[Array, ...]:
        """Return the int8 results of int8 inputs.

        Raises: TypeError for arrays that are not int8.
        """
        values = self._start(inputs)
        for number, (layer, wire) in enumerate(self._steps()):
            values[wire.makes] = layer(*[values[name] for name in wire.takes])
            for name in wire.takes:  # what nobody needs any more makes room
                if self._last[name] == number and name not in self.outputs:
                    values.pop(name, None)
        return tuple(values[name] for name in self.outputs)

    def values(self, *inputs: Array) -> dict[str, Array]:
        """Return every value, inputs and results included, by name: to see where two networks part."""
        values = self._start(inputs)
        for layer, wire in self._steps():
            values[wire.makes] = layer(*[values[name] for name in wire.takes])
        return values

    def _steps(self) -> Iterator[tuple[IntegerLayer, Wire]]:
        return zip(cast(Iterable[IntegerLayer], self.layers), self.wires)

    def _start(self, inputs: Sequence[Array]) -> dict[str, Array]:
        for x in inputs:
            if x.dtype != np.int8:
                raise TypeError(f"inputs must be int8 arrays, got {x.dtype}")
        return dict(zip(self.inputs, inputs, strict=True))

    def structure(self) -> dict[str, Any]:
        """Return all but the arrays, as numbers, strings, lists and dicts."""
        return {
            "inputs": {name: list(grid) for name, grid in self.inputs.items()},
            "outputs": {name: list(grid) for name, grid in self.outputs.items()},
            "layers": [
                [type(layer).__name__.removeprefix("Integer"), list(wire.takes), wire.makes, layer.settings]
                for layer, wire in self._steps()
            ],
        }
