"""Lesson 8, paths downhill: its exercises and how they are checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinydl import float64, optim, tensor
from tinydl.lessons.exercise import Arguments, Wrong, ask, compare, difference, exercise
from tinydl.lessons.search import Pick

Step: TypeAlias = tuple[float, float]
"""Where the knob is next, and its velocity."""
AdamStep: TypeAlias = tuple[float, float, float]
"""Where the knob is next, and the two means."""

_STEPS = 20
_CLOSE = 1e-6


def _momentum(p: float, g: float, v: float, lr: float, beta: float) -> Step:
    v = beta * v + g
    return p - lr * v, v


def _one_push(pick: Pick) -> Arguments:
    return {
        "p": pick.number(),
        "g": pick.number(),
        "v": pick.number(),
        "lr": pick.one_of((0.5, 0.25, 0.125)),
        "beta": pick.one_of((0.5, 0.75, 0.875)),
    }


_MOMENTUM_MISTAKES: dict[str, Callable[..., Any]] = {
    "p goes along the old v; renew v first, then step": lambda p, g, v, lr, beta: (p - lr * v, beta * v + g),
    "p goes along g alone, so v is remembered for nothing; step along the new v": lambda p, g, v, lr, beta: (
        (p - lr * g, beta * v + g)
    ),
    "the old v is kept whole; only beta of it may stay, or it grows for ever": lambda p, g, v, lr, beta: (
        (p - lr * (v + g), v + g)
    ),
    "g is multiplied by 1 − beta: that is a mean; momentum as asked for here is a sum": lambda p, g, v, lr, beta: (
        _momentum(p, (1 - beta) * g, v, lr, beta)
    ),
    "lr is inside v: v sums the bare gradients, and lr multiplies v in the step": lambda p, g, v, lr, beta: (
        (p - (beta * v + lr * g), beta * v + lr * g)
    ),
    "that climbs: p goes against v, so subtract": lambda p, g, v, lr, beta: (p + lr * (beta * v + g), beta * v + g),
    "v collects −g: then adding and subtracting are mixed up; v ← beta·v + g": lambda p, g, v, lr, beta: _momentum(
        p, -g, v, lr, beta
    ),
    "beta stands at g; it belongs to the old v": lambda p, g, v, lr, beta: (p - lr * (v + beta * g), v + beta * g),
    "the two results are in the wrong order: first p, then v": lambda p, g, v, lr, beta: _momentum(p, g, v, lr, beta)[
        ::-1
    ],
    "only p is returned; return p and v, or the velocity is forgotten": lambda p, g, v, lr, beta: _momentum(
        p, g, v, lr, beta
    )[0],
}


@exercise(
    "08.1",
    "a step with momentum, and the first 20 as optim.SGD takes them",
    solution="momentum_step",
    hints=[
        "Two lines: renew the velocity, then move the knob along it.",
        "The new velocity is beta times the old one, plus g. The step goes against it.",
        "v = beta * v + g; return p - lr * …, v.",
    ],
)
def momentum_step(answer: Any) -> None:
    """Hold one step against the formula, then 20 steps in the ravine against the library."""
    compare(answer, _momentum, _one_push, _MOMENTUM_MISTAKES)

    _same_path(
        lambda p, g, memory, t: ask(answer, p, g, *memory, 0.04, 0.7),
        lambda p: optim.SGD([p], lr=0.04, momentum=0.7),
        remembered=1,
    )


def _adam(
    p: float, g: float, m: float, v: float, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> AdamStep:
    m, v = _means(g, m, v, beta1, beta2)
    return p - lr * m / (1 - beta1**t) / (math.sqrt(v / (1 - beta2**t)) + eps), m, v


def _means(g: float, m: float, v: float, beta1: float, beta2: float) -> Step:
    return beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g


def _uncorrected(
    p: float, g: float, m: float, v: float, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> AdamStep:
    m, v = _means(g, m, v, beta1, beta2)
    return p - lr * m / (math.sqrt(v) + eps), m, v


def _only_m_corrected(
    p: float, g: float, m: float, v: float, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> AdamStep:
    m, v = _means(g, m, v, beta1, beta2)
    return p - lr * m / (1 - beta1**t) / (math.sqrt(v) + eps), m, v


def _only_v_corrected(
    p: float, g: float, m: float, v: float, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> AdamStep:
    m, v = _means(g, m, v, beta1, beta2)
    return p - lr * m / (math.sqrt(v / (1 - beta2**t)) + eps), m, v


def _corrected_for_ever(
    p: float, g: float, m: float, v: float, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> AdamStep:
    p, m, v = _adam(p, g, m, v, t, lr, beta1, beta2, eps)
    return p, m / (1 - beta1**t), v / (1 - beta2**t)


def _beta_without_power(
    p: float, g: float, m: float, v: float, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> AdamStep:
    m, v = _means(g, m, v, beta1, beta2)
    return p - lr * m / (1 - beta1) / (math.sqrt(v / (1 - beta2)) + eps), m, v


def _without_square(
    p: float, g: float, m: float, v: float, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> AdamStep:
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g
    return p - lr * m / (1 - beta1**t) / (math.sqrt(v / (1 - beta2**t)) + eps), m, v


def _without_root(
    p: float, g: float, m: float, v: float, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> AdamStep:
    m, v = _means(g, m, v, beta1, beta2)
    return p - lr * m / (1 - beta1**t) / (v / (1 - beta2**t) + eps), m, v


def _eps_under_the_root(
    p: float, g: float, m: float, v: float, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> AdamStep:
    m, v = _means(g, m, v, beta1, beta2)
    return p - lr * m / (1 - beta1**t) / math.sqrt(v / (1 - beta2**t) + eps), m, v


def _along_g(
    p: float, g: float, m: float, v: float, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> AdamStep:
    m, v = _means(g, m, v, beta1, beta2)
    return p - lr * g / (math.sqrt(v / (1 - beta2**t)) + eps), m, v


_ADAM_MISTAKES: dict[str, Callable[..., Any]] = {
    "neither mean is corrected; divide m by 1 − beta1**t and v by 1 − beta2**t": _uncorrected,
    "m is corrected, v is not; divide v by 1 − beta2**t": _only_m_corrected,
    "v is corrected, m is not; divide m by 1 − beta1**t": _only_v_corrected,
    "you return the corrected means, so they are corrected again at the next step; return m and v themselves": (
        _corrected_for_ever
    ),
    "the correction lacks its power: 1 − beta1**t, not 1 − beta1": _beta_without_power,
    "v is the mean of g, and it must be the mean of g * g": _without_square,
    "the root is missing: divide by np.sqrt(v_hat) + eps": _without_root,
    "eps is under the root; add it after np.sqrt": _eps_under_the_root,
    "p goes along g; go along the corrected m": _along_g,
    "that climbs: subtract": lambda p, *rest: (2 * p - _adam(p, *rest)[0], *_adam(p, *rest)[1:]),
    "the betas are exchanged: beta1 is for m, beta2 for v": lambda p, g, m, v, t, lr, beta1, beta2, eps: _adam(
        p, g, m, v, t, lr, beta2, beta1, eps
    ),
    "only p is returned; return p, m and v": lambda *arguments: _adam(*arguments)[0],
}


def _one_adam(pick: Pick) -> Arguments:
    return {
        "p": pick.number(),
        "g": pick.number(),
        "m": pick.number(),
        "v": pick.number(0, 4),
        "t": pick.integer(1, 5),
        "lr": pick.one_of((0.5, 0.25, 0.125)),
        "beta1": pick.one_of((0.5, 0.75)),
        "beta2": pick.one_of((0.875, 0.9375)),
        "eps": pick.one_of((0.5, 0.125)),
    }


@exercise(
    "08.2",
    "a step of Adam, and the first 20 as optim.Adam takes them, within 1e-6",
    solution="adam_step",
    hints=[
        "Four lines: renew m, renew v, correct both, step. Only the step uses the corrected ones.",
        "m = beta1 * m + (1 - beta1) * g, and v likewise with beta2 and g * g. The corrections are divisions.",
        "m_hat = m / (1 - beta1**t), v_hat = v / (1 - beta2**t); return p - lr * m_hat / (np.sqrt(…) + eps), m, v.",
    ],
)
def adam_step(answer: Any) -> None:
    """Hold one step against the formula, then 20 steps in the ravine against the library."""
    compare(answer, _adam, _one_adam, _ADAM_MISTAKES)

    _same_path(
        lambda p, g, memory, t: ask(answer, p, g, *memory, t, 0.4, 0.8, 0.99, 1e-8),
        lambda p: optim.Adam([p], lr=0.4, betas=(0.8, 0.99)),
        remembered=2,
    )


def _same_path(step: Callable[..., Any], make: Callable[[Any], optim.Optimizer], remembered: int) -> None:
    """Raise `Wrong` at the first of 20 steps that is not the library's; a step takes (p, g, remembered arrays, t)."""
    real = tensor([-4.0, 1.0], dtype=float64, requires_grad=True)
    steep, optimizer = tensor([1.0, 25.0], dtype=float64), make(real)
    p, memory = np.array([-4.0, 1.0]), [np.zeros(2) for _ in range(remembered)]
    for t in range(1, _STEPS + 1):
        optimizer.zero_grad()
        (steep * real * real / 2).sum().backward()
        optimizer.step()
        p, *memory = step(p.copy(), np.array([1.0, 25.0]) * p, memory, t)
        if trouble := difference(p, real.tolist(), rtol=0, atol=_CLOSE):
            raise Wrong(
                f"right for single numbers, but with arrays of two, at step {t}: {trouble}",
                yours=p,
                wanted=real.tolist(),
            )


