"""Weights as int8 arrays, in memory and on disk, and everything else in floating point: no calibration is needed."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numpy as np

from tinydl.compress.quantize.ranges import RANGES
from tinydl.compress.quantize.scheme import WEIGHTS, Quantizer, Scheme
from tinydl.nn import Conv2d, Linear, Module
from tinydl.options import choice, whole
from tinydl.tensor import Tensor

M = TypeVar("M", bound=Module)


class _Int8Weight(Module):
    """A layer that keeps integers and their scales in place of its weight, and multiplies them out when it is called.

    Attributes:
        scheme: how the integers stand for numbers.
        integers: int8, the shape of the weight.
        scale: float32, () or (channels,).
        zero_point: int32, likewise; None in a symmetric scheme.
    """

    scheme: Scheme
    integers: Tensor
    scale: Tensor
    zero_point: Tensor | None

    @property
    def quantizer(self) -> Quantizer:
        """What turns the integers into the weight."""
        scale = self.scale.data
        zero_point = np.zeros(scale.shape, np.int32) if self.zero_point is None else self.zero_point.data
        return Quantizer(self.scheme, scale, zero_point)

    @property
    def weight(self) -> Tensor:
        """The weight in float32, computed anew each time, without gradient."""
        return Tensor(self.quantizer.dequantize(self.integers.data))


class Int8Conv2d(_Int8Weight, Conv2d):  # type: ignore[misc]  # the weight is computed
    """A convolution with integers for its weight; made by `quantize_weights`."""


class Int8Linear(_Int8Weight, Linear):  # type: ignore[misc]  # likewise
    """A linear layer with integers for its weight; made by `quantize_weights`."""


def quantize_weights(model: M, scheme: Scheme = WEIGHTS, weight_range: str = "minmax", at_least: int = 0) -> M:
    """Return a copy of `model`, in evaluation mode, whose convolutions and linear layers keep their weights as int8.

    A weight takes a quarter of its memory and of its bytes in a file (with fewer than 8 bits too: they are not packed);
    biases, norms and scales stay float32. The layers compute in floating point, with weights dequantized at each call:
    smaller, not faster. TensorFlow Lite's "dynamic range" also quantizes values while it runs; this does not.

    Args:
        model: any module; it stays as it was. Fold batch norm first if the integers are to contain it.
        scheme: of the weights.
        weight_range: how a weight's range is found, one of `RANGES`.
        at_least: weights with fewer numbers stay in floating point (TensorFlow Lite: 1024).

    A layer in several places stays one layer; one with a `forward` of its own is left alone.

    Raises: ValueError for a `weight_range` that is none, or a negative `at_least`.

    >>> from tinydl.nn import Flatten, Sequential
    >>> small = quantize_weights(Sequential(Flatten(), Linear(4, 3)))
    >>> small
    Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Int8Linear(in_features=4, out_features=3, bias=True)
    )
    >>> {name: str(value.dtype) for name, value in small.state_dict().items()}
    {'1.bias': 'float32', '1.integers': 'int8', '1.scale': 'float32'}
    """
    method = RANGES[choice(weight_range, "weight_range", tuple(RANGES))]
    whole(at_least, "at_least", 0)
    copied = copy.deepcopy(model).eval()
    replaced: dict[int, Module] = {}
    for owner in tuple(copied.modules()):
        for name, layer in tuple(owner.named_children()):
            if id(layer) in replaced or _fits(layer, at_least):
                replaced.setdefault(id(layer), _in_integers(layer, scheme, method))
                setattr(owner, name, replaced[id(layer)])
    return _in_integers(copied, scheme, method) if _fits(copied, at_least) else copied


def _fits(layer: Any, at_least: int) -> bool:
    """Tell whether this is a layer as we know it, with a weight that is large enough."""
    known = type(layer).forward in (Conv2d.forward, Linear.forward) and not isinstance(layer, _Int8Weight)
    return known and layer.weight.numel() >= at_least


def _in_integers(layer: Any, scheme: Scheme, method: Any) -> Any:
    """Return a layer with the settings, bias and hooks of another, and its weight in integers."""
    kind = Int8Conv2d if isinstance(layer, Conv2d) else Int8Linear
    made = kind.__new__(kind)
    weight = layer.weight.data
    vars(made).update({name: value for name, value in vars(layer).items() if name != "weight"})
    quantizer = method(scheme, weight)
    made.scheme = scheme
    made.register_buffer("integers", Tensor(quantizer.quantize(weight)))
    made.register_buffer("scale", Tensor(quantizer.scale))
    made.register_buffer("zero_point", None if scheme.symmetric else Tensor(quantizer.zero_point))
    return made
