"""Early exit on MNIST: accuracy against mean multiply-adds of an image, by the confidence that is asked for.

`convnet` gets two heads (average over 4×4 parts, linear), behind its first and its second pooling; all three exits
learn together from 55,000 images. The thresholds of the curve are fixed beforehand, so the test set is touched once.
With `--tune` the curve is of the 5,000 other images, and the test set is not read.

    TINYDL_DATA=... python benchmarks/compress_exits.py [--seeds 3] [--picture exits.png]
"""

import argparse
import time
from statistics import mean

import protocol
from environment import describe

import tinydl
from tinydl import nn, zoo
from tinydl.compress import EarlyExit, exit_curve, exit_head
from tinydl.plots import pareto, save
from tinydl.random import manual_seed

THRESHOLDS = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.5]


def network() -> EarlyExit:
    """Return convnet with heads after the children called 3 and 7, which are poolings."""
    whole = zoo.convnet()
    assert isinstance(whole, nn.Sequential)
    return EarlyExit(whole, {"3": exit_head(16, 10, 4), "7": exit_head(32, 10, 4)})


def main() -> None:
    """Print the curve, and perhaps draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--tune", action="store_true", help="curve of the validation images")
    parser.add_argument("--limit", type=int, help="use only so many images, to try the script")
    parser.add_argument("--picture", help="where to draw the curve (PNG)")
    args = parser.parse_args()
    print(describe(tinydl.num_threads(), ("numpy", "numba")))
    started, curves = time.perf_counter(), []
    for seed in range(args.seeds):
        manual_seed(seed)
        data, held = protocol.split(seed, 128, args.limit)
        model = network()
        protocol.train(model, data, args.epochs, args.lr, loss=model.loss)
        curves.append(exit_curve(model, held if args.tune else protocol.final_images(args.limit), THRESHOLDS))
    print(f"MACs at each exit: {', '.join(f'{n:,}' for n in model.macs((1, 28, 28)))}")
    print(f"{'threshold':>9} {'mean MACs':>10} {'accuracy (%)':>16}   leave at exit 1, 2, 3 (%)")
    points = {}
    for threshold, each in zip(THRESHOLDS, zip(*curves)):
        macs, accuracy = mean(p.macs for p in each), [100 * p.accuracy for p in each]
        shares = " ".join(f"{100 * mean(column):6.1f}" for column in zip(*(p.shares for p in each)))
        print(f"{threshold:9g} {macs:10,.0f} {protocol.spread(accuracy):>16}   {shares}")
        points[f"{threshold:g}"] = {"macs": macs, "accuracy": mean(accuracy)}
    print(f"{'validation' if args.tune else 'test'} images; {(time.perf_counter() - started) / 60:.1f} minutes")
    if args.picture:
        save(args.picture, pareto, points, x="macs")


if __name__ == "__main__":
    main()
