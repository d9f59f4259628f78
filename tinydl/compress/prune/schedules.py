"""How sparsity grows over a training: functions of the step (or epoch) t, as objects."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tinydl.options import number, whole


class Schedule:
    """The base: called with t, it returns the sparsity that is due.

    Attributes:
        begin: before this t nothing is pruned.
        end: after this t the masks are no longer chosen anew.
    """

    begin: int
    end: float

    def __init__(self, begin: int, end: float) -> None:
        self.begin = whole(begin, "begin", 0)
        self.end = end if end == math.inf else whole(end, "end", self.begin)

    def __call__(self, t: int) -> float:
        """Return the sparsity at t."""
        return self.at(min(t, self.end)) if t >= self.begin else 0.0

    def at(self, t: float) -> float:
        """Return the sparsity at a t from `begin` to `end`."""
        raise NotImplementedError(f"{type(self).__name__} has no rule")


class Constant(Schedule):
    """One sparsity from `begin` on; until `end` the masks are chosen anew, where the criterion lets weights return.

    >>> schedule = Constant(0.5, begin=10)
    >>> schedule(9), schedule(10)
    (0.0, 0.5)
    """

    def __init__(self, sparsity: float, begin: int = 0, end: float = math.inf) -> None:
        self.sparsity = number(sparsity, "sparsity", "[0, 1)")
        super().__init__(begin, end)

    def at(self, t: float) -> float:
        """Return the sparsity."""
        return self.sparsity


class OneShot(Constant):
    """Everything at once, at step `step`; the masks stay as they are from then on."""

    def __init__(self, sparsity: float, step: int = 0) -> None:
        super().__init__(sparsity, step, step)


class PolynomialDecay(Schedule):
    """From `initial` to `final`, fast at first: the density decays polynomially.

    s(t) = final + (initial − final) · (1 − (t − begin) / (end − begin))^power,  begin ≤ t ≤ end

    Args:
        initial: sparsity at `begin`, in [0, 1).
        final: sparsity from `end` on, at least `initial`.
        begin: 0 or later.
        end: later than `begin`.
        power: 3 is the cubic of Zhu & Gupta, 1 a straight line.

    Raises: TypeError or ValueError naming the argument.

    Source: Zhu & Gupta 2018, To prune, or not to prune, arXiv:1710.01878, equation 1.

    >>> schedule = PolynomialDecay(0.0, 0.8, begin=0, end=100)
    >>> [round(schedule(t), 3) for t in (0, 25, 50, 100, 200)]
    [0.0, 0.463, 0.7, 0.8, 0.8]
    """

    def __init__(self, initial: float, final: float, begin: int, end: int, power: float = 3) -> None:
        self.initial = number(initial, "initial", "[0, 1)")
        self.final = number(final, "final", "[0, 1)")
        self.power = number(power, "power", "(0, inf)")
        super().__init__(begin, whole(end, "end", whole(begin, "begin", 0) + 1))
        if self.final < self.initial:
            raise ValueError(f"final must be at least initial, got {final} and {initial}")

    def at(self, t: float) -> float:
        """Return the sparsity at t."""
        left = 1 - (t - self.begin) / (self.end - self.begin)
        return float(self.final + (self.initial - self.final) * left**self.power)


class AGP(PolynomialDecay):
    """Automated gradual pruning: the cubic, in n steps of `every`, with rest between them for recovery.

    t ∈ {begin, begin + every, …, begin + n · every = end}

    Args:
        final: sparsity from `end` on.
        begin: the first step.
        end: the last step; `every` must divide end − begin.
        every: Δt of the paper, 100 to 1,000 there.
        initial: sparsity at `begin`, usually 0.

    Source: Zhu & Gupta 2018, arXiv:1710.01878, section 3.

    >>> schedule = AGP(0.8, begin=0, end=1000, every=500)
    >>> [round(schedule(t), 3) for t in (0, 499, 500, 999, 1000)]
    [0.0, 0.0, 0.7, 0.7, 0.8]
    """

    def __init__(self, final: float, begin: int, end: int, every: int = 100, initial: float = 0.0) -> None:
        super().__init__(initial, final, begin, end)
        self.every = whole(every, "every", 1)
        if (end - begin) % self.every:
            raise ValueError(f"every must divide end − begin, got {every} and {end - begin}")

    def at(self, t: float) -> float:
        """Return the sparsity of the last pruning step."""
        return super().at(self.begin + (t - self.begin) // self.every * self.every)


class Steps(Schedule):
    """A staircase: from each t on, the sparsity given for it.

    Args:
        levels: {t: sparsity}, neither of which may fall.

    Raises: TypeError or ValueError naming the argument.

    >>> schedule = Steps({0: 0.5, 100: 0.8})
    >>> [schedule(t) for t in (0, 99, 100, 1000)]
    [0.5, 0.5, 0.8, 0.8]
    """

    def __init__(self, levels: Mapping[int, float]) -> None:
        if not levels:
            raise ValueError("levels is empty: give at least one {t: sparsity}")
        self.levels = {whole(t, "levels: t", 0): number(levels[t], f"levels[{t}]", "[0, 1)") for t in sorted(levels)}
        super().__init__(min(self.levels), max(self.levels))
        values = list(self.levels.values())
        if values != sorted(values):
            raise ValueError(f"levels must not fall, got {self.levels}")

    def at(self, t: float) -> float:
        """Return the sparsity of the last level reached."""
        return self.levels[max(start for start in self.levels if start <= t)]
