"""What `Sequential` runs as one kernel: batch norm and ReLU; where nothing is recorded, with the weights before them.

A convolution, perhaps a ReLU, and a max pooling of 2×2 places are one kernel in any case. Where calls are recorded, any
other clamp in front of a max pooling runs behind it, on a quarter of the numbers, and a ReLU as part of it.

Modules are fused only where that does what calling them would: no hook is on them, no subclass has a `forward` of its
own, batch norm is in evaluation with running statistics, all arrays have one dtype. Everything else is called in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tinydl.modes import mode
from tinydl.nn.activation import Hardswish, ReLU, ReLU6, SiLU
from tinydl.nn.conv import Conv2d
from tinydl.nn.linear import Linear
from tinydl.nn.module import Module
from tinydl.nn.norm import BatchNorm1d, BatchNorm2d
from tinydl.nn.pool import MaxPool2d
from tinydl.nn.shuffle import ChannelShuffle
from tinydl.ops.conv_pool import conv_max_pool
from tinydl.ops.geometry import convolution, pooled_convolution
from tinydl.ops.inference import (
    add_clamped,
    conv2d_clamped,
    folded_norm,
    hard_swish_in_place,
    linear_chain,
    linear_clamped,
    shuffled_pair,
    silu_in_place,
)
from tinydl.ops.movement import cat
from tinydl.shapes import QUARTERS, Array
from tinydl.tensor import Tensor

Bounds = tuple[float, float]

FREE: Bounds = -math.inf, math.inf

CLAMPS: dict[type[Module], Bounds] = {ReLU: (0.0, math.inf), ReLU6: (0.0, 6.0)}
"""The activations that are a clamp, with its bounds."""

CURVES: dict[type[Module], Callable[[Any], Any]] = {Hardswish: hard_swish_in_place, SiLU: silu_in_place}
"""The activations that are written over what they are given, so that no second array as large is needed."""


class Group(NamedTuple):
    """A convolution or linear layer, with the batch norm and the clamp or curve that follow it, if they do.

    Or, if `pools`, a convolution with a max pooling, and perhaps a ReLU between them.
    """

    layer: Any
    norm: Any
    bounds: Bounds | None
    curve: Callable[[Any], Any] | None
    size: int
    """How many modules these are."""
    pools: bool = False


def in_turn(input: Any, *modules: Module) -> Any:
    """Return what the modules make of x, one called after the other, as a `Sequential` of them would.

    `in_turn(x, conv, norm, relu)` is `relu(norm(conv(x)))` in one kernel where that is possible.

    >>> import numpy as np
    >>> in_turn(np.array([-1.0, 2.0]), ReLU(), ReLU6())
    array([0., 2.])
    """
    return run(modules, input)


def after_sum(a: Any, b: Any, activation: Module) -> Any:
    """Return activation(a + b), how residual blocks end: in one pass if it is ReLU or ReLU6 and nothing is recorded.

    >>> import numpy as np
    >>> after_sum(np.array([-1.0, 2.0]), np.array([0.5, 1.0]), ReLU())
    array([0., 3.])
    """
    bounds = CLAMPS.get(type(activation)) if activation._hooks is None else None
    if mode.recording or bounds is None or not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return activation(a + b)
    return add_clamped(a, b, *bounds)


def after_cat(a: Any, b: Any, shuffle: Module) -> Any:
    """Return shuffle(cat((a, b), 1)), in one pass if it deals two equal halves and nothing is recorded.

    >>> import numpy as np
    >>> after_cat(np.zeros((1, 2)), np.ones((1, 2)), ChannelShuffle(2))
    array([[0., 1., 0., 1.]])
    """
    halves = type(shuffle) is ChannelShuffle and shuffle.groups == 2 and shuffle._hooks is None
    if mode.recording or not (halves and isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape):
        return shuffle(cat((a, b), 1))
    return shuffled_pair(a, b)


def run(modules: Sequence[Module], x: Any) -> Any:
    """Return what the modules make of x; see the head of this file for what runs as one kernel."""
    if mode.recording or not isinstance(x, Tensor):
        return _run_recorded(modules, x)
    found = list(groups(modules))
    i = 0
    while i < len(found):
        group, members = found[i]
        chain = _linear_chain(found, i, x)
        i += max(1, len(chain))
        if chain:
            x = linear_chain(x, [(one.layer.weight, one.layer.bias, *(one.bounds or FREE)) for one in chain])
            group = chain[-1]
        elif group is None or group.size == 1 or not _fits(group, x):
            for module in members:
                x = module(x)
            continue
        elif group.pools:
            x = _pooled_conv(group, x)
        else:
            x = _fused_conv(group, x) if isinstance(group.layer, Conv2d) else _fused_linear(group, x)
        x = x if group.curve is None else group.curve(x)
    return x


def _run_recorded(modules: Sequence[Module], x: Any) -> Any:
    """Run the modules; those that are one kernel where calls are recorded share their passes over memory, both ways.

    A clamp and a max pooling change places: no order of numbers is lost by a clamp, and where it makes equals of two
    that were not, its derivative is zero. So results and gradients are the same bit for bit.
    """
    for members in recorded_groups(modules):
        first: Any = members[0]
        if len(members) == 1:
            x = first(x)
        elif isinstance(first, Conv2d):
            group = Group(first, None, None, None, len(members), True)
            fits = isinstance(x, Tensor) and _fits(group, x)
            x = _pooled_conv(group, x) if fits else _run_recorded(members[1:], first(x))
        elif _is_clamp(first):
            second: Any = members[1]
            alone = type(first) is ReLU and first._hooks is None and second._hooks is None
            x = second.maxima(x, relu=True) if alone else first(second(x))
        else:
            x = first.normalize(x, relu=True)
    return x


def recorded_groups(modules: Sequence[Module]) -> Iterator[Sequence[Module]]:
    """Return those modules together that run together where calls are recorded, if shapes and dtypes permit.

    >>> [len(members) for members in recorded_groups([Conv2d(1, 1, 3), ReLU(), MaxPool2d(2), ReLU(), MaxPool2d(3)])]
    [3, 2]
    """
    i, n = 0, len(modules)
    while i < n:
        first, second = modules[i], modules[i + 1] if i + 1 < n else None
        size = _pooled(modules, i)
        if size == 0:
            size = 2 if is_norm_with_relu(first, second) or _is_clamp_before_max(first, second) else 1
        yield modules[i : i + size]
        i += size


def is_norm_with_relu(first: Module, second: Module | None) -> bool:
    """Tell whether two modules are a batch norm and a ReLU behind it, which are one kernel where calls are recorded."""
    return (
        type(second) is ReLU
        and second._hooks is None
        and isinstance(first, BatchNorm1d | BatchNorm2d)
        and _computes_as(first, BatchNorm2d)
    )


def _pooled(modules: Sequence[Module], i: int) -> int:
    """Return how many modules are the convolution number `i` with the max pooling of 2×2 places behind it, or 0."""
    if not (modules[i]._hooks is None and type(modules[i]).forward is Conv2d.forward):
        return 0
    has_relu = i + 1 < len(modules) and type(modules[i + 1]) is ReLU and modules[i + 1]._hooks is None
    size = 3 if has_relu else 2
    return size if i + size <= len(modules) and _is_by_quarters(modules[i + size - 1]) else 0


def _is_by_quarters(module: Module) -> bool:
    """Tell whether a module is a max pooling of 2×2 places side by side that nobody watches."""
    if not (isinstance(module, MaxPool2d) and _computes_as(module, MaxPool2d)):
        return False
    given = module.kernel_size, module.stride, module.padding, module.dilation
    sizes = all(size in (pair[0], pair) for size, pair in zip(given, QUARTERS))
    return sizes and not (module.return_indices or module.ceil_mode)


def _is_clamp(module: Module) -> bool:
    return type(module) in CLAMPS


def _is_clamp_before_max(first: Module, second: Module | None) -> bool:
    if not (_is_clamp(first) and isinstance(second, MaxPool2d) and type(second).forward is MaxPool2d.forward):
        return False
    hooks = first._hooks, second._hooks
    return not (second.return_indices or any(some is not None and some.look_at_values() for some in hooks))


def groups(modules: Sequence[Module]) -> Iterator[tuple[Group | None, Sequence[Module]]]:
    """Return (group, the modules in it) for all of `modules`, those in one group that fused kernels can stand for.

    The group of a module that none stands for is None.

    >>> from tinydl.nn.linear import Identity
    >>> [len(members) for _, members in groups([Linear(2, 2), ReLU(), Identity()])]
    [2, 1]
    """
    i, n = 0, len(modules)
    while i < n:
        group = _group(modules, i)
        size = 1 if group is None else group.size
        yield group, modules[i : i + size]
        i += size


def _group(modules: Sequence[Module], i: int) -> Group | None:
    """Return what can be fused with module number `i`, or None if it is no layer of weights."""
    layer, n, behind = modules[i], len(modules), i + 1
    forward: Any = type(layer).forward
    conv = forward is Conv2d.forward
    if layer._hooks is not None or not (conv or forward is Linear.forward):
        return None
    if conv and (size := _pooled(modules, i)):
        return Group(layer, None, None, None, size, True)
    norm = modules[behind] if conv and behind < n and _is_fixed_norm(modules[behind]) else None
    behind += norm is not None
    if behind == n or modules[behind]._hooks is not None:
        return Group(layer, norm, None, None, behind - i)
    kind = type(modules[behind])
    bounds, curve = CLAMPS.get(kind), CURVES.get(kind)
    return Group(layer, norm, bounds, curve, behind - i + (bounds is not None or curve is not None))


def _computes_as(module: Module, kind: type[Module]) -> bool:
    """Tell whether a module computes what that class does, and nobody watches it."""
    return module._hooks is None and type(module).forward is kind.forward


def _is_fixed_norm(module: Any) -> bool:
    """Tell whether a module is a batch norm whose statistics stay as they are."""
    return (
        isinstance(module, BatchNorm2d)
        and _computes_as(module, BatchNorm2d)
        and not module.training
        and (module.running_mean is not None and module.running_var is not None)
    )


def _fits(group: Group, x: Tensor) -> bool:
    """Tell whether shapes and dtypes are such that the fused kernel may trust them."""
    layer, norm, dtype = group.layer, group.norm, x.dtype
    arrays = [layer.weight, layer.bias]
    if norm is not None:
        arrays += [norm.running_mean, norm.running_var, norm.weight, norm.bias]
    for a in arrays:
        if a is not None and a.dtype != dtype:
            return False
    if dtype.kind != "f":
        return False
    if isinstance(layer, Linear):
        return x.ndim == 2 and x.shape[1] == layer.weight.shape[1]
    plain = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return plain and x.ndim == 4 and (norm is None or norm.num_features == layer.out_channels)


def _linear_chain(found: Sequence[tuple[Group | None, Sequence[Module]]], i: int, x: Any) -> list[Group]:
    """Return the linear layers from group number `i` on that one kernel can do: none if they are not two, or watched.

    Each takes what the one before it gives; behind a curve a chain ends.
    """
    chain: list[Group] = []
    if mode.watched or not isinstance(x, Tensor) or x.ndim != 2 or x.dtype.kind != "f":
        return chain
    width, dtype = x.shape[1], x.dtype
    for group, _ in found[i:]:
        if group is None or not isinstance(group.layer, Linear):
            break
        weight, bias = group.layer.weight, group.layer.bias
        if weight.shape[1] != width or weight.dtype != dtype or (bias is not None and bias.dtype != dtype):
            break
        chain.append(group)
        width = weight.shape[0]
        if group.curve is not None:
            break
    return chain if len(chain) > 1 else []


def _fused_linear(group: Group, x: Tensor) -> Any:
    return linear_clamped(x, group.layer.weight, group.layer.bias, *(group.bounds or FREE))


def _fused_conv(group: Group, x: Tensor) -> Any:
    layer, norm = group.layer, group.norm
    bias, scale = (layer.bias, None) if norm is None else _folded(layer, norm)
    geometry = convolution(*_sizes(layer, x))
    return conv2d_clamped(x, layer.weight, bias, scale, *geometry[:4], *(group.bounds or FREE))


def _pooled_conv(group: Group, x: Tensor) -> Any:
    layer = group.layer
    geometry = pooled_convolution(*_sizes(layer, x))
    return conv_max_pool(x, layer.weight, layer.bias, *geometry[:4], group.size == 3)


def _sizes(layer: Any, x: Tensor) -> tuple[Any, ...]:
    """Return the arguments of `convolution`."""
    options = layer.stride, layer.padding, layer.dilation, layer.groups
    return x.shape, layer.weight.shape, x.dtype.itemsize, *options


def _folded(layer: Conv2d, norm: Any) -> tuple[Array, Array]:
    """Return the bias and the scale of the weights that stand for the layer's bias and the norm."""
    given = norm.running_mean, norm.running_var, norm.weight, norm.bias, layer.bias
    return folded_norm(*given, norm.eps)
