"""How the time and the memory of a training step grow with batch, image side, channels and depth, on 1 and 2 threads.

The network is a stack of 3×3 convolutions with batch norm and ReLU, a global average and a linear layer. One factor
grows at a time. Each point is a fresh process.

    python benchmarks/scaling.py [--picture scaling.png]
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from environment import describe

BASE = {"batch": 32, "side": 28, "channels": 32, "depth": 4}
VALUES = {"batch": (8, 16, 32, 64, 128), "side": (14, 28, 56), "channels": (16, 32, 64, 128), "depth": (2, 4, 8, 16)}


def measure(batch: int, side: int, channels: int, depth: int, threads: int) -> tuple[float, float]:
    """Return (ms of a training step, peak MB) in this process."""
    import tinydl
    from tinydl import nn, optim
    from tinydl.nn.functional import cross_entropy

    tinydl.set_num_threads(threads)
    layers: list[Any] = []
    for i in range(depth):
        layers += [
            nn.Conv2d(channels if i else 1, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    optimizer = optim.Adam(model.parameters())
    draw = np.random.default_rng(0)
    x = tinydl.Tensor(draw.standard_normal((batch, 1, side, side), np.float32))
    target = tinydl.Tensor(draw.integers(0, 10, batch))
    times = []
    for _ in range(12):
        started = time.perf_counter()
        optimizer.zero_grad()
        cross_entropy(model(x), target).backward()
        optimizer.step()
        times.append(time.perf_counter() - started)
    return 1e3 * median(times[2:]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def draw(rows: dict[str, list[Any]], path: str) -> None:
    """Plot time against each factor, on logarithmic axes beside a line of slope 1, and peak memory below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots(2, len(rows), sharex="col")
    for (upper, lower), (factor, points) in zip(axes.T, rows.items()):
        for threads, colour in ((1, "#0072B2"), (2, "#D55E00")):
            values, _, times, peaks = zip(*[point for point in points if point[1] == threads])
            upper.loglog(values, times, "o-", color=colour, label=f"{threads} thread{'s' if threads > 1 else ''}")
            lower.semilogx(values, peaks, "o-", color=colour)
        upper.loglog(values, [times[0] * v / values[0] for v in values], ":", color="gray", label="linear")
        upper.set_title(f"growing {factor}")
        lower.set(xlabel=factor, xticks=VALUES[factor], xticklabels=VALUES[factor], ylim=(0, None))
        lower.minorticks_off()
    axes[0, 0].set_ylabel("training step (ms)")
    axes[1, 0].set_ylabel("peak memory (MB)")
    axes[0, 0].legend()
    figure.savefig(path, dpi=90)


def main() -> None:
    """Print the table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", help="where to draw the plot (PNG)")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(measure(**args.worker)))
        return
    print(describe(2, ("numpy", "numba")))
    rows: dict[str, list[Any]] = {}
    for factor, values in VALUES.items():
        print(f"{factor:>10} {'threads':>7} {'ms':>9} {'MB':>7}")
        for threads in (1, 2):
            for value in values:
                job = json.dumps({**BASE, factor: value, "threads": threads})
                argv = [sys.executable, str(Path(__file__)), "--worker", job]
                ms, peak = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
                rows.setdefault(factor, []).append((value, threads, ms, peak))
                print(f"{value:10} {threads:7} {ms:9.2f} {peak:7.0f}", flush=True)
    if args.picture:
        draw(rows, args.picture)


if __name__ == "__main__":
    main()
