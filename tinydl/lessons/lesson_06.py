"""Lesson 6, MNIST from scratch: its exercises and how they are checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinydl import nn
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
from tinydl.modes import is_grad_enabled, no_grad
from tinydl.nn.functional import cross_entropy
from tinydl.optim import SGD, Optimizer
from tinydl.shapes import Array
from tinydl.tensor import Tensor

Loader: TypeAlias = Sequence[tuple[Tensor, Tensor]]


def _cut(order: Any, size: int) -> list[Any]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _with_replacement(rows: int, size: int, rng: np.random.Generator) -> list[Any]:
    return _cut(rng.integers(0, rows, rows), size)


def _each_batch_anew(rows: int, size: int, rng: np.random.Generator) -> list[Any]:
    return [rng.permutation(rows)[:size] for _ in range(0, rows, size)]


def _overlapping(rows: int, size: int, rng: np.random.Generator) -> list[Any]:
    order = rng.permutation(rows)
    return [order[start : start + size] for start in range(rows)]


def _whole_batches_shuffled(rows: int, size: int, rng: np.random.Generator) -> list[Any]:
    parts = _cut(np.arange(rows), size)
    return [parts[i] for i in rng.permutation(len(parts))]


_BATCH_MISTAKES: dict[str, Callable[..., Any]] = {
    "the rows keep their order: cut rng.permutation(rows), not range(rows)": lambda n, s, r: _cut(np.arange(n), s),
    "the last, shorter batch is left out: let the starts run up to rows": lambda n, s, r: [
        part for part in _cut(r.permutation(n), s) if len(part) == s
    ],
    "rows are drawn with replacement, so some come twice and some never: shuffle all of them once": _with_replacement,
    "each batch shuffles anew, so rows come twice: shuffle once, then cut": _each_batch_anew,
    "the batches overlap: each must start where the one before it ended, `range(0, rows, size)`": _overlapping,
    "whole batches are shuffled, the rows within them keep together: shuffle first, then cut": _whole_batches_shuffled,
    "size is taken for the number of batches; it is the number of rows in each": lambda n, s, r: np.array_split(
        r.permutation(n), s
    ),
    "a generator made inside gives every epoch the same order: use the rng that you are given": lambda n, s, r: _cut(
        np.random.default_rng(0).permutation(n), s
    ),
}


def _listed(answer: Any) -> Callable[..., Any]:
    """Return the answer with its batches as lists of numbers; a generator function is as good as a list."""

    def listed(rows: int, size: int, rng: np.random.Generator) -> Any:
        found = answer(rows, size, rng)
        return found if found is None or found is ... else [np.asarray(part).tolist() for part in found]

    return listed


def _flat_batches(answer: Any) -> Callable[..., Any]:
    """Return a function of a case that gives the batches, then their sizes, as one list: what mistakes agree on."""

    def flat(rows: int, size: int, seed: int) -> Any:
        parts = _listed(answer)(rows, size, np.random.default_rng(seed))
        return [row for part in parts for row in part] + [len(part) for part in parts]

    return flat


def _rows_to_cut(pick: Pick) -> Arguments:
    return {"rows": pick.integer(1, 12), "size": pick.integer(1, 5), "seed": pick.integer(0, 9)}


@exercise(
    "06.1",
    "every row once, in an order that chance decides, in batches of one size",
    solution="batches",
    hints=[
        "rng.permutation(rows) is an array of the row numbers 0 … rows − 1 in a random order.",
        "Where does each batch start? At 0, size, 2·size, …: that is range(0, rows, size).",
        "With order = rng.permutation(rows), collect order[start : start + size] for each start in a list; a slice "
        "that reaches over the end is cut short by itself.",
    ],
)
def batches(answer: Any) -> None:
    """Accept every way to shuffle: what counts is that each row comes once, in full batches, in a new order."""
    need_function(answer)
    flawed = {sentence: _flat_batches(mistake) for sentence, mistake in _BATCH_MISTAKES.items()}

    def wrong(text: str, **details: Any) -> Wrong:
        return Wrong(text, likely_mistake(_flat_batches(answer), _rows_to_cut, flawed), **details)

    def examine(rows: int, size: int, seed: int) -> None:
        found = ask(_listed(answer), rows, size, np.random.default_rng(seed))
        if found is None:
            raise Wrong(difference(found, []))
        if not all(isinstance(part, list) for part in found):
            raise wrong("each batch must hold several row numbers", yours=found)
        sizes = [len(part) for part in _cut(range(rows), size)]
        if [len(part) for part in found] != sizes:
            raise wrong("the batches have other sizes", yours=[len(part) for part in found], wanted=sizes)
        if sorted(row for part in found for row in part) != list(range(rows)):
            raise wrong("not every row comes exactly once", yours=found)

    forall(_rows_to_cut, examine)
    rng = np.random.default_rng(6)
    first, second = (ask(_listed(answer), 200, 50, rng) for _ in range(2))
    if any(part == list(range(part[0], part[0] + 50)) for part in first):
        raise wrong("rows that were neighbours before are neighbours still", the_first_batch=first[0][:5])
    if first == second:
        raise wrong("two epochs have the same order", yours=f"both begin with {first[0][:5]}")


def _train_epoch(model: nn.Module, optimizer: Optimizer, loader: Loader) -> list[float]:
    losses = []
    for x, y in loader:
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _without_zero_grad(model: nn.Module, optimizer: Optimizer, loader: Loader) -> list[float]:
    losses = []
    for x, y in loader:
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _without_step(model: nn.Module, optimizer: Optimizer, loader: Loader) -> list[float]:
    return [cross_entropy(model(x), y).item() for x, y in loader]


def _step_before_backward(model: nn.Module, optimizer: Optimizer, loader: Loader) -> list[float]:
    losses = []
    for x, y in loader:
        loss = cross_entropy(model(x), y)
        optimizer.step()
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
    return losses


def _one_step_at_the_end(model: nn.Module, optimizer: Optimizer, loader: Loader) -> list[float]:
    losses = [cross_entropy(model(x), y) for x, y in loader]
    optimizer.zero_grad()
    losses[-1].backward()
    optimizer.step()
    return [loss.item() for loss in losses]


def _loss_after_the_step(model: nn.Module, optimizer: Optimizer, loader: Loader) -> list[float]:
    losses = []
    for x, y in loader:
        _train_epoch(model, optimizer, [(x, y)])
        losses.append(cross_entropy(model(x), y).item())
    return losses


_LOOP_MISTAKES: dict[str, Callable[..., Any]] = {
    "the gradients of all batches pile up: optimizer.zero_grad() is needed before each backward()": _without_zero_grad,
    "the weights never move: is step() missing, or do you zero the gradients between backward() and step()?": (
        _without_step
    ),
    "step() comes before backward(), so that each step uses the batch before": _step_before_backward,
    "only one step is taken: backward() and step() belong inside the loop": _one_step_at_the_end,
    "only the first batch is used: is the `return` inside the loop?": lambda m, o, data: _train_epoch(m, o, data[:1]),
    "you return the last loss alone; append each to a list": lambda m, o, data: _train_epoch(m, o, data)[-1],
    "you return the sum of the losses; append each to a list": lambda m, o, data: sum(_train_epoch(m, o, data)),
    "that is the loss after the step; the loop needs the one from which the gradient came": _loss_after_the_step,
}


def _samples(rng: np.random.Generator, sizes: Sequence[int]) -> Loader:
    """Return batches of these sizes: two measurements a sample, three classes."""
    return [
        (Tensor(rng.normal(size=(n, 2)).astype(np.float32)), Tensor(rng.integers(0, 3, n).astype(np.int64)))
        for n in sizes
    ]


def _epoch_of(answer: Any) -> Callable[..., Any]:
    """Return a function of a case that gives (the losses, the weights afterwards) of a tiny layer."""

    def run(batches: int, rows: int, seed: int) -> tuple[Any, Array]:
        rng = np.random.default_rng(seed)
        model = nn.Linear(2, 3, generator=rng)
        losses = answer(model, SGD(model.parameters(), lr=0.5), _samples(rng, [rows] * batches))
        return losses, np.round(model.weight.numpy().astype(float), 6)

    return run


def _flat_epoch(answer: Any) -> Callable[..., Any]:
    """Return a function of a case that gives losses and weights as one array: what mistakes agree on."""

    def flat(batches: int, rows: int, seed: int) -> Array:
        losses, weights = _epoch_of(answer)(batches, rows, seed)
        return np.append(losses, weights)

    return flat


def _a_short_epoch(pick: Pick) -> Arguments:
    return {"batches": pick.integer(1, 3), "rows": pick.integer(1, 3), "seed": pick.integer(0, 9)}


@exercise(
    "06.2",
    "one step for each batch, from fresh gradients, and the loss of each",
    solution="train_epoch",
    hints=[
        "The loop is `for x, y in loader:`. For one batch: loss, clear, backward, step. As by hand above.",
        "loss = cross_entropy(model(x), y); then optimizer.zero_grad(), loss.backward(), optimizer.step().",
        "Before the loop, losses = []; at the end of its body, losses.append(loss.item()); after it, return losses.",
    ],
)
def train_epoch(answer: Any) -> None:
    """Hold losses and weights of short epochs against those of the loop above."""
    need_function(answer)
    flawed = {sentence: _flat_epoch(mistake) for sentence, mistake in _LOOP_MISTAKES.items()}

    def examine(**case: int) -> None:
        losses, weights = ask(_epoch_of(answer), *case.values())
        if losses is None:
            raise Wrong(difference(losses, []))
        if isinstance(losses, (list, tuple)) and any(isinstance(loss, Tensor) for loss in losses):
            raise Wrong("the losses are Tensors", "each holds on to the graph of its batch: append loss.item()")
        wanted_losses, wanted_weights = _epoch_of(_train_epoch)(*case.values())
        for what, yours, wanted in (("weights", weights, wanted_weights), ("losses", losses, wanted_losses)):
            if trouble := difference(yours, wanted, 1e-4, 1e-5):
                likely = likely_mistake(_flat_epoch(answer), _a_short_epoch, flawed, 1e-4, 1e-5)
                raise Wrong(f"the {what} of the epoch: {trouble}", likely, yours=yours, wanted=wanted)

    forall(_a_short_epoch, examine, tries=60)


class _Witness(nn.Module):
    """A layer that remembers whether it was recorded."""

    def __init__(self) -> None:
        self.layer = nn.Linear(2, 3, generator=np.random.default_rng(0))
        self.recorded = False

    def forward(self, x: Tensor) -> Tensor:
        self.recorded |= is_grad_enabled()
        return self.layer(x)  # type: ignore[no-any-return]


def _counts(model: nn.Module, loader: Loader) -> list[tuple[int, int]]:
    """Return (right, seen) of each batch."""
    with no_grad():
        return [(int((model(x).numpy().argmax(1) == y.numpy()).sum()), len(y)) for x, y in loader]


def _accuracy(model: nn.Module, loader: Loader) -> float:
    right, seen = np.sum(_counts(model, loader), axis=0)
    return float(right / seen)


def _least_likely(model: nn.Module, loader: Loader) -> float:
    return _accuracy(lambda x: -model(x), loader)  # type: ignore[arg-type]


_ACCURACY_MISTAKES: dict[str, Callable[..., Any]] = {
    "the mean of the batches' shares gives a short last batch too much weight: count right and seen over all": (
        lambda m, data: float(np.mean([right / seen for right, seen in _counts(m, data)]))
    ),
    "that is the share of wrong answers": lambda m, data: 1 - _accuracy(m, data),
    "a share lies between 0 and 1; percent are for printing": lambda m, data: 100 * _accuracy(m, data),
    "that is how many are right; divide by how many were seen": lambda m, data: sum(r for r, _ in _counts(m, data)),
    "you divide by the number of batches; divide by the number of samples": (
        lambda m, data: sum(r for r, _ in _counts(m, data)) / len(data)
    ),
    "that is the last batch alone: count outside of the loop, return after it": lambda m, data: _accuracy(m, data[-1:]),
    "that is the first batch alone: is the `return` inside the loop?": lambda m, data: _accuracy(m, data[:1]),
    "the class is where the logit is largest, not smallest": _least_likely,
}


def _share_of(answer: Any) -> Callable[..., Any]:
    """Return a function of a case that gives the answer for a tiny layer on batches of these sizes."""

    def share(sizes: list[int], seed: int) -> Any:
        rng = np.random.default_rng(seed)
        return answer(nn.Linear(2, 3, generator=rng), _samples(rng, sizes))

    return share


def _uneven_batches(pick: Pick) -> Arguments:
    return {"sizes": [pick.integer(1, 5) for _ in range(pick.integer(1, 3))], "seed": pick.integer(0, 9)}


@exercise(
    "06.3",
    "the share of right answers over all batches, without recording",
    solution="accuracy",
    hints=[
        "Keep two counts over all batches: how many answers were right, and how many samples you saw.",
        "model(x).argmax(1) are the answers to a batch; (… == y).sum().item() is how many of them are right.",
        "Put the loop into `with no_grad():`, add to right and to seen in it, and return right / seen after it.",
    ],
)
def accuracy(answer: Any) -> None:
    """Hold the share against the one counted above, then see whether anything was recorded."""
    need_function(answer)
    flawed = {sentence: _share_of(mistake) for sentence, mistake in _ACCURACY_MISTAKES.items()}
    compare(_share_of(answer), _share_of(_accuracy), _uneven_batches, flawed, tries=100)
    witness = _Witness()
    ask(answer, witness, _samples(np.random.default_rng(0), [2]))
    if witness.recorded:
        raise Wrong("the share is right, but every operation was recorded", "put the loop into `with no_grad():`")
