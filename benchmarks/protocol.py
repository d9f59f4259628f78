"""The protocol of the benchmarks of compression: 55,000 images to train on, 5,000 to choose by, 10,000 to test once."""

from statistics import mean, stdev
from typing import Any

import numpy as np

import tinydl
from tinydl.callbacks import Average, Schedule
from tinydl.compress.quantize import QuantizationAware
from tinydl.data import MNIST, DataLoader, ImageDataset, Subset, random_split
from tinydl.data.transforms import Compose, RandomAffine
from tinydl.nn import Module
from tinydl.optim import EMA, Adam, lr_scheduler

HELD_OUT = 5_000
BACKGROUND = -ImageDataset.mean / ImageDataset.std


def shaken(degrees: float, shift: float, scale: float) -> RandomAffine:
    """Return the random deformation: largest turn in degrees, shift and change of size as fractions."""
    return RandomAffine(degrees=degrees, translate=shift, scale=(1 - scale, 1 + scale), fill=BACKGROUND)


def split(
    seed: int, batch: int, limit: int | None = None, deform: RandomAffine | None = None
) -> tuple[DataLoader, DataLoader]:
    """Return the images to learn from, in random order (and deformed anew each epoch), and those held out."""
    images = MNIST(train=True)
    n = len(images) if limit is None else limit
    held_out = min(HELD_OUT, n // 5)
    fit, held, _ = random_split(images, [n - held_out, held_out, len(images) - n], np.random.default_rng(seed))
    if deform is not None:
        seen = images.with_transform(Compose([images.standard(), deform]))
        fit = Subset(seen, fit.indices)
    return DataLoader(fit, batch, shuffle=True), DataLoader(held, 500)


def final_images(limit: int | None) -> DataLoader:
    """Return the test images in order."""
    test = MNIST(train=False)
    return DataLoader(Subset(test, np.arange(limit or len(test))), 500)


def train(
    model: Module,
    data: DataLoader,
    epochs: int,
    lr: float,
    ema: EMA | None = None,
    quantization: QuantizationAware | None = None,
    **given: Any,
) -> Any:
    """Train under Adam and a one-cycle schedule up to `lr`; return the history."""
    optimizer = Adam(model.parameters(), lr)
    schedule = lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * len(data))
    others = [None if ema is None else Average(ema), quantization]
    callbacks = [*(callback for callback in others if callback is not None), Schedule(schedule, "step")]
    return tinydl.fit(model, data, epochs=epochs, optimizer=optimizer, callbacks=callbacks, **given)


def accuracy(model: Module, data: DataLoader) -> float:
    """Return the percentage of right answers."""
    return 100 * float(tinydl.evaluate(model, data).accuracy)


def spread(values: list[float], digits: int = 2) -> str:
    """Return mean ± sd, or a dash for nothing."""
    if not values:
        return "–"
    return f"{mean(values):,.{digits}f}" + (f" ± {stdev(values):,.{digits}f}" if len(values) > 1 else "")
