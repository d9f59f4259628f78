"""Cross-layer equalization: the same function, with weights whose channels are about equally large."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from tinydl.compress.flow import flow
from tinydl.compress.fold import fold_batch_norm
from tinydl.compress.quantize.plan import WEIGHTED
from tinydl.compress.steps import Flow, Made, Step, Stored
from tinydl.modes import no_grad
from tinydl.nn import Module, ReLU, ReLU6
from tinydl.options import choice, whole
from tinydl.shapes import Array
from tinydl.tensor import Tensor

HOMOGENEOUS = frozenset({"adaptive_avg_pool", "adaptive_max_pool", "avg_pool", "max_pool", "relu", "leaky_relu"})
"""The ops f with f(s · x) = s · f(x) for s > 0, channel by channel."""


class Pair(NamedTuple):
    """Two layers of which the second alone takes what the first makes, with nothing but homogeneous ops between."""

    first: Tensor
    bias: Tensor | None
    second: Tensor
    depthwise: bool


def equalize(model: Module, *inputs: Any, relu6: str = "replace", rounds: int = 20) -> Module:
    """Return a copy of `model`, batch norm folded, with the ranges of weights equalized across layers.

    W₁[i] ← W₁[i] / s_i,  b₁[i] ← b₁[i] / s_i,  W₂[:, i] ← s_i · W₂[:, i],  s_i = √(r₁[i] / r₂[i])

    with r₁[i] = max |W₁[i]| and r₂[i] = max |W₂[:, i]|, which afterwards are equal: √(r₁ r₂). As relu(s · x) =
    s · relu(x) for s > 0, the network computes what it did. So one scale a tensor suits all channels. All pairs of
    layers are visited in turn, chains like pointwise, depthwise, pointwise pair by pair, until nothing changes much.

    ReLU6 is not homogeneous. "replace" puts a ReLU in the place of every ReLU6 of the copy, which then computes
    something else where an activation was above 6 (measure it); "leave" equalizes no pair with a ReLU6 between.

    Args:
        model: any module whose steps do not depend on the data; it stays as it was.
        inputs: a batch of what it takes.
        relu6: "replace" or "leave".
        rounds: how often all pairs are visited at most.

    A channel whose weights are all 0, on either side, keeps its scale.

    Source: Nagel et al. 2019, arXiv:1906.04721, section 4.1, equations 9 to 11, and section 5.1.1 for ReLU6.

    >>> from tinydl.nn import Linear, Sequential
    >>> model = Sequential(Linear(2, 2), ReLU(), Linear(2, 2))
    >>> with no_grad():
    ...     for layer, rows in ((model[0], [[8.0, 0.0], [0.0, 1.0]]), (model[2], [[2.0, 1.0], [1.0, 1.0]])):
    ...         layer.weight[...] = np.array(rows)
    >>> even = equalize(model, np.ones((1, 2), np.float32))
    >>> even[0].weight.data.max(1), even[2].weight.data.max(0)
    (array([4., 1.], dtype=float32), array([4., 1.], dtype=float32))
    """
    choice(relu6, "relu6", ("replace", "leave"))
    whole(rounds, "rounds", 1)
    folded = fold_batch_norm(model)
    if relu6 == "replace":
        _replace_relu6(folded)
    pairs = _pairs(flow(folded, *[x[:2] for x in inputs]))
    with no_grad():
        for _ in range(rounds):
            if max((_balance(pair) for pair in pairs), default=1.0) < 1.001:
                break
    return folded


def _replace_relu6(model: Module) -> None:
    for owner in model.modules():
        for name, child in tuple(owner.named_children()):
            if type(child) is ReLU6:
                setattr(owner, name, ReLU())


def _pairs(steps: Flow) -> list[Pair]:
    """Return the pairs of layers in the order of their first ones; each weight must have one use."""
    uses = Counter(source.name for s in steps.steps for source in s.operands.values() if isinstance(source, Stored))
    layers = [step for step in steps.steps if step.op in WEIGHTED and uses[_name(step)] == 1]
    found = []
    for layer in layers:
        follower = _follower(steps, layer)
        if follower is None or follower not in layers or _channelwise(follower) is None:
            continue
        source = layer.operands.get("bias")
        bias = steps.stored[source.name] if isinstance(source, Stored) else None
        if not isinstance(source, Stored) or uses[source.name] == 1:
            weights = (steps.stored[_name(step)] for step in (layer, follower))
            found.append(Pair(next(weights), bias, next(weights), bool(_channelwise(follower))))
    return found


def _name(step: Step) -> str:
    weight = step.operands["weight"]
    return weight.name if isinstance(weight, Stored) else ""


def _follower(steps: Flow, step: Step) -> Step | None:
    """Return the first step behind this one that is not homogeneous, if it alone depends on this one."""
    at = step
    while True:
        users = steps.users(Made(at.number))
        if len(users) != 1 or Made(at.number) in steps.outputs:
            return None
        follows = users[0]
        squeezed = follows.op == "reshape" and follows.shape == at.shape[:2] and at.shape[2:] in ((), (1, 1))
        if follows.op not in HOMOGENEOUS and not squeezed:
            return follows if follows.operands.get("x") == Made(at.number) else None
        at = follows


def _channelwise(step: Step) -> bool | None:
    """Return whether a convolution takes each channel by itself; None for other groups, which mix some channels."""
    groups = step.options.get("groups", 1)
    if groups == 1:
        return False
    return True if groups == step.shape[1] else None


def _balance(pair: Pair) -> float:
    """Equalize one pair; return the largest factor by which a channel was changed."""
    first, second = pair.first.data, pair.second.data
    r1 = _reach(first, 0)
    r2 = _reach(second, 0 if pair.depthwise else 1)
    usable = (r1 > 0) & (r2 > 0)
    s = np.sqrt(np.divide(r1, r2, out=np.ones_like(r1), where=usable))
    pair.first.copy_(first / _along(s, first.ndim, 0))
    if pair.bias is not None:
        pair.bias.copy_(pair.bias.data / s)
    pair.second.copy_(second * _along(s, second.ndim, 0 if pair.depthwise else 1))
    return float(np.maximum(s, 1 / s).max())


def _reach(weight: Array, axis: int) -> Array:
    """Return the largest magnitude at each index of an axis."""
    reach: Array = np.abs(weight).max(axis=tuple(i for i in range(weight.ndim) if i != axis))
    return reach


def _along(s: Array, ndim: int, axis: int) -> Array:
    return s.reshape([-1 if i == axis else 1 for i in range(ndim)])
