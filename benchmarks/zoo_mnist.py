"""Each family of the zoo on MNIST, narrow and with its small stem: parameters, multiply-adds, minutes, test accuracy.

Adam under a one-cycle schedule, batch 128, no augmentation, the paper's dropout and stochastic depth. Choices (widths,
epochs, learning rates) were made on 5,000 validation images with `--tune`, which leaves the test set alone; a run
trains on the other 55,000 images and touches the test set once, with the weights of its last step. Minutes are those
of training.

With `--results` figures are kept in a file, and the picture shows all networks that are in it: so the long run can be
made in parts. With `--weights` the trained weights are kept, and `compress_int8.py` need not train again. `--steps`
tells how long training takes when nothing else runs.

    TINYDL_DATA=... python benchmarks/zoo_mnist.py [--networks resnet18] [--seeds 3] [--results a.json] [--picture p]
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from statistics import mean, median
from typing import Any

import protocol
from environment import describe

import tinydl
from tinydl import zoo
from tinydl.checkpoint import save_weights
from tinydl.cost import summary
from tinydl.nn.functional import cross_entropy
from tinydl.optim import Adam
from tinydl.plots import pareto, save
from tinydl.random import manual_seed

SHAPE = (1, 28, 28)


@dataclass(frozen=True)
class Recipe:
    """How a network is built and trained."""

    settings: dict[str, Any] = field(default_factory=dict)
    lr: float = 0.005
    epochs: int = 5
    batch: int = 128


RECIPES = {
    "lenet_300_100": Recipe(lr=0.002),
    "lenet5": Recipe(lr=0.002),
    "convnet": Recipe(),
    "mobilenet_v1": Recipe({"width": 0.25}),
    "mobilenet_v2": Recipe({"width": 0.25}),
    "mobilenet_v3_small": Recipe({"width": 0.5}),
    "mobilenet_v3_large": Recipe({"width": 0.25}),
    "shufflenet_v1": Recipe({"width": 0.25}),
    "shufflenet_v2_x0_5": Recipe({"width": 0.5}),
    "squeezenet1_0": Recipe({"width": 0.5}, lr=0.003),
    "squeezenet1_1": Recipe({"width": 0.5}, lr=0.003, epochs=6),
    "xception": Recipe({"width": 0.1}),
    "resnet18": Recipe({"width": 0.125}),
    "efficientnet_b0": Recipe({"width": 0.25}),
}


@dataclass
class Result:
    """What became of a network: its costs, and a figure for each seed."""

    name: str
    params: int
    macs: int
    minutes: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)


def build(name: str) -> Any:
    """Return the network as its recipe has it."""
    small = {"small": True} if "small" in zoo.options(name) else {}
    return zoo.build(name, num_classes=10, in_channels=1, **RECIPES[name].settings, **small)


def train(name: str, seed: int, args: argparse.Namespace, result: Result) -> None:
    """Train one network from one seed and add its figures to `result`."""
    recipe = RECIPES[name]
    manual_seed(seed)
    data, validation = protocol.split(seed, recipe.batch, args.limit)
    model = build(name)
    started = time.perf_counter()
    protocol.train(model, data, recipe.epochs, recipe.lr)
    result.minutes.append((time.perf_counter() - started) / 60)
    result.validation.append(protocol.accuracy(model, validation))
    if not args.tune:
        result.test.append(protocol.accuracy(model, protocol.final_images(args.limit)))
    if args.weights:
        Path(args.weights).mkdir(parents=True, exist_ok=True)
        save_weights(model, file_of(args.weights, name, seed))


def minutes_alone(name: str, steps: int) -> float:
    """Return the minutes of all epochs, from the median time of some steps after a few others."""
    recipe = RECIPES[name]
    manual_seed(0)
    data, model = protocol.split(0, recipe.batch)[0], build(name)
    optimizer, taken = Adam(model.parameters(), recipe.lr), []
    for x, target in islice(data, steps + 5):
        started = time.perf_counter()
        optimizer.zero_grad()
        cross_entropy(model(x), target).backward()
        optimizer.step()
        taken.append(time.perf_counter() - started)
    return recipe.epochs * len(data) * median(taken[5:]) / 60


def file_of(folder: str, name: str, seed: int) -> Path:
    """Return where the weights of a network are kept."""
    return Path(folder, f"{name}-{seed}.safetensors")


def row(result: Result) -> str:
    """Return a line of the table."""
    settings = ", ".join(f"{key} {value}" for key, value in RECIPES[result.name].settings.items())
    costs = f"{result.params:10,} {result.macs:12,} {mean(result.minutes):8.1f}"
    accuracies = f"{protocol.spread(result.validation):>16} {protocol.spread(result.test):>16}"
    return f"{result.name:19} {settings:11} {RECIPES[result.name].epochs:6} {costs} {accuracies}"


def kept(path: str | None) -> dict[str, Result]:
    """Return the results that earlier runs left in a file."""
    if path is None or not Path(path).exists():
        return {}
    return {found["name"]: Result(**found) for found in json.loads(Path(path).read_text())}


def point(result: Result) -> dict[str, float]:
    """Return the columns of a network in the plot."""
    return {"params": result.params, "macs": result.macs, "accuracy": mean(result.test)}


def main() -> None:
    """Print the table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--lr", type=float, help="instead of the recipe's")
    parser.add_argument("--tune", action="store_true", help="validate only; the test set is not read")
    parser.add_argument("--limit", type=int, help="use only so many images, to try the script")
    parser.add_argument("--weights", help="a folder to keep the trained weights in, for `compress_int8.py`")
    parser.add_argument("--results", help="a file to keep figures in (JSON)")
    parser.add_argument("--steps", type=int, help="train for so many steps only, and print how long all would take")
    parser.add_argument("--picture", help="where to draw the plot (PNG)")
    args = parser.parse_args()
    for name, recipe in RECIPES.items():
        RECIPES[name] = replace(recipe, epochs=args.epochs or recipe.epochs, lr=args.lr or recipe.lr)
    print(describe(tinydl.num_threads(), ("numpy", "numba")))
    if args.steps:
        for name in args.networks:
            print(f"{name:19} {minutes_alone(name, args.steps):6.1f} minutes", flush=True)
        return
    print(
        f"{'network':19} {'settings':11} {'epochs':>6} {'parameters':>10} {'MACs':>12} {'minutes':>8} "
        f"{'validation (%)':>16} {'test (%)':>16}"
    )
    results = kept(args.results)
    for name in args.networks:
        counted = summary(build(name), SHAPE)
        result = Result(name, counted.params, counted.macs)
        for seed in range(args.seeds):
            train(name, seed, args, result)
        results[name] = result
        print(row(result), flush=True)
        if args.results:
            Path(args.results).write_text(json.dumps([asdict(result) for result in results.values()], indent=1))
    if args.picture and not args.tune:
        save(args.picture, pareto, {name: point(result) for name, result in results.items()})


if __name__ == "__main__":
    main()
