"""Layers of another size: a copy of a model with other parameters, whose layers say what they then are."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from tinydl.nn import BatchNorm1d, BatchNorm2d, Conv2d, Linear, Module
from tinydl.nn.state import plain_arrays
from tinydl.shapes import Array, Shape

M = TypeVar("M", bound=Module)


def resized(model: M, arrays: Mapping[str, Array]) -> M:
    """Return a copy of `model` with other arrays for the parameters and buffers named, and layers that fit them.

    Convolutions, linear layers and batch norms get the channels that their tensors have. A depthwise convolution stays
    one (its groups follow its channels); others keep their groups. Modules of the user's own just get the arrays.

    Raises: ValueError for a name that the model has not, a layer whose size cannot be changed, or tensors that do not
        belong together.
    """
    smaller = copy.deepcopy(model)
    tensors = {**dict(smaller.named_parameters()), **dict(smaller.named_buffers())}
    unknown = sorted(set(arrays) - set(tensors))
    if unknown:
        raise ValueError(f"{type(model).__name__} has no parameter or buffer {', '.join(unknown)}")
    changed = set()
    for name, array in arrays.items():
        if tensors[name].ndim != array.ndim:
            raise ValueError(f"{name}: {tensors[name].ndim} axes are needed, got shape {array.shape}")
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
        state_dict: a mapping from the names of the model's own to arrays or Tensors (what
            `tinydl.checkpoint.load_weights` reads).

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
    """Let a layer's settings follow its tensors, and refuse tensors that do not belong together."""
    wanted: dict[str, Shape] = {}
    if isinstance(module, Conv2d):
        outputs, inputs = module.weight.shape[:2]
        if module.groups == module.in_channels > 1:
            module.groups = max(1, outputs * module.groups // module.out_channels)
        module.in_channels, module.out_channels = inputs * module.groups, outputs
        wanted = {"weight": (outputs, inputs, *module.kernel_size), "bias": (outputs,)}
    elif isinstance(module, Linear):
        module.out_features, module.in_features = module.weight.shape[:2]
        wanted = {"weight": (module.out_features, module.in_features), "bias": (module.out_features,)}
    elif isinstance(module, BatchNorm1d | BatchNorm2d):
        tensor = module.weight if module.running_mean is None else module.running_mean
        assert tensor is not None, "a norm without tensors has none of another size"
        module.num_features = tensor.shape[0]
        wanted = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (module.num_features,))
    elif type(module).__module__.startswith("tinydl.nn"):
        known = "those of convolutions, linear layers and batch norms can"
        raise ValueError(f"{name}: the size of a {type(module).__name__} cannot be changed; {known}")
    for key, shape in wanted.items():
        tensor = getattr(module, key)
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{name}: {key} must be {shape} beside the other tensors, got {tensor.shape}")
