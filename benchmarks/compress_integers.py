"""A network of integers from end to end in 11 kB: int8 values, weights of few bits, one file.

    3×3, 3×3, max 2, 3×3, three 3×3 with shortcuts, max 2, 3×3, one with a shortcut, max 2, depthwise 3×3 → 1×1, linear

    trained     on images shaken a little, under a one-cycle schedule; the average of the weights over the last steps
    quantized   batch norm is folded; weights in `bits` bits a channel and values in 8 are simulated while it learns on,
                again with an average of the weights
    integers    the network of integers, packed in a file and read back; from here on nothing floats

The file holds all that inference needs: structure, weights, biases, multipliers. Choices (network, bits, epochs, rates,
how hard images are shaken) were made on images held out of the training set, with `--tune`, which leaves the test set
alone; a run trains on 55,000 and touches the test set once, with the network that was read back.

    TINYDL_DATA=... python benchmarks/compress_integers.py [--seeds 3] [--widths 8 8 14 16] [--bits 6]
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import mean

import protocol
from compress_smallest import head
from environment import describe

import tinydl
from tinydl import nn
from tinydl.compress import integer
from tinydl.compress.quantize import QuantizationAware, Scheme, Simulated, calibrate, prepare
from tinydl.cost import summary
from tinydl.data import DataLoader
from tinydl.nn import Module, Residual
from tinydl.optim import EMA
from tinydl.random import manual_seed
from tinydl.zoo.blocks import ConvNormActivation


def network(widths: list[int], blocks: int = 3) -> Module:
    """Return the network with these channels at 28×28 (two), at 14×14 and at 7×7 pixels."""
    first, second, middle, last = widths
    return nn.Sequential(
        ConvNormActivation(1, first, 3),
        ConvNormActivation(first, second, 3),
        nn.MaxPool2d(2),
        ConvNormActivation(second, middle, 3),
        *(Residual(ConvNormActivation(middle, middle, 3)) for _ in range(blocks)),
        nn.MaxPool2d(2),
        ConvNormActivation(middle, last, 3),
        Residual(ConvNormActivation(last, last, 3)),
        nn.MaxPool2d(2),
        *head(last),
    )


def simulated(model: Module, data: DataLoader, bits: int) -> Simulated:
    """Return the network with simulated integers, its ranges found with some batches."""
    batches = [x for (x, _), _ in zip(data, range(8))]
    weights = Scheme(bits, symmetric=True, axis=0)
    return calibrate(prepare(model.eval(), batches[0], weights=weights, observer="average"), batches)


def read_back(integers: integer.IntegerNetwork) -> tuple[integer.IntegerNetwork, int]:
    """Write a network of integers and return what is read from the file, and the file's size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.tdl")
        integer.save(integers, path, packed=True)
        return integer.load(path), path.stat().st_size


def run(seed: int, args: argparse.Namespace) -> tuple[float, int]:
    """Print what each stage makes of one seed; return the last one's accuracy and bytes."""
    manual_seed(seed)
    started = time.perf_counter()
    deform = protocol.shaken(args.degrees, args.shift, args.scale)
    data, validation = protocol.split(seed, args.batch, args.limit, deform)
    model = network(args.widths, args.blocks)
    ema = EMA(model, 0.998, warmup=True)
    protocol.train(model, data, args.epochs[0], args.lr, ema)
    with ema.applied():
        trained, aware = protocol.accuracy(model, validation), simulated(model, data, args.bits)
    ema = EMA(aware, 0.998, warmup=True)
    protocol.train(aware, data, args.epochs[1], args.lr / 10, ema, QuantizationAware(len(data)))
    with ema.applied():
        learned = protocol.accuracy(aware, validation)
        integers, size = read_back(integer.convert(aware))
    share = protocol.accuracy(integers, validation if args.tune else protocol.final_images(args.limit))
    stages = f"validation: trained {trained:.2f} %, quantized {learned:.2f} %"
    last = f"integers, {'validation' if args.tune else 'test'}: {share:.2f} % in {size:,} bytes"
    print(f"seed {seed}: {stages}; {last}; {(time.perf_counter() - started) / 60:.1f} minutes", flush=True)
    return share, size


def main() -> None:
    """Run all seeds and print the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs=4, default=[8, 8, 14, 16])
    parser.add_argument("--blocks", type=int, default=3, help="with shortcuts, at 14×14 pixels")
    parser.add_argument("--bits", type=int, default=6, help="of weights")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, nargs=2, default=[72, 14], help="before and after quantization")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.02, help="the schedule's peak; a tenth of it after quantization")
    parser.add_argument("--degrees", type=float, default=12.0, help="largest turn")
    parser.add_argument("--shift", type=float, default=0.12, help="largest shift, as a fraction of the image")
    parser.add_argument("--scale", type=float, default=0.12, help="largest change of size")
    parser.add_argument("--tune", action="store_true", help="validate only; the test set is not read")
    parser.add_argument("--limit", type=int, help="use only so many images, to try the script")
    args = parser.parse_args()
    counted = summary(network(args.widths, args.blocks), (1, 28, 28))
    print(describe(tinydl.num_threads(), ("numpy", "numba")))
    print(f"widths {args.widths}, {args.bits} bits: {counted.params:,} parameters, {counted.macs:,} MACs", flush=True)
    found = [run(seed, args) for seed in range(args.first_seed, args.first_seed + args.seeds)]
    print(f"{protocol.spread([share for share, _ in found])} % in {mean(size for _, size in found):,.0f} bytes")


if __name__ == "__main__":
    main()
