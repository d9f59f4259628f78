"""A nested state as JSON and named arrays, and back, with nothing lost: int keys, tuples, NaN, dtypes, order.

In the JSON, None, bool, str, int and finite floats are themselves and lists are lists. Every object has one key, which
says what it stands for: {"dict": [[key, value], …]}, {"tuple": […]}, {"float": "nan"}, {"array": its name}.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinydl.shapes import Array
from tinydl.tensor import Tensor, as_array

MAX_DEPTH = 100
"""Deeper states are refused: they are almost certainly part of themselves."""


def pack(state: Any) -> tuple[Any, dict[str, Array]]:
    """Return `state` as a JSON tree and the arrays it refers to, by the expression that leads to each.

    Tensors become arrays, NumPy's numbers Python's, subclasses of dict, list and tuple the plain type.

    Raises: TypeError naming the place of what is none of array, Tensor, number, str, None, dict, list or tuple, of an
        array that is not of float32, float64, integers or bool, and of a dict key that is not str or int; ValueError
        for a state that contains itself.

    >>> pack({"w": np.ones(2), 3: (True, math.inf)})
    ({'dict': [['w', {'array': "state['w']"}], [3, {'tuple': [True, {'float': 'inf'}]}]]},
     {"state['w']": array([1., 1.])})
    """
    arrays: dict[str, Array] = {}
    return _encode(state, "state", arrays, MAX_DEPTH), arrays


def unpack(tree: Any, arrays: Mapping[str, Array]) -> Any:
    """Return the state that `pack` made `tree` and `arrays` of.

    >>> unpack(*pack({"w": np.ones(2), 3: (True, math.inf)}))
    {'w': array([1., 1.]), 3: (True, inf)}
    """
    if isinstance(tree, list):
        return [unpack(item, arrays) for item in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "array":
        return arrays[content]
    if kind == "float":
        return float(content)
    if kind == "tuple":
        return tuple(unpack(item, arrays) for item in content)
    return {key: unpack(value, arrays) for key, value in content}


def _encode(value: Any, where: str, arrays: dict[str, Array], depth: int) -> Any:
    if depth == 0:
        raise ValueError(f"{where[:60]}… is nested deeper than {MAX_DEPTH} levels, or contains itself")
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, (Tensor, np.ndarray)):
        arrays[where] = as_array(value, name=where)
        return {"array": where}
    if isinstance(value, (list, tuple)):
        items = [_encode(item, f"{where}[{i}]", arrays, depth - 1) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, Mapping):
        pairs = [(_checked_key(key, where), item) for key, item in value.items()]
        return {"dict": [[key, _encode(item, f"{where}[{key!r}]", arrays, depth - 1)] for key, item in pairs]}
    raise TypeError(f"{where} is a {type(value).__name__}; arrays, Tensors, numbers, str, None, dict, list, tuple fit")


def _checked_key(key: Any, where: str) -> str | int:
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        raise TypeError(f"{where} has the key {key!r}; str and int are supported")
    return key
