"""Folding batch norm into the convolution before it: fewer operations for the same results, in evaluation."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import TypeVar

import numpy as np

from tinydl.nn import BatchNorm2d, Conv2d, Identity, Module, Parameter, Sequential

M = TypeVar("M", bound=Module)


def fold_batch_norm(model: M) -> M:
    """Return a copy of `model` in evaluation mode, in which convolutions do the work of the batch norms behind them.

    W'[o] = a[o] · W[o],  b'[o] = a[o] · (b[o] − mean[o]) + β[o],  a[o] = γ[o] / √(var[o] + ε)

    with the running mean and variance. Each norm that is folded becomes an `Identity`, so that other layers keep their
    names; its convolution has a bias from then on, and its weight the mask that it had. What is folded: a BatchNorm2d
    right behind a Conv2d in a `Sequential`, and the pairs {convolution: norm} of a module that names its attributes in
    `norm_after`. What stays: a norm without running statistics, and whatever belongs to a convolution that is used in
    several places.

    The results agree with the model's own to rounding. The copy is not for training: nothing is normalised any more.

    Source: Jacob et al. 2018, Quantization and training of neural networks for efficient integer-arithmetic-only
    inference, arXiv:1712.05877, section 3.2, equation 14.

    >>> from tinydl.nn import ReLU
    >>> fold_batch_norm(Sequential(Conv2d(3, 8, 3, bias=False), BatchNorm2d(8), ReLU()))
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
      (1): Identity()
      (2): ReLU()
    )
    """
    folded = copy.deepcopy(model).eval()
    uses = Counter(id(module) for _, module in folded.named_modules(remove_duplicate=False))
    for owner in folded.modules():
        for before, after in _neighbours(owner):
            conv, norm = getattr(owner, before), getattr(owner, after)
            if _can_fold(conv, norm) and uses[id(conv)] == 1:
                _fold(conv, norm)
                setattr(owner, after, Identity())
    return folded


def _neighbours(owner: Module) -> Iterator[tuple[str, str]]:
    """Return pairs of attributes of which the second takes the result of the first, and nothing else does."""
    if isinstance(owner, Sequential) and type(owner).forward is Sequential.forward:
        yield from pairwise([name for name, _ in owner.named_children()])
    yield from getattr(owner, "norm_after", {}).items()


def _can_fold(conv: Module, norm: Module) -> bool:
    """Tell whether this is a convolution as we know it and a norm that uses running statistics."""
    plain = isinstance(conv, Conv2d) and type(conv).forward is Conv2d.forward
    return plain and isinstance(norm, BatchNorm2d) and norm.running_mean is not None


def _fold(conv: Conv2d, norm: BatchNorm2d) -> None:
    """Scale the weights and put what is left of the norm into the bias, computed in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, var = (np.asarray(v.data, np.float64) for v in (norm.running_mean, norm.running_var))
    gain = (1.0 if norm.weight is None else norm.weight.data) / np.sqrt(var + norm.eps)
    bias = gain * ((0.0 if conv.bias is None else conv.bias.data) - mean)
    if norm.bias is not None:
        bias = bias + norm.bias.data
    dtype = conv.weight.dtype
    mask, learned = conv.weight.mask, conv.weight.requires_grad
    conv.weight = Parameter((conv.weight.data * gain[:, None, None, None]).astype(dtype), learned)
    conv.weight.mask = mask
    conv.bias = Parameter(bias.astype(dtype), learned)
