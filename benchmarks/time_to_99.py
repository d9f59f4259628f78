"""From process start to the printed test accuracy on MNIST: tinydl against the same recipe in PyTorch, in one text.

The network: three 3×3 convolutions with batch norm on images of which every 2×2 pixels have become four channels, so
that the widest layers see a quarter of the places; the first is pooled before its batch norm, which saves three
quarters of that. It learns from smoothed labels by Adam under a one-cycle schedule: for 99 % in one epoch, for 99.5 %
in a few, in which every image is moved by up to a pixel each time it is seen.

Each seed is a fresh process of each engine, in turns. Both read the same IDX files with the same code (ours). Choices
were made on the 5,000 validation images; a run trains on the other 55,000 and touches the test set once, at its end.

    TINYDL_DATA=... python benchmarks/time_to_99.py [--goal 99.5] [--seeds 10] [--engines tinydl torch]
"""

import argparse
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
from environment import describe

SMOOTHING = 0.1


class Recipe(NamedTuple):
    """How to reach a goal.

    Attributes:
        channels: of the three convolutions.
        epochs: how often every image is seen.
        shift: by how many pixels at most it may be moved.
        batch: images in a step.
        peak: the highest learning rate.
        rise: the share of the steps in which the rate rises to it.
    """

    channels: tuple[int, int, int]
    epochs: int
    shift: int
    batch: int
    peak: float
    rise: float


RECIPES = {
    "99": Recipe((24, 48, 96), epochs=1, shift=0, batch=256, peak=0.05, rise=0.4),
    "99.5": Recipe((32, 48, 96), epochs=6, shift=1, batch=128, peak=0.02, rise=0.2),
}


def network(nn: Any, channels: tuple[int, int, int]) -> Any:
    """Return the network, built from tinydl's `nn` or from PyTorch's."""
    a, b, c = channels
    return nn.Sequential(
        *(nn.Conv2d(4, a, 3, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(a), nn.ReLU()),
        *(nn.Conv2d(a, b, 3, bias=False), nn.BatchNorm2d(b), nn.ReLU()),
        *(nn.Conv2d(b, c, 3, bias=False), nn.BatchNorm2d(c), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(4 * c, 10)),
    )


def normalised(images: Any) -> Any:
    """Return images (N, 28, 28) of bytes as (N, 4, 14, 14), stored channels last: four pixels become four channels."""
    pairs = images.view(np.uint16).reshape(-1, 14, 2, 14).transpose(0, 1, 3, 2)  # half as many copies as pixel by pixel
    squares = np.ascontiguousarray(pairs).view(np.uint8).reshape(-1, 14, 14, 4).transpose(0, 3, 1, 2)
    return (squares - np.float32(0.1307 * 255)) * np.float32(1 / (0.3081 * 255))


def run(engine: str, seed: int, recipe: Recipe) -> float:
    """Train and test; return the accuracy."""
    library = importlib.import_module(engine)
    from tinydl.data import MNIST

    library.manual_seed(seed)
    model = network(library.nn, recipe.channels)
    if engine == "torch":
        library.set_num_threads(2)
        model = model.to(memory_format=library.channels_last)

    draw = np.random.default_rng(seed)
    digits, tested = MNIST(train=True), MNIST(train=False)
    order = draw.permutation(len(digits.images))[:55_000]
    shift, batch, peak = recipe.shift, recipe.batch, recipe.peak
    padded = np.pad(digits.images, ((0, 0), (shift, shift), (shift, shift))) if shift else digits.images
    moved = np.lib.stride_tricks.sliding_window_view(padded, (28, 28), axis=(1, 2))  # image, down, right, 28, 28

    steps = len(order) // batch
    optimizer = library.optim.Adam(model.parameters(), lr=peak)
    schedule = library.optim.lr_scheduler.OneCycleLR(
        optimizer, peak, total_steps=recipe.epochs * steps, pct_start=recipe.rise
    )
    for _ in range(recipe.epochs):
        draw.shuffle(order)
        for i in range(steps):
            rows = order[i * batch : (i + 1) * batch]
            images = moved[rows, *draw.integers(0, 2 * shift + 1, (2, batch))]
            y = model(library.from_numpy(normalised(images)))
            labels = library.from_numpy(digits.labels[rows])
            loss = library.nn.functional.cross_entropy(y, labels, label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    model.eval()
    hits = 0
    with library.no_grad():
        for i in range(0, len(tested.images), 1000):
            y = model(library.from_numpy(normalised(tested.images[i : i + 1000]))).numpy()
            hits += int(np.sum(y.argmax(axis=1) == tested.labels[i : i + 1000]))
    return 100 * hits / len(tested.images)


def main() -> None:
    """Print mean ± sd of accuracy and of seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goal", choices=RECIPES, default="99")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--engines", nargs="*", default=["tinydl", "torch"])
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(run(*args.worker, RECIPES[args.goal]))
        return
    print(describe(2))
    found: dict[str, list[tuple[float, float]]] = {engine: [] for engine in args.engines}
    for seed in range(args.seeds + 1):
        for engine, results in found.items():
            started = time.perf_counter()
            job = json.dumps([engine, seed])
            argv = [sys.executable, str(Path(__file__)), "--goal", args.goal, "--worker", job]
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
            if seed:  # the first run fills the caches
                results.append((float(done.stdout), time.perf_counter() - started))
    for engine, results in found.items():
        accuracies, seconds = zip(*results)
        spread = [stdev(v) if len(v) > 1 else 0.0 for v in (accuracies, seconds)]
        print(
            f"{engine:8} {mean(accuracies):.2f} ± {spread[0]:.2f} % (worst {min(accuracies):.2f}), "
            f"{mean(seconds):.2f} ± {spread[1]:.2f} s from process start"
        )


if __name__ == "__main__":
    main()
