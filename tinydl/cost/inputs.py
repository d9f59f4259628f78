"""What a model is run on to see what it costs: zeros of the shapes given."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from tinydl.nn import Module
from tinydl.options import whole
from tinydl.shapes import Shape
from tinydl.tensor import Tensor

Shapes = Sequence[int] | Sequence[Sequence[int]]
"""One input's sizes without the batch axis, or such sizes for each input."""


def zeros_for(model: Module, input_shape: Shapes, batch: int) -> list[Tensor]:
    """Return `batch` zeros for each input, in the dtype of the model's first float parameter (else float32).

    Raises: TypeError or ValueError naming `input_shape` or `batch`.

    >>> from tinydl.nn import Identity
    >>> [x.shape for x in zeros_for(Identity(), [(3, 8, 8), (5,)], 2)]
    [(2, 3, 8, 8), (2, 5)]
    """
    n = whole(batch, "batch", 1)
    dtype = next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), np.dtype(np.float32))
    return [Tensor(np.zeros((n, *sizes), dtype)) for sizes in _each(input_shape)]


def _each(input_shape: Any) -> list[Shape]:
    if not isinstance(input_shape, Sequence) or isinstance(input_shape, str) or not input_shape:
        raise TypeError(f"input_shape must be sizes without the batch, like (1, 28, 28); got {input_shape!r}")
    several = not any(isinstance(part, Integral) for part in input_shape)
    every = input_shape if several else [input_shape]
    return [tuple(whole(n, "input_shape", 1) for n in sizes) for sizes in every]
