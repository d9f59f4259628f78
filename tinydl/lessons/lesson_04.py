"""Lesson 4, from numbers to tensors: its exercises and how they are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.lessons.exercise import (
    Arguments,
    Wrong,
    ask,
    compare,
    difference,
    exercise,
    forall,
    likely_mistake,
    need_function,
)
from tinydl.lessons.search import Pick
from tinydl.ops.movement import sum_to
from tinydl.shapes import Array, Shape


def _stretch(pick: Pick) -> Arguments:
    """Make a gradient, and a shape that broadcasting stretches to the gradient's."""
    full = [pick.integer(1, 3) for _ in range(pick.integer(1, 3))]
    kept = full[pick.integer(0, len(full)) :]
    shape = tuple(pick.one_of((1, size)) for size in kept)
    return {"g": pick.array(*full), "shape": shape}


def _axes(g: Array, shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes of g that are new, and those that were of size 1."""
    lead = g.ndim - len(shape)
    return tuple(range(lead)), tuple(i + lead for i, size in enumerate(shape) if size == 1)


def _mean(g: Array, shape: Shape) -> Any:
    new, ones = _axes(g, shape)
    return g.mean(axis=new + ones).reshape(shape)


def _new_axes_only(g: Array, shape: Shape) -> Any:
    return g.sum(axis=_axes(g, shape)[0])


def _without_keepdims(g: Array, shape: Shape) -> Any:
    new, ones = _axes(g, shape)
    return g.sum(axis=new + ones)


def _ones_only(g: Array, shape: Shape) -> Any:
    return g.sum(axis=_axes(g, shape)[1], keepdims=True)


def _first_copy(g: Array, shape: Shape) -> Any:
    new, ones = _axes(g, shape)
    return g[tuple(slice(0, 1) if i in new + ones else slice(None) for i in range(g.ndim))].reshape(shape)


_UNBROADCAST_MISTAKES: dict[str, Callable[..., Any]] = {
    "you return g as it came; it must get the shape of what was stretched": lambda g, shape: g,
    "you average the copies; each of them changes the loss, so their slopes are added": _mean,
    "the new axes in front are gone, but an axis of size 1 was stretched too: sum it, keepdims=True": _new_axes_only,
    "an axis of size 1 must stay as an axis: sum it with keepdims=True": _without_keepdims,
    "axes that broadcasting put in front are still there: sum over the first g.ndim - len(shape) axes": _ones_only,
    "you keep the slope of one copy and drop the others; add them": _first_copy,
    "everything is added up; only the axes that were stretched may be": lambda g, shape: np.full(shape, g.sum()),
}


@exercise(
    "04.1",
    "what was stretched on the way forward is added up on the way back, for 200 pairs of shapes",
    solution="unbroadcast",
    hints=[
        "Two things can have happened: axes were put in front, and axes of size 1 were copied. Undo both.",
        "How many axes are new? g.ndim - len(shape). g.sum(axis=(0, 1)) sums over two at once; axis=() over none.",
        "Now g has as many axes as shape. For each i where shape[i] == 1: g = g.sum(axis=i, keepdims=True).",
    ],
)
def unbroadcast(answer: Any) -> None:
    """Hold the answer against the library's on shapes of up to three axes; g itself must stay as it was."""
    compare(answer, sum_to, _stretch, _UNBROADCAST_MISTAKES)

    def examine(g: Array, shape: Shape) -> None:
        before = g.copy()
        ask(answer, g, shape)
        if not np.array_equal(g, before):
            raise Wrong("the g that you were given is changed afterwards", before=before, after=g)

    forall(_stretch, examine, tries=50)


def _product(pick: Pick) -> Arguments:
    rows, inner, columns = (pick.integer(1, 3) for _ in range(3))
    return {"g": pick.array(rows, columns), "a": pick.array(rows, inner), "b": pick.array(inner, columns)}


def _both(g: Array, a: Array, b: Array) -> tuple[Any, Any]:
    return g @ b.T, a.T @ g


_MATMUL_MISTAKES: dict[str, Callable[..., Any]] = {
    "the two are in the wrong order: the gradient of a comes first": lambda g, a, b: _both(g, a, b)[::-1],
    "both lie on their side: each must have the shape of its own operand": lambda g, a, b: (b @ g.T, g.T @ a),
    "that is the answer for a g full of ones; multiply by the g that comes in": lambda g, a, b: _both(
        np.ones_like(g), a, b
    ),
    "you average over the rows; the loss does that already, if it is a mean": lambda g, a, b: (
        g @ b.T,
        a.T @ g / len(a),
    ),
    "the sign: nothing is subtracted in a product": lambda g, a, b: (-g @ b.T, -a.T @ g),
}


def _flat(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose result is one row of numbers, which can be compared whatever the shapes."""
    return lambda g, a, b: np.concatenate([np.ravel(part) for part in function(g, a, b)])


@exercise(
    "04.2",
    "both gradients of a matrix product, in their shapes",
    solution="matmul_grads",
    hints=[
        "b[k, j] is multiplied by a[n, k] in every row n, so its slope is Σ over n of a[n, k] · g[n, j].",
        "Let the shapes lead you. a is N×K, b is K×O, g is N×O. Which product with g is K×O? Which one is N×K?",
        "return g @ b.T, …   and the second is built like it: a.T comes from the left.",
    ],
)
def matmul_grads(answer: Any) -> None:
    """Hold both results against the transposed products."""
    need_function(answer)
    mistakes = {sentence: _flat(mistake) for sentence, mistake in _MATMUL_MISTAKES.items()}

    def examine(g: Array, a: Array, b: Array) -> None:
        found, right = ask(answer, g.copy(), a.copy(), b.copy()), _both(g, a, b)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Wrong("two gradients are wanted: return that of a, that of b", yours=found, wanted=right)
        for name, one, other in zip("ab", found, right):
            if trouble := difference(one, other):
                likely = likely_mistake(_flat(answer), _product, mistakes)
                raise Wrong(f"the gradient of {name}: {trouble}", likely, yours=one, wanted=other)

    forall(_product, examine)
