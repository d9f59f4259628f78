"""A network of integers from end to end, as small as 99.5 % on MNIST allows: int8 values, weights of few bits, a file.

    taught      the network of `compress_smallest.py`, wider, learns from the labels and from `convnet`, which has
                learned from images shaken in the same way
    quantized   batch norm is folded; weights in `bits` bits a channel and values in 8 are simulated while it learns on
    integers    the network of integers, packed in a file and read back; from here on nothing floats

The file holds all that inference needs: structure, weights, biases, multipliers. Choices (widths, bits, epochs, rates)
were made on 5,000 validation images with `--tune`, which leaves the test set alone; a run trains on the other 55,000
and touches the test set once, with the network that was read back.

    TINYDL_DATA=... python benchmarks/compress_integers.py [--seeds 3] [--widths 24 48 72 72] [--bits 5]
"""

import argparse
import tempfile
import time
from pathlib import Path

import protocol
from compress_smallest import tiny
from environment import describe

import tinydl
from tinydl import zoo
from tinydl.callbacks import Average, Schedule
from tinydl.compress import DistillationLoss, distill, integer
from tinydl.compress.quantize import QuantizationAware, Scheme, Simulated, calibrate, prepare
from tinydl.cost import summary
from tinydl.data import DataLoader
from tinydl.nn import Module
from tinydl.optim import EMA, Adam, lr_scheduler
from tinydl.random import manual_seed
from tinydl.train import Callback


def learn(student: Module, teacher: Module, data: DataLoader, epochs: int, lr: float, *callbacks: Callback) -> None:
    """Let a network learn from labels and teacher under Adam and a one-cycle schedule."""
    optimizer = Adam(student.parameters(), lr)
    schedule = Schedule(lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * len(data)), "step")
    loss = DistillationLoss(temperature=4.0, alpha=0.7)
    distill(student, teacher, data, loss=loss, epochs=epochs, optimizer=optimizer, callbacks=[*callbacks, schedule])


def simulated(model: Module, data: DataLoader, bits: int) -> Simulated:
    """Return the network with simulated integers, its ranges found with some batches."""
    batches = [x for (x, _), _ in zip(data, range(8))]
    weights = Scheme(bits, symmetric=True, axis=0)
    return calibrate(prepare(model.eval(), batches[0], weights=weights, observer="average"), batches)


def read_back(network: integer.IntegerNetwork) -> tuple[integer.IntegerNetwork, int]:
    """Write a network of integers and return what is read from the file, and the file's size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.tdl")
        integer.save(network, path, packed=True)
        return integer.load(path), path.stat().st_size


def run(seed: int, args: argparse.Namespace) -> tuple[float, int]:
    """Print what each stage makes of one seed; return the last one's accuracy and bytes."""
    manual_seed(seed)
    started = time.perf_counter()
    deform = protocol.shaken(args.degrees, args.shift, args.scale)
    data, validation = protocol.split(seed, args.batch, args.limit, deform)
    judge = validation if args.tune else protocol.final_images(args.limit)
    teacher, student = zoo.convnet(), tiny(args.widths)
    protocol.train(teacher, data, args.epochs[0], 0.005)
    ema = EMA(student, 0.998, warmup=True)
    learn(student, teacher, data, args.epochs[1], args.lr, Average(ema))
    with ema.applied():
        network = simulated(student, data, args.bits)
        found = {"teacher": protocol.accuracy(teacher, validation), "taught": protocol.accuracy(student, validation)}
    learn(network, teacher, data, args.epochs[2], args.lr / 10, QuantizationAware(len(data)))
    found["quantized"] = protocol.accuracy(network, validation)
    integers, size = read_back(integer.convert(network))
    share = protocol.accuracy(integers, judge)
    stages = ", ".join(f"{name} {accuracy:.2f}" for name, accuracy in found.items())
    where = "validation" if args.tune else "test"
    minutes = (time.perf_counter() - started) / 60
    print(
        f"seed {seed}: validation: {stages}; integers, {where}: {share:.2f} % in {size:,} bytes; {minutes:.1f} minutes"
    )
    return share, size


def main() -> None:
    """Run all seeds and print the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs=4, default=[24, 48, 72, 72])
    parser.add_argument("--bits", type=int, default=5, help="of weights")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--epochs", type=int, nargs=3, default=[12, 30, 8], help="of teacher, student, quantized student"
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.02, help="the student's schedule's peak")
    parser.add_argument("--degrees", type=float, default=6.0, help="largest turn")
    parser.add_argument("--shift", type=float, default=0.06, help="largest shift, as a fraction of the image")
    parser.add_argument("--scale", type=float, default=0.08, help="largest change of size")
    parser.add_argument("--tune", action="store_true", help="validate only; the test set is not read")
    parser.add_argument("--limit", type=int, help="use only so many images, to try the script")
    args = parser.parse_args()
    counted = summary(tiny(args.widths), (1, 28, 28))
    print(describe(tinydl.num_threads(), ("numpy", "numba")))
    print(f"widths {args.widths}, {args.bits} bits: {counted.params:,} parameters, {counted.macs:,} MACs", flush=True)
    shares, sizes = zip(*[run(seed, args) for seed in range(args.first_seed, args.first_seed + args.seeds)])
    print(f"{protocol.spread(list(shares))} % in {max(sizes):,} bytes at most")


if __name__ == "__main__":
    main()
