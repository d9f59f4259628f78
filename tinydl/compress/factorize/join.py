"""Two layers with nothing in between as one: the inverse of a factorization, exact to rounding."""

from __future__ import annotations

import copy
from collections import Counter
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from tinydl.compress.factorize.stacked import compose
from tinydl.nn import Conv2d, Identity, Linear, Module, Parameter, Sequential
from tinydl.shapes import Array

M = TypeVar("M", bound=Module)


def fuse_linear(model: M, only_smaller: bool = True) -> M:
    """Return a copy of `model` in which one layer does the work of two linear ones that follow each other.

    Linear: W = W₂ W₁, b = W₂ b₁ + b₂. Convolutions: the kernel of both, b = Σ W₂ b₁ + b₂.

    It happens in `Sequential`, where nothing stands between the two but `Identity`; the second becomes an `Identity`.
    Convolutions need groups 1, dilation 1, zeros as padding, and one of: a second without padding, and a first of
    stride 1 or a second of 1×1; or a first of 1×1 without padding, stride and bias. With padding between two larger
    kernels the results differ at the borders, so those stay. So do layers that are used in several places. Batch norms
    are folded by `fold_batch_norm`.

    Args:
        model: any module.
        only_smaller: leave pairs alone that have fewer weights than their product, as factorized layers have.

    >>> fuse_linear(Sequential(Linear(4, 9), Linear(9, 2)))
    Sequential(
      (0): Linear(in_features=4, out_features=2, bias=True)
      (1): Identity()
    )
    """
    joined = copy.deepcopy(model)
    uses = Counter(id(module) for _, module in joined.named_modules(remove_duplicate=False))
    for owner in list(joined.modules()):
        if not isinstance(owner, Sequential) or type(owner).forward is not Sequential.forward:
            continue
        names = [name for name, module in owner.named_children() if not isinstance(module, Identity)]
        for before, after in reversed(list(pairwise(names))):  # from the end: a third layer joins what two became
            first, second = getattr(owner, before), getattr(owner, after)
            if uses[id(first)] == uses[id(second)] == 1:
                one = _one(first, second, only_smaller)
                if one is not None:
                    setattr(owner, before, one)
                    setattr(owner, after, Identity())
                    uses[id(one)] = 1
    return joined


def _one(first: Module, second: Module, only_smaller: bool) -> Module | None:
    """Return the layer that does what both do, or None where there is none (or it would be larger)."""
    one: Linear | Conv2d
    if isinstance(first, Linear) and isinstance(second, Linear) and _plain(first, second, Linear):
        one = Linear(first.in_features, second.out_features, bias=False)
        weight, spread = second.weight.data @ first.weight.data.astype(np.float64), second.weight.data
    elif isinstance(first, Conv2d) and isinstance(second, Conv2d) and _can_join(first, second):
        one = _joined_conv(first, second)
        weight, spread = compose(first.weight.data, second.weight.data), second.weight.data.sum((2, 3))
    else:
        return None
    if only_smaller and weight.size >= first.weight.numel() + second.weight.numel():
        return None
    one.weight = Parameter(weight.astype(first.weight.dtype), first.weight.requires_grad)
    bias = _bias(first, second, spread)
    one.bias = None if bias is None else Parameter(bias.astype(first.weight.dtype), first.weight.requires_grad)
    return one.train(first.training)


def _plain(first: Module, second: Module, kind: type[Module]) -> bool:
    """Tell whether both do what their class does, with nobody listening in between."""
    return all(type(layer).forward is kind.forward and not layer._hooks for layer in (first, second))


def _can_join(first: Conv2d, second: Conv2d) -> bool:
    usual = all(c.groups == 1 and c.dilation == (1, 1) and c.padding_mode == "zeros" for c in (first, second))
    numbers = not isinstance(first.padding, str) and not isinstance(second.padding, str)
    if not (usual and numbers and _plain(first, second, Conv2d)):
        return False
    if second.padding == (0, 0):
        return first.stride == (1, 1) or second.kernel_size == (1, 1)
    mixes_only = first.kernel_size == first.stride == (1, 1) and first.padding == (0, 0)
    return mixes_only and first.bias is None


def _joined_conv(first: Conv2d, second: Conv2d) -> Conv2d:
    kernel = [a + b - 1 for a, b in zip(first.kernel_size, second.kernel_size)]
    stride = [a * b for a, b in zip(first.stride, second.stride)]
    padding = first.padding if second.padding == (0, 0) else second.padding
    return Conv2d(first.in_channels, second.out_channels, kernel, stride, padding, bias=False)


def _bias(first: Any, second: Any, spread: Array) -> Array | None:
    """Return what the second makes of the first one's bias, plus its own; None if neither has one."""
    parts = [] if first.bias is None else [spread.astype(np.float64) @ first.bias.data]
    parts += [] if second.bias is None else [second.bias.data]
    return np.asarray(sum(parts)) if parts else None
