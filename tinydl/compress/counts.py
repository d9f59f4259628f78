"""What a version of a network holds and does, counted alike whatever its weights are kept in: floats, codes, int8."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinydl.compress.integer import IntegerNetwork
from tinydl.compress.sharing import unshare
from tinydl.cost import summary
from tinydl.cost.inputs import Shapes, zeros_for
from tinydl.nn import Module
from tinydl.shapes import Array


class Counts(NamedTuple):
    """What can be counted.

    Attributes:
        params: weights and biases; of those that are looked up in a codebook each place counts.
        nonzero: those that are not zero.
        macs: multiply-adds for one input, by the convention of `tinydl.cost.macs`; zeros are multiplied as well.
        activation: the most bytes of activations alive at one time in inference on one input.
    """

    params: int
    nonzero: int
    macs: int
    activation: int


def counts(model: Module, input_shape: Shapes) -> Counts:
    """Return the counts of a model for one input of `input_shape` (without the batch axis).

    Raises: as `tinydl.cost.summary`.

    >>> from tinydl.nn import Linear
    >>> counts(Linear(4, 2), (4,))
    Counts(params=10, nonzero=10, macs=8, activation=24)
    """
    if isinstance(model, IntegerNetwork):
        weights, (macs, activation) = _integer_weights(model), _run(model, input_shape)
    else:
        found = summary(model, input_shape)
        weights, macs, activation = [p.data for p in unshare(model).parameters()], found.macs, found.peak.bytes
    return Counts(sum(w.size for w in weights), sum(map(int, map(np.count_nonzero, weights))), macs, activation)


def _integer_weights(network: IntegerNetwork) -> list[Array]:
    """Return weights and biases; multipliers and tables are no parameters."""
    layers: list[Any] = list(network.layers)
    return [getattr(layer, name).data for layer in layers for name in ("weight", "bias") if name in layer.arrays]


def _run(network: IntegerNetwork, input_shape: Shapes) -> tuple[int, int]:
    """Return the multiply-adds and the peak of one run, which makes no ops that `summary` could see."""
    zeros = [x.data for x in zeros_for(network, input_shape, 1)]
    values = network.values(*[grid.quantize(x) for x, grid in zip(zeros, network.inputs.values(), strict=True)])
    layers: list[Any] = list(network.layers)
    macs = 0
    for layer, wire in zip(layers, network.wires):
        if "weight" in layer.arrays:
            macs += values[wire.makes].size * math.prod(layer.weight.shape[1:])
    return macs, max(_alive(network, values))


def _alive(network: IntegerNetwork, values: dict[str, Array]) -> Iterator[int]:
    """Return the bytes alive while each layer runs: what it takes and makes, and what others still need."""
    last = {name: i for i, wire in enumerate(network.wires) for name in wire.takes}
    end = len(network.wires)
    until = {name: end if name in network.outputs else last.get(name, -1) for name in values}
    since = dict.fromkeys(network.inputs, -1) | {wire.makes: i for i, wire in enumerate(network.wires)}
    for i in range(end):
        alive = [values[name] for name in values if since[name] <= i <= until[name]]
        owners = {id(v if v.base is None else v.base): v.nbytes for v in alive}  # a reshaped array is the same memory
        yield sum(owners.values())
