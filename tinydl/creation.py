"""Making Tensors: zeros, ones, ranges and random numbers. Floats are float32 unless a dtype says otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.dtypes import check_dtype
from tinydl.random import default_generator
from tinydl.shapes import Shape, check_size
from tinydl.tensor import Tensor, as_array


def _shape(sizes: tuple[Any, ...], dtype: Any, name: str) -> Shape:
    """Return sizes given one by one or as one sequence. Raises: MemoryError when they are beyond any machine."""
    shape = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    if any(n < 0 for n in shape):
        raise ValueError(f"{name}: sizes must not be negative, got {shape}")
    return check_size(tuple(int(n) for n in shape), check_dtype(dtype).itemsize, name)


def zeros(*sizes: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Return a Tensor of zeros.

    >>> zeros(2)
    tensor([0., 0.])
    """
    return Tensor(np.zeros(_shape(sizes, dtype, "zeros"), dtype), requires_grad)


def ones(*sizes: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Return a Tensor of ones.

    >>> ones(1, 2)
    tensor([[1., 1.]])
    """
    return Tensor(np.ones(_shape(sizes, dtype, "ones"), dtype), requires_grad)


def full(size: Any, value: float, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Return a Tensor filled with `value`.

    >>> full((2,), 7.0)
    tensor([7., 7.])
    """
    return Tensor(np.full(_shape((size,), dtype, "full"), value, dtype), requires_grad)


def zeros_like(x: Any) -> Tensor:
    """Return zeros of x's shape and dtype."""
    return Tensor(np.zeros_like(as_array(x)))


def ones_like(x: Any) -> Tensor:
    """Return ones of x's shape and dtype."""
    return Tensor(np.ones_like(as_array(x)))


def eye(n: int, dtype: Any = np.float32) -> Tensor:
    """Return the n × n identity.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    return Tensor(np.eye(*_shape((n,), dtype, "eye"), dtype=dtype))


def arange(start: float, end: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """Return start, start + step, … below end; integers give int64.

    >>> arange(3)
    tensor([0, 1, 2])
    """
    start, end = (0, start) if end is None else (start, end)
    integers = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
    return Tensor(np.arange(start, end, step, dtype=dtype or (np.int64 if integers else np.float32)))


def linspace(start: float, end: float, steps: int, dtype: Any = np.float32) -> Tensor:
    """Return `steps` numbers from start to end, both included.

    >>> linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    return Tensor(np.linspace(start, end, steps, dtype=dtype))


def randn(
    *sizes: Any, dtype: Any = np.float32, requires_grad: bool = False, generator: np.random.Generator | None = None
) -> Tensor:
    """Return standard normal numbers from `generator` (the default one of `tinydl.random`)."""
    draw = generator or default_generator()
    return Tensor(draw.standard_normal(_shape(sizes, dtype, "randn"), dtype), requires_grad)


def rand(
    *sizes: Any, dtype: Any = np.float32, requires_grad: bool = False, generator: np.random.Generator | None = None
) -> Tensor:
    """Return numbers uniform on [0, 1) from `generator` (the default one of `tinydl.random`)."""
    return Tensor((generator or default_generator()).random(_shape(sizes, dtype, "rand"), dtype), requires_grad)


def randint(low: int, high: int, size: Any, generator: np.random.Generator | None = None) -> Tensor:
    """Return int64 numbers uniform on low … high − 1."""
    return Tensor((generator or default_generator()).integers(low, high, _shape((size,), np.int64, "randint")))


def randperm(n: int, generator: np.random.Generator | None = None) -> Tensor:
    """Return 0 … n − 1 in random order."""
    return Tensor((generator or default_generator()).permutation(n))
