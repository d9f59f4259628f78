"""Deep Compression on MNIST: LeNet-5 (431,080 parameters) and LeNet-300-100 in as few bytes as their accuracy allows.

    trained     Adam under a one-cycle schedule, images shifted, turned and scaled a little; with a teacher, a small
                convolutional network that was trained before, from what it says about them, here and from then on
    pruned      the weights with the least w² · E[g²] over all layers, by a density that falls to `kept` weights; then
                trained on; the biases of the widest layer are pruned with it
    clustered   exact k-means of each layer's weights, then its centroids trained, and rounded to half precision
    coded       the packed file: the places and numbers of weights, Huffman or arithmetic coding, a checksum

Han et al. 2016 reached 44 KB with LeNet-5 and 27 KB with LeNet-300-100 (arXiv:1510.00149, table 1). The recipes were
chosen on 5,000 validation images (`--tune` leaves the test set alone); a run trains on the other 55,000 and touches the
test set once, with the network that was read back from the file. Bytes are those of that file.

    TINYDL_DATA=... python benchmarks/compress_lenet.py [--recipes lenet5] [--seeds 3] [--csv ledger.csv]
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import protocol
from environment import describe

import tinydl
from tinydl import zoo
from tinydl.callbacks import Average, Schedule
from tinydl.compress import DistillationLoss, Ledger, coding, distill, prune, share_weights, unshare
from tinydl.data import DataLoader
from tinydl.optim import EMA, Adam, lr_scheduler
from tinydl.random import manual_seed

TEACHER_EPOCHS, TEACHER_LR = 10, 0.01
SHAKEN = protocol.shaken(degrees=6, shift=0.06, scale=0.05)


@dataclass(frozen=True)
class Recipe:
    """How a network is made small.

    Attributes:
        network: its name in the zoo.
        kept: how many weights pruning leaves.
        bits: of the codebooks of weights; those of biases have `bias_bits`.
        wide: the layer whose biases are pruned.
        epochs: of training, of pruning, after it, and of the centroids.
        lr: the highest rate of training, of pruning, of the centroids.
        batch: images in a step.
        teacher: a network of the zoo whose soft targets all stages learn from, beside the labels; None for labels only.
        temperature: of the soft targets.
        ema: decay of the average of the weights that each stage ends with; None for the weights of its last step.
    """

    network: str
    kept: int
    bits: int
    bias_bits: int
    wide: int
    epochs: tuple[int, int, int, int]
    lr: tuple[float, float, float]
    batch: int = 64
    teacher: str | None = None
    temperature: float = 4.0
    ema: float | None = None


RECIPES = {
    "lenet5_small": Recipe(
        "lenet5", 3_500, 4, 4, 5, (8, 12, 18, 5), (0.003, 0.0015, 0.0005), teacher="convnet", ema=0.998
    ),
    "lenet5": Recipe("lenet5", 25_000, 5, 5, 5, (8, 6, 8, 2), (0.003, 0.0015, 0.0003)),
    "lenet_300_100": Recipe("lenet_300_100", 15_000, 4, 4, 1, (10, 10, 10, 3), (0.002, 0.0015, 0.0005)),
}


class Geometric(prune.Schedule):
    """The density d falls to `final` by factors that come closer to 1: ln d(t) = ln d(end) · (1 − (1 − f)²).

    f runs from 0 to 1 between `begin` and `end`. Where one weight in a hundred is to stay, the cubic of Zhu & Gupta
    would take the last nine tenths of the weights almost at once.
    """

    def __init__(self, final: float, begin: int, end: int) -> None:
        super().__init__(begin, end)
        self.final = final

    def at(self, t: float) -> float:
        """Return the sparsity at t."""
        left = 1 - (t - self.begin) / (self.end - self.begin)
        return float(1 - (1 - self.final) ** (1 - left**2))


@dataclass
class Split:
    """The images: to train on, shaken and in random order, and to choose by."""

    loader: DataLoader
    validation: DataLoader

    @classmethod
    def draw(cls, seed: int, batch: int, limit: int | None) -> "Split":
        """Divide the training images in two."""
        return cls(*protocol.split(seed, batch, limit, SHAKEN))


def fit(model: Any, split: Split, teacher: Any, recipe: Recipe, epochs: int, optimizer: Adam, *callbacks: Any) -> Any:
    """Train on labels, or on what a teacher says about the same shaken images as well."""
    ema = None if recipe.ema is None else EMA(model, recipe.ema, warmup=True)
    callbacks = callbacks if ema is None else (Average(ema), *callbacks)
    if teacher is None:
        tinydl.fit(model, split.loader, epochs=epochs, optimizer=optimizer, callbacks=callbacks)
    else:
        measure = DistillationLoss(recipe.temperature)
        distill(model, teacher, split.loader, loss=measure, epochs=epochs, optimizer=optimizer, callbacks=callbacks)
    if ema is not None:
        with ema.applied():
            averages = [np.array(p.data) for p in model.parameters()]
        for p, average in zip(model.parameters(), averages, strict=True):
            p.data = average
    return model


def train(model: Any, split: Split, teacher: Any, recipe: Recipe, epochs: int, lr: float) -> Any:
    """Train under a one-cycle schedule."""
    optimizer = Adam(model.parameters(), lr)
    schedule = lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * len(split.loader))
    return fit(model, split, teacher, recipe, epochs, optimizer, Schedule(schedule, "step"))


def taught(name: str, split: Split) -> Any:
    """Return a teacher: a network of the zoo, trained on the same shaken images."""
    teacher = zoo.build(name)
    protocol.train(teacher, split.loader, TEACHER_EPOCHS, TEACHER_LR)
    print(f"    {name:10} validation {protocol.accuracy(teacher, split.validation):.2f} %", flush=True)
    return teacher.eval()


def pruned(model: Any, split: Split, teacher: Any, recipe: Recipe) -> Any:
    """Prune and train on: the rate stays for the first half of pruning, then falls as a cosine."""
    bias = model[recipe.wide].bias
    bias.mask = np.zeros(bias.shape, bool)
    pruner = prune.Pruner(model, prune.Fisher(), scope="global")
    weights = sum(t.parameter.numel() for t in pruner.targets)
    _, during, after, _ = recipe.epochs
    steps = len(split.loader)
    end, total = during * steps, (during + after) * steps
    schedule = Geometric(1 - recipe.kept / weights, min(200, end // 2), end)
    optimizer = Adam(model.parameters(), recipe.lr[1])

    def factor(t: int) -> float:
        rise, fall = min(1.0, (t + 1) / 100), max(0.0, (t - end / 2) / (total - end / 2))
        return rise * 0.5 * (1 + np.cos(np.pi * min(fall, 1.0)))

    rate = Schedule(lr_scheduler.LambdaLR(optimizer, factor), "step")
    pruning = prune.Pruning(pruner, schedule, frequency=80)
    fit(model, split, teacher, recipe, during + after, optimizer, pruning, rate)
    prune.remove(model)
    return model


def clustered(model: Any, split: Split, teacher: Any, recipe: Recipe) -> Any:
    """Share weights and train what they share; the centroids end in half precision, which halves the codebooks."""
    bits = {name: recipe.bits if p.ndim > 1 else recipe.bias_bits for name, p in model.named_parameters()}
    shared = train(share_weights(model, bits), split, teacher, recipe, recipe.epochs[3], recipe.lr[2])
    for p in shared.parameters():
        p.data = p.data.astype(np.float16).astype(np.float32)
    return unshare(shared)


def read_back(model: Any, recipe: Recipe) -> Any:
    """Write the packed file and return a new network with what is in it."""
    with tempfile.TemporaryDirectory() as folder:
        coding.save(model, Path(folder, "packed"))
        other = zoo.build(recipe.network)
        coding.load(Path(folder, "packed"), other)
    return other


def stages(recipe: Recipe, seed: int, limit: int | None) -> dict[str, tuple[Any, float]]:
    """Return the network and its validation accuracy after each stage."""
    manual_seed(seed)
    split = Split.draw(seed, recipe.batch, limit)
    found = {}
    teacher = None if recipe.teacher is None else taught(recipe.teacher, split)
    model = train(zoo.build(recipe.network), split, teacher, recipe, recipe.epochs[0], recipe.lr[0])
    for name, step in {
        "trained": lambda m: m,
        "pruned": lambda m: pruned(m, split, teacher, recipe),
        "clustered": lambda m: clustered(m, split, teacher, recipe),
        "coded": lambda m: read_back(m, recipe),
    }.items():
        model = step(model)
        found[name] = (zoo.build(recipe.network), protocol.accuracy(model, split.validation) / 100)
        found[name][0].load_state_dict(model.state_dict())
        print(f"    {name:10} validation {100 * found[name][1]:.2f} %", flush=True)
    return found


def ledger(runs: list[dict[str, tuple[Any, float]]]) -> Ledger:
    """Return the rows of all stages, each written as its stage allows: dense, sparse, with palettes, entropy-coded."""
    rows = Ledger((1, 28, 28))
    writers = {
        "pruned": lambda model, path: coding.save(model, path, []),
        "clustered": lambda model, path: coding.save(model, path, []),
        "coded": coding.save,
    }
    for name in runs[0]:
        rows.record(name, [run[name][0] for run in runs], [run[name][1] for run in runs], writers.get(name))
    return rows


def run(name: str, recipe: Recipe, args: argparse.Namespace) -> None:
    """Run all seeds of a recipe and print its ledger, then bytes and test accuracy."""
    print(f"\n{name}: {recipe}")
    started, runs = time.perf_counter(), []
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        print(f"  seed {seed}")
        runs.append(stages(recipe, seed, args.limit))
    rows = ledger(runs)
    print(f"{rows}\naccuracies in the ledger are on validation; {(time.perf_counter() - started) / 60:.1f} minutes")
    if args.csv:
        rows.save(Path(args.csv).with_stem(f"{Path(args.csv).stem}_{name}"))
    models = [stage["coded"][0] for stage in runs]
    sizes = [float(len(coding.pack(model))) for model in models]
    print(f"bytes: {protocol.spread(sizes, 0)}; each {' '.join(f'{size:,.0f}' for size in sizes)}")
    if not args.tune:
        shares = [protocol.accuracy(model, protocol.final_images(args.limit)) for model in models]
        print(
            f"test accuracy: {protocol.spread(shares)} %; each {' '.join(f'{share:.2f}' for share in shares)}",
            flush=True,
        )


def main() -> None:
    """Run the recipes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kept", type=int, help="instead of the recipe's")
    parser.add_argument("--bits", type=int, help="instead of the recipe's")
    parser.add_argument("--epochs", type=int, nargs=4, help="instead of the recipe's")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tune", action="store_true", help="validate only; the test set is not read")
    parser.add_argument("--limit", type=int, help="use only so many images, to try the script")
    parser.add_argument("--csv", help="where to write the ledgers")
    args = parser.parse_args()
    print(describe(tinydl.num_threads(), ("numpy", "numba")))
    for name in args.recipes:
        recipe = RECIPES[name]
        given = {"kept": args.kept, "bits": args.bits}
        given["epochs"] = tuple(args.epochs or ())
        run(name, replace(recipe, **{key: value for key, value in given.items() if value}), args)


if __name__ == "__main__":
    main()
