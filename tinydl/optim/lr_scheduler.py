"""The learning rate schedules, each a small rule; all of them count steps from 0 and are equal to PyTorch's."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinydl.optim.one_cycle import OneCycleLR
from tinydl.optim.optimizer import Optimizer
from tinydl.optim.plateau import ReduceLROnPlateau
from tinydl.optim.schedule import LRScheduler, per_group
from tinydl.optim.state import differences
from tinydl.options import number, whole

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class _Factor(LRScheduler):
    """A schedule that multiplies the current rate of every group by one factor a step, so that it can be chained."""

    def get_lr(self) -> list[float]:
        """Return each group's current rate times the factor of this step."""
        factor = self._factor(self.last_epoch)
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _factor(self, t: int) -> float:
        """Return rate(t) / rate(t − 1), and for t = 0 rate(0) / initial rate."""
        raise NotImplementedError


class StepLR(_Factor):
    """Multiply the rate by `gamma` every `step_size` steps: lr(t) = lr₀·gamma^⌊t / step_size⌋.

    Raises: ValueError for a step_size below 1 or a negative gamma.

    >>> from tinydl.optim import SGD
    >>> from tinydl.tensor import Tensor
    >>> schedule = StepLR(SGD([Tensor([1.0])], lr=1.0), step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     print(schedule.get_last_lr(), end=" ")
    ...     schedule.step()
    [1.0] [1.0] [0.5] [0.5]
    """

    settings = ("step_size", "gamma")

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = whole(step_size, "step_size", 1)
        self.gamma = number(gamma, "gamma", "[0, inf)")
        super().__init__(optimizer)

    def _factor(self, t: int) -> float:
        return self.gamma if t and t % self.step_size == 0 else 1.0


class MultiStepLR(_Factor):
    """Multiply the rate by `gamma` at every milestone: lr(t) = lr₀·gamma^|{m ≤ t}|; one listed twice counts twice.

    Raises: ValueError for a negative milestone or gamma.

    >>> from tinydl.optim import SGD
    >>> from tinydl.tensor import Tensor
    >>> schedule = MultiStepLR(SGD([Tensor([1.0])], lr=1.0), milestones=[1, 3], gamma=0.5)
    >>> for _ in range(4):
    ...     print(schedule.get_last_lr(), end=" ")
    ...     schedule.step()
    [1.0] [0.5] [0.5] [0.25]
    """

    settings = ("milestones", "gamma")

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(whole(m, "milestones", 0) for m in milestones)
        self.gamma = number(gamma, "gamma", "[0, inf)")
        super().__init__(optimizer)

    def _factor(self, t: int) -> float:
        return self.gamma ** self.milestones.count(t)


class ExponentialLR(_Factor):
    """Multiply the rate by `gamma` at every step: lr(t) = lr₀·gamma^t.

    Raises: ValueError for a negative gamma.

    >>> from tinydl.optim import SGD
    >>> from tinydl.tensor import Tensor
    >>> schedule = ExponentialLR(SGD([Tensor([1.0])], lr=1.0), gamma=0.5)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    settings = ("gamma",)

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = number(gamma, "gamma", "[0, inf)")
        super().__init__(optimizer)

    def _factor(self, t: int) -> float:
        return self.gamma if t else 1.0


class LinearLR(_Factor):
    """Warm up (or down) along a line: lr(t) = lr₀·(start + (end − start)·min(t, total) / total).

    Args:
        optimizer: whose rates change.
        start_factor: at step 0, in (0, 1].
        end_factor: from step `total_iters` on, in [0, 1].
        total_iters: length of the line in steps, at least 1.

    Raises: ValueError for settings out of range.
    Source: the gradual warm-up of Goyal et al. 2017, arXiv:1706.02677, section 2.2.

    >>> from tinydl.optim import SGD
    >>> from tinydl.tensor import Tensor
    >>> schedule = LinearLR(SGD([Tensor([1.0])], lr=1.0), start_factor=0.5, total_iters=2)
    >>> for _ in range(4):
    ...     print(schedule.get_last_lr(), end=" ")
    ...     schedule.step()
    [0.5] [0.75] [1.0] [1.0]
    """

    settings = ("start_factor", "end_factor", "total_iters")

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor = number(start_factor, "start_factor", "(0, 1]")
        self.end_factor = number(end_factor, "end_factor", "[0, 1]")
        self.total_iters = whole(total_iters, "total_iters", 1)
        super().__init__(optimizer)

    def _factor(self, t: int) -> float:
        if t == 0:
            return self.start_factor
        if t > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (t - 1) * rise)


class CosineAnnealingLR(LRScheduler):
    """Let the rate fall along half a cosine: lr(t) = eta_min + (lr₀ − eta_min)·(1 + cos(π·t / T_max)) / 2.

    Beyond T_max it rises again, as PyTorch's does. Each step scales the current rate's distance from eta_min, so that
    the schedule can be chained.

    Raises: ValueError for a T_max below 1 or a negative eta_min.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without the restarts.

    >>> from tinydl.optim import SGD
    >>> from tinydl.tensor import Tensor
    >>> schedule = CosineAnnealingLR(SGD([Tensor([1.0])], lr=1.0), T_max=2)
    >>> schedule.step()
    >>> [round(lr, 6) for lr in schedule.get_last_lr()]
    [0.5]
    """

    settings = ("T_max", "eta_min")

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = whole(T_max, "T_max", 1)
        self.eta_min = number(eta_min, "eta_min", "[0, inf)")
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """Return the rate of each group at step `last_epoch`."""
        t, groups = self.last_epoch, self.optimizer.param_groups
        if t == 0:
            return [group["lr"] for group in groups]
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # the last rate was eta_min: there is no distance to scale
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [group["lr"] + (lr0 - self.eta_min) * rise for group, lr0 in zip(groups, self.base_lrs)]
        scale = (1 + math.cos(math.pi * t / self.T_max)) / (1 + math.cos(math.pi * (t - 1) / self.T_max))
        return [scale * (group["lr"] - self.eta_min) + self.eta_min for group in groups]


class LambdaLR(LRScheduler):
    """Set the rate to a function of the step: lr(t) = lr₀·lr_lambda(t).

    Args:
        optimizer: whose rates change.
        lr_lambda: a function of the step, or a list with one for each group; not saved in `state_dict`.

    Raises: TypeError for what cannot be called; ValueError when the list does not fit the groups.

    >>> from tinydl.optim import SGD
    >>> from tinydl.tensor import Tensor
    >>> schedule = LambdaLR(SGD([Tensor([1.0])], lr=1.0), lambda t: 1 / (1 + t))
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        self.lr_lambdas: list[Callable[[int], float]] = per_group(lr_lambda, "lr_lambda", optimizer)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda must be a function of the step, got {function!r}")
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """Return the rate of each group at step `last_epoch`."""
        return [lr0 * float(function(self.last_epoch)) for lr0, function in zip(self.base_lrs, self.lr_lambdas)]


