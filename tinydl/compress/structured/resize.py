"""Layers of another size: a copy of a model with other parameters, whose layers say what they then are."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from tinydl.nn import BatchNorm1d, BatchNorm2d, Conv2d, Linear, Module
from tinydl.nn.state import plain_arrays
from tinydl.shapes import Array

M = TypeVar("M", bound=Module)


def resized(model: M, arrays: Mapping[str, Array]) -> M:
    """Return a copy of `model` with other arrays for the parameters and buffers named, and layers that fit them.

    Convolutions, linear layers and batch norms get the channels that their tensors have. A depthwise convolution stays
    one (its groups follow its channels); others keep their groups. Modules of the user's own just get the arrays.

    Raises: ValueError for a name that the model has not, or a layer whose size cannot be changed.
    """
    smaller = copy.deepcopy(model)
    tensors = {**dict(smaller.named_parameters()), **dict(smaller.named_buffers())}
    unknown = sorted(set(arrays) - set(tensors))
    if unknown:
        raise ValueError(f"{type(model).__name__} has no parameter or buffer {', '.join(unknown)}")
    changed = set()
    for name, array in arrays.items():
        if tensors[name].shape != array.shape:
            changed.add(id(tensors[name]))
        tensors[name].data = array.astype(tensors[name].dtype)
    for name, module in smaller.named_modules():
        own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
        if any(id(tensor) in changed for tensor in own):
            _fit(name, module)
    return smaller


def shrink_like(model: M, state_dict: Any) -> M:
    """Return a copy of `model` that has the sizes and the values of a pruned network's `state_dict`.

    So a file of weights is enough to have a pruned network again: build the full one, and shrink it.

    Args:
        model: as it was before pruning.
        state_dict: a mapping from the names of the model's own to arrays or Tensors (what `checkpoint.load_weights`
            reads).

    Raises: ValueError listing missing and unexpected names; ValueError for a layer whose size cannot be changed, or
        values that still do not fit.

    >>> from tinydl.nn import Sequential
    >>> narrow = Sequential(Conv2d(1, 3, 3), BatchNorm2d(3))
    >>> shrink_like(Sequential(Conv2d(1, 8, 3), BatchNorm2d(8)), narrow.state_dict())
    Sequential(
      (0): Conv2d(1, 3, kernel_size=(3, 3), stride=(1, 1))
      (1): BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    )
    """
    given = plain_arrays(state_dict)
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    other = {name: array for name, array in given.items() if name in own and own[name].shape != array.shape}
    smaller = resized(model, other)
    smaller.load_state_dict(given)
    return smaller


def _fit(name: str, module: Module) -> None:
    """Let a layer's settings follow its tensors."""
    if isinstance(module, Conv2d):
        outputs, inputs = module.weight.shape[:2]
        if module.groups == module.in_channels > 1:
            module.groups = outputs * module.groups // module.out_channels
        module.in_channels, module.out_channels = inputs * module.groups, outputs
    elif isinstance(module, Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, BatchNorm1d | BatchNorm2d):
        tensor = module.weight if module.running_mean is None else module.running_mean
        assert tensor is not None, "a norm without tensors has none of another size"
        module.num_features = len(tensor.data)
    elif type(module).__module__.startswith("tinydl.nn"):
        known = "those of convolutions, linear layers and batch norms can"
        raise ValueError(f"{name}: the size of a {type(module).__name__} cannot be changed; {known}")
