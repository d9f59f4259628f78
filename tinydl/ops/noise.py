"""Ops that draw random numbers: dropout and drop path. They take their Generator explicitly."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import kernels
from tinydl.op import composite, op
from tinydl.random import default_generator
from tinydl.shapes import Array


@op("...", kernel=True)
def scale_mask(x: Any, mask: Array, scale: float) -> Any:
    """Return x · mask · scale for a constant boolean `mask` of x's shape.

    >>> scale_mask(np.ones(2), np.array([True, False]), 2.0)
    array([2., 0.])
    """
    return kernels.scale_mask(x, mask, float(scale))


@scale_mask.vjp()
def scale_mask_vjp(g: Any, mask: Array, scale: float) -> Any:
    """∂y/∂x = mask · scale."""
    return scale_mask(g, mask, scale)


def check_probability(p: float, name: str) -> float:
    """Return p. Raises: ValueError unless 0 ≤ p ≤ 1 (NaN does not pass)."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: p must lie in [0, 1], got {p}")
    return float(p)


@composite
def dropout(x: Any, p: float = 0.5, training: bool = True, generator: np.random.Generator | None = None) -> Any:
    """Return x with each element dropped (0) with probability p and the survivors scaled by 1/(1 − p).

    Outside training, or for p = 0, x itself. p = 1 gives zeros.

    Source: Srivastava et al. 2014, Dropout, section 10 (the scaling of survivors).

    Raises: ValueError unless 0 ≤ p ≤ 1.

    >>> sorted(set(dropout(np.ones(100), 0.5, generator=np.random.default_rng(0)).tolist()))
    [0.0, 2.0]
    """
    return _drop(x, p, training, generator, tuple(x.shape), "dropout")


@composite
def drop_path(x: Any, p: float = 0.0, training: bool = True, generator: np.random.Generator | None = None) -> Any:
    """Return x with whole samples (the first axis) dropped with probability p, survivors scaled by 1/(1 − p).

    Source: Huang et al. 2016, Deep networks with stochastic depth, arXiv:1603.09382 (there scaled at test time).

    Raises: ValueError unless 0 ≤ p ≤ 1.

    >>> drop_path(np.ones((2, 3)), 1.0)
    array([[0., 0., 0.],
           [0., 0., 0.]])
    """
    shape = tuple(x.shape)
    return _drop(x, p, training, generator, shape[:1] + (1,) * (len(shape) - 1), "drop_path")


def _drop(
    x: Any,
    p: float,
    training: bool,
    generator: np.random.Generator | None,
    mask_shape: tuple[int, ...],
    name: str,
) -> Any:
    """Drop with one decision an element of `mask_shape`."""
    check_probability(p, name)
    if not training or p == 0.0:
        return x
    draw = default_generator() if generator is None else generator
    kept = draw.random(mask_shape, dtype=np.float32) >= p
    return scale_mask(x, np.broadcast_to(kept, tuple(x.shape)), 1.0 / (1.0 - p) if p < 1.0 else 0.0)
