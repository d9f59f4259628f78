"""Callbacks of a training run: progress bar, early stopping, checkpoints, CSV, schedules, averaged weights."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinydl.optim import EMA
from tinydl.storage import write_atomically
from tinydl.train import Callback, Row, Trainer


class Progress(Callback):
    """A tqdm bar an epoch: loss, accuracy, images/s, time left; then one line with the epoch's figures.

    Args:
        show: False switches the bar off and leaves the lines; None shows it only on a terminal.
        say: what prints the line.
    """

    def __init__(self, show: bool | None = None, say: Callable[[str], None] = print) -> None:
        self.disable = None if show is None else not show
        self.say = say
        self.bar: Any = None

    def on_step_end(self, trainer: Trainer) -> None:
        """Move the bar on by one batch."""
        from tqdm import tqdm

        batches = len(trainer.loader)
        done = (trainer.step - 1) % batches + 1
        if self.bar is None:
            self.bar = tqdm(
                total=batches,
                initial=done - 1,
                desc=f"epoch {trainer.epoch + 1}/{trainer.epochs}",
                unit="batch",
                leave=False,
                disable=self.disable,
            )
        figures = trainer.tally.row()
        self.bar.set_postfix_str(
            f"loss {figures['train_loss']:.4f}, accuracy {figures['train_accuracy']:.2%}, "
            f"{trainer.images_per_second:,.0f} images/s",
            refresh=False,
        )
        self.bar.update()

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Close the bar and print the epoch's line."""
        self._close()
        row = trainer.history[-1]
        line = f"epoch {trainer.epoch}/{trainer.epochs}: loss {row['train_loss']:.4f}"
        if "validation_accuracy" in row:
            line += f", validation loss {row['validation_loss']:.4f}, accuracy {row['validation_accuracy']:.2%}"
        self.say(f"{line}, {row['images_per_second']:,.0f} images/s")

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the bar of an epoch that was not finished."""
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class Schedule(Callback):
    """Steps a learning-rate schedule.

    Args:
        scheduler: one of `tinydl.optim.lr_scheduler`.
        every: "step" after each optimizer step, "epoch" after each epoch.
        monitor: the column of the history that ReduceLROnPlateau is told; None for schedules that are told nothing.

    Raises: ValueError for another `every`.
    """

    def __init__(self, scheduler: Any, every: str = "epoch", monitor: str | None = None) -> None:
        if every not in ("step", "epoch"):
            raise ValueError(f'every must be "step" or "epoch", got {every!r}')
        self.scheduler, self.every, self.monitor = scheduler, every, monitor

    def on_step_end(self, trainer: Trainer) -> None:
        """Step the schedule if the optimizer has just been stepped."""
        if self.every == "step" and trainer.stepped:
            self.scheduler.step()

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Step the schedule, with the figure it wants to see."""
        if self.every == "epoch":
            self.scheduler.step(*([] if self.monitor is None else [trainer.history[-1][self.monitor]]))


class EarlyStopping(Callback):
    """Ends training when a figure has not improved for `patience` epochs.

    Args:
        monitor: a column of the history.
        patience: how many epochs without improvement are borne.
        mode: "min" or "max".
        min_delta: what counts as an improvement.

    Raises: ValueError for a mode or patience out of range.

    Source: Prechelt 1998, Early stopping — but when?
    """

    def __init__(
        self, monitor: str = "validation_loss", patience: int = 3, mode: str = "min", min_delta: float = 0.0
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f'mode must be "min" or "max", got {mode!r}')
        if patience < 0:
            raise ValueError(f"patience must not be negative, got {patience}")
        self.monitor, self.patience, self.sign, self.min_delta = (
            monitor,
            patience,
            1 if mode == "min" else -1,
            min_delta,
        )

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Look back over the history, so that a resumed run stops where the whole run would."""
        if self.waited(trainer.history) > self.patience:
            trainer.stop = True

    def waited(self, history: list[Row]) -> int:
        """Return the number of epochs since the best one."""
        best, since = float("inf"), 0
        for row in history:
            value = self.sign * row[self.monitor]
            best, since = (value, 0) if value < best - self.min_delta else (best, since + 1)
        return since


class Checkpoint(Callback):
    """Saves after each epoch, at an interruption, and whenever a figure is the best so far.

    Args:
        save_last: called to write the state to go on from.
        save_best: called when `monitor` is better than in every epoch before.
        monitor: a column of the history.
        mode: "min" or "max".
    """

    def __init__(
        self,
        save_last: Callable[[], None],
        save_best: Callable[[], None],
        monitor: str = "validation_accuracy",
        mode: str = "max",
    ) -> None:
        self.save_last, self.save_best, self.monitor = save_last, save_best, monitor
        self.sign = 1 if mode == "max" else -1
        self.saved_at = -1

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Save the best before the last, so that a crash between the two loses nothing."""
        values = [self.sign * row[self.monitor] for row in trainer.history]
        if len(values) == 1 or values[-1] > max(values[:-1]):
            self.save_best()
        self._save(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Save where a signal has stopped the run; after an error the last good checkpoint stays."""
        if trainer.interrupted and trainer.step != self.saved_at:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        self.save_last()
        self.saved_at = trainer.step


class CSVLog(Callback):
    """Writes the history to a CSV file after each epoch, whole and atomically."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write all rows."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(trainer.history[-1]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(trainer.history)
        write_atomically(self.path, text.getvalue().encode())


class Average(Callback):
    """Keeps an exponential moving average of the weights, and validates with it."""

    def __init__(self, ema: EMA) -> None:
        self.ema = ema

    def on_step_end(self, trainer: Trainer) -> None:
        """Move the average if the optimizer has just been stepped."""
        if trainer.stepped:
            self.ema.update()

    def on_validation(self, trainer: Trainer) -> Any:
        """Validate with the averaged weights."""
        return self.ema.applied()
