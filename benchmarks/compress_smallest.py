"""The smallest network with at least 99 % on MNIST: depthwise-separable blocks, fewer than 1,936 parameters.

    3×3 stem, max 2, separable block, max 2, two separable blocks with shortcuts, max 2, depthwise 3×3 → 1×1, linear

A separable block is a depthwise 3×3 and a pointwise convolution with nothing in between, one norm and ReLU behind both
(Chollet 2017, Xception): k² C + C O weights where a full convolution has k² C O. The last depthwise convolution sees
the whole 3×3 map, so that each channel weighs places as it likes, where a global average would weigh them all alike.
All trainable parameters are counted, those of the norms as well. Adam under a one-cycle schedule, small shifts and
turns of the images, an average of the weights over the last steps. Widths, epochs, learning rate and augmentation were
chosen on 5,000 validation images with `--tune`, which leaves the test set alone; a run trains on the other 55,000 and
touches the test set once.

    TINYDL_DATA=... python benchmarks/compress_smallest.py [--seeds 10] [--widths 10 16 18 18]
"""

import argparse
import time
from dataclasses import dataclass, field

import protocol
from environment import describe

import tinydl
from tinydl import nn
from tinydl.cost import summary
from tinydl.nn import Module, Residual, Sequential
from tinydl.optim import EMA
from tinydl.random import manual_seed
from tinydl.zoo.blocks import ConvNormActivation, SeparableConv


def head(channels: int) -> list[Module]:
    """Return the layers that make ten logits of a 3×3 map."""
    pooled = nn.DepthwiseConv2d(channels, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU(), nn.Flatten()
    return [*pooled, nn.Linear(channels, 10)]


def tiny(widths: list[int]) -> Module:
    """Return the network with these channels, of the stem and after each block."""
    stem, *outputs = widths
    blocks: list[Module] = [Sequential(SeparableConv(i, o), nn.ReLU()) for i, o in zip(widths, outputs)]
    blocks = [Residual(block) if i == o else block for block, i, o in zip(blocks, widths, outputs)]
    return Sequential(
        ConvNormActivation(1, stem, 3),
        nn.MaxPool2d(2),
        blocks[0],
        nn.MaxPool2d(2),
        *blocks[1:],
        nn.MaxPool2d(2),
        *head(outputs[-1]),
    )


@dataclass
class Result:
    """A figure for each seed."""

    minutes: list[float] = field(default_factory=list)
    learned: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)


def train(args: argparse.Namespace, seed: int, result: Result) -> None:
    """Train one network from one seed and add its figures to `result`."""
    manual_seed(seed)
    deform = protocol.shaken(args.degrees, args.shift, args.scale)
    data, validation = protocol.split(seed, args.batch, args.limit, deform)
    model = tiny(args.widths)
    ema = EMA(model, args.ema, warmup=True)
    started = time.perf_counter()
    history = protocol.train(model, data, args.epochs, args.lr, ema)
    result.learned.append(100 * history[-1]["train_accuracy"])
    result.minutes.append((time.perf_counter() - started) / 60)
    with ema.applied():
        result.validation.append(protocol.accuracy(model, validation))
        if not args.tune:
            result.test.append(protocol.accuracy(model, protocol.final_images(args.limit)))


def main() -> None:
    """Print what the network costs, a line for each seed, and the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs=4, default=[10, 16, 18, 18])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.03, help="the schedule's peak")
    parser.add_argument("--ema", type=float, default=0.998, help="decay of the average of the weights")
    parser.add_argument("--degrees", type=float, default=5.0, help="largest turn")
    parser.add_argument("--shift", type=float, default=0.04, help="largest shift, as a fraction of the image")
    parser.add_argument("--scale", type=float, default=0.05, help="largest change of size")
    parser.add_argument("--tune", action="store_true", help="validate only; the test set is not read")
    parser.add_argument("--limit", type=int, help="use only so many images, to try the script")
    args = parser.parse_args()
    counted = summary(tiny(args.widths), (1, 28, 28))
    print(describe(tinydl.num_threads(), ("numpy", "numba")))
    print(f"widths {args.widths}: {counted.params:,} parameters, {counted.macs:,} MACs, {args.epochs} epochs")
    result = Result()
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        train(args, seed, result)
        test = f", test {result.test[-1]:.2f} %" if result.test else ""
        figures = f"training {result.learned[-1]:.2f} %, validation {result.validation[-1]:.2f} %{test}"
        print(f"seed {seed}: {figures}, {result.minutes[-1]:.1f} minutes", flush=True)
    print(f"mean: validation {protocol.spread(result.validation, 3)} %, test {protocol.spread(result.test, 3)} %")


if __name__ == "__main__":
    main()