class SequentialLR(LRScheduler):
    """One schedule after another: the next takes over, at its own step 0, when a milestone is reached.

    Args:
        optimizer: the one that all `schedulers` belong to.
        schedulers: at least one; its first runs from step 0.
        milestones: steps at which the second, third, … begin, rising.

    Raises: ValueError when the counts do not fit, milestones do not rise, or a schedule has another optimizer or
        waits for a plateau.

    >>> from tinydl.optim import SGD
    >>> from tinydl.tensor import Tensor
    >>> optimizer = SGD([Tensor([1.0])], lr=1.0)
    >>> warm_up, rest = LinearLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.5)
    >>> schedule = SequentialLR(optimizer, [warm_up, rest], milestones=[2])
    >>> for _ in range(4):
    ...     print(schedule.get_last_lr(), end=" ")
    ...     schedule.step()
    [0.5] [0.75] [1.0] [0.5]
    """

    settings = ("milestones",)

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        self.schedulers = list(schedulers)
        self.milestones = [whole(m, "milestones", 1) for m in milestones]
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"one milestone between two schedulers is needed, got {len(milestones)} for {len(schedulers)}"
            )
        if any(later <= earlier for earlier, later in zip(self.milestones, self.milestones[1:])):
            raise ValueError(f"milestones must rise, got {self.milestones}")
        for schedule in schedulers:
            if isinstance(schedule, ReduceLROnPlateau) or schedule.optimizer is not optimizer:
                raise ValueError(
                    f"{type(schedule).__name__} cannot take part: it has another optimizer or needs metrics"
                )
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """Return the rates of the schedule whose turn it is, after its own step."""
        turn = bisect_right(self.milestones, self.last_epoch)
        schedule = self.schedulers[turn]
        if self.last_epoch in (0, *self.milestones):
            schedule.restart()
        else:
            schedule.step()
        return schedule.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return settings and progress, those of the parts under "schedulers"."""
        return super().state_dict() | {"schedulers": [schedule.state_dict() for schedule in self.schedulers]}

    def misfits(self, state_dict: Mapping[str, Any]) -> list[str]:
        """Return what keeps `state_dict` from being loaded, a line each."""
        parts = state_dict.get("schedulers", [])
        own = {name: value for name, value in state_dict.items() if name != "schedulers"}
        lines = differences(self._outline(super().state_dict()), self._outline(own))
        lines += differences({"schedulers": len(self.schedulers)}, {"schedulers": len(parts)})
        for i, (schedule, part) in enumerate(zip(self.schedulers, parts)):
            lines += [f"schedulers[{i}].{line}" for line in schedule.misfits(part)]
        return lines

    def _take(self, state_dict: Mapping[str, Any]) -> None:
        super()._take(state_dict)
        for schedule, part in zip(self.schedulers, state_dict["schedulers"]):
            schedule._take(part)
