"""The search for the smallest input on which an answer fails: by Hypothesis, or from small cases to larger ones.

An exercise says how a case is made from a `Pick`, and nothing else. Every choice of a Pick is made of whole numbers,
which is what makes it easy to draw at random, and to make smaller until the failure can be followed by hand.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

_Case = TypeVar("_Case")
_SEED = 0


class Pick:
    """Where the choices of a case come from; small numbers and early options are the simple ones.

    >>> simplest = Pick(lambda low, high: max(low, min(0, high)))
    >>> simplest.integer(2, 5), simplest.number(-1, 1), simplest.one_of("abc"), simplest.numbers(2)
    (2, 0.0, 'a', [0.0, 0.0])
    """

    def __init__(self, integer: Callable[[int, int], int]) -> None:
        self._integer = integer

    def integer(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return self._integer(low, high)

    def number(self, low: int = -4, high: int = 4) -> float:
        """Return a multiple of 1/8 from `low` to `high`: exact in binary, short in print."""
        return self.integer(8 * low, 8 * high) / 8

    def numbers(self, count: int, low: int = -4, high: int = 4) -> list[float]:
        """Return `count` numbers."""
        return [self.number(low, high) for _ in range(count)]

    def one_of(self, options: Sequence[Any]) -> Any:
        """Return one of `options`."""
        return options[self.integer(0, len(options) - 1)]

    def array(self, *shape: int, low: int = -4, high: int = 4) -> Any:
        """Return a small float64 array of numbers, each of them a choice of its own."""
        return np.array(self.numbers(int(np.prod(shape)), low, high)).reshape(shape)

    def generator(self) -> np.random.Generator:
        """Return a NumPy generator for whatever is too large to be chosen number by number."""
        return np.random.default_rng(self.integer(0, 99))


def simplest(case: Callable[[Pick], _Case]) -> _Case:
    """Return the case in which every choice is the simplest one."""
    return case(Pick(lambda low, high: max(low, min(0, high))))


def samples(case: Callable[[Pick], _Case], count: int) -> list[_Case]:
    """Return `count` cases, always the same ones, that grow from small to large."""
    draw = random.Random(_SEED)

    def up_to(reach: float) -> Callable[[int, int], int]:
        def integer(low: int, high: int) -> int:
            nearest = max(low, min(0, high))
            below, above = (round(reach * (nearest - low)), round(reach * (high - nearest)))
            return draw.randint(max(low, nearest - below - 1), min(high, nearest + above + 1))

        return integer

    return [case(Pick(up_to(i / count))) for i in range(count)]


def smallest_failure(case: Callable[[Pick], _Case], fails: Callable[[_Case], bool], tries: int = 200) -> _Case | None:
    """Return the smallest case found among about `tries` for which `fails`, or None when there is none.

    >>> smallest_failure(lambda pick: pick.integer(-50, 50), lambda n: n > 7)
    8
    """
    first = simplest(case)
    if fails(first):
        return first
    found = next((one for one in samples(case, tries) if fails(one)), None)
    shrunk = _by_hypothesis(case, fails, tries)
    return found if shrunk is None else shrunk


def _by_hypothesis(case: Callable[[Pick], _Case], fails: Callable[[_Case], bool], tries: int) -> _Case | None:
    """Return what Hypothesis finds and shrinks; None when it is not installed, or finds nothing to rely on."""
    ours = "hypothesis" not in sys.modules
    try:
        from hypothesis import HealthCheck, configuration, errors, find, settings, strategies
    except ImportError:
        return None
    if ours:  # it keeps notes in a folder, which is not to appear beside the learner's notebooks
        configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir(), "tinydl-hypothesis"))
    quiet = settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=tries,
        suppress_health_check=list(HealthCheck),
    )

    def chosen(draw: Callable[[Any], int]) -> _Case:
        return case(Pick(lambda low, high: draw(strategies.integers(low, high))))

    try:
        return find(strategies.composite(chosen)(), fails, settings=quiet)
    except (errors.NoSuchExample, errors.HypothesisException):
        return None  # the latter where an answer is not the same twice
