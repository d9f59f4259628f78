"""Structured pruning on MNIST: networks shrunk to a quarter of their multiply-adds, in steps, trained on between them.

Each network is trained (Adam, one-cycle schedule), then loses channels in equal factors of multiply-adds until the
budget is met; after each step it is trained further. Choices (epochs, rates, which channels) were made on 5,000
validation images with `--tune`, which leaves the test set alone; a run trains on the other 55,000 images and touches
the test set once for each network, full and small, with the weights of the last step. Milliseconds are medians of
inference, full and small in turn.

    TINYDL_DATA=... python benchmarks/compress_structured.py [--networks mobile] [--seeds 3] [--factor 4]
"""

import argparse
import time
from dataclasses import dataclass, field, replace
from statistics import mean, median
from typing import Any

import numpy as np
import protocol
from environment import describe

import tinydl
from tinydl import Tensor, zoo
from tinydl.compress import structured
from tinydl.cost import file_size, profile, summary
from tinydl.data import DataLoader
from tinydl.random import manual_seed

SHAPE = (1, 28, 28)
BATCHES = 1, 32


@dataclass(frozen=True)
class Recipe:
    """How a network is built, trained, and made smaller.

    Attributes:
        settings: of its constructor.
        epochs: of training before anything is removed.
        lr: the highest rate then.
        steps: in how many steps channels go.
        between: epochs after each step but the last.
        after: epochs after the last step.
        lr_after: the highest rate after any of them.
        importance: which channels go first, see `IMPORTANCE`.
        scope: whether each group loses the same share, or one ranking decides.
        multiple: of channels that are left.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    epochs: int = 8
    lr: float = 0.005
    steps: int = 3
    between: int = 2
    after: int = 8
    lr_after: float = 0.005
    importance: str = "taylor"
    scope: str = "group"
    multiple: int = 1


RECIPES = {
    "mobile": Recipe(),
    "shufflenet_v2_x0_5": Recipe({"width": 0.5, "small": True}),
}

IMPORTANCE = {
    "taylor": lambda model, loader, seed: structured.taylor(model, [batch for batch, _ in zip(loader, range(20))]),
    "magnitude": lambda model, loader, seed: structured.magnitude(),
    "random": lambda model, loader, seed: structured.random(np.random.default_rng(seed)),
}


@dataclass
class Figures:
    """What was measured of a network of one size: a figure for each seed."""

    params: list[int] = field(default_factory=list)
    macs: list[int] = field(default_factory=list)
    kilobytes: list[float] = field(default_factory=list)
    ms: dict[int, list[float]] = field(default_factory=lambda: {batch: [] for batch in BATCHES})
    validation: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)

    def add(self, model: Any, validation: DataLoader, test: DataLoader | None) -> None:
        """Measure all but the time."""
        found = summary(model, SHAPE)
        self.params.append(found.params)
        self.macs.append(found.macs)
        self.kilobytes.append(file_size(model) / 1000)
        self.validation.append(protocol.accuracy(model, validation))
        if test is not None:
            self.test.append(protocol.accuracy(model, test))


def shrink(model: Any, recipe: Recipe, factor: float, seed: int, loader: DataLoader, validation: DataLoader) -> Any:
    """Remove channels until a network needs `factor` times fewer multiply-adds."""
    full = summary(model, SHAPE).macs
    for step in range(1, recipe.steps + 1):
        budget = int(full / factor ** (step / recipe.steps))
        importance = IMPORTANCE[recipe.importance](model, loader, seed)
        model = structured.prune_to(
            model, SHAPE, budget, importance=importance, scope=recipe.scope, multiple=recipe.multiple
        )
        cut = protocol.accuracy(model, validation)
        epochs = recipe.after if step == recipe.steps else recipe.between
        if epochs:
            protocol.train(model, loader, epochs, recipe.lr_after)
        healed = protocol.accuracy(model, validation)
        print(
            f"    {summary(model, SHAPE).macs:9,} MACs: validation {cut:.2f} %, trained on {healed:.2f} %", flush=True
        )
    return model


def run(name: str, seed: int, args: argparse.Namespace, full: Figures, small: Figures) -> None:
    """Train and shrink one network from one seed, and add its figures."""
    recipe = RECIPES[name]
    manual_seed(seed)
    (fit, held), test = protocol.split(seed, 128, args.limit), protocol.final_images(args.limit)
    model = zoo.build(name, num_classes=10, in_channels=1, **recipe.settings)
    protocol.train(model, fit, recipe.epochs, recipe.lr)
    shrunk = shrink(model, recipe, args.factor, seed, fit, held)
    for figures, network in ((full, model), (small, shrunk)):
        figures.add(network, held, None if args.tune else test)
    for batch in BATCHES:
        for figures, ms in zip((full, small), times(model, shrunk, batch)):
            figures.ms[batch].append(ms)


def times(model: Any, shrunk: Any, batch: int, rounds: int = 15) -> list[float]:
    """Return the milliseconds of one inference of both, measured in turn."""
    x = Tensor(np.random.default_rng(0).standard_normal((batch, *SHAPE)).astype(np.float32))
    found: list[list[float]] = [[], []]
    for _ in range(rounds):
        for ms, network in zip(found, (model, shrunk)):
            ms.append(profile(network, x, rounds=5, training=False).whole.inference)
    return [median(ms) for ms in found]


def row(name: str, figures: Figures) -> str:
    """Return a line of the table."""
    sizes = f"{mean(figures.params):10,.0f} {mean(figures.macs):11,.0f} {mean(figures.kilobytes):8.1f}"
    ms = " ".join(f"{mean(figures.ms[batch]):8.3f}" for batch in BATCHES)
    return f"{name:26} {sizes} {ms} {protocol.spread(figures.validation):>16} {protocol.spread(figures.test):>16}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--factor", type=float, default=4.0, help="how many times fewer multiply-adds")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's, before pruning")
    parser.add_argument("--between", type=int, help="instead of the recipe's")
    parser.add_argument("--after", type=int, help="instead of the recipe's")
    parser.add_argument("--importance", choices=list(IMPORTANCE), help="instead of the recipe's")
    parser.add_argument("--scope", choices=("group", "global"), help="instead of the recipe's")
    parser.add_argument("--tune", action="store_true", help="validate only; the test set is not read")
    parser.add_argument("--limit", type=int, help="use only so many images, to try the script")
    args = parser.parse_args()
    changes = ("epochs", "between", "after", "importance", "scope")
    for name, recipe in RECIPES.items():
        given = {key: getattr(args, key) for key in changes if getattr(args, key) is not None}
        RECIPES[name] = replace(recipe, **given)
    print(describe(tinydl.num_threads()))
    print("MACs: multiply-adds of one image; kB: the file of weights; ms: one inference of 1 and of 32 images")
    lines = []
    for name in args.networks:
        full, small = Figures(), Figures()
        for seed in range(args.seeds):
            started = time.perf_counter()
            print(f"  {name}, seed {seed}", flush=True)
            run(name, seed, args, full, small)
            print(f"    {(time.perf_counter() - started) / 60:.1f} minutes", flush=True)
        lines += [row(name, full), row(f"{name} shrunk", small)]
    ms = " ".join(f"{f'ms, {batch}':>8}" for batch in BATCHES)
    print(f"\n{'network':26} {'parameters':>10} {'MACs':>11} {'kB':>8} {ms} {'validation %':>16} {'test %':>16}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
