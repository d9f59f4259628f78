"""One step of each optimizer in a single pass over memory. Each kernel's docstring is its reference twin's.

A state that is absent is None, which to Numba is a type: the code for it is left out when that case is compiled.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels import threads
from tinydl.kernels.compiled import scalar
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import exact, inline, njit
from tinydl.kernels.compiled.memory import flat, ranges
from tinydl.kernels.reference import optim as reference
from tinydl.shapes import Array

__all__ = reference.__all__

GRAIN = 1 << 13
"""Numbers that are worth handing to another thread: some 8 µs of work for Adam."""


def _update(
    loop: Callable[..., bool],
    twin: Callable[..., None],
    p: Array,
    g: Array,
    states: tuple[Array | None, ...],
    *parameters: float,
) -> None:
    """Call `loop` on the memory of p, g and the states; `twin` serves arrays with gaps or foreign bytes."""
    for state in (p, *states):
        if state is not None and not (
            state.flags.forc and state.flags.behaved and state.strides == p.strides and state.dtype.isnative
        ):
            twin(p, g, *states, *parameters)
            return
    flats = [None if state is None else flat(state, p) for state in states]
    shares = ranges(p.size, GRAIN, threads.num_threads())
    threads.share(loop, len(shares), shares, flat(p, p), flat(g, p), *flats, *parameters)


@inline
def _flushed(T: Any, x: Any) -> Any:
    """Return x, or 0 where it is below 2⁻¹²⁶ (double: 2⁻¹⁰²²) and so without its full digits.

    The averages of a unit that gets no gradient any more shrink until they are such numbers, and rounding keeps them
    there; processors take a hundred times as long for them: 450 µs in the place of 150 for all of a network of three
    convolutions, half an epoch on.
    """
    smallest = T(2.0**-126) if T(1) + T(scalar.TINY) == T(1) else T(2.0**-1022)
    return T(0) if abs(x) < smallest else x


@exact
def _part(state: Array | None, first: int, last: int) -> Array | None:
    if state is None:  # Numba drops the branch that is not taken from this form only
        return None
    return state[first:last]


@exact
def _sgd_part(
    p: Array,
    g: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    first: bool,
) -> None:
    T = p.dtype.type
    for i in range(p.size):
        d = g[i] + T(weight_decay) * p[i] if weight_decay != 0 else g[i]
        if velocity is not None:
            velocity[i] = d if first else _flushed(T, T(momentum) * velocity[i] + T(1 - dampening) * d)
            d = d + T(momentum) * velocity[i] if nesterov else velocity[i]
        p[i] -= T(lr) * d


@njit
def _sgd(
    worker: int, boss: int, crew: Array, shares: Array, p: Array, g: Array, velocity: Array | None, *numbers: Any
) -> bool:
    give(boss, crew)
    first, last = shares[worker]
    _sgd_part(p[first:last], g[first:last], _part(velocity, first, last), *numbers)
    return wait(boss, crew)


@functools.wraps(reference.sgd_step)
def sgd_step(
    p: Array,
    g: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    first: bool,
) -> None:
    numbers = float(lr), float(momentum), float(dampening), bool(nesterov), float(weight_decay), bool(first)
    _update(_sgd, reference.sgd_step, p, g, (velocity,), *numbers)


@njit
def _adam(
    worker: int,
    boss: int,
    crew: Array,
    shares: Array,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
) -> bool:
    give(boss, crew)
    first, last = shares[worker]
    p, g, m, v = p[first:last], g[first:last], m[first:last], v[first:last]
    T = p.dtype.type
    rate = T(lr / (1 - beta1**step))
    correction = T(math.sqrt(1 - beta2**step))
    shrink = T(1 - lr * weight_decay if decoupled else 1)
    for i in range(p.size):
        d = g[i] if decoupled or weight_decay == 0 else g[i] + T(weight_decay) * p[i]
        m[i] = _flushed(T, m[i] + T(1 - beta1) * (d - m[i]))
        v[i] = _flushed(T, T(beta2) * v[i] + T(1 - beta2) * (d * d))
        p[i] = shrink * p[i] - rate * (m[i] / (np.sqrt(v[i]) / correction + T(eps)))
    return wait(boss, crew)


@functools.wraps(reference.adam_step)
def adam_step(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
) -> None:
    numbers = float(lr), float(beta1), float(beta2), float(eps), float(weight_decay), bool(decoupled), int(step)
    _update(_adam, reference.adam_step, p, g, (m, v), *numbers)


@exact
def _rmsprop_part(
    p: Array,
    g: Array,
    square: Array,
    grad_avg: Array | None,
    velocity: Array | None,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
) -> None:
    T = p.dtype.type
    for i in range(p.size):
        d = g[i] + T(weight_decay) * p[i] if weight_decay != 0 else g[i]
        square[i] = _flushed(T, T(alpha) * square[i] + T(1 - alpha) * (d * d))
        variance = square[i]
        if grad_avg is not None:
            grad_avg[i] = _flushed(T, grad_avg[i] + T(1 - alpha) * (d - grad_avg[i]))
            variance -= grad_avg[i] * grad_avg[i]
        d /= np.sqrt(variance) + T(eps)
        if velocity is not None:
            d = _flushed(T, d + T(momentum) * velocity[i])
            velocity[i] = d
        p[i] -= T(lr) * d


@njit
def _rmsprop(
    worker: int, boss: int, crew: Array, shares: Array,
    p: Array, g: Array, square: Array, grad_avg: Array | None, velocity: Array | None, *numbers: Any,
) -> bool:  # fmt: skip
    give(boss, crew)
    first, last = shares[worker]
    states = square[first:last], _part(grad_avg, first, last), _part(velocity, first, last)
    _rmsprop_part(p[first:last], g[first:last], *states, *numbers)
    return wait(boss, crew)


@functools.wraps(reference.rmsprop_step)
def rmsprop_step(
    p: Array,
    g: Array,
    square: Array,
    grad_avg: Array | None,
    velocity: Array | None,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
) -> None:
    numbers = float(lr), float(alpha), float(eps), float(weight_decay), float(momentum)
    _update(_rmsprop, reference.rmsprop_step, p, g, (square, grad_avg, velocity), *numbers)


@njit
def _ema(worker: int, boss: int, crew: Array, shares: Array, average: Array, p: Array, decay: float) -> bool:
    give(boss, crew)
    first, last = shares[worker]
    average, p = average[first:last], p[first:last]
    T = average.dtype.type
    for i in range(average.size):
        average[i] = T(decay) * average[i] + T(1 - decay) * p[i]
    return wait(boss, crew)


@functools.wraps(reference.ema_step)
def ema_step(average: Array, p: Array, decay: float) -> None:
    _update(_ema, reference.ema_step, average, p, (), float(decay))
