"""Pruning channels: by a share of each group, by one ranking of all channels, or down to a budget of multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import numpy as np

from tinydl.compress.flow import flow
from tinydl.compress.structured import importance as criteria
from tinydl.compress.structured.coupling import Coupling, couple
from tinydl.compress.structured.groups import Dependencies, dependencies
from tinydl.compress.structured.importance import Importance
from tinydl.compress.structured.match import matched, same_steps, too_wide
from tinydl.compress.structured.plan import Plan
from tinydl.compress.structured.resize import resized
from tinydl.compress.structured.sizes import evenly, multiply_adds, ranked, shapes
from tinydl.cost.inputs import Shapes, zeros_for
from tinydl.nn import Module
from tinydl.options import choice, number, whole
from tinydl.shapes import Array

M = TypeVar("M", bound=Module)

_SCOPES = ("group", "global")


def plan(
    model: M,
    input_shape: Shapes,
    ratio: float | Mapping[str, float] | None = None,
    *,
    macs: int | None = None,
    importance: Importance | None = None,
    scope: str = "group",
    normalize: bool = True,
    multiple: int = 1,
    skip: Collection[str] = (),
) -> Plan[M]:
    """Return what `prune_channels` (with `ratio`) or `prune_to` (with `macs`) removes, to look at and to apply.

    Args:
        model: any module whose channels can be followed; it is left as it is.
        input_shape: the sizes of its input without the batch axis, or a sequence of such.
        ratio: the share of channels to remove, in [0, 1); with scope "group" also {name of a group: its share}.
        macs: the most multiply-adds for one input that the result may have; the smallest ratio is then found.
        importance: see `tinydl.compress.structured.importance`; `magnitude()` when None.
        scope: "group": each group loses that share of its channels; "global": of all channels together, the least
            important ones go.
        normalize: whether scores are divided by their mean in the group before a global ranking. Sums over weights grow
            with the layer; changes of the loss (`taylor`) can be compared as they are.
        multiple: leave multiples of this number of channels, where a group allows it.
        skip: names of groups that stay whole.

    Each group keeps at least one part. Where kinds of channels are mixed, groups shrink in the steps that they have
    (`Group.parts`), and one step further where whole numbers do not come out.

    Raises: TypeError or ValueError naming the argument; ValueError for a budget that cannot be met, or channels that
        cannot be followed.
    """
    if (ratio is None) == (macs is None):
        raise ValueError("ratio, macs: give one of the two")
    choice(scope, "scope", _SCOPES)
    multiple, found = whole(multiple, "multiple", 1), dependencies(model, input_shape)
    whole_groups = {found[name].name for name in skip}
    free = [group for group in found.groups if group.name not in whole_groups]
    if isinstance(ratio, Mapping):
        ratio = _named(found, ratio, scope)
        free = [group for group in free if group.name in ratio]
    if not free:
        raise ValueError(f"model: this {type(model).__name__} has no channels to remove, skip being {[*skip]}")
    importance = criteria.magnitude() if importance is None else importance
    scores = {group.name: criteria.scores(found, group, importance) for group in free}

    def at(share: float) -> dict[str, int]:
        if scope == "global":
            return ranked(free, {name: _comparable(s, normalize) for name, s in scores.items()}, share, multiple)
        return evenly(free, dict.fromkeys(scores, share), multiple)

    if macs is not None:
        kept = _within(found, whole(macs, "macs", 1), at)
    elif isinstance(ratio, Mapping):
        kept = evenly(free, ratio, multiple)
    else:
        kept = at(number(ratio, "ratio", "[0, 1)"))
    return _narrowed(found, model, kept, scores)


def prune_channels(model: M, input_shape: Shapes, ratio: float | Mapping[str, float], **settings: Any) -> M:
    """Return a smaller network: a copy of `model` without a share of its channels.

    Layers, parameters and buffers are smaller, nothing is masked; the results are those of the full network with the
    same channels at zero after every step (`Plan.masked`). Train it further, with a new optimizer.

    Args:
        model: as `plan` takes it.
        input_shape: as `plan` takes it.
        ratio: as `plan` takes it.
        **settings: the other arguments of `plan`.

    Raises: as `plan`.

    >>> from tinydl.nn import BatchNorm2d, Conv2d, Flatten, Linear, ReLU, Sequential
    >>> net = Sequential(Conv2d(1, 8, 3, bias=False), BatchNorm2d(8), ReLU(), Flatten(), Linear(32, 2))
    >>> prune_channels(net, (1, 4, 4), ratio=0.75)
    Sequential(
      (0): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), bias=False)
      (1): BatchNorm2d(2, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
      (2): ReLU()
      (3): Flatten(start_dim=1, end_dim=-1)
      (4): Linear(in_features=8, out_features=2, bias=True)
    )
    """
    return plan(model, input_shape, ratio, **settings).apply()


def prune_to(model: M, input_shape: Shapes, macs: int, **settings: Any) -> M:
    """Return the network that `prune_channels` makes with the smallest ratio that leaves at most `macs` multiply-adds.

    Args:
        model: as `plan` takes it.
        input_shape: as `plan` takes it.
        macs: for one input, by the convention of `tinydl.cost.summary`.
        **settings: the other arguments of `plan`.

    Raises: as `plan`.
    """
    return plan(model, input_shape, macs=macs, **settings).apply()


def _comparable(values: Array, normalize: bool) -> Array:
    mean = values.mean()
    return values / mean if normalize and mean > 0 else values


def _named(found: Dependencies, ratio: Mapping[str, float], scope: str) -> dict[str, float]:
    """Check ratios that are given group by group."""
    if scope != "group":
        raise ValueError(f'ratio: a ratio for each group needs scope="group", got {scope!r}')
    return {found[name].name: number(share, f"ratio[{name!r}]", "[0, 1)") for name, share in ratio.items()}


def _within(found: Dependencies, budget: int, at: Callable[[float], dict[str, int]]) -> dict[str, int]:
    """Return what is kept with the smallest ratio that meets a budget, by halving the interval."""

    def needs(share: float) -> int:
        return multiply_adds(found, shapes(found, at(share)))

    low, high = 0.0, float(np.nextafter(1.0, 0.0))
    if needs(high) > budget:
        raise ValueError(f"macs: the least that this way of pruning leaves is {needs(high):,}, got {budget:,}")
    if needs(low) <= budget:
        return at(low)
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if needs(middle) <= budget else (middle, high)
    return at(high)


def _narrowed(found: Dependencies, model: M, kept: dict[str, int], scores: Mapping[str, Array]) -> Plan[M]:
    """Trace the network with these sizes, and find out what its channels are in the old one."""
    smaller = _traced(found, model, kept)
    while names := too_wide(found, smaller):
        for name in names:
            kept[name] = kept.get(name, found[name].parts) - 1
            if not kept[name]:
                raise ValueError(f"model: no smaller size of group {name} mixes its channels as the full one does")
        smaller = _traced(found, model, kept)
    origins = matched(found, smaller, scores)
    macs = [multiply_adds(found, shapes(found, sizes)) for sizes in ({}, kept)]
    return Plan(model, found, origins, smaller, (macs[0], macs[1]))


def _traced(found: Dependencies, model: Module, kept: Mapping[str, int]) -> Coupling:
    """Return the coupling of the network with other sizes, its values left open."""
    stored = found.coupling.flow.stored
    zeros = {name: np.zeros(shape, stored[name].dtype) for name, shape in shapes(found, kept).items()}
    narrow = resized(model, zeros)
    try:
        inputs = zeros_for(narrow, [shape[1:] for shape in found.coupling.flow.inputs], 2)
        smaller = couple(flow(narrow, *inputs), found.coupling.depthwise)
    except ValueError as error:
        raise ValueError(
            f"model: its forward does not run with fewer channels; are sizes fixed in it? {error}"
        ) from error
    if not same_steps(found.coupling, smaller):
        raise ValueError("model: with fewer channels its forward takes other steps")
    return smaller
