"""How the networks' weights start, and how a file of trained ones is loaded.

With a batch norm behind every convolution the size of its weights does not change what the network computes, only how
far a step of the optimizer turns them; still, each network starts as its authors' (or PyTorch's) implementation does.
"""

from __future__ import annotations

import os
from typing import TypeAlias, TypeVar

from tinydl.checkpoint import load_weights
from tinydl.nn import Conv2d, Linear, Module, init

Weights: TypeAlias = str | os.PathLike[str] | None
"""The path of a safetensors file, or None for random weights."""

M = TypeVar("M", bound=Module)


def kaiming_start(model: Module, linear_std: float | None = 0.01) -> None:
    """Draw convolutions from N(0, 2 / fan_out), linear layers from N(0, linear_std²), and set their biases to 0.

    fan_out counts all output channels, as in PyTorch, also where groups see only some. With `linear_std` None linear
    layers stay as they are.
    """
    for module in model.modules():
        if isinstance(module, Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            _zero_bias(module)
        elif isinstance(module, Linear) and linear_std is not None:
            init.normal_(module.weight, 0.0, linear_std)
            _zero_bias(module)


def glorot_start(model: Module) -> None:
    """Draw convolutions and linear layers from ±√(6 / (fan_in + fan_out)) and set their biases to 0, as Keras does."""
    for module in model.modules():
        if isinstance(module, Conv2d | Linear):
            init.xavier_uniform_(module.weight)
            _zero_bias(module)


def _zero_bias(module: Conv2d | Linear) -> None:
    if module.bias is not None:
        init.zeros_(module.bias)


def loaded(model: M, weights: Weights) -> M:
    """Return `model` with the weights of a safetensors file in it; without a file, as it is. Nothing is downloaded.

    A file may lack batch norm's `num_batches_tracked`, as PyTorch's old ones do: those counters stay as they are.

    Raises: ValueError listing every difference in names, shapes and kinds of dtype, with the model untouched; OSError
        when the file cannot be read, CheckpointError when it is damaged.
    """
    if weights is None:
        return model
    given = load_weights(weights)
    counters = {name: v for name, v in model.state_dict().items() if name.endswith(".num_batches_tracked")}
    try:
        model.load_state_dict({**counters, **given})
    except ValueError as error:
        raise ValueError(f"weights {os.fspath(weights)}: {error}") from None
    return model
