"""README's picture: digits that tinydl draws itself, and how a linear model and a small conv net learn them.

python benchmarks/readme_picture.py docs/digits.png
"""

import argparse

import numpy as np
from matplotlib.figure import Figure

import tinydl
from tinydl import data, nn, optim, zoo
from tinydl.callbacks import Schedule
from tinydl.plots import histories, images
from tinydl.train import fit

EPOCHS, BATCH, PEAK = 5, 128, 0.005


def history(model: nn.Module, train: data.Dataset, test: data.Dataset) -> list[dict[str, float]]:
    """Train and return the epochs' figures."""
    loader = data.DataLoader(train, BATCH, shuffle=True)
    optimizer = optim.Adam(model.parameters(), PEAK)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=EPOCHS * len(loader))
    validation = data.DataLoader(test, 500)
    return fit(
        model,
        loader,
        epochs=EPOCHS,
        validation=validation,
        optimizer=optimizer,
        callbacks=[Schedule(schedule, "step")],
    )


def main() -> None:
    """Draw the digits beside the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="where to write the PNG")
    path = parser.parse_args().path
    tinydl.manual_seed(0)
    train, test = data.load("synthetic")
    order = np.concatenate([np.flatnonzero(train.labels == digit)[:10] for digit in range(10)])
    linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    runs = {"linear model": history(linear, train, test), "convnet": history(zoo.convnet(), train, test)}
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.3])
    images(train.images[order], columns=10, ax=left)
    left.set_title("SyntheticDigits: drawn, not downloaded", fontsize="medium", loc="left")
    histories(runs, ax=right)
    figure.savefig(path, dpi=90)
    for name, rows in runs.items():
        print(f"{name}: test accuracy {100 * rows[-1]['validation_accuracy']:.2f} %")


if __name__ == "__main__":
    main()
