"""One training run from settings to a folder of results: what `tinydl train` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinydl import checkpoint, zoo
from tinydl.callbacks import Average, Checkpoint, CSVLog, EarlyStopping, Progress, Schedule
from tinydl.compress.prune import L1Penalty
from tinydl.config import RunConfig
from tinydl.data import DataLoader, ImageDataset, Subset, load, random_split
from tinydl.data.transforms import Compose, Cutout, ElasticDeformation, RandomAffine
from tinydl.nn import Module
from tinydl.nn.functional import cross_entropy
from tinydl.ops import softmax
from tinydl.optim import EMA, SGD, Adam, AdamW, Optimizer, RMSprop, lr_scheduler
from tinydl.plots import confusion, curves, mistakes, save
from tinydl.random import manual_seed
from tinydl.train import Callback, Evaluation, Trainer, evaluate

EVALUATION_BATCH = 500


def make_model(config: RunConfig) -> Module:
    """Return the network of `config` for digits of one channel, freshly initialised from the default generator."""
    settings: dict[str, Any] = {"small": True} if "small" in zoo.options(config.model) else {}
    if config.width is not None:
        settings["width"] = config.width
    return zoo.build(config.model, num_classes=10, in_channels=1, dropout=config.dropout, **settings)


def make_optimizer(config: RunConfig, model: Module) -> Optimizer:
    """Return the optimizer of `config` for the parameters of `model`."""
    lr, decay = config.peak_lr, config.weight_decay
    parameters = list(model.parameters())
    if config.optimizer == "sgd":
        return SGD(parameters, lr, config.momentum, weight_decay=decay, nesterov=config.momentum > 0)
    if config.optimizer == "rmsprop":
        return RMSprop(parameters, lr, weight_decay=decay, momentum=config.momentum)
    return (AdamW if config.optimizer == "adamw" else Adam)(parameters, lr, weight_decay=decay)


def make_schedule(config: RunConfig, optimizer: Optimizer, steps: int) -> Schedule | None:
    """Return the schedule of `config` over `steps` optimizer steps, None for a constant learning rate."""
    epochs = config.epochs
    by_step: dict[str, Callable[[], Any]] = {
        "one-cycle": lambda: lr_scheduler.OneCycleLR(optimizer, config.peak_lr, total_steps=steps),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, steps),
        "warmup-cosine": lambda: _warmup_cosine(optimizer, steps),
    }
    by_epoch: dict[str, Callable[[], Any]] = {
        "step": lambda: lr_scheduler.StepLR(optimizer, max(1, epochs // 3)),
        "multi-step": lambda: lr_scheduler.MultiStepLR(
            optimizer, sorted({max(1, epochs // 2), max(2, epochs * 3 // 4)})
        ),
        "exponential": lambda: lr_scheduler.ExponentialLR(optimizer, 0.01 ** (1 / epochs)),
        "plateau": lambda: lr_scheduler.ReduceLROnPlateau(optimizer, patience=1),
    }
    if config.schedule in by_step:
        return Schedule(by_step[config.schedule](), "step")
    if config.schedule in by_epoch:
        monitor = "validation_loss" if config.schedule == "plateau" else None
        return Schedule(by_epoch[config.schedule](), "epoch", monitor)
    return None


def _warmup_cosine(optimizer: Optimizer, steps: int) -> Any:
    """A tenth of the steps rises linearly, the rest falls as a cosine."""
    warm = max(1, steps // 10)
    rise = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=warm)
    fall = lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps - warm))
    return lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[warm])


def augmentation(name: str) -> list[Any]:
    """Return the random transforms that `name` stands for; they act on normalised images."""
    background = -ImageDataset.mean / ImageDataset.std
    kinds: dict[str, list[Any]] = {
        "affine": [RandomAffine(degrees=10, translate=0.1, scale=(0.9, 1.1), fill=background)],
        "elastic": [ElasticDeformation(fill=background)],
        "cutout": [Cutout(8, fill=background)],
    }
    return [step for kind, steps in kinds.items() if name in (kind, "all") for step in steps]


def split(train: ImageDataset, config: RunConfig) -> tuple[DataLoader, DataLoader]:
    """Return loaders of the training images (shuffled, augmented) and of those that `config` holds out.

    Raises: ValueError when `config.limit` leaves fewer than 5 images.
    """
    n = len(train) if config.limit is None else min(config.limit, len(train))
    held_out = min(config.validation, n // 5)
    if held_out < 1:
        raise ValueError(f"limit must leave at least 5 images to split, got {n}")
    order = np.random.default_rng(config.seed)
    fit, held, _ = random_split(train, [n - held_out, held_out, len(train) - n], order)
    steps = augmentation(config.augment)
    if steps:
        seen = train.with_transform(Compose([train.standard(), *steps]))
        fit = type(fit)(seen, fit.indices)
    return DataLoader(fit, config.batch_size, shuffle=True), DataLoader(held, EVALUATION_BATCH)


class Experiment:
    """A run of `config` with results in `folder`.

    Args:
        config: the settings.
        folder: where checkpoints, history and pictures go; it is made.
        show: whether to draw a progress bar (None: on a terminal).
        say: what prints a line.

    Raises: OSError when the folder cannot be made or the data cannot be had.
    """

    def __init__(
        self, config: RunConfig, folder: Path, show: bool | None = None, say: Callable[[str], None] = print
    ) -> None:
        self.config, self.folder, self.say, self.show = config, folder, say, show
        folder.mkdir(parents=True, exist_ok=True)
        manual_seed(config.seed)
        train, self.test = load(config.data, say=say)
        self.data_name = type(train).__name__
        self.loader, self.validation = split(train, config)
        self.model = make_model(config)
        self.optimizer = make_optimizer(config, self.model)
        steps = config.epochs * -(-len(self.loader) // config.accumulate)
        self.schedule = make_schedule(config, self.optimizer, steps)
        self.ema = EMA(self.model, config.ema, warmup=True) if config.ema else None
        self.trainer = Trainer(
            self.model,
            self.optimizer,
            lambda y, target: cross_entropy(y, target, label_smoothing=config.label_smoothing),
            config.clip,
            config.accumulate,
            L1Penalty(config.l1, types=(Module,)) if config.l1 else None,
            self._callbacks(),
        )

    def _callbacks(self) -> list[Callback]:
        """Averaging and the schedule act before what reports and saves."""
        found: list[Callback | None] = [
            Average(self.ema) if self.ema else None,
            self.schedule,
            EarlyStopping(patience=self.config.patience) if self.config.patience is not None else None,
            CSVLog(self.folder / "history.csv"),
            Checkpoint(self.save_last, self.save_best),
            Progress(self.show, self.say),
        ]
        return [callback for callback in found if callback is not None]

    # ---- checkpoints

    def _parts(self) -> dict[str, Any]:
        scheduler = self.schedule.scheduler if self.schedule else None
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": scheduler,
            "loader": self.loader,
            "ema": self.ema,
            "trainer": self.trainer,
        }

    def save_last(self) -> None:
        """Write everything a run needs to go on, bit for bit."""
        checkpoint.save(checkpoint.capture(extra=self.data_name, **self._parts()), self.folder / "last.safetensors")

    def save_best(self) -> None:
        """Write the weights alone (the averaged ones, if they are what is validated)."""
        if self.ema is None:
            checkpoint.save_weights(self.model, self.folder / "best.safetensors")
        else:
            with self.ema.applied():
                checkpoint.save_weights(self.model, self.folder / "best.safetensors")

    def resume(self) -> None:
        """Go back to where `last.safetensors` was written.

        Raises: ValueError when the file is damaged, or of another run or data set.
        """
        state = checkpoint.load(self.folder / "last.safetensors")
        if state["extra"] != self.data_name:
            raise ValueError(f"the run was trained on {state['extra']}, but now the data is {self.data_name}")
        checkpoint.restore(state, **self._parts())

    # ---- the run

    def run(self) -> Evaluation:
        """Train, then test the best weights once, write the pictures, and return what the test measured.

        Raises: Interrupted at a signal, with everything saved.
        """
        self.config.save(self.folder / "config.json")
        self.trainer.fit(self.loader, self.config.epochs, self.validation)
        checkpoint.load_weights(self.folder / "best.safetensors", self.model)
        tested = evaluate(self.model, test_loader(self.test, self.config))
        self._draw(tested)
        return tested

    def _draw(self, tested: Evaluation) -> None:
        images = self.test.images[: len(tested.targets)]
        found = tested.targets, tested.predictions
        save(self.folder / "curves.png", curves, self.trainer.history)
        save(self.folder / "confusion.png", confusion, *found, self.test.classes)
        save(self.folder / "mistakes.png", mistakes, images, *found, softmax(tested.logits, 1))


def test_loader(test: ImageDataset, config: RunConfig) -> DataLoader:
    """Return the test images in order, no more than `config.limit`."""
    n = len(test) if config.limit is None else min(config.limit, len(test))
    return DataLoader(Subset(test, np.arange(n)), EVALUATION_BATCH)