def _rate(t: int, total: int, warmup: int, top: float) -> float:
    return top * (t + 1) / warmup if t < warmup else _cosine(t - warmup, total - warmup, top)


def _cosine(t: int, total: int, top: float) -> float:
    return top * (1 + math.cos(math.pi * t / total)) / 2


def _one_time(pick: Pick) -> Arguments:
    warmup = pick.integer(1, 6)
    total = warmup + pick.integer(1, 12)
    return {"t": pick.integer(0, total - 1), "total": total, "warmup": warmup, "top": pick.one_of((1.0, 0.5))}


def _rise(t: int, warmup: int, top: float, otherwise: float) -> float:
    return top * (t + 1) / warmup if t < warmup else otherwise


_RATE_MISTAKES: dict[str, Callable[..., Any]] = {
    "the warm-up starts at 0, and a step of length 0 is wasted: (t + 1) / warmup": lambda t, total, warmup, top: (
        top * t / warmup if t < warmup else _cosine(t - warmup, total - warmup, top)
    ),
    "there is no warm-up: the cosine begins at t = 0": lambda t, total, warmup, top: _cosine(t, total, top),
    "the cosine counts from t = 0; after the warm-up it has (t − warmup) of (total − warmup) behind it": (
        lambda t, total, warmup, top: _rise(t, warmup, top, _cosine(t, total, top))
    ),
    "the cosine is as long as the whole run; it has total − warmup steps": lambda t, total, warmup, top: _rise(
        t, warmup, top, _cosine(t - warmup, total, top)
    ),
    "the way down is a line; half a cosine is (1 + cos(π·progress)) / 2": lambda t, total, warmup, top: _rise(
        t, warmup, top, top * (total - t) / (total - warmup)
    ),
    "1 + cos goes from 2 to 0: halve it": lambda t, total, warmup, top: _rise(
        t, warmup, top, 2 * _cosine(t - warmup, total - warmup, top)
    ),
    "1 − cos rises; 1 + cos falls": lambda t, total, warmup, top: _rise(
        t, warmup, top, top - _cosine(t - warmup, total - warmup, top)
    ),
    "np.cos takes radians: progress 1 is np.pi": lambda t, total, warmup, top: _rise(
        t, warmup, top, top * (1 + math.cos((t - warmup) / (total - warmup))) / 2
    ),
    "the curve is that of top = 1; multiply by top": lambda t, total, warmup, top: _rate(t, total, warmup, 1.0),
}


@exercise(
    "08.3",
    "a line up, half a cosine down",
    solution="rate",
    hints=[
        "An if for the two parts. In the first, the steps 0, 1, … are 1/warmup, 2/warmup, … of top.",
        "In the second, let progress go from 0 to 1: (t - warmup) / (total - warmup).",
        "return top * (1 + np.cos(np.pi * progress)) / 2, because (1 + cos) / 2 falls from 1 to 0.",
    ],
)
def rate(answer: Any) -> None:
    """Hold the rate of any step against the formula."""
    compare(answer, _rate, _one_time, _RATE_MISTAKES)
