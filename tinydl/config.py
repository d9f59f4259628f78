"""The settings of one training run, checked where they are made, kept as JSON beside what came of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tinydl import zoo
from tinydl.data import DATASETS
from tinydl.storage import write_atomically

MODELS = ("convnet", "mlp", "cnn3", "cnn1", "lenetish", "mobile")
"""The networks made for digits; any other of the zoo trains as well."""

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
SCHEDULES = ("one-cycle", "cosine", "warmup-cosine", "step", "multi-step", "exponential", "plateau", "constant")
AUGMENTATIONS = ("none", "affine", "elastic", "cutout", "all")

LEARNING_RATES = {"adam": 0.005, "adamw": 0.005, "sgd": 0.05, "rmsprop": 0.001}
"""What `lr=None` means: the peak of the schedule, by optimizer."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run; two runs of one config on one machine give the same bits.

    Attributes:
        data: "auto", "mnist", "fashion-mnist" or "synthetic".
        model: any of `zoo.names()`; those made for larger images get their stem for small ones.
        width: factor of the network's channels, if it has one; None for the network's own.
        epochs, batch_size: how often to go through the data, in pieces of how many images.
        optimizer, schedule: of `OPTIMIZERS` and `SCHEDULES`.
        lr: the peak learning rate; None for the optimizer's default in `LEARNING_RATES`.
        momentum: of SGD and RMSprop.
        weight_decay: L2 (decoupled for AdamW).
        l1: factor of Σ|w| over weights (not biases or norms).
        dropout: probability, before the classifier.
        label_smoothing: share of the target spread over all classes.
        augment: one of `AUGMENTATIONS`.
        ema: decay of the averaged weights; 0 for none.
        clip: largest gradient norm; None for no limit.
        accumulate: batches a step.
        patience: epochs without improvement before stopping; None never stops early.
        validation: how many training images are held out.
        limit: use only this many training images (and as many test images); None for all.
        seed: of weights, order, augmentation, dropout.

    Raises: ValueError naming the setting, what came and what is allowed.
    """

    data: str = "auto"
    model: str = "convnet"
    width: float | None = None
    epochs: int = 5
    batch_size: int = 128
    optimizer: str = "adam"
    schedule: str = "one-cycle"
    lr: float | None = None
    momentum: float = 0.9
    weight_decay: float = 0.0
    l1: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    augment: str = "none"
    ema: float = 0.0
    clip: float | None = None
    accumulate: int = 1
    patience: int | None = None
    validation: int = 5000
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {"data": DATASETS, "model": zoo.names(), "optimizer": OPTIMIZERS, "schedule": SCHEDULES}
        for name, allowed in {**choices, "augment": AUGMENTATIONS}.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}")
        for name in ("epochs", "batch_size", "accumulate", "validation", "limit"):
            self._check(name, lambda v: v >= 1, "at least 1")
        for name in ("weight_decay", "l1", "seed", "patience"):
            self._check(name, lambda v: v >= 0, "at least 0")
        for name in ("momentum", "label_smoothing", "ema"):
            self._check(name, lambda v: 0 <= v < 1, "in [0, 1)")
        self._check("dropout", lambda v: 0 <= v <= 1, "in [0, 1]")
        for name in ("lr", "clip", "width"):
            self._check(name, lambda v: 0 < v < float("inf"), "positive")
        if self.width is not None and "width" not in zoo.options(self.model):
            raise ValueError(f"width does not apply to {self.model}, got {self.width}; its channels are fixed")

    def _check(self, name: str, fits: Any, needed: str) -> None:
        value = getattr(self, name)
        if value is not None and not fits(value):
            raise ValueError(f"{name.replace('_', '-')} must be {needed}, got {value}")

    @property
    def peak_lr(self) -> float:
        """The learning rate in force."""
        return LEARNING_RATES[self.optimizer] if self.lr is None else self.lr

    def save(self, path: Path) -> None:
        """Write the settings as JSON."""
        write_atomically(path, (json.dumps(asdict(self), indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> RunConfig:
        """Read settings written by `save`. Raises: ValueError naming the file when it holds anything else."""
        try:
            return cls.of(json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a tinydl run's config: {error}") from None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> RunConfig:
        """Return the config of `settings`. Raises: ValueError for a setting that does not exist."""
        unknown = sorted(set(settings) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"unknown setting(s) {', '.join(unknown)}")
        return cls(**settings)


assert set(MODELS) <= set(zoo.names())
