"""Linear layers, and the ones that only reshape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl import ops
from tinydl.kernels.buffers import empty_aligned
from tinydl.nn.init import default_
from tinydl.nn.module import Module
from tinydl.nn.parameter import Parameter
from tinydl.options import whole
from tinydl.shapes import normalize_dim


class Linear(Module):
    """y = x Wᵀ + b over the last axis.

    Args:
        in_features: I, at least 1.
        out_features: O, at least 1.
        bias: whether there is a b.
        generator: draws the start, uniform on ±1/√I; see `tinydl.nn.init.default_`.

    Shapes: weight (O, I), bias (O,); x (…, I) -> (…, O).

    Raises: TypeError or ValueError naming the argument.

    >>> Linear(3, 2)(np.ones((4, 3), np.float32)).shape
    (4, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.in_features = whole(in_features, "in_features", 1)
        self.out_features = whole(out_features, "out_features", 1)
        self.weight = Parameter(empty_aligned((self.out_features, self.in_features), np.float32))
        self.bias = Parameter(np.empty(self.out_features, np.float32)) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the parameters anew."""
        default_(self.weight, self.bias, generator)

    def forward(self, input: Any) -> Any:
        """Return x Wᵀ + b."""
        return ops.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """Return the input; takes and ignores any arguments, to stand in for another layer.

    >>> Identity(54, unused=True)(3.0)
    3.0
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Any) -> Any:
        """Return x."""
        return input


class Flatten(Module):
    """Make axes start_dim…end_dim one; by default all but the batch's.

    >>> Flatten()(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Any:
        """Return x flattened."""
        return ops.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Make axis `dim` several axes of the sizes given (one may be −1).

    >>> Unflatten(1, (3, -1))(np.zeros((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        """Return x with the axis taken apart."""
        shape = tuple(input.shape)
        dim = normalize_dim(self.dim, len(shape), "Unflatten")
        return ops.reshape(input, (*shape[:dim], *self.unflattened_size, *shape[dim + 1 :]))

    def extra_repr(self) -> str:
        """Return the axis and its sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
