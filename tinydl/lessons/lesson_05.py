"""Lesson 5, softmax and surprise: its exercises and how they are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.gradcheck import numeric_jacobian
from tinydl.lessons.exercise import Arguments, Wrong, ask, compare, difference, exercise, forall
from tinydl.lessons.search import Pick
from tinydl.shapes import Array

_HUGE = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]])
"""Scores whose exponentials are infinite, and scores whose exponentials are all 0."""


def _logp(scores: Array) -> Array:
    shifted = scores - scores.max(axis=-1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def _picked(logp: Array, labels: Array) -> Array:
    result: Array = logp[np.arange(len(labels)), labels]
    return result


def _rows(pick: Pick) -> Arguments:
    return {"scores": pick.array(pick.integer(1, 3), pick.integer(2, 4))}


def _labelled(pick: Pick) -> Arguments:
    rows, classes = pick.integer(1, 3), pick.integer(2, 4)
    labels = np.array([pick.integer(0, classes - 1) for _ in range(rows)])
    return {"scores": pick.array(rows, classes), "labels": labels}


_LOG_MISTAKES: dict[str, Callable[..., Any]] = {
    "these are probabilities; their logarithms are wanted": lambda scores: np.exp(_logp(scores)),
    "you sum over the whole array; each row has a sum of its own: axis=-1, keepdims=True": lambda scores: (
        scores - np.log(np.exp(scores).sum())
    ),
    "you sum down the columns; the classes of one example stand in a row: axis=-1": lambda scores: (
        scores - np.log(np.exp(scores).sum(axis=0))
    ),
    "the shift is subtracted in one place only; take it from the scores first, then use the shifted ones": lambda s: (
        s - np.log(np.exp(s - s.max(axis=-1, keepdims=True)).sum(axis=-1, keepdims=True))
    ),
    "the sum over the classes is missing, or its logarithm": lambda s: s - s.max(axis=-1, keepdims=True),
    "the sign: a logarithm of a probability is never above 0": lambda scores: -_logp(scores),
}


def _keeps_its_head(answer: Any) -> None:
    """Refuse an answer that overflows, underflows, or changes when all scores of a row are shifted."""
    with np.errstate(all="ignore"):
        found = ask(answer, _HUGE.copy())
        moved = ask(answer, _HUGE / 1e4 + 1000.0)
    likely = "exp(1e4) is inf, and log(exp(-1e4)) is -inf: subtract each row's largest score before anything else"
    if trouble := difference(found, _logp(_HUGE)):
        raise Wrong(f"scores of 10,000 are too much for it: {trouble}", likely, yours=found, wanted=_logp(_HUGE))
    if trouble := difference(moved, _logp(_HUGE / 1e4)):
        raise Wrong(f"adding 1000 to all scores may change nothing: {trouble}", likely, yours=moved)


@exercise(
    "05.1",
    "log-probabilities that stay finite at scores of 10,000 and do not feel a shift",
    solution="log_softmax",
    hints=[
        "log(e^s / Σ e^s) = s − log Σ e^s. First write it just like this; each row has its own sum.",
        "A shift changes nothing, so choose one: shifted = scores - scores.max(axis=-1, keepdims=True).",
        "return shifted - np.log(…), and inside stands the sum of np.exp(shifted) with axis=-1, keepdims=True.",
    ],
)
def log_softmax(answer: Any) -> None:
    """Hold the answer against the shifted formula, first on everyday scores, then on huge ones."""
    compare(answer, _logp, _rows, _LOG_MISTAKES)
    _keeps_its_head(answer)


def _surprise(scores: Array, labels: Array) -> Any:
    return -_picked(_logp(scores), labels).mean()


_ENTROPY_MISTAKES: dict[str, Callable[..., Any]] = {
    "you add the surprises; their mean is wanted": lambda s, t: -_picked(_logp(s), t).sum(),
    "the sign: surprise is minus the logarithm": lambda s, t: _picked(_logp(s), t).mean(),
    "you average over all classes; only the right one of each row counts": lambda s, t: -_logp(s).mean(),
    "each row needs its own label: index with [np.arange(len(labels)), labels], not [:, labels]": lambda s, t: (
        -_logp(s)[:, t].mean()
    ),
    "that is the mean probability; take the logarithm of each": lambda s, t: -np.exp(_picked(_logp(s), t)).mean(),
    "you take the logarithm of the mean; take the mean of the logarithms": lambda s, t: (
        -np.log(np.exp(_picked(_logp(s), t)).mean())
    ),
    "that is one surprise per row; return their mean": lambda s, t: -_picked(_logp(s), t),
    "you pick the raw score; it must become a log-probability first": lambda s, t: -_picked(s, t).mean(),
}


@exercise(
    "05.2",
    "the mean surprise, finite even where the network is certain and wrong",
    solution="cross_entropy",
    hints=[
        "log_softmax(scores) has a row for each example. Of each row you need one number: that in column labels[n].",
        "With two lists of places NumPy picks pair by pair: table[[0, 1], [2, 0]] is table[0, 2] and table[1, 0].",
        "picked = log_softmax(scores)[np.arange(len(labels)), labels]; surprise is minus that; return the mean.",
    ],
)
def cross_entropy(answer: Any) -> None:
    """Hold the answer against the mean of −log p, then ask about a prediction that is certain and wrong."""
    compare(answer, _surprise, _labelled, _ENTROPY_MISTAKES)
    labels = np.array([2, 0])
    with np.errstate(all="ignore"):
        found = ask(answer, _HUGE.copy(), labels)
    if trouble := difference(found, _surprise(_HUGE, labels)):
        likely = "log(softmax(…)) is log(0) here; begin with log_softmax"
        raise Wrong(f"certain and wrong: {trouble}", likely, scores=_HUGE, yours=found, wanted=_surprise(_HUGE, labels))


def _push(scores: Array, labels: Array) -> Array:
    result: Array = (np.exp(_logp(scores)) - np.eye(scores.shape[1])[labels]) / len(labels)
    return result


_PUSH_MISTAKES: dict[str, Callable[..., Any]] = {
    "the loss is a mean over the rows: divide by their number": lambda s, t: _push(s, t) * len(t),
    "you divide by the number of classes; the mean is over the rows": lambda s, t: _push(s, t) * len(t) / s.shape[1],
    "the other way round: p − y, because raising the right score lowers the loss": lambda s, t: -_push(s, t),
    "these are the probabilities; the right class still has to lose its 1": lambda s, t: np.exp(_logp(s)) / len(t),
    "log p − y: take exp() of the log-probabilities first": lambda s, t: (_logp(s) - np.eye(s.shape[1])[t]) / len(t),
    "only the right class is pushed; softmax ties the others to it: all get p": lambda s, t: (
        _push(s, t) * np.eye(s.shape[1])[t]
    ),
}


@exercise(
    "05.3",
    "p − y over the number of rows, as measured by central differences",
    solution="pushes",
    hints=[
        "In the first picture, what is the arrow of a class whose bar is p? And that of the right class?",
        "Begin with the probabilities, np.exp(log_softmax(scores)). Take 1 away at [np.arange(len(labels)), labels].",
        "cross_entropy is a mean over rows, so everything is divided by len(labels) before you return it.",
    ],
)
def pushes(answer: Any) -> None:
    """Hold the answer against p − y, and against a measurement of the loss itself."""
    compare(answer, _push, _labelled, _PUSH_MISTAKES)

    def examine(scores: Array, labels: Array) -> None:
        measured = numeric_jacobian(lambda s: _surprise(s, labels), scores).reshape(scores.shape)
        found = ask(answer, scores.copy(), labels.copy())
        if trouble := difference(found, measured, 1e-5, 1e-7):
            raise Wrong(f"not what is measured: {trouble}", yours=found, wanted=measured)

    forall(_labelled, examine, tries=20)
