"""Comparing a saved state with what is here: every difference in one error, before anything changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinydl.shapes import Array


def spec(array: Array) -> str:
    """Return what must agree for one array to take another's place.

    >>> import numpy as np
    >>> spec(np.zeros((2, 3), np.float32))
    'float32 (2, 3)'
    """
    return f"{array.dtype} {array.shape}"


def differences(here: Mapping[Any, Any], saved: Mapping[Any, Any]) -> list[str]:
    """Return a line for every key that only one side has, or whose values differ.

    >>> differences({"lr": 1, "eps": 2}, {"lr": 3, "betas": 4})
    ['lr: 1 here, 3 in the state', 'eps: missing from the state', 'betas: not known here']
    """
    lines = []
    for key, value in here.items():
        if key not in saved:
            lines.append(f"{key}: missing from the state")
        elif saved[key] != value:
            lines.append(f"{key}: {value} here, {saved[key]} in the state")
    return lines + [f"{key}: not known here" for key in saved if key not in here]


def refuse(kind: str, lines: Sequence[str]) -> None:
    """Raise a ValueError that lists all `lines`, if there are any."""
    if lines:
        raise ValueError(f"{kind}: the state does not fit:\n  " + "\n  ".join(lines))
