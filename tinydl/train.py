"""Training: `fit` a model, `evaluate` it, and the Trainer that callbacks look at.

    history = fit(model, train_loader, validation=validation_loader, epochs=5)

is all a program needs; a hand-written loop of the same four lines as in PyTorch works just as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tinydl.interrupts import catch_signals
from tinydl.modes import no_grad
from tinydl.nn import Module
from tinydl.nn.functional import cross_entropy
from tinydl.nn.utils import clip_grad_norm_
from tinydl.optim import Adam, Optimizer
from tinydl.shapes import Array
from tinydl.tensor import Tensor

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Row: TypeAlias = dict[str, float]
Batches: TypeAlias = Iterable[tuple[Tensor, Tensor]]


class Interrupted(Exception):  # noqa: N818  (it is an end, not an error)
    """Training stopped at a signal, between two steps; `signal` is its number, 128 + `signal` the usual exit code."""

    def __init__(self, signal: int) -> None:
        super().__init__(f"stopped by signal {signal}")
        self.signal = signal


class Callback:
    """What a training run calls at its stations; every method may be left out."""

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first step of `fit` (also when it goes on from a checkpoint)."""

    def on_gradients(self, trainer: Trainer) -> None:
        """Before each optimizer step, with the gradients that it is going to use."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After each batch; an optimizer step has been made unless gradients are still being accumulated."""

    def on_validation(self, trainer: Trainer) -> Any:
        """Return a context manager to validate in, or None."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After validation, with the epoch's row at the end of `trainer.history`."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch, or after an interruption."""


@dataclass
class Evaluation:
    """What `evaluate` measured over a data set.

    Attributes:
        loss: the mean loss a sample.
        accuracy: the share of samples whose largest logit is the target's.
        logits: the model's outputs (n, classes).
        targets: the class indices (n,).
    """

    loss: float
    accuracy: float
    logits: Array
    targets: Array

    @property
    def predictions(self) -> Array:
        """The class with the largest logit, for each sample."""
        return np.asarray(self.logits.argmax(axis=1))


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Put `model` into evaluation mode without recording; the old modes of all its parts return afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def evaluate(model: Module, data: Batches, loss: Loss = cross_entropy) -> Evaluation:
    """Return loss, accuracy, logits and targets of `model` over `data`, in evaluation mode.

    Args:
        model: maps a batch of inputs to logits (N, C).
        data: yields (inputs, class indices).
        loss: a mean over the batch.

    Raises: ValueError when `data` yields nothing.
    """
    logits, targets, total = [], [], 0.0
    with evaluating(model):
        for x, target in data:
            y = model(x)
            total += loss(y, target).item() * len(target)
            logits.append(y.data)
            targets.append(target.data)
    if not targets:
        raise ValueError("evaluate: data must yield at least one batch, got none")
    outputs, truth = np.concatenate(logits), np.concatenate(targets)
    accuracy = float(np.mean(outputs.argmax(axis=1) == truth))
    return Evaluation(total / len(truth), accuracy, outputs, truth)


@dataclass
class Tally:
    """Sums over the epoch so far; its means are the epoch's training figures."""

    loss: float = 0.0
    correct: int = 0
    seen: int = 0

    def add(self, loss: float, outputs: Array, targets: Array) -> None:
        """Count one batch. `correct` counts only where targets are class indices."""
        self.loss += loss * len(targets)
        self.seen += len(targets)
        if outputs.ndim == 2 and targets.ndim == 1:
            self.correct += int(np.sum(outputs.argmax(axis=1) == targets))

    def row(self) -> Row:
        """Return the means; nothing seen gives zeros."""
        n = max(self.seen, 1)
        return {"train_loss": self.loss / n, "train_accuracy": self.correct / n}


