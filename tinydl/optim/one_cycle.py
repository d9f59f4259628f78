"""The one-cycle schedule: up to a high learning rate and down to almost nothing, momentum the other way."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinydl.optim.optimizer import Optimizer
from tinydl.optim.schedule import LRScheduler, per_group
from tinydl.options import choice, number, whole


class OneCycleLR(LRScheduler):
    """Raise the rate from max_lr/div_factor to max_lr, then let it fall to max_lr/(div_factor·final_div_factor).

    Between two turning points a and b, at the fraction f of the way:
        cos:    b + (a − b)·(1 + cos(π·f)) / 2
        linear: a + (b − a)·f
    The turning points are the steps 0, pct_start·T − 1 and T − 1, T = total_steps; with `three_phase` the rate is
    back at its start at 2·pct_start·T − 2 before the last descent. Momentum (β₁ of Adam) falls from max_momentum to
    base_momentum while the rate rises, and rises while it falls. Call `step` after every batch.

    Args:
        optimizer: its learning rate and momentum are replaced.
        max_lr: highest rate, one for all groups or a list.
        total_steps: T, or else give `epochs` and `steps_per_epoch`.
        epochs: number of epochs.
        steps_per_epoch: batches in one.
        pct_start: the fraction of the steps that the rate rises, in [0, 1].
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether momentum cycles too.
        base_momentum: lowest momentum, one for all groups or a list.
        max_momentum: highest.
        div_factor: initial rate is max_lr / div_factor.
        final_div_factor: last rate is the initial one / final_div_factor.
        three_phase: rise and fall are alike, and a last descent follows.

    Raises: ValueError for settings out of range, an optimizer without momentum (unless cycle_momentum=False), and a
        step beyond the last (T itself is allowed, for loops that step after the last batch).
    Source: Smith & Topin 2019, arXiv:1708.07120, in PyTorch's form.

    >>> from tinydl.optim import SGD
    >>> from tinydl.tensor import Tensor
    >>> optimizer = SGD([Tensor([1.0])], lr=0.1, momentum=0.9)
    >>> schedule = OneCycleLR(optimizer, max_lr=1.0, total_steps=10, anneal_strategy="linear")
    >>> for _ in range(2):
    ...     schedule.step()
    >>> optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]
    (1.0, 0.85)
    """

    settings = ("total_steps", "ends", "lr_points", "momentum_points", "anneal_strategy")

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        self.total_steps = _total(total_steps, epochs, steps_per_epoch)
        rise = number(pct_start, "pct_start", "[0, 1]") * self.total_steps - 1
        self.ends = [0.0, rise, *([2 * rise] if three_phase else []), float(self.total_steps - 1)]
        self.anneal_strategy = choice(anneal_strategy, "anneal_strategy", ("cos", "linear"))
        ratio = number(div_factor, "div_factor", "(0, inf)")
        last = number(final_div_factor, "final_div_factor", "(0, inf)")
        tops = [number(lr, "max_lr", "[0, inf)") for lr in per_group(max_lr, "max_lr", optimizer)]
        middle = 2 if three_phase else 1
        self.lr_points = [[top / ratio, top, *[top / ratio] * (middle - 1), top / ratio / last] for top in tops]
        self.momentum_points: list[list[float]] = []
        if cycle_momentum:
            _check_momentum(optimizer)
            lows = per_group(base_momentum, "base_momentum", optimizer)
            highs = per_group(max_momentum, "max_momentum", optimizer)
            ends = [
                (number(high, "max_momentum", "[0, 1)"), number(low, "base_momentum", "[0, 1)"))
                for high, low in zip(highs, lows)
            ]
            self.momentum_points = [[high, low, *[high] * middle] for high, low in ends]
        for group, points in zip(optimizer.param_groups, self.lr_points):
            group["initial_lr"] = points[0]
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """Return the rate of each group at step `last_epoch`."""
        return [self._between(points) for points in self.lr_points]

    def _enter(self, epoch: int) -> None:
        if epoch > self.total_steps:
            raise ValueError(f"OneCycleLR: step {epoch} is beyond the last, total_steps is {self.total_steps}")
        super()._enter(epoch)
        for group, points in zip(self.optimizer.param_groups, self.momentum_points):
            momentum = self._between(points)
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum

    def _between(self, points: list[float]) -> float:
        """Return the value at step `last_epoch` of the curve that reaches `points` at the steps `ends`."""
        t, last = self.last_epoch, len(self.ends) - 1
        phase = next(i for i in range(1, last + 1) if t <= self.ends[i] or i == last)
        start, end = self.ends[phase - 1 : phase + 1]
        fraction = (t - start) / (end - start) if end != start else 1.0
        a, b = points[phase - 1 : phase + 1]
        if self.anneal_strategy == "linear":
            return (b - a) * fraction + a
        return b + (a - b) / 2.0 * (math.cos(math.pi * fraction) + 1)


def _total(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """Return the number of steps from one of the two ways to say it."""
    if total_steps is not None:
        return whole(total_steps, "total_steps", 1)
    if epochs is None or steps_per_epoch is None:
        raise ValueError("OneCycleLR needs total_steps, or both epochs and steps_per_epoch")
    return whole(epochs, "epochs", 1) * whole(steps_per_epoch, "steps_per_epoch", 1)


def _check_momentum(optimizer: Optimizer) -> None:
    """Refuse an optimizer that has nothing to cycle."""
    for group in optimizer.param_groups:
        if "betas" not in group and "momentum" not in group:
            raise ValueError("cycle_momentum needs an optimizer with momentum or betas")
