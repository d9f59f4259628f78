"""Distillation on MNIST: errors of a teacher, and of a small student that learns from labels or from the teacher.

The teacher is `convnet` (29,178 parameters) with its images shaken a little. The student is a perceptron with one
hidden layer of 64 units, which sees the same images in both of its runs, and starts from the same weights. Temperature,
α, epochs and rates were chosen on 5,000 validation images with `--tune`, which leaves the test set alone; a run trains
on the other 55,000 and touches the test set once. "of the gap" is (plain − distilled) / (plain − teacher), errors.

    TINYDL_DATA=... python benchmarks/compress_distill.py [--seeds 3]
"""

import argparse
import time
from dataclasses import dataclass, field

import numpy as np
import protocol
from environment import describe

import tinydl
from tinydl import nn, zoo
from tinydl.compress import Distillation, DistillationLoss
from tinydl.nn import Module
from tinydl.random import manual_seed

NAMES = "teacher", "plain student", "distilled student"


def student(hidden: int) -> Module:
    """Return the student 784-hidden-10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10))


@dataclass
class Errors:
    """Errors in %, a figure a seed."""

    validation: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)


def run(args: argparse.Namespace, seed: int) -> list[Module]:
    """Return the teacher and both students of a seed, trained."""
    deform = protocol.shaken(args.degrees, args.shift, args.scale)
    manual_seed(seed)
    teacher = zoo.convnet()
    protocol.train(teacher, protocol.split(seed, 128, args.limit, deform)[0], args.teacher_epochs, 0.005)
    found = [teacher]
    for distilled in (False, True):
        manual_seed(1000 + seed)
        model = student(args.hidden)
        data = protocol.split(seed, 128, args.limit, deform)[0]
        if distilled:
            taught = Distillation(model, teacher, DistillationLoss(args.temperature, args.alpha))
            protocol.train(taught, data, args.epochs, args.lr, loss=taught.loss)
        else:
            protocol.train(model, data, args.epochs, args.lr)
        found.append(model)
    return found


def main() -> None:
    """Print a line for each network, and how much of the gap was closed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--teacher-epochs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--temperature", type=float, default=4.0)
    parser.add_argument("--alpha", type=float, default=0.9)
    parser.add_argument("--degrees", type=float, default=5.0)
    parser.add_argument("--shift", type=float, default=0.04)
    parser.add_argument("--scale", type=float, default=0.05)
    parser.add_argument("--tune", action="store_true", help="validate only; the test set is not read")
    parser.add_argument("--limit", type=int, help="use only so many images, to try the script")
    args = parser.parse_args()
    print(describe(tinydl.num_threads(), ("numpy", "numba")))
    started, results = time.perf_counter(), {name: Errors() for name in NAMES}
    for seed in range(args.seeds):
        models = run(args, seed)
        held = protocol.split(seed, 128, args.limit)[1]
        for errors, model in zip(results.values(), models):
            errors.validation.append(100 - protocol.accuracy(model, held))
            if not args.tune:
                errors.test.append(100 - protocol.accuracy(model, protocol.final_images(args.limit)))
    print(f"{'network':18} {'parameters':>10} {'validation errors (%)':>22} {'test errors (%)':>16}")
    for (name, errors), model in zip(results.items(), models):
        params = sum(p.numel() for p in model.parameters())
        figures = f"{protocol.spread(errors.validation):>22} {protocol.spread(errors.test):>16}"
        print(f"{name:18} {params:10,} {figures}")
    for part in ("validation", *([] if args.tune else ["test"])):
        teacher, plain, distilled = (np.mean(getattr(errors, part)) for errors in results.values())
        print(f"{part}: {100 * (plain - distilled) / (plain - teacher):.0f} % of the gap closed")
    print(f"T {args.temperature}, α {args.alpha}; {(time.perf_counter() - started) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
