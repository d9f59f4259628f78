"""Sensitivity of the layers of LeNet-5 and the mobile network on MNIST: prune one layer at a time, train nothing after.

Each network is trained on 55,000 images (Adam under a one-cycle schedule, batch 128, no augmentation), or loaded with
`--load`; then every weight by itself is pruned to each sparsity, and the accuracy on the other 5,000 images is printed.
These choose what a pruning may do to each layer: the test set is not read. With several seeds the table shows the mean
over the seeds, and the largest standard deviation of its entries below it.

    TINYDL_DATA=... python benchmarks/compress_sensitivity.py [--networks mobile] [--criterion taylor] [--picture s.png]
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from environment import describe

import tinydl
from tinydl import plots, zoo
from tinydl.callbacks import Schedule
from tinydl.checkpoint import load_weights, save_weights
from tinydl.compress.prune import Filter, Magnitude, OptimalBrainDamage, Random, Sensitivity, Taylor, Weight
from tinydl.compress.prune import sensitivity as scan
from tinydl.compress.prune.sensitivity import SPARSITIES
from tinydl.data import MNIST, DataLoader, random_split
from tinydl.optim import Adam, lr_scheduler
from tinydl.random import manual_seed

HELD_OUT = 5_000
RATES = {"lenet5": 0.002, "mobile": 0.005}
UNITS = {"weight": Weight, "filter": Filter}


def data(seed: int, limit: int | None) -> tuple[DataLoader, DataLoader]:
    """Return batches to train on and to validate on, split by the seed."""
    images = MNIST(train=True)
    n = len(images) if limit is None else limit
    held = min(HELD_OUT, n // 5)
    fit, validation, _ = random_split(images, [n - held, held, len(images) - n], np.random.default_rng(seed))
    return DataLoader(fit, 128, shuffle=True), DataLoader(validation, 500)


def trained(name: str, loader: DataLoader, epochs: int) -> tinydl.nn.Module:
    """Return the network `name`, trained."""
    model = zoo.build(name, num_classes=10, in_channels=1)
    optimizer = Adam(model.parameters(), RATES[name])
    schedule = lr_scheduler.OneCycleLR(optimizer, RATES[name], total_steps=epochs * len(loader))
    tinydl.fit(model, loader, epochs=epochs, optimizer=optimizer, callbacks=[Schedule(schedule, "step")])
    return model


def criteria(loader: DataLoader, batches: int) -> dict[str, Callable[[], Any]]:
    """Return how each criterion is made; those that look at data see the first `batches` of training batches."""
    seen = [batch for batch, _ in zip(loader, range(batches))]
    return {
        "magnitude": Magnitude,
        "random": partial(Random, np.random.default_rng(0)),
        "taylor": partial(Taylor, seen),
        "obd": partial(OptimalBrainDamage, seen, probes=4, generator=np.random.default_rng(0)),
    }


def run(name: str, seed: int, args: argparse.Namespace) -> Sensitivity:
    """Return the sensitivity of one network of one seed."""
    manual_seed(seed)
    loader, validation = data(seed, args.limit)
    saved = Path(args.load or "") / f"{name}_{seed}.safetensors"
    if args.load and saved.exists():
        model = zoo.build(name, num_classes=10, in_channels=1)
        load_weights(saved, model)
    else:
        model = trained(name, loader, args.epochs)
    if args.load:
        save_weights(model, saved)
    return scan(
        model,
        lambda net: tinydl.evaluate(net, validation).accuracy,
        SPARSITIES,
        criteria(loader, args.batches)[args.criterion](),
        UNITS[args.unit](),
    )


def mean(found: list[Sensitivity]) -> tuple[Sensitivity, float]:
    """Return the mean over the seeds and the largest standard deviation of an entry."""
    names = list(found[0].values)
    values = np.array([[one.values[name] for name in names] for one in found])
    averages = {name: tuple(row) for name, row in zip(names, values.mean(axis=0))}
    deviation = float(values.std(axis=0, ddof=1).max()) if len(found) > 1 else 0.0
    return Sensitivity(found[0].sparsities, float(np.mean([one.dense for one in found])), averages), deviation


def main() -> None:
    """Print the tables, draw the plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(RATES), choices=list(RATES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--criterion", default="magnitude", choices=["magnitude", "random", "taylor", "obd"])
    parser.add_argument("--unit", default="weight", choices=list(UNITS))
    parser.add_argument("--batches", type=int, default=8, help="batches of 128 that taylor and obd look at")
    parser.add_argument("--limit", type=int, help="use only so many images, to try the script")
    parser.add_argument("--load", help="a folder of trained networks: those there are loaded, others saved")
    parser.add_argument("--picture", help="where to draw the plots (a PNG; the network's name is put before it)")
    args = parser.parse_args()
    print(describe(tinydl.num_threads(), ("numpy", "numba")))
    for name in args.networks:
        started = time.perf_counter()
        found, deviation = mean([run(name, seed, args) for seed in range(args.seeds)])
        minutes = (time.perf_counter() - started) / 60
        print(f"\n{name}: {args.criterion}, {args.unit}s, validation accuracy; {args.seeds} seeds, {minutes:.1f} min")
        print(found)
        if args.seeds > 1:
            print(f"largest standard deviation {deviation:.4f}")
        held = ", ".join(f"{layer} {sparsity:.0%}" for layer, sparsity in found.tolerated(0.002).items())
        print(f"within 0.2 points of dense: {held}", flush=True)
        if args.picture:
            picture = Path(args.picture)
            where = picture.with_name(f"{name}_{picture.name}")
            plots.save(where, plots.sensitivity, found.sparsities, found.values, found.dense)


if __name__ == "__main__":
    main()
