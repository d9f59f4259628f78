"""Lesson 7, reading the signals: its exercises and how they are checked."""

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
from tinydl.shapes import Array


def _one_weight(pick: Pick) -> Arguments:
    return {"outputs": pick.one_of((300, 500)), "inputs": pick.one_of((100, 200, 400)), "rng": pick.generator()}


_Draw = Callable[[int, int, np.random.Generator], Any]


def _of_size(size: Callable[[int, int], float]) -> _Draw:
    """Return a start that draws normal numbers of the standard deviation `size(outputs, inputs)`."""
    return lambda outputs, inputs, rng: rng.normal(0, size(outputs, inputs), (outputs, inputs))


_START_MISTAKES: dict[str, _Draw] = {
    "that is the variance; rng.normal wants its square root": _of_size(lambda o, i: 2 / i),
    "that keeps a signal without ReLU; ReLU takes half of the mean square, so it must be doubled first": _of_size(
        lambda o, i: (1 / i) ** 0.5
    ),
    "you divide by the number of outputs; a sum has as many terms as there are inputs": _of_size(
        lambda o, i: (2 / o) ** 0.5
    ),
    "that is the mean of inputs and outputs, a compromise with the way back; here only inputs count": _of_size(
        lambda o, i: (2 / (o + i)) ** 0.5
    ),
    "the 2 belongs under the root too: √2 / √inputs": _of_size(lambda o, i: 2 / i**0.5),
    "the numbers still have standard deviation 1: divide by √(inputs / 2)": _of_size(lambda o, i: 1.0),
}
_LARGE, _SMALL = 1.1, 0.9
"""How far the size of a signal may be off after one layer."""


def _deviation(draw: Any) -> Callable[..., float]:
    """Return a function of the same arguments that measures what `draw` draws."""
    return lambda *arguments: float(np.std(np.asarray(draw(*arguments), np.float64)))


def _drawn(answer: Any, outputs: int, inputs: int, seed: int) -> Array:
    """Return the weight that an answer draws. Raises: Wrong when it is none."""
    found = ask(answer, outputs, inputs, np.random.default_rng(seed))
    trouble = difference(found, np.zeros((outputs, inputs)), atol=np.inf)
    if trouble:
        turned = np.shape(found) == (inputs, outputs)
        raise Wrong(trouble, "a row for each output: the shape is (outputs, inputs)" if turned else "")
    return np.asarray(found, np.float64)


@exercise(
    "07.1",
    "a signal keeps its size through a layer and its ReLU",
    solution="he",
    hints=[
        "A sum of n independent terms has n times the variance of one, and ReLU halves what comes in. "
        "Which variance of a weight makes up for both?",
        "n · variance / 2 = 1. What you give to rng.normal is a standard deviation, the root of a variance.",
        "rng.normal(0, s, (outputs, inputs)) with s = (2 / inputs) ** 0.5.",
    ],
)
def he(answer: Any) -> None:
    """Take any distribution of mean 0 and variance 2 / inputs that comes from the generator."""
    need_function(answer)

    def examine(outputs: int, inputs: int, rng: np.random.Generator) -> None:
        seed = int(rng.integers(1000))
        weight = _drawn(answer, outputs, inputs, seed)
        signal = np.maximum(np.random.default_rng(seed + 1).normal(0, 2**0.5, (200, inputs)), 0)
        behind = np.maximum(signal @ weight.T, 0)
        size = float(((behind**2).mean() / (signal**2).mean()) ** 0.5)
        if not np.isfinite(size) or not _SMALL < size < _LARGE:
            measured = {sentence: _deviation(draw) for sentence, draw in _START_MISTAKES.items()}
            likely = likely_mistake(_deviation(answer), _one_weight, measured, rtol=0.03)
            raise Wrong(
                "the signal does not keep its size",
                likely,
                size_through_the_layer=f"times {size:.3g}",
                wanted="times 1",
            )
        if abs(weight.mean()) > 0.1 * weight.std():
            raise Wrong("the weights lean to one side", "their mean should be 0", mean=weight.mean())
        if np.array_equal(weight, _drawn(answer, outputs, inputs, seed + 1)):
            raise Wrong("two generators give the same weights", "draw from rng, which is given to you")
        if not np.array_equal(weight, _drawn(answer, outputs, inputs, seed)):
            raise Wrong("one seed gives two different weights", "draw from rng alone")

    forall(_one_weight, examine, tries=12)


