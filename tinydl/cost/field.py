"""Receptive fields: which pixels of the input each position of a result can see, followed op by op.

Convolutions and pooling make windows of windows (`tinydl.cost.window`). Where branches meet (sums, products,
concatenations), the field is the smallest that holds those of all branches. So chains and residual networks are exact;
what an op that is not listed here mixes counts as seen by all of its result, which may be too much, never too little.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

from tinydl.cost.window import Field, Fields, Seen, Window, joined
from tinydl.op import Fused, Op
from tinydl.shapes import Array, Shape, normalize_dim, normalize_dims
from tinydl.tensor import Tensor

Rule: TypeAlias = Callable[[Sequence[Any], Mapping[str, Any], Shape, Fields], Field]
"""Makes of (operands, options, the result's shape, the operands' fields) the result's field; one operand has one."""


class Tracker:
    """The fields of the arrays that ops make of an image; it keeps none of them alive."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Array], Field]] = {}

    def image(self, x: Array) -> None:
        """Begin with x (N, C, H, W), each pixel of which sees itself."""
        self._set(x, (Seen(2, Window(1, 1, 0)), Seen(3, Window(1, 1, 0))))

    def of(self, array: Any) -> Field | None:
        """Return the field of an array; None when it does not depend on the image."""
        known = self._known.get(id(array))
        return None if known is None else known[1]

    def follow(self, op: Op | Fused, arrays: Sequence[Any], options: Mapping[str, Any], y: Tensor) -> None:
        """Note the field of an op's result."""
        fields = [self.of(array) for array in arrays]
        if any(field is not None for field in fields):
            rule = _pointwise if op.name in POINTWISE else RULES.get(op.name, _mixed)
            self._set(y.data, rule(arrays, options, y.shape, fields))

    def _set(self, array: Array, field: Field) -> None:
        key = id(array)
        self._known[key] = weakref.ref(array, lambda _: self._known.pop(key)), field


# ---- several operands


def _mixed(arrays: Sequence[Any], options: Mapping[str, Any], shape: Shape, fields: Fields) -> Field:
    """Every position may see what any operand sees."""
    return _meeting(arrays, shape, fields, lambda seen, x: seen.whole(x.shape))


def _pointwise(arrays: Sequence[Any], options: Mapping[str, Any], shape: Shape, fields: Fields) -> Field:
    """Axes meet from the last one on; an operand stretched along an axis shows the same everywhere on it."""

    def aligned(seen: Seen, x: Array) -> Seen:
        if seen.axis is None:
            return seen
        axis = seen.axis + len(shape) - x.ndim
        return Seen(axis, seen.window) if shape[axis] == x.shape[seen.axis] else seen.whole(x.shape)

    return _meeting(arrays, shape, fields, aligned)


def _cat(arrays: Sequence[Any], options: Mapping[str, Any], shape: Shape, fields: Fields) -> Field:
    dim = normalize_dim(options["dim"], len(shape))
    return _meeting(arrays, shape, fields, lambda seen, x: seen.whole(x.shape) if seen.axis == dim else seen)


def _meeting(arrays: Sequence[Any], shape: Shape, fields: Fields, change: Callable[[Seen, Any], Seen]) -> Field:
    """Join the fields of those operands that have one, after a change of each."""
    there = [(x, field) for x, field in zip(arrays, fields) if field is not None]
    return joined([(change(height, x), change(width, x)) for x, (height, width) in there], shape)


# ---- one operand


def _each(change: Callable[[Seen, Any, Mapping[str, Any], Shape], Seen]) -> Rule:
    """Return the rule that changes what is seen along each image axis that an axis of the first operand goes along."""

    def rule(arrays: Sequence[Any], options: Mapping[str, Any], shape: Shape, fields: Fields) -> Field:
        if fields[0] is None or any(fields[1:]):  # a kernel that was itself computed from the image
            return _mixed(arrays, options, shape, fields)
        height, width = (s if s.axis is None else change(s, arrays, options, shape) for s in fields[0])
        return height, width

    return rule


def _windows(kernel: Callable[[Sequence[Any], Mapping[str, Any]], Sequence[int]]) -> Rule:
    """Return the rule of ops that slide windows of size `kernel(arrays, options)` over axes 2 and 3."""

    def slide(seen: Seen, arrays: Any, options: Mapping[str, Any], shape: Shape) -> Seen:
        if seen.axis not in (2, 3):
            return seen if seen.axis == 0 else seen.whole(arrays[0].shape)
        dilation = options.get("dilation", (1, 1))
        sizes = kernel(arrays, options), options["stride"], options["padding"], dilation
        return Seen(seen.axis, seen.window.through(*(pair[seen.axis - 2] for pair in sizes)))

    return _each(slide)


