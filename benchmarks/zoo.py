"""The networks of the zoo against PyTorch: inference at their own resolution, a training step with the small stem.

PyTorch runs the same text (`torch_twins.py`) with the same weights, in both memory layouts, and the ratio is to the
better one. Each engine has its own fresh process; the processes take turns, a round each. Times are medians in ms of
float32; a training step (1×28×28, 10 classes) is forward, cross entropy, backward, Adam. MB is the process's peak from
when the network is built. Before anything is timed, the engines must agree on the logits.

    python benchmarks/zoo.py [--networks mobilenet_v2] [--batches 1 8] [--modes infer train] [--rounds 5]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from environment import describe
from versus_pytorch import take_turns

NETWORKS = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "shufflenet_v1",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "efficientnet_b0",
    "xception",
    "resnet18",
)
SMALL = {"num_classes": 10, "in_channels": 1, "small": True}
TRAINING_BATCH = 32


def prepare(name: str, path: str) -> None:
    """Write weights with which the signal neither dies nor explodes: random, normed by a batch's own statistics."""
    import numpy as np

    from tinydl import Tensor, manual_seed, nn, no_grad, zoo
    from tinydl.checkpoint import save_weights

    draw = manual_seed(0)
    model = zoo.build(name)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
    with no_grad():
        model(Tensor(draw.standard_normal((2, *zoo.paper(name).input), np.float32)))
    save_weights(model, path)


def job_of(name: str, mode: str, batch: int, weights: str, args: argparse.Namespace) -> dict[str, Any]:
    """Return what the workers are to do."""
    from tinydl import zoo

    infer = mode == "infer"
    return {
        "network": name,
        "settings": {"weights": weights} if infer else SMALL,
        "shape": zoo.paper(name).input if infer else (1, 28, 28),
        "batch": batch,
        "mode": mode,
        "threads": args.threads,
        "steps": args.steps,
        "seconds": args.seconds,
    }


def disagreement(found: dict[str, dict[str, Any]]) -> float:
    """Return the largest difference between the engines' logits of the first image, relative to the largest logit."""
    ours, *peers = (found[engine]["logits"] for engine in found)
    largest = max(map(abs, ours))
    return max(abs(a - b) / largest for peer in peers for a, b in zip(ours, peer, strict=True))


def line(name: str, mode: str, batch: int, found: dict[str, dict[str, Any]]) -> tuple[str, float]:
    """Return a row of the table and its ratio."""
    ours, plain, last = found["tinydl"], found["torch"], found["torch-cl"]
    best = min(plain, last, key=lambda r: r["ms"])
    ratio = ours["ms"] / best["ms"]
    times = f"{ours['ms']:9.2f} {plain['ms']:9.2f} {last['ms']:9.2f} {ratio:6.2f}"
    agree = f"{disagreement(found):9.0e}" if ours["logits"] else f"{'':9}"
    memory = f"{ours['peak']:6.0f} {best['peak']:8.0f} {ours['peak'] / best['peak']:6.2f}"
    return f"{name:19} {mode:6} {batch:5} {times} {memory} {agree}", ratio


def measure(name: str, mode: str, batch: int, args: argparse.Namespace) -> tuple[str, float]:
    """Time one network in all engines. Raises: SystemExit when they compute different things."""
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "weights.safetensors")
        if mode == "infer":
            subprocess.run([sys.executable, __file__, "--prepare", name, weights], check=True)
        found = take_turns(job_of(name, mode, batch, weights, args), args.rounds)
    if mode == "infer" and not disagreement(found) < 1e-3:
        raise SystemExit(f"{name}: the engines' logits differ by {disagreement(found):.1e} of the largest")
    return line(name, mode, batch, found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=NETWORKS)
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 8], help="of inference")
    parser.add_argument("--modes", nargs="*", default=["infer", "train"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="most steps of a round")
    parser.add_argument("--seconds", type=float, default=1.0, help="after which a round ends")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prepare", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.prepare:
        prepare(*args.prepare)
        return
    print(describe(args.threads))
    print("network             mode   batch    tinydl      NCHW   ch.last  ratio     MB  peer MB  ratio  differ")
    ratios = []
    for mode in args.modes:
        for name in args.networks:
            for batch in args.batches if mode == "infer" else [TRAINING_BATCH]:
                text, ratio = measure(name, mode, batch, args)
                ratios.append(ratio)
                print(text, flush=True)
    print(f"time by PyTorch's better layout: median {sorted(ratios)[len(ratios) // 2]:.2f}, worst {max(ratios):.2f}")


if __name__ == "__main__":
    main()
