"""Numbers and choices that a caller hands over: checked in the constructor, by name, before anything is built."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from tinydl.shapes import Pair


def number(value: Any, name: str, interval: str = "(-inf, inf)") -> float:
    """Return `value` as a Python float, refusing what lies outside `interval`; NaN lies outside all of them.

    A square bracket includes its end, a round one does not.

    Raises: TypeError when `value` is no number; ValueError naming `name` and the interval.

    >>> number(0.5, "p", "[0, 1]")
    0.5
    >>> number(float("nan"), "p", "[0, 1]")
    Traceback (most recent call last):
    ValueError: p must be in [0, 1], got nan
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number in {interval}, got {type(value).__name__} {value!r}")
    given = float(value)
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = given >= low if interval[0] == "[" else given > low
    below = given <= high if interval[-1] == "]" else given < high
    if not (above and below):
        raise ValueError(f"{name} must be in {interval}, got {value}")
    return given


def whole(value: Any, name: str, low: int) -> int:
    """Return `value` as a Python int. Raises: TypeError or ValueError unless it is an integer of at least `low`.

    >>> whole(3, "in_features", 1)
    3
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer of at least {low}, got {type(value).__name__} {value!r}")
    if value < low:
        raise ValueError(f"{name} must be at least {low}, got {value}")
    return int(value)


def whole_pair(value: Any, name: str, low: int) -> Pair:
    """Return `value` as (height, width), both at least `low`; one integer stands for both.

    >>> whole_pair(3, "kernel_size", 1), whole_pair((1, 2), "stride", 1)
    ((3, 3), (1, 2))
    """
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) != 2:
        raise ValueError(f"{name} must be an integer or a pair of integers, got {value!r}")
    return whole(both[0], name, low), whole(both[1], name, low)


def choice(value: Any, name: str, allowed: Sequence[str]) -> str:
    """Return `value`, one of the `allowed` words. Raises: ValueError naming them.

    >>> choice("relu", "nonlinearity", ("tanh", "relu"))
    'relu'
    """
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return str(value)


def factor(value: Any, whole_value: int, name: str, of: str) -> int:
    """Return `value`, a positive divisor of `whole_value`. Raises: ValueError naming both.

    >>> factor(2, 8, "groups", "in_channels")
    2
    """
    if whole_value % whole(value, name, 1):
        raise ValueError(f"{name} must divide {of}, got {value} and {whole_value}")
    return int(value)