def _bins(seen: Seen, arrays: Any, options: Mapping[str, Any], shape: Shape) -> Seen:
    """Adaptive pooling: bins of one size are windows, others are taken together."""
    old, axis = arrays[0].shape, seen.axis or 0
    if axis not in (2, 3):
        return seen
    size, rest = divmod(old[axis], shape[axis])
    return seen.whole(old) if rest or shape[axis] == 1 else Seen(axis, seen.window.through(size, size, 0, 1))


def _reduced(seen: Seen, arrays: Any, options: Mapping[str, Any], shape: Shape) -> Seen:
    dims, axis = normalize_dims(options["dim"], arrays[0].ndim), seen.axis or 0
    if axis in dims:
        return seen.whole(arrays[0].shape)
    return seen if options["keepdim"] else Seen(axis - sum(d < axis for d in dims), seen.window)


def _permuted(seen: Seen, arrays: Any, options: Mapping[str, Any], shape: Shape) -> Seen:
    return Seen([d % len(shape) for d in options["dims"]].index(seen.axis or 0), seen.window)


def _reshaped(seen: Seen, arrays: Any, options: Mapping[str, Any], shape: Shape) -> Seen:
    """An axis survives when one of its size has as many elements before it: in row-major order it is the same one."""
    old, a = arrays[0].shape, seen.axis or 0
    same = [b for b, n in enumerate(shape) if n == old[a] and prod(shape[:b]) == prod(old[:a])]
    from_end = a + len(shape) - len(old)  # axes of size 1 leave a choice
    return Seen(from_end if from_end in same else same[0], seen.window) if same else seen.whole(old)


def _dealt(seen: Seen, arrays: Any, options: Mapping[str, Any], shape: Shape) -> Seen:
    """Only channels change places."""
    return seen.whole(shape) if seen.axis == 1 else seen


def _padded(seen: Seen, arrays: Any, options: Mapping[str, Any], shape: Shape) -> Seen:
    size, jump, start = seen.window
    return Seen(seen.axis, Window(size, jump, start - options["pairs"][seen.axis][0] * jump))


def _picked(seen: Seen, arrays: Any, options: Mapping[str, Any], shape: Shape) -> Seen:
    """Slices with positive steps, and numbers; other indices may mix everything."""
    old, axis = arrays[0].shape, seen.axis or 0
    index = options["index"] if isinstance(options["index"], tuple) else (options["index"],)
    if not all(type(i) is int or (isinstance(i, slice) and (i.step or 1) > 0) for i in index):
        return seen.whole(old)
    size, jump, start = seen.window
    i = index[axis] if axis < len(index) else slice(None)
    if type(i) is int:
        return Seen(None, Window(size, 0, start + i % old[axis] * jump))
    first, _, step = i.indices(old[axis])
    lost = sum(type(before) is int for before in index[:axis])
    return Seen(axis - lost, Window(size, jump * step, start + first * jump))


POINTWISE = frozenset(
    "abs add batch_norm_eval channel_affine clamp clone cos div elu erf exp expand gelu hardsigmoid hardswish "
    "leaky_relu log maximum minimum mish mul neg pow relu relu6 scale_mask sigmoid sign sin softplus sqrt sub swish "
    "tanh to where".split()
)
"""The ops whose result at a place depends on the operands at that place (its own channel's scale and shift aside)."""

RULES: dict[str, Rule] = {
    "cross_correlation": _windows(lambda arrays, options: arrays[1].shape[2:]),
    "max_pool": _windows(lambda arrays, options: options["kernel"]),
    "avg_pool": _windows(lambda arrays, options: options["kernel"]),
    "adaptive_avg_pool": _each(_bins),
    "adaptive_max_pool": _each(_bins),
    "sum": _each(_reduced),
    "mean": _each(_reduced),
    "amax": _each(_reduced),
    "permute": _each(_permuted),
    "reshape": _each(_reshaped),
    "constant_pad": _each(_padded),
    "pick": _each(_picked),
    "cat": _cat,
    "deal_channels": _each(_dealt),
}
"""The ops that move or join windows; what all others do is `_mixed`."""
