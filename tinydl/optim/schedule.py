"""What all learning rate schedules share: counting steps, writing the rates, saving and loading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tinydl.optim.optimizer import Group, Optimizer
from tinydl.optim.state import differences, refuse


class LRScheduler:
    """A learning rate for every group of an optimizer, as a function of the steps taken.

    A subclass says in `get_lr` what the rates at step `last_epoch` are. Rules that change the *current* rate can be
    chained: several schedules on one optimizer multiply. Call `step` after `optimizer.step`. To go on from a
    checkpoint, build the schedule as at the start and load its `state_dict` (PyTorch's argument `last_epoch` is not
    offered).

    Raises: TypeError when `optimizer` is none.
    """

    settings: ClassVar[tuple[str, ...]] = ()
    """Attributes that must agree when a state is loaded."""
    progress: ClassVar[tuple[str, ...]] = ("last_epoch", "base_lrs", "_last_lr")
    """Attributes that a loaded state replaces."""

    def __init__(self, optimizer: Optimizer) -> None:
        for group in _groups(optimizer):
            group.setdefault("initial_lr", group["lr"])
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._last_lr: list[float] = []
        self._enter(0)

    def get_lr(self) -> list[float]:
        """Return the rate of each group at step `last_epoch`, from `base_lrs` or from the group's current rate."""
        raise NotImplementedError(f"{type(self).__name__} has no rule")

    def get_last_lr(self) -> list[float]:
        """Return the rate of each group as it was last set."""
        return list(self._last_lr)

    def step(self) -> None:
        """Go to the next step and set the rates."""
        self._enter(self.last_epoch + 1)

    def restart(self) -> None:
        """Go back to step 0, from the rates that the optimizer was built with."""
        for group, lr in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = lr
        self._enter(0)

    def _enter(self, epoch: int) -> None:
        self.last_epoch = epoch
        groups, rates = self.optimizer.param_groups, [float(lr) for lr in self.get_lr()]
        if len(rates) != len(groups):
            raise ValueError(f"{type(self).__name__}: {len(rates)} rates for {len(groups)} parameter groups")
        for group, lr in zip(groups, rates):
            group["lr"] = lr
        self._last_lr = rates

    def state_dict(self) -> dict[str, Any]:
        """Return settings and progress as plain values; functions are left out and must be given again."""
        values = {name: getattr(self, name) for name in self.settings + self.progress}
        return {name: list(v) if isinstance(v, list) else v for name, v in values.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the progress of a `state_dict` from the same schedule.

        The rates themselves are in the optimizer's state. Where PyTorch replaces the settings by the saved ones
        without a word, here they must agree.

        Raises: ValueError listing every difference, with nothing changed.
        """
        refuse(type(self).__name__, self.misfits(state_dict))
        self._take(state_dict)

    def misfits(self, state_dict: Mapping[str, Any]) -> list[str]:
        """Return what keeps `state_dict` from being loaded, a line each."""
        return differences(self._outline(self.state_dict()), self._outline(state_dict))

    def _take(self, state_dict: Mapping[str, Any]) -> None:
        for name in self.progress:
            value = state_dict[name]
            setattr(self, name, list(value) if isinstance(value, list) else value)

    def _outline(self, state_dict: Mapping[str, Any]) -> dict[str, Any]:
        """Return what must agree: the settings, and of the progress its kind."""
        return {name: _kind(value) if name in self.progress else value for name, value in state_dict.items()}


def _kind(value: Any) -> str:
    """Return what must agree between two values of one attribute.

    >>> _kind([0.1, 0.2]), _kind(3)
    ('list of 2 float', 'int')
    """
    if isinstance(value, list):
        return f"list of {len(value)} {'/'.join(sorted({_kind(v) for v in value}))}"
    return type(value).__name__


def per_group(value: Any, name: str, optimizer: Optimizer) -> list[Any]:
    """Return `value` for every group: a list has one for each, anything else serves all.

    Raises: ValueError when a list has another length than there are groups.
    """
    groups = len(_groups(optimizer))
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{name} has {len(values)} entries, the optimizer {groups} parameter groups")
    return values


def _groups(optimizer: Optimizer) -> list[Group]:
    """Return the groups of `optimizer`, refusing anything else."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an Optimizer, got {type(optimizer).__name__}")
    return optimizer.param_groups
