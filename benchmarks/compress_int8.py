"""Networks of integers against our own float32: milliseconds, bytes of real files and, on MNIST, accuracy.

Speed: the mobile network of `networks.py` and the zoo's networks with depthwise convolutions, with the small stem
(1×28×28) and at the resolution of their papers. Both engines take turns in one process, a run each, and the smallest
time of many counts, since others may use the machine; float32 is the better of the network as it is and of the one with
batch norm folded. The time of the integers includes quantizing the images and dequantizing the results.

Accuracy (`--accuracy`): each family is trained by its recipe of `zoo_mnist.py`, or read from where that script left its
weights, then quantized after training: calibrated with 512 of its training images, no test image seen before the one
evaluation of both networks.

    python benchmarks/compress_int8.py [--networks mobile mobilenet_v2] [--batches 1 32] [--threads 1]
    TINYDL_DATA=... python benchmarks/compress_int8.py --accuracy [--networks mobilenet_v2] [--seeds 3]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import networks
import numpy as np
import protocol
from environment import describe
from zoo_mnist import RECIPES, build, file_of

import tinydl
from tinydl import Tensor, manual_seed, nn, no_grad, zoo
from tinydl.checkpoint import load_weights, save_weights
from tinydl.compress import fold_batch_norm, integer
from tinydl.data import DataLoader, Subset

DEPTHWISE = (
    *("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v1"),
    *("shufflenet_v2_x1_0", "efficientnet_b0", "xception"),
)
CALIBRATION = 512


def lived_in(model: Any, shape: tuple[int, ...]) -> Any:
    """Let the norms of a random network see some noise, so that the signal neither dies nor explodes."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
    with no_grad():
        model(Tensor(np.random.default_rng(0).standard_normal((8, *shape), np.float32)))
    return model.eval()


def fastest(functions: list[Callable[[Any], Any]], x: Any, seconds: float) -> list[float]:
    """Return the least time of each, on x, in ms; they take turns, and each runs at least five times."""
    for f in functions:
        f(x)
    times: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for f, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            f(x)
            taken.append(1e3 * (time.perf_counter() - start))
    return [min(taken) for taken in times]


def file_sizes(model: Any, network: integer.IntegerNetwork) -> tuple[int, int]:
    """Return the bytes of both files: folded float32 weights, and the whole network of integers."""
    with tempfile.TemporaryDirectory() as folder:
        real, whole = Path(folder, "float.safetensors"), Path(folder, "integer.safetensors")
        save_weights(fold_batch_norm(model), real)
        integer.save(network, whole)
        return real.stat().st_size, whole.stat().st_size


def speed(name: str, small: bool, args: argparse.Namespace) -> list[float]:
    """Print a line for each batch; return the ratios."""
    manual_seed(0)
    if name == "mobile":
        model, shape = networks.build(name, nn)
    elif small:
        model, shape = zoo.build(name, num_classes=10, in_channels=1, small=True), (1, 28, 28)
    else:
        model, shape = zoo.build(name), zoo.paper(name).input
    lived_in(model, shape)
    draw = np.random.default_rng(1)
    network = integer.convert(model, [draw.standard_normal((8, *shape), np.float32)], rounding=args.rounding)
    folded = fold_batch_norm(model)
    before, after = file_sizes(model, network)
    ratios = []
    for batch in args.batches:
        x = Tensor(draw.standard_normal((batch, *shape), np.float32))
        with no_grad():
            plain, merged, whole = fastest([model, folded, network], x, args.seconds)
        best = min(plain, merged)
        ratios.append(whole / best)
        size = f"{before:12,} {after:11,} {before / after:6.2f}"
        print(f"{name:19} {'×'.join(map(str, shape)):>9} {batch:5} {best:9.3f} {whole:9.3f} {ratios[-1]:6.2f} {size}")
    return ratios


def speeds(args: argparse.Namespace) -> None:
    """Print the table of times and bytes."""
    print(describe(args.threads, ("numpy", "numba")), f"rounding {args.rounding}", sep="; ")
    print("network                 input batch  float ms   int8 ms  ratio   float file   int8 file  ratio")
    ratios = []
    for small in (True, False) if args.full else (True,):
        for name in args.networks or ("mobile", *DEPTHWISE):
            if small or name != "mobile":
                ratios += speed(name, small, args)
    print(f"time of int8 by that of float32: median {median(ratios):.2f}, worst {max(ratios):.2f}")


def trained(name: str, seed: int, loader: DataLoader, args: argparse.Namespace) -> Any:
    """Return a network trained on MNIST by its recipe: read from where `zoo_mnist.py` kept it, or trained now."""
    recipe = RECIPES[name]
    manual_seed(seed)
    model = build(name)
    if args.weights:
        model.load_state_dict(load_weights(file_of(args.weights, name, seed)))
    else:
        protocol.train(model, loader, recipe.epochs if args.epochs is None else args.epochs, recipe.lr)
    return model.eval()


def accuracies(args: argparse.Namespace) -> None:
    """Print the table of accuracies before and after quantization."""
    print(describe(args.threads, ("numpy", "numba")), f"rounding {args.rounding}", sep="; ")
    print("network                 float %          int8 %        points lost   float file   int8 file")
    for name in args.networks or RECIPES:
        real, whole = [], []
        for seed in range(args.seeds):
            loader, _ = protocol.split(seed, RECIPES[name].batch)
            model = trained(name, seed, loader, args)
            calibration = DataLoader(Subset(loader.dataset, np.arange(CALIBRATION)), 128)
            network = integer.convert(model, calibration, rounding=args.rounding)
            real.append(protocol.accuracy(model, protocol.final_images(None)))
            whole.append(protocol.accuracy(network, protocol.final_images(None)))
        lost = [a - b for a, b in zip(real, whole, strict=True)]
        before, after = file_sizes(model, network)
        texts = (protocol.spread(values) for values in (real, whole, lost))
        print(f"{name:19}", *(f"{text:>15}" for text in texts), f"{before:12,} {after:11,}", flush=True)


def main() -> None:
    """Print the table that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accuracy", action="store_true", help="train on MNIST and compare accuracies")
    parser.add_argument("--networks", nargs="*")
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 32])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line of the table of times")
    parser.add_argument("--small-only", dest="full", action="store_false", help="leave out the papers' resolutions")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="of training, in place of the recipe's")
    parser.add_argument("--weights", help="the folder where `zoo_mnist.py --weights` kept what it trained")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounding", default="single", choices=["single", "double", "float32", "qdq"])
    args = parser.parse_args()
    tinydl.set_num_threads(args.threads)
    (accuracies if args.accuracy else speeds)(args)


if __name__ == "__main__":
    main()
