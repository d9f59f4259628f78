"""What pictures accept: labels, class names, stacks of images; anything else is refused by name before it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.shapes import Array
from tinydl.tensor import as_array


def class_indices(values: Any, name: str, rows: int | None = None) -> Array:
    """Return `values` as an int64 vector of class indices.

    Raises: TypeError unless they are integers, ValueError unless they are one axis of `rows` numbers from 0 upwards.

    >>> class_indices([3, 1], "targets")
    array([3, 1])
    """
    array = as_array(values, name=name)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one axis of class indices, got shape {array.shape} (logits? use argmax)")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got dtype {array.dtype}")
    if rows is not None and len(array) != rows:
        raise ValueError(f"{name} has {len(array)} rows, needed {rows}")
    if array.size and array.min() < 0:
        raise ValueError(f"{name} must be class indices from 0, got {array.min()}")
    return array.astype(np.int64, copy=False)


def class_names(classes: Sequence[str] | int | None, least: int) -> list[str]:
    """Return a name for each class: those given, or its index; `least` classes are needed.

    Raises: ValueError when `classes` are fewer than the labels speak of.

    >>> class_names(None, 3), class_names(["cat", "dog"], 2)
    (['0', '1', '2'], ['cat', 'dog'])
    """
    if classes is None:
        classes = least
    names = [str(i) for i in range(classes)] if isinstance(classes, int) else [str(name) for name in classes]
    if len(names) < least:
        raise ValueError(f"classes has {len(names)} entries, but class {least - 1} occurs")
    return names


def image_stack(values: Any, name: str) -> Array:
    """Return images as (N, H, W), or (N, H, W, 3) when they have three channels.

    Args:
        values: (N, H, W), (N, 1, H, W) or (N, 3, H, W), numbers of any scale.
        name: the argument's name, for the error.

    Raises: ValueError for another shape or an empty stack.

    >>> image_stack(np.zeros((5, 1, 8, 8)), "images").shape, image_stack(np.zeros((5, 3, 8, 8)), "images").shape
    ((5, 8, 8), (5, 8, 8, 3))
    """
    array = as_array(values, name=name)
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    elif array.ndim == 4 and array.shape[1] == 3:
        array = array.transpose(0, 2, 3, 1)
    elif array.ndim != 3:
        raise ValueError(f"{name} must be (N, H, W), (N, 1, H, W) or (N, 3, H, W), got shape {array.shape}")
    if not array.size:
        raise ValueError(f"{name} is empty: shape {array.shape}")
    return array
