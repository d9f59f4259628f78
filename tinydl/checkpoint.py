"""Saving, loading and resuming: states and weights as safetensors files that are whole, checked and atomic.

`save` and `load` keep any nested state, `capture` and `restore` collect and put back everything that a training needs
to go on bit for bit, `save_weights` and `load_weights` exchange plain weights with other programs. Nothing is pickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from tinydl import random
from tinydl.nn.module import Module
from tinydl.nn.parameter import mask_name
from tinydl.optim.state import differences, refuse, spec
from tinydl.packing import pack, unpack
from tinydl.shapes import Array
from tinydl.storage import CheckpointError, read, write_sealed
from tinydl.tensor import as_array

__all__ = ["CheckpointError", "Stateful", "capture", "load", "load_weights", "restore", "save", "save_weights"]

_STATE = "tinydl.state"


class Stateful(Protocol):
    """What can be captured and restored: a model, an optimizer, a schedule, a loader, an average of weights."""

    def state_dict(self) -> Mapping[Any, Any]:
        """Return everything that has to be remembered."""

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take a `state_dict` over completely, or raise ValueError or TypeError."""


def save(state: Any, path: str | os.PathLike[str]) -> None:
    """Write a nested `state` to `path`, atomically.

    Args:
        path: the file; its folder must exist.
        state: dicts (with str or int keys), lists and tuples of arrays, Tensors, numbers, bool, str and None. Arrays
            may be float32, float64, integers or bool.

    Raises: TypeError naming the place of anything else; OSError when writing fails, with the old file intact.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save({"epoch": 3, "w": np.ones(2), 0: (1.5, None)}, f"{folder}/state.safetensors")
    ...     load(f"{folder}/state.safetensors")
    {'epoch': 3, 'w': array([1., 1.]), 0: (1.5, None)}
    """
    tree, arrays = pack(state)
    write_sealed(path, arrays, {_STATE: json.dumps(tree, allow_nan=False, separators=(",", ":"))})


def load(path: str | os.PathLike[str]) -> Any:
    """Return the state that `save` wrote to `path`: the same structure and values, Tensors as arrays.

    Raises: CheckpointError when a byte has changed or is missing, when a newer version wrote the file, or when it
        holds no state; OSError when it cannot be read.
    """
    arrays, metadata = read(path)
    if _STATE not in metadata:
        raise CheckpointError(f"{path} holds weights, not a state; read it with load_weights")
    return unpack(json.loads(metadata[_STATE]), arrays)


def save_weights(weights: Module | Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the weights of a model (or a dict of arrays or Tensors) as a safetensors file that any program reads.

    Raises: TypeError for names that are not str and values that are no arrays of numbers; OSError when writing fails,
        with the old file intact.
    """
    named = weights if isinstance(weights, Mapping) else weights.state_dict()
    for name in named:
        if not isinstance(name, str) or name == "__metadata__":
            raise TypeError(f"weights have names of type str, and not '__metadata__'; got {name!r}")
    write_sealed(path, {name: as_array(value, name=name) for name, value in named.items()}, {})


def load_weights(path: str | os.PathLike[str], model: Module | None = None) -> dict[str, Array]:
    """Return the weights in a safetensors file, after putting them into `model` if one is given: all or none.

    A file of `save_weights` is checked against its SHA-256. A file of another program has none: it is taken as it is,
    and damage inside its numbers goes unseen.

    Raises: CheckpointError when the file is damaged, newer than this version, or holds a training state; ValueError
        listing every difference between the file and the model, with the model untouched.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights({"bias": np.zeros(2, np.float32)}, f"{folder}/w.safetensors")
    ...     load_weights(f"{folder}/w.safetensors")
    {'bias': array([0., 0.], dtype=float32)}
    """
    arrays, metadata = read(path, foreign=True)
    if _STATE in metadata:
        raise CheckpointError(f"{path} holds a training state; its weights are in load(path)['model']")
    if model is not None:
        _load(model, arrays)
    return arrays


def capture(*, extra: Any = None, **parts: Stateful | None) -> dict[str, Any]:
    """Return a snapshot of all `parts`, of the default random generator, and of `extra`.

    Args:
        extra: anything else to remember that `save` can write.
        **parts: model=…, optimizer=…, scheduler=…, loader=…, ema=…, under names of your own; None is left out.

    Raises: TypeError for a part without `state_dict`, or with one that `save` could not write.

    >>> from tinydl.optim import SGD
    >>> from tinydl.tensor import Tensor
    >>> optimizer = SGD([Tensor([1.0])], lr=0.1)
    >>> state = capture(optimizer=optimizer, extra={"epoch": 3})
    >>> list(state)
    ['optimizer', 'random', 'extra']
    >>> restore(state, optimizer=optimizer)
    {'epoch': 3}
    """
    if "random" in parts:
        raise TypeError("'random' is the name of the default generator's state; give the part another")
    given = _given(parts)
    state = {name: part.state_dict() for name, part in given.items()}
    tree, arrays = pack({**state, "random": random.get_state(), "extra": extra})
    copied: dict[str, Any] = unpack(tree, {name: np.array(array) for name, array in arrays.items()})
    return copied


def restore(state: Mapping[str, Any], **parts: Stateful | None) -> Any:
    """Put the `state` of `capture` back into all `parts` and the default random generator, and return its `extra`.

    All or nothing: when one part refuses, or the call is interrupted, every part gets back what it had.

    Raises: CheckpointError listing what each part said, or that parts and state have different names.
    """
    given = _given(parts)
    lines = differences(dict.fromkeys([*given, "random", "extra"], ""), dict.fromkeys(state, ""))
    if not lines:
        before = capture(**given)
        try:
            lines = _load_all(state, given)
        except BaseException:
            _put_back(before, given)
            raise
        if lines:
            _put_back(before, given)
    if lines:
        raise CheckpointError("the state cannot be restored:\n" + "\n".join(lines))
    return state["extra"]


def _given(parts: Mapping[str, Stateful | None]) -> dict[str, Stateful]:
    """Return the parts that are not None, all of which can be captured."""
    given = {name: part for name, part in parts.items() if part is not None}
    for name, part in given.items():
        if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise TypeError(f"{name} must have state_dict and load_state_dict, {type(part).__name__} has not")
    return given


def _put_back(before: Mapping[str, Any], parts: Mapping[str, Stateful]) -> None:
    """Load what the parts had before, without the masks that have come since."""
    for name, part in parts.items():
        if isinstance(part, Module):
            for path, p in part.named_parameters():
                if mask_name(path) not in before[name]:
                    p.mask = None
    _load_all(before, parts)


def _load_all(state: Mapping[str, Any], parts: Mapping[str, Stateful]) -> list[str]:
    """Load every part and the random generator; return what those that refused said."""
    refusals = []
    for name, part in parts.items():
        try:
            _load(part, state[name])
        except (KeyError, TypeError, ValueError) as error:
            refusals.append(f"{name}: {error}")
    try:
        random.set_state(state["random"])
    except (TypeError, ValueError) as error:
        refusals.append(f"random: {error}")
    return refusals


def _load(part: Stateful, state: Any) -> None:
    """Load `state` into `part`. A Module alone would round float64 weights to float32: here dtypes must agree."""
    if isinstance(part, Module):
        refuse(type(part).__name__, differences(_specs(part.state_to_fill(state)), _specs(state)))
    part.load_state_dict(state)


def _specs(state: Mapping[str, Any]) -> dict[str, str]:
    return {name: spec(np.asarray(value)) for name, value in state.items()}
