"""Factorization on MNIST: accuracy against rank, at once and after training on.

LeNet-5 (431,080 parameters) is trained; its layers are taken apart down to shares of its multiply-adds, with the same
share of energy kept in each layer; then the pairs are trained for an epoch. Spatial (k×k → k×1, 1×k) and channel
(k×k, 1×1) SVD of the convolutions; linear layers by truncated SVD. A run trains on 55,000 images; the 5,000 others
are for choosing (`--tune` prints only these); the test set is touched once for each point of the curve, which serves
no choice.

    TINYDL_DATA=... python benchmarks/compress_rank.py [--seeds 3] [--picture rank.png] [--csv rank.csv]
"""

import argparse
import time
from typing import Any

import protocol
from environment import describe

import tinydl
from tinydl import zoo
from tinydl.compress import Ledger
from tinydl.compress.factorize import Factorization, plan
from tinydl.nn import Module
from tinydl.plots import save
from tinydl.random import manual_seed

SHAPE = (1, 28, 28)


def ranks(found: Factorization[Any]) -> str:
    """Return the ranks of all layers that are taken apart."""
    return " ".join(str(row.rank) for row in found.rows if row.pair is not None) or "–"


def measure(network: Module, args: argparse.Namespace, seed: int, results: dict[str, list[Any]]) -> None:
    """Add the networks of one seed to the results: as trained, and two for each point of the curve."""
    data = protocol.split(seed, 128, args.limit)[0]
    results.setdefault("as trained", []).append(network)
    for conv in args.conv:
        for budget in args.budgets:
            found = plan(network, budget=budget, of="macs", input_shape=SHAPE, conv=conv)
            at_once, later = found.apply(), found.apply()
            protocol.train(later, data, args.more, args.lr / 5)
            name = f"{conv} {budget:g}"
            print(f"  seed {seed}, {name}: ranks {ranks(found)}", flush=True)
            results.setdefault(name, []).append(at_once)
            results.setdefault(f"{name}, trained on", []).append(later)


def main() -> None:
    """Print the ledger, and perhaps draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="lenet5", choices=zoo.names())
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--more", type=int, default=1, help="epochs after factorization")
    parser.add_argument("--lr", type=float, default=0.002)
    parser.add_argument("--budgets", type=float, nargs="*", default=[0.75, 0.5, 0.35, 0.25, 0.15, 0.1])
    parser.add_argument("--conv", nargs="*", default=["spatial", "channel"], choices=["spatial", "channel"])
    parser.add_argument("--tune", action="store_true", help="accuracies on validation; the test set is not read")
    parser.add_argument("--limit", type=int, help="use only so many images, to try the script")
    parser.add_argument("--picture", help="where to draw accuracy against parameters and multiply-adds (PNG)")
    parser.add_argument("--csv", help="where to write the ledger")
    args = parser.parse_args()
    print(describe(tinydl.num_threads(), ("numpy", "numba")))
    started, results = time.perf_counter(), dict[str, list[Any]]()
    for seed in range(args.seeds):
        manual_seed(seed)
        network = zoo.build(args.network)
        protocol.train(network, protocol.split(seed, 128, args.limit)[0], args.epochs, args.lr)
        measure(network, args, seed, results)
    ledger = Ledger(SHAPE)
    for name, models in results.items():
        shares = []
        for seed, model in enumerate(models):
            held = protocol.split(seed, 128, args.limit)[1]
            shares.append(protocol.accuracy(model, held if args.tune else protocol.final_images(args.limit)) / 100)
        ledger.record(name, models, shares)
    print(ledger)
    print(f"accuracy: {'validation' if args.tune else 'test'}; {(time.perf_counter() - started) / 60:.1f} minutes")
    if args.csv:
        ledger.save(args.csv)
    if args.picture:
        save(args.picture, ledger.pareto, x=("params", "macs"))


if __name__ == "__main__":
    main()
