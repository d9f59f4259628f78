"""Comparing a saved state with the Tensors it is to fill: every difference is found before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinydl.shapes import Array
from tinydl.tensor import Tensor

_KINDS = {"f": "float", "i": "integer", "u": "integer", "b": "bool"}


class LoadResult(NamedTuple):
    """What `load_state_dict(strict=False)` did not use."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"LoadResult(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def plain_arrays(state: Any) -> dict[str, Array]:
    """Return every value of `state` as an array. Raises: TypeError when `state` is not a mapping from names."""
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise TypeError(f"state_dict must map names to arrays or Tensors, got {type(state).__name__}")
    return {name: v.data if isinstance(v, Tensor) else np.asarray(v) for name, v in state.items()}


def compare(own: Mapping[str, Tensor], given: Mapping[str, Array]) -> LoadResult:
    """Return the names that only one side has."""
    return LoadResult([name for name in own if name not in given], [name for name in given if name not in own])


def misfits(own: Mapping[str, Tensor], given: Mapping[str, Array]) -> list[str]:
    """Return a line for each given array that cannot be copied into the Tensor of its name.

    >>> misfits({"bias": Tensor([0.0])}, {"bias": np.zeros(2)})
    ['bias: shape (2,) in the state, (1,) here']
    """
    lines = []
    for name, array in given.items():
        here = own.get(name)
        if here is None:
            continue
        if array.shape != here.shape:
            lines.append(f"{name}: shape {array.shape} in the state, {here.shape} here")
        if _kind(array) != _kind(here.data):
            lines.append(f"{name}: dtype {array.dtype} in the state, {here.dtype} here")
        if not here.data.flags.writeable:
            lines.append(f"{name}: read-only here")
    return lines


def _kind(array: Array) -> str:
    """Return what may be copied into what: floats into floats of either size, integers into integers."""
    return _KINDS.get(array.dtype.kind, str(array.dtype))