@dataclass
class Trainer:
    """One training run: the loop, its state, and what callbacks may look at and change.

    Attributes:
        model, optimizer, loss: what is trained, how, and on what measure.
        clip: the largest gradient norm, or None.
        accumulate: how many batches' gradients are averaged into one optimizer step.
        penalty: an extra term of the loss, computed from the model (L1, …), or None.
        epoch, step: how many of each are done; `step` counts batches over the whole run.
        history: a row of figures for each finished epoch.
        stop: set it to end training after the current epoch.
        loader: the data of the current `fit`.
        stepped: whether the last batch ended in an optimizer step (with `accumulate`, not every one does).
        interrupted: whether `fit` ended at a signal (not by an error, after which weights may be spoilt).
        images_per_second: training speed over the epoch so far.
    """

    model: Module
    optimizer: Optimizer
    loss: Loss = cross_entropy
    clip: float | None = None
    accumulate: int = 1
    penalty: Callable[[Module], Tensor] | None = None
    callbacks: Sequence[Callback] = ()
    epoch: int = 0
    step: int = 0
    epochs: int = 0
    history: list[Row] = field(default_factory=list)
    stop: bool = False
    loader: Any = None
    tally: Tally = field(default_factory=Tally)
    stepped: bool = False
    interrupted: bool = False
    images_per_second: float = 0.0

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, got {self.accumulate}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}")

    def state_dict(self) -> dict[str, Any]:
        """Return where the run stands (the parts have state dicts of their own)."""
        return {"epoch": self.epoch, "step": self.step, "history": list(self.history), "tally": vars(self.tally).copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where a run stood."""
        tally = Tally(**state["tally"])
        self.epoch, self.step = int(state["epoch"]), int(state["step"])
        self.history, self.tally = [dict(row) for row in state["history"]], tally

    def fit(self, loader: Batches, epochs: int, validation: Batches | None = None) -> list[Row]:
        """Train until `epochs` epochs are done in all; return the history.

        Raises: Interrupted at SIGINT or SIGTERM, after the step at hand and the callbacks' `on_fit_end`;
            FloatingPointError when the loss is NaN or infinite, before the weights are touched.
        """
        if epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {epochs}")
        self.loader, self.epochs, self.stop, self.interrupted = loader, epochs, False, False
        with catch_signals() as caught:
            self._call("on_fit_start")
            try:
                while self.epoch < epochs and not self.stop and not caught:
                    if not self._epoch(caught):
                        break
                    self._finish_epoch(validation)
                self.interrupted = bool(caught)
            finally:
                self._call("on_fit_end")
            if caught:
                raise Interrupted(caught[0])
        return self.history

    def _epoch(self, caught: list[int]) -> bool:
        """Train on what is left of this epoch's batches; return whether it was finished."""
        self.model.train()
        started, seen = time.perf_counter(), self.tally.seen
        batches = len(self.loader)
        for x, target in self.loader:
            last = (self.step + 1) % batches == 0
            self.train_step(x, target, last)
            self.images_per_second = (self.tally.seen - seen) / (time.perf_counter() - started)
            self._call("on_step_end")
            if caught and self.stepped and not last:
                return False
        return True

    def train_step(self, x: Tensor, target: Tensor, last: bool = False) -> float:
        """Learn from one batch and return its loss (without the penalty).

        The optimizer steps at every `accumulate`-th batch of an epoch and at its `last`, so that no gradient is carried
        over into the next epoch, where a checkpoint would lose it.
        """
        y = self.model(x)
        loss = self.loss(y, target)
        value = loss.item()
        if not np.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {self.step} (epoch {self.epoch + 1}); the weights are as after step "
                f"{self.step - 1}. A lower learning rate, gradient clipping, or detect_anomaly() may help"
            )
        total = loss if self.penalty is None else loss + self.penalty(self.model)
        (total if self.accumulate == 1 else total * (1.0 / self.accumulate)).backward()
        self.step += 1
        self.stepped = last or self.step % len(self.loader or (1,)) % self.accumulate == 0
        if self.stepped:
            if self.clip is not None:
                clip_grad_norm_(self.model.parameters(), self.clip)
            self._call("on_gradients")
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.tally.add(value, y.data, target.data)
        return float(value)

    def _finish_epoch(self, validation: Batches | None) -> None:
        """Validate, write the epoch's row, tell the callbacks."""
        self.epoch += 1
        row: Row = {"epoch": self.epoch, **self.tally.row()}
        if validation is not None:
            with self._validation_context():
                measured = evaluate(self.model, validation, self.loss)
            row |= {"validation_loss": measured.loss, "validation_accuracy": measured.accuracy}
        row |= {"lr": float(self.optimizer.param_groups[0]["lr"]), "images_per_second": self.images_per_second}
        self.history.append(row)
        self.tally = Tally()
        self._call("on_epoch_end")

    @contextmanager
    def _validation_context(self) -> Iterator[None]:
        contexts = [context for callback in self.callbacks if (context := callback.on_validation(self)) is not None]
        if len(contexts) > 1:
            raise ValueError("only one callback may change the model for validation")
        if contexts:
            with contexts[0]:
                yield
        else:
            yield

    def _call(self, station: str) -> None:
        for callback in self.callbacks:
            getattr(callback, station)(self)


def fit(
    model: Module,
    data: Batches,
    *,
    epochs: int = 5,
    validation: Batches | None = None,
    optimizer: Optimizer | None = None,
    loss: Loss = cross_entropy,
    clip: float | None = None,
    accumulate: int = 1,
    penalty: Callable[[Module], Tensor] | None = None,
    callbacks: Sequence[Callback] = (),
) -> list[Row]:
    """Train `model` on `data` and return a row of figures for each epoch.

    Args:
        model: maps inputs to what `loss` takes.
        data: yields (inputs, targets); a DataLoader or anything with a length that can be iterated over again.
        epochs: how often to go through the data.
        validation: data to evaluate on after each epoch.
        optimizer: Adam with its defaults when None.
        loss: takes (outputs, targets), returns a scalar.
        clip: the largest norm of all gradients together; larger ones are scaled down.
        accumulate: batches whose gradients are averaged into one step.
        penalty: an extra loss term computed from the model.
        callbacks: see `tinydl.callbacks`.

    Raises: ValueError for numbers out of range; FloatingPointError for a loss that is not finite; Interrupted.
    """
    optimizer = optimizer or Adam(model.parameters())
    trainer = Trainer(model, optimizer, loss, clip, accumulate, penalty, callbacks)
    return trainer.fit(data, epochs, validation)
