"""From process start to the printed test accuracy on MNIST: tinydl against the same recipe in PyTorch.

The recipe: a 16-32-64 conv net with batch norm (`tinydl.zoo.convnet`), batch 128, Adam under a one-cycle schedule.
Each seed is a fresh process of each engine, in turns. Both read the same IDX files with the same code (ours). Choices
were made on the 5,000 validation images; a run trains on the other 55,000 and touches the test set once, at its end.

    TINYDL_DATA=... python benchmarks/time_to_99.py [--seeds 10] [--epochs 1] [--engines tinydl torch]
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from environment import describe

BATCH, PEAK = 128, 0.01


def data(seed: int) -> Any:
    """Return training images (normalised) and labels without the validation images, then the test set's."""
    from tinydl.data import MNIST

    arrays = []
    for train in (True, False):
        part = MNIST(train=train)
        images = part.images[:, None].astype(np.float32)
        images *= 1 / (255 * 0.3081)
        images -= 0.1307 / 0.3081
        arrays += [images, part.labels]
    order = np.random.default_rng(seed).permutation(len(arrays[0]))[:55_000]
    return order, *arrays


def run_tinydl(seed: int, epochs: int) -> float:
    """Train and test with tinydl; return the accuracy."""
    import tinydl
    from tinydl import optim, zoo
    from tinydl.nn.functional import cross_entropy

    draw = tinydl.manual_seed(seed)
    order, images, labels, test_images, test_labels = data(seed)
    model = zoo.convnet()
    optimizer = optim.Adam(model.parameters(), lr=PEAK)
    steps = len(order) // BATCH
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=epochs * steps)
    for _ in range(epochs):
        draw.shuffle(order)
        for i in range(steps):
            rows = order[i * BATCH : (i + 1) * BATCH]
            loss = cross_entropy(model(tinydl.Tensor(images[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    hits = 0
    with tinydl.no_grad():
        for i in range(0, len(test_images), 1000):
            y = model(tinydl.Tensor(test_images[i : i + 1000])).data
            hits += int(np.sum(y.argmax(axis=1) == test_labels[i : i + 1000]))
    return 100 * hits / len(test_images)


def run_torch(seed: int, epochs: int) -> float:
    """Train and test with PyTorch, in its faster memory layout; return the accuracy."""
    import torch
    from networks import conv_bn_relu
    from torch import nn
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(2)
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    order, *arrays = data(seed)
    images, labels, test_images, test_labels = (torch.from_numpy(a) for a in arrays)
    stages = [
        layer for i, o in ((1, 16), (16, 32), (32, 64)) for layer in (*conv_bn_relu(nn, i, o, 3), nn.MaxPool2d(2))
    ]
    model = nn.Sequential(*stages, nn.Flatten(), nn.Linear(576, 10)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=PEAK)
    steps = len(order) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=epochs * steps)
    for _ in range(epochs):
        draw.shuffle(order)
        for i in range(steps):
            rows = torch.from_numpy(order[i * BATCH : (i + 1) * BATCH])
            loss = cross_entropy(model(images[rows].to(memory_format=torch.channels_last)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        parts = [model(part.to(memory_format=torch.channels_last)).argmax(1) for part in test_images.split(1000)]
    return 100 * float((torch.cat(parts) == test_labels).float().mean())


def main() -> None:
    """Print mean ± sd of accuracy and of seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--engines", nargs="*", default=["tinydl", "torch"])
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        engine, seed, epochs = args.worker
        print((run_tinydl if engine == "tinydl" else run_torch)(seed, epochs))
        return
    print(describe(2))
    found: dict[str, list[tuple[float, float]]] = {engine: [] for engine in args.engines}
    for seed in range(args.seeds + 1):
        for engine, results in found.items():
            started = time.perf_counter()
            job = json.dumps([engine, seed, args.epochs])
            argv = [sys.executable, str(Path(__file__)), "--worker", job]
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
