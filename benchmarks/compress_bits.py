"""What each choice in quantization is worth on MNIST: bits, a scale a tensor or a channel, observers, remedies.

A network is trained once a seed on 55,000 images, then quantized in every way of three tables; each cell is the test
accuracy in per cent (mean ± sd over the seeds). Nothing is chosen by these figures. Ranges of values are calibrated on
512 training images.

    TINYDL_DATA=... python benchmarks/compress_bits.py [--networks mobile mobilenet_v2] [--seeds 3]
"""

import argparse
from collections import defaultdict
from functools import partial
from typing import Any

import protocol
from environment import describe

import tinydl
from tinydl import zoo
from tinydl.compress import fold_batch_norm
from tinydl.compress.quantize import (
    OBSERVERS,
    Percentile,
    QuantizationAware,
    Scheme,
    calibrate,
    equalize,
    prepare,
    quantize_static,
    quantize_weights,
)
from tinydl.random import manual_seed

WIDTHS = {"mobilenet_v1": 0.25, "mobilenet_v2": 0.25, "mobilenet_v3_small": 0.5, "shufflenet_v1": 0.25}
TABLES = ("weights", "values", "remedies")
SCALES = {"a tensor": None, "a channel": 0}
Cells = dict[tuple[str, str, str], list[float]]
"""Accuracies by (table, row, column), one a seed."""


def build(name: str) -> Any:
    """Return a network for MNIST."""
    settings: dict[str, Any] = {"small": True} if "small" in zoo.options(name) else {}
    settings |= {"width": WIDTHS[name]} if name in WIDTHS else {}
    return zoo.build(name, num_classes=10, in_channels=1, **settings)


def weights_alone(model: Any, accuracy: Any, cells: Cells) -> None:
    """Fill table 1: weights in few bits, values in floating point."""
    folded = fold_batch_norm(model)
    cells["weights", "float", "a tensor, minmax"].append(accuracy(folded))
    for bits in (8, 6, 4, 3, 2):
        for words, axis in SCALES.items():
            for method in ("minmax", "mse"):
                quantized = quantize_weights(folded, Scheme(bits, symmetric=True, axis=axis), method)
                cells["weights", f"W{bits}", f"{words}, {method}"].append(accuracy(quantized))


def observers(model: Any, batches: Any, accuracy: Any, cells: Cells) -> None:
    """Fill table 2: values in few bits by each observer, weights in 8."""
    every: dict[str, Any] = {name: name for name in OBSERVERS}
    every["percentile 99.9"] = partial(Percentile, percent=99.9)
    for bits in (8, 6, 4):
        for words, observer in every.items():
            quantized = quantize_static(model, batches, activations=Scheme(bits), observer=observer)
            cells["values (W8 a channel)", f"A{bits}", words].append(accuracy(quantized))


def remedies(model: Any, batches: Any, loader: Any, accuracy: Any, cells: Cells) -> None:
    """Fill table 3: what can be done about weights in few bits, values in 8."""
    cells["remedies (A8, minmax)", "float", "plain"].append(accuracy(model))
    cells["remedies (A8, minmax)", "float", "equalized"].append(accuracy(equalize(model, batches[0])))
    for bits in (8, 4, 3):
        for words, axis in SCALES.items():
            row = f"W{bits} {words}"
            scheme = Scheme(bits, symmetric=True, axis=axis)
            for column, options in {
                "plain": {},
                "equalized": {"equalized": True},
                "corrected": {"corrected": True},
                "both": {"equalized": True, "corrected": True},
            }.items():
                quantized = quantize_static(model, batches, weights=scheme, **options)
                cells["remedies (A8, minmax)", row, column].append(accuracy(quantized))
            aware = calibrate(prepare(model, batches[0], weights=scheme, observer="average"), batches)
            protocol.train(aware, loader, 1, 5e-4, quantization=QuantizationAware(len(loader) // 2))
            cells["remedies (A8, minmax)", row, "trained 1 epoch"].append(accuracy(aware))


def show(name: str, cells: Cells) -> None:
    """Print the tables of one network."""
    for table in dict.fromkeys(key[0] for key in cells):
        rows = list(dict.fromkeys(key[1] for key in cells if key[0] == table))
        columns = list(dict.fromkeys(key[2] for key in cells if key[0] == table))
        print(f"\n{name}, {table}: test accuracy, %")
        print(" " * 14 + "".join(f"{column:>20}" for column in columns))
        for row in rows:
            print(
                f"{row:14}"
                + "".join(f"{protocol.spread(cells.get((table, row, column), [])):>20}" for column in columns)
            )


def measure(name: str, seed: int, epochs: int, limit: int | None, tables: list[str], cells: Cells) -> None:
    """Train one network from one seed, quantize it in every way of the tables, and add to `cells`."""
    manual_seed(seed)
    loader, _ = protocol.split(seed, 128, limit)
    test = protocol.final_images(limit)
    accuracy = partial(protocol.accuracy, data=test)
    model = build(name)
    protocol.train(model, loader, epochs, 0.005)
    batches = [x for (x, _), _ in zip(loader, range(4))]
    if "weights" in tables:
        weights_alone(model, accuracy, cells)
    if "values" in tables:
        observers(model, batches, accuracy, cells)
    if "remedies" in tables:
        remedies(model, batches, loader, accuracy, cells)


def main() -> None:
    """Print the tables of every network."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", default=["mobile", "mobilenet_v2"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, help="train and test on no more images, for a quick look")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    arguments = parser.parse_args()
    print(describe(tinydl.num_threads(), ("numpy", "numba")))
    for name in arguments.networks:
        cells: Cells = defaultdict(list)
        for seed in range(arguments.seeds):
            measure(name, seed, arguments.epochs, arguments.limit, arguments.tables, cells)
        show(name, cells)


if __name__ == "__main__":
    main()