def _normalised(x: Array, eps: float) -> tuple[Array, Array]:
    """Return x̂ and the standard deviation, a column each."""
    sd = np.sqrt(x.var(axis=0) + eps)
    return (x - x.mean(axis=0)) / sd, sd


def _backward(g: Array, x: Array, eps: float) -> Array:
    xhat, sd = _normalised(x, eps)
    return np.asarray((g - g.mean(axis=0) - xhat * (g * xhat).mean(axis=0)) / sd)


def _one_batch(pick: Pick) -> Arguments:
    shape = pick.integer(2, 4), pick.integer(1, 3)
    return {"g": pick.array(*shape), "x": pick.array(*shape), "eps": pick.one_of((1.0, 0.5, 0.125))}


def _paths(take: Callable[[Array, Array, Array], Array]) -> Callable[[Array, Array, float], Array]:
    """Return a backward that computes `take(g, x̂, sd)`."""
    return lambda g, x, eps: take(g, *_normalised(x, eps))


_BACKWARD_MISTAKES: dict[str, Callable[..., Any]] = {
    "you treat mean and deviation as constants, but every x of the column moves them": _paths(lambda g, xh, sd: g / sd),
    "the path through the deviation is missing: − x̂ · mean(g · x̂)": _paths(lambda g, xh, sd: (g - g.mean(0)) / sd),
    "the path through the mean is missing: − mean(g)": _paths(lambda g, xh, sd: (g - xh * (g * xh).mean(0)) / sd),
    "you sum over the batch where a mean is needed": _paths(
        lambda g, xh, sd: (g - g.sum(0) - xh * (g * xh).sum(0)) / sd
    ),
    "a mean over everything mixes the channels; take it over axis 0": _paths(
        lambda g, xh, sd: (g - g.mean() - xh * (g * xh).mean()) / sd
    ),
    "the two detours are subtracted: a shift of the column is undone": _paths(
        lambda g, xh, sd: (g + g.mean(0) + xh * (g * xh).mean(0)) / sd
    ),
    "divide by the deviation at the end": _paths(lambda g, xh, sd: g - g.mean(0) - xh * (g * xh).mean(0)),
    "use x̂ in the last term, the normalised x, not x": lambda g, x, eps: (
        (g - g.mean(0) - x * (g * x).mean(0)) / _normalised(x, eps)[1]
    ),
}


@exercise(
    "07.2",
    "all three paths back through the mean and the deviation",
    solution="normalise_backward",
    hints=[
        "x reaches the result in three ways: directly, through the mean, and through the deviation. "
        "Recompute x̂ and sd first.",
        "Directly: g. Through the mean: − mean(g). Through the deviation: − x̂ · mean(g · x̂). "
        "Means go down a column, axis=0.",
        "return (g - g.mean(axis=0) - xhat * (g * xhat).mean(axis=0)) / sd",
    ],
)
def normalise_backward(answer: Any) -> None:
    """Hold the answer against the formula."""
    compare(answer, _backward, _one_batch, _BACKWARD_MISTAKES, rtol=1e-7, atol=1e-9, tries=100)


class _Running:
    """The right answer, and the steps that mistakes change."""

    keeps, unbiased, swapped, watches, fills, moves = 0.9, True, False, False, False, True

    def __init__(self, channels: int) -> None:
        self.mean, self.var, self.training = np.zeros(channels), np.ones(channels), True

    def __call__(self, x: Array, eps: float = 1e-5) -> Array:
        mean, var = x.mean(axis=0), x.var(axis=0)
        if self.moves and (self.training or self.watches):
            n = len(x) / (len(x) - 1) if self.unbiased else 1.0
            self.mean = self.keeps * self.mean + (1 - self.keeps) * mean
            self.var = self.keeps * self.var + (1 - self.keeps) * var * n
        own = (self.training == self.swapped) and not self.fills
        mean, var = (self.mean, self.var) if own else (mean, var)
        return np.asarray((x - mean) / np.sqrt(var + eps))


