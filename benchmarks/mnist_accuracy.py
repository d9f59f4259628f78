"""Test accuracy on the real MNIST over several seeds: the figures in README.

Each run is the command a user types, in its own process, with its defaults; the time is from process start to the
printed accuracy. The test set is touched once a run.

    python benchmarks/mnist_accuracy.py [--models convnet mlp] [--seeds 3]
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from statistics import mean, stdev

from environment import describe

from tinydl.kernels.threads import num_threads


def run(model: str, seed: int, rest: list[str], out: str) -> tuple[float, float]:
    """Return (test accuracy in %, seconds) of one `tinydl train`."""
    argv = [
        sys.executable,
        "-m",
        "tinydl",
        "train",
        "--data",
        "mnist",
        "--model",
        model,
        "--seed",
        str(seed),
        "--quiet",
    ]
    started = time.perf_counter()
    done = subprocess.run([*argv, "--out", out, *rest], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    found = re.search(r"^test accuracy (\d+\.\d+) %$", done.stdout, re.M)
    if done.returncode or not found:
        raise SystemExit(done.stderr or done.stdout)
    return float(found[1]), seconds


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=["convnet", "mlp", "lenetish", "cnn3", "mobile"])
    parser.add_argument("--seeds", type=int, default=3)
    args, rest = parser.parse_known_args()
    print(describe(num_threads(), ("numpy", "numba")))
    print(f"{'model':10} {'test accuracy (%)':>20} {'each':>24} {'seconds':>8}")
    for model in args.models:
        with tempfile.TemporaryDirectory() as out:
            found = [run(model, seed, rest, out) for seed in range(args.seeds)]
        accuracies, seconds = [a for a, _ in found], [s for _, s in found]
        spread = f"± {stdev(accuracies):.2f}" if len(found) > 1 else ""
        each = " ".join(f"{a:.2f}" for a in accuracies)
        print(f"{model:10} {f'{mean(accuracies):.2f} {spread}':>20} {each:>24} {mean(seconds):8.1f}", flush=True)


if __name__ == "__main__":
    main()
