"""The convention for MACs, op by op.

One MAC is one multiply-add of a convolution, a linear layer or a matrix product, those with padding included; biases,
normalisation, activations and pooling are not counted. (Other conventions differ by 2–4 %.) Counted are the ops that
run, whoever calls them: a layer, a function of `tinydl.nn.functional`, or `@`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinydl.op import Fused, Op
from tinydl.shapes import Array

CONVENTION = "multiply-adds of convolutions (padding included), linear layers and matrix products, nothing else"


def macs(op: Op | Fused, arrays: Sequence[Any], options: Mapping[str, Any], y: Array) -> int:
    """Return the multiply-adds of one call of `op` on `arrays` with the result `y`.

    >>> import numpy as np
    >>> from tinydl.ops import bmm
    >>> macs(bmm, [np.ones((2, 3)), np.ones((3, 5))], {}, np.ones((2, 5)))
    30
    """
    rule = _RULES.get(op.name)
    return 0 if rule is None else rule(arrays, options, y)


def _per_result(size: Callable[[Any], int]) -> Callable[..., int]:
    """Return the rule of ops of which each result is a sum of `size(second operand)` products."""
    return lambda arrays, options, y: y.size * size(arrays[1])


def _per_gradient(size: Callable[[Sequence[Any], Mapping[str, Any]], int]) -> Callable[..., int]:
    """Return the rule of ops of which each element of the first operand enters `size(arrays, options)` products."""
    return lambda arrays, options, y: arrays[0].size * size(arrays, options)


def _window(weight: Any) -> int:
    return math.prod(weight.shape[1:])


_RULES: dict[str, Callable[..., int]] = {
    "cross_correlation": _per_result(_window),
    "conv2d_input_grad": _per_gradient(lambda arrays, options: _window(arrays[1])),
    "conv2d_weight_grad": _per_gradient(lambda arrays, options: math.prod(options["weight_shape"][1:])),
    "linear": _per_result(lambda weight: weight.shape[1]),
    "linear_input_grad": _per_result(lambda weight: weight.shape[0]),
    "linear_weight_grad": _per_gradient(lambda arrays, options: arrays[1].shape[-1]),
    "conv2d_clamped": _per_result(_window),
    "linear_clamped": _per_result(lambda weight: weight.shape[1]),
    "bmm": _per_result(lambda b: b.shape[-2]),
}
"""Transposed convolutions are `conv2d_input_grad`; the weight gradients are here for models that compute with them."""