def _with(**steps: Any) -> type[_Running]:
    """Return the right answer with some steps changed."""
    return type("_Changed", (_Running,), steps)


def _own_in_training(channels: int) -> Callable[[Array], Array]:
    """Return a norm that uses the running statistics always."""

    class Own(_Running):
        def __call__(self, x: Array, eps: float = 1e-5) -> Array:
            super().__call__(x, eps)
            return np.asarray((x - self.mean) / np.sqrt(self.var + eps))

    return Own(channels)


_MEMORY_MISTAKES: dict[str, Callable[[int], Any]] = {
    "evaluation must use the running mean and variance, not those of the batch": _with(fills=True),
    "running statistics move in training only": _with(watches=True),
    "the weights are swapped: keep 0.9 of the old and take 0.1 of the new": _with(keeps=0.1),
    "training and evaluation are swapped": _with(swapped=True),
    "the running variance takes the unbiased variance, x.var(axis=0, ddof=1)": _with(unbiased=False),
    "the running statistics never move: assign self.mean and self.var in training": _with(moves=False),
    "training normalises by the batch's own mean and variance": _own_in_training,
}


def _some_batches(pick: Pick) -> Arguments:
    channels = pick.integer(1, 2)
    batches = [pick.array(pick.integer(2, 3), channels) for _ in range(pick.integer(1, 3))]
    return {"batches": batches, "x": pick.array(2, channels)}


def _played(make: Any) -> Callable[[list[Array], Array], Any]:
    """Return a function that trains on batches, evaluates x, and returns all that can be seen."""

    def play(batches: list[Array], x: Array) -> Any:
        norm = make(x.shape[1])
        seen = [norm(batch) for batch in batches]
        norm.training = False
        seen += [norm(x), norm.mean, norm.var]
        return np.concatenate([np.ravel(one) for one in seen])

    return play


@exercise(
    "07.3",
    "the batch decides in training, the memory in evaluation",
    solution="RunningNorm",
    hints=[
        "Begin with `if self.training:`. Only there do self.mean and self.var move, "
        "and only there does the batch decide.",
        "self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0); the variance likewise, with x.var(axis=0, ddof=1). "
        "The batch itself is normalised by x.var(axis=0).",
        "In both modes return (x - mean) / np.sqrt(var + eps); in evaluation mean, var = self.mean, self.var.",
    ],
)
def running_norm(answer: Any) -> None:
    """Train it, look at its memory, evaluate, and look again."""
    need_function(answer)
    played = {sentence: _played(make) for sentence, make in _MEMORY_MISTAKES.items()}

    def hold(when: str, found: Any, right: Any) -> None:
        if trouble := difference(found, right, 1e-7, 1e-9):
            likely = likely_mistake(_played(answer), _some_batches, played, 1e-7, 1e-9)
            raise Wrong(f"{when}: {trouble}", likely, yours=found, wanted=right)

    def examine(batches: list[Array], x: Array) -> None:
        norm, right = ask(answer, x.shape[1]), _Running(x.shape[1])
        for batch in batches:
            hold("in training", ask(norm, batch.copy()), right(batch))
        _same_memory(hold, "after training", norm, right)
        norm.training = right.training = False
        hold("in evaluation", ask(norm, x.copy()), right(x))
        _same_memory(hold, "after evaluation", norm, right)

    forall(_some_batches, examine, tries=60)


def _same_memory(hold: Callable[[str, Any, Any], None], when: str, norm: Any, right: _Running) -> None:
    for name in ("mean", "var"):
        hold(f"self.{name} {when}", getattr(norm, name, None), getattr(right, name))
