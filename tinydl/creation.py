"""Making Tensors: zeros, ones, ranges and random numbers. Floats are float32 unless a dtype says otherwise."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from tinydl.dtypes import FLOAT32, DType, check_dtype
from tinydl.random import default_generator
from tinydl.shapes import Shape, check_size
from tinydl.tensor import Tensor, as_array


def _dtype(dtype: Any) -> DType:
    """Return the dtype asked for; None is float32."""
    return FLOAT32 if dtype is None else check_dtype(dtype)


def _shape(sizes: tuple[Any, ...], dtype: DType, name: str) -> Shape:
    """Return sizes given one by one or as one sequence.

    Raises: TypeError for sizes that are no integers, ValueError for negative ones, MemoryError for too many.
    """
    given = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    try:
        shape = tuple(operator.index(n) for n in given)
    except TypeError:
        raise TypeError(f"{name}: sizes must be integers, got {given}") from None
    if min(shape, default=0) < 0:
        raise ValueError(f"{name}: sizes must not be negative, got {shape}")
    return check_size(shape, dtype.itemsize, name)


def zeros(*sizes: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a Tensor of zeros.

    >>> zeros(2)
    tensor([0., 0.])
    """
    wanted = _dtype(dtype)
    return Tensor(np.zeros(_shape(sizes, wanted, "zeros"), wanted), requires_grad)


def ones(*sizes: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a Tensor of ones.

    >>> ones(1, 2)
    tensor([[1., 1.]])
    """
    wanted = _dtype(dtype)
    return Tensor(np.ones(_shape(sizes, wanted, "ones"), wanted), requires_grad)


def full(size: Any, value: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a Tensor filled with `value`, of its kind (float32, int64 or bool) unless a dtype is given.

    >>> full((2,), 7.0)
    tensor([7., 7.])
    """
    wanted = as_array(value).dtype if dtype is None else check_dtype(dtype)
    return Tensor(np.full(_shape((size,), wanted, "full"), value, wanted), requires_grad)


def zeros_like(x: Any) -> Tensor:
    """Return zeros of x's shape and dtype.

    >>> zeros_like([1, 2])
    tensor([0, 0])
    """
    return Tensor(np.zeros_like(as_array(x)))


def ones_like(x: Any) -> Tensor:
    """Return ones of x's shape and dtype.

    >>> ones_like([5, 6])
    tensor([1, 1])
    """
    return Tensor(np.ones_like(as_array(x)))


def eye(n: int, dtype: Any = None) -> Tensor:
    """Return the n × n identity.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    wanted = _dtype(dtype)
    rows, columns = _shape((n, n), wanted, "eye")
    return Tensor(np.eye(rows, columns, dtype=wanted))


def arange(start: float, end: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """Return start, start + step, … below end; integers give int64.

    Raises: ValueError for a step of 0.

    >>> arange(3), arange(1, 2, 0.5)
    (tensor([0, 1, 2]), tensor([1. , 1.5]))
    """
    start, end = (0, start) if end is None else (start, end)
    if not step:
        raise ValueError(f"arange: step must not be 0, got {step}")
    integers = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
    wanted = np.dtype(np.int64) if dtype is None and integers else _dtype(dtype)
    check_size((max(0, math.ceil((end - start) / step)),), wanted.itemsize, "arange")
    return Tensor(np.arange(start, end, step, dtype=wanted))


def linspace(start: float, end: float, steps: int, dtype: Any = None) -> Tensor:
    """Return `steps` numbers from start to end, both included.

    >>> linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    wanted = _dtype(dtype)
    (count,) = _shape((steps,), wanted, "linspace")
    return Tensor(np.linspace(start, end, count, dtype=wanted))


def randn(
    *sizes: Any, dtype: Any = None, requires_grad: bool = False, generator: np.random.Generator | None = None
) -> Tensor:
    """Return standard normal numbers from `generator` (the default one of `tinydl.random`).

    >>> randn(2, 3, generator=np.random.default_rng(0)).shape
    (2, 3)
    """
    shape, wanted = _random(sizes, dtype, "randn")
    return Tensor(np.asarray((generator or default_generator()).standard_normal(shape, wanted)), requires_grad)


def rand(
    *sizes: Any, dtype: Any = None, requires_grad: bool = False, generator: np.random.Generator | None = None
) -> Tensor:
    """Return numbers uniform on [0, 1) from `generator` (the default one of `tinydl.random`).

    >>> rand(2, 3, generator=np.random.default_rng(0)).shape
    (2, 3)
    """
    shape, wanted = _random(sizes, dtype, "rand")
    return Tensor(np.asarray((generator or default_generator()).random(shape, wanted)), requires_grad)


def _random(sizes: tuple[Any, ...], dtype: Any, name: str) -> tuple[Shape, Any]:
    """Return the shape and dtype of random floats. Raises: TypeError for an integer dtype."""
    wanted = _dtype(dtype)
    if wanted.kind != "f":
        raise TypeError(f"{name}: dtype must be floating, got {wanted}")
    return _shape(sizes, wanted, name), wanted


def randint(low: int, high: int, size: Any, generator: np.random.Generator | None = None) -> Tensor:
    """Return int64 numbers uniform on low … high − 1.

    >>> randint(5, 6, (2,))
    tensor([5, 5])
    """
    shape = _shape((size,), np.dtype(np.int64), "randint")
    return Tensor(np.asarray((generator or default_generator()).integers(low, high, shape)))


def randperm(n: int, generator: np.random.Generator | None = None) -> Tensor:
    """Return 0 … n − 1 in random order.

    >>> sorted(randperm(3).tolist())
    [0, 1, 2]
    """
    (count,) = _shape((n,), np.dtype(np.int64), "randperm")
    return Tensor((generator or default_generator()).permutation(count))
