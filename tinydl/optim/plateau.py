"""Lower the learning rate when a measured number stops getting better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import SupportsFloat

from tinydl.optim.optimizer import Optimizer
from tinydl.optim.schedule import LRScheduler, per_group
from tinydl.options import choice, number, whole


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` after more than `patience` epochs without a better `metrics`.

    Better than the best so far means, for mode "min": metrics < best·(1 − threshold), or best − threshold with
    threshold_mode "abs"; for mode "max": metrics > best·(1 + threshold), or best + threshold. NaN is never better.

    Args:
        optimizer: whose rates fall.
        mode: "min" (a loss) or "max" (an accuracy).
        factor: in [0, 1).
        patience: bad epochs that are forgiven.
        threshold: how much better counts.
        threshold_mode: "rel" or "abs".
        cooldown: epochs after a cut during which bad ones are not counted.
        min_lr: lowest rate, one for all groups or a list.
        eps: a cut smaller than this is not made.

    Raises: ValueError for settings out of range.
    Source: PyTorch's class of this name; the idea is older ("bold driver", Battiti 1989).

    >>> from tinydl.optim import SGD
    >>> from tinydl.tensor import Tensor
    >>> schedule = ReduceLROnPlateau(SGD([Tensor([1.0])], lr=0.1), patience=1)
    >>> for loss in (1.0, 1.0, 1.0):
    ...     schedule.step(loss)
    >>> [round(lr, 6) for lr in schedule.get_last_lr()]
    [0.01]
    """

    settings = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lrs", "eps")
    progress = (*LRScheduler.progress, "best", "num_bad_epochs", "cooldown_counter")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        self.mode = choice(mode, "mode", ("min", "max"))
        self.factor = number(factor, "factor", "[0, 1)")
        self.patience = whole(patience, "patience", 0)
        self.threshold = number(threshold, "threshold", "[0, inf)")
        self.threshold_mode = choice(threshold_mode, "threshold_mode", ("rel", "abs"))
        self.cooldown = whole(cooldown, "cooldown", 0)
        self.eps = number(eps, "eps", "[0, inf)")
        super().__init__(optimizer)
        self.min_lrs = [number(lr, "min_lr", "[0, inf)") for lr in per_group(min_lr, "min_lr", optimizer)]
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0

    def get_lr(self) -> list[float]:
        """Return the rates as they are: only a plateau changes them."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self, metrics: SupportsFloat) -> None:  # type: ignore[override]  # the one schedule that is told something
        """Take notice of this epoch's `metrics` and cut the rates if it is time."""
        value = float(metrics)
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        super().step()

    def _is_better(self, value: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        if self.threshold_mode == "rel":
            return sign * value > sign * self.best * (1.0 + sign * self.threshold)
        return sign * value > sign * (self.best + sign * self.threshold)

    def _reduce(self) -> None:
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs):
            lr = max(group["lr"] * self.factor, lowest)
            if group["lr"] - lr > self.eps:
                group["lr"] = lr
