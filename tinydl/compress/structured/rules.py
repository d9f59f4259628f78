"""What each op does to labels: which slots of its operands, its result and its parameters are tied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import TypeAlias

import numpy as np

from tinydl.compress.steps import Source, Step, Stored
from tinydl.compress.structured.classes import thin
from tinydl.compress.structured.walk import Walk, refuse
from tinydl.shapes import Array, Shape, normalize_dim, normalize_dims

Rule: TypeAlias = Callable[[Walk, Step, Sequence[Array]], Array]
"""Makes of the labels of a step's operands that depend on the inputs those of its result, all without the batch."""


# ---- layers with weights


def _convolution(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    """Each output channel is its own, and needs every input of its group; depthwise, it goes with its one input."""
    inputs = walk.channels(operands[0])
    weight, bias = walk.stored(step, "weight", "bias")
    assert weight is not None
    groups, n = step.options["groups"], step.shape[1]
    if groups == len(inputs) > 1 or step.number in walk.depthwise:
        walk.depthwise.add(step.number)
        outputs = np.repeat(inputs, n // groups)
    else:
        outputs = walk.classes.new(n)
        walk.attach(weight, 1, inputs, groups)
        walk.mix(outputs)
        if groups > 1:
            _grouped(walk, step, np.split(inputs, groups), np.split(outputs, groups))
    walk.attach(weight, 0, outputs)
    if bias is not None:
        walk.attach(bias, 0, outputs)
    return _over(outputs, step.shape[1:])


def _grouped(walk: Walk, step: Step, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
    """The groups stay equal, and channels of different groups are of different kinds."""
    walk.mix(np.concatenate(inputs), *inputs, *outputs)
    for group, (x, y) in enumerate(zip(inputs, outputs), 1):
        walk.see(step, 0, x, group)
        walk.see(step, -1, y, group)


def _linear(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    inputs = walk.channels(operands[0], operands[0].ndim - 1)
    weight, bias = walk.stored(step, "weight", "bias")
    assert weight is not None
    outputs = walk.classes.new(step.shape[-1])
    walk.mix(outputs)
    walk.attach(weight, 1, inputs)
    walk.attach(weight, 0, outputs)
    if bias is not None:
        walk.attach(bias, 0, outputs)
    return np.broadcast_to(outputs, step.shape[1:])


def _norm(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    """Statistics, scale and shift are a channel's own."""
    channels = walk.channels(operands[0])
    for tensor in walk.stored(step, *[name for name in step.operands if name != "x"]):
        if tensor is not None:
            walk.attach(tensor, 0, channels)
    return operands[0]


def _over(channels: Array, shape: Shape) -> Array:
    """Return (C,) labels on every place of a shape (C, …)."""
    return np.broadcast_to(channels.reshape(-1, *[1] * (len(shape) - 1)), shape)


# ---- elementwise


def _pointwise(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    """Slots that meet go together; what is stretched along channels is needed by all of them, and stays."""
    shape, found = step.shape[1:], []
    for source in step.operands.values():
        size = () if source is None else walk.flow.shape(source)
        if source in walk.labels:
            if len(size) != len(step.shape):
                refuse(step, f"stretches {source}, {size}, along the batch")
            found.append(walk.labels[source])
    result = reduce(lambda a, b: _met(walk, a, b), found)
    result = np.broadcast_to(result, shape)
    for source in step.operands.values():
        if source is not None and source not in walk.labels:
            _beside(walk, step, source, result)
    return result


def _met(walk: Walk, a: Array, b: Array) -> Array:
    shape = np.broadcast_shapes(a.shape, b.shape)
    alone = [
        any(n < m and walk.varies(other, axis) for axis, (n, m) in enumerate(zip(x.shape, shape)))
        for x, other in ((a, b), (b, a))
    ]
    for x, stretched in zip((a, b), alone):
        if stretched:
            walk.classes.pin(x)
    if all(alone):
        return walk.fixed(shape)
    if not any(alone):
        walk.classes.join(a, b)
    return np.broadcast_to(b if alone[0] else a, shape)


def _beside(walk: Walk, step: Step, source: Source, result: Array) -> None:
    """A parameter along one axis loses the positions that the result loses; what cannot be cut keeps them."""
    size = walk.flow.shape(source)
    axes = [axis - len(size) for axis, n in enumerate(size) if n > 1]
    if isinstance(source, Stored) and len(axes) == 1 and -axes[0] <= result.ndim:
        walk.attach(source.name, axes[0] + len(size), walk.channels(result, axes[0] + result.ndim))
    elif axes:
        walk.classes.pin(result)


# ---- space


def _pooled(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    return _over(walk.channels(operands[0]), step.shape[1:])


def _reduced(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    """A sum over channels needs them all."""
    labels, dims = operands[0], normalize_dims(step.options["dim"], operands[0].ndim + 1)
    if 0 in dims:
        refuse(step, "reduces the batch")
    if any(walk.varies(labels, dim - 1) for dim in dims):
        walk.classes.pin(labels)
        return walk.fixed(step.shape[1:])
    first = tuple(slice(0, 1) if i + 1 in dims else slice(None) for i in range(labels.ndim))
    return labels[first].reshape(step.shape[1:])


def _softmax(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    """Each result needs all operands along the axis."""
    dim = normalize_dim(step.options["dim"], operands[0].ndim + 1)
    if dim == 0:
        refuse(step, "reduces the batch")
    if walk.varies(operands[0], dim - 1):
        walk.classes.pin(operands[0])
    return operands[0]


def _padded(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    """More places, or channels of zeros (which stay)."""
    labels = operands[0]
    for axis, pair in enumerate(step.options["pairs"][1:]):
        if any(pair) and walk.varies(labels, axis):
            if min(pair) < 0:
                refuse(step, "crops channels")
            ends = [walk.fixed((*labels.shape[:axis], n, *labels.shape[axis + 1 :])) for n in pair]
            labels = np.concatenate([ends[0], labels, ends[1]], axis)
        elif any(pair):
            first = np.take(labels, [0], axis)
            labels = np.broadcast_to(first, (*labels.shape[:axis], step.shape[axis + 1], *labels.shape[axis + 1 :]))
    return labels


# ---- movement: labels move as the numbers do


def _reshaped(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    if step.shape[0] != walk.flow.inputs[0][0]:
        refuse(step, "moves the batch axis")
    labels = operands[0].reshape(step.shape[1:])
    along = [axis for axis in range(labels.ndim) if walk.varies(labels, axis)]
    if len(along) > 1:  # channels in rows, as for a shuffle: the rows stay equally long
        walk.mix(labels, *np.split(labels, labels.shape[along[0]], along[0]))
    return labels


def _permuted(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    dims = [dim % len(step.shape) for dim in step.options["dims"]]
    if dims[0] != 0:
        refuse(step, "moves the batch axis")
    return operands[0].transpose([dim - 1 for dim in dims[1:]])


def _flipped(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    dims = normalize_dims(step.options["dims"], operands[0].ndim + 1)
    if 0 in dims:
        refuse(step, "moves the batch axis")
    walk.mix(operands[0])
    return np.flip(operands[0], tuple(dim - 1 for dim in dims))


def _picked(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    index = step.options["index"]
    index = index if isinstance(index, tuple) else (index,)
    if not isinstance(index[0], slice) or index[0] != slice(None) or sum(isinstance(i, np.ndarray) for i in index) > 1:
        refuse(step, "picks from the batch, or with several arrays")
    labels = operands[0][index[1:]]
    if set(np.unique(thin(labels))) != set(np.unique(thin(operands[0]))):
        walk.mix(operands[0], labels)
    return labels


def _dealt(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    labels, groups = operands[0], step.options["groups"]
    walk.mix(labels, *np.split(labels, groups))
    return np.concatenate([part[i : i + 1] for i in range(len(labels) // groups) for part in np.split(labels, groups)])


def _joined(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    dim = normalize_dim(step.options["dim"], len(step.shape)) - 1
    if dim < 0 or len(operands) < len(step.operands):
        refuse(step, "joins along the batch, or with what does not depend on the inputs")
    flat = all(n == 1 for part in operands for axis, n in enumerate(thin(part).shape) if axis != dim)
    if flat:  # one label a channel: there is no need to write them at every place
        operands = [
            part[tuple(slice(None) if i == dim else slice(0, 1) for i in range(part.ndim))] for part in operands
        ]
    return np.broadcast_to(np.concatenate(operands, dim), step.shape[1:])


def _stretched(walk: Walk, step: Step, operands: Sequence[Array]) -> Array:
    if operands[0].ndim + 1 != len(step.shape):
        refuse(step, "moves the batch axis")
    return np.broadcast_to(operands[0], step.shape[1:])


POINTWISE = (
    "abs add clamp clone cos div elu erf exp gelu hardsigmoid hardswish leaky_relu log maximum minimum mish mul neg "
    "pow relu relu6 sigmoid sign sin softplus sqrt sub swish tanh to where"
).split()

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(POINTWISE, _pointwise),
    "cross_correlation": _convolution,
    "linear": _linear,
    "batch_norm_eval": _norm,
    "batch_norm_train": _norm,
    **dict.fromkeys(("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool"), _pooled),
    **dict.fromkeys(("sum", "mean", "amax"), _reduced),
    **dict.fromkeys(("softmax", "log_softmax"), _softmax),
    "constant_pad": _padded,
    "reshape": _reshaped,
    "permute": _permuted,
    "flip": _flipped,
    "pick": _picked,
    "deal_channels": _dealt,
    "cat": _joined,
    "expand": _stretched,
}
"""The ops that channels can be followed through; all others are refused."""
