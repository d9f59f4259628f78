"""Lesson 6: ten stencils that nobody drew, and two curves that part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinydl import nn
from tinydl.data import DataLoader, ImageDataset, Subset
from tinydl.lessons.pictures.easel import picture
from tinydl.nn.functional import cross_entropy
from tinydl.optim import SGD
from tinydl.plots.figures import COLOURS, dress, new_figure
from tinydl.shapes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS, _SIZE, _STOPS = 10_000, 50, (0, 20, 400)
_REACH = 0.2
"""The weight that is drawn in full colour."""


@picture
def stencils(train: ImageDataset) -> Sequence[Axes]:
    """Draw the 784 weights of each of ten neurons at a few stations of their training on 10,000 digits."""
    from matplotlib import colormaps

    colours = colormaps["RdBu_r"].resampled(9)  # noise in a few colours makes a small file
    axes: Array = new_figure(8.6, 3.2).subplots(len(_STOPS), 10)
    for row, (step, weights) in zip(axes, _stations(train).items()):
        for digit, (ax, weight) in enumerate(zip(row, weights)):
            ax.imshow(weight.reshape(28, 28), cmap=colours, vmin=-_REACH, vmax=_REACH, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            if step == _STOPS[-1]:
                ax.set_xlabel(f'"{train.classes[digit]}"')
        row[0].set_ylabel(f"{step:,} steps" if step else "start", fontsize=9)
    axes[0, 0].figure.suptitle("What ten neurons look for: red wants ink there, blue wants paper", fontsize=10)
    return list(axes.flat)


def _stations(train: ImageDataset) -> dict[int, Array]:
    """Return the weights (10, 784) of a single linear layer after so many steps."""
    rng = np.random.default_rng(6)
    layer = nn.Linear(784, 10, generator=rng)
    optimizer = SGD(layer.parameters(), lr=0.03)
    loader = DataLoader(Subset(train, range(min(_ROWS, len(train)))), _SIZE, shuffle=True, generator=rng)
    found, step = {0: layer.weight.numpy().copy()}, 0
    while step < _STOPS[-1]:
        for x, y in loader:
            optimizer.zero_grad()
            cross_entropy(layer(x.flatten(1)), y).backward()
            optimizer.step()
            step += 1
            if step in _STOPS:
                found[step] = layer.weight.numpy().copy()
    return {stop: found[stop] for stop in _STOPS}


@picture
def learning_curves(curves: Mapping[str, Sequence[float]]) -> Axes:
    """Draw the share of right answers after each epoch, a line for each set of images."""
    ax: Axes = new_figure(6.4, 3.0).subplots()
    for colour, (name, shares) in zip(COLOURS, curves.items()):
        epochs = range(1, len(shares) + 1)
        percent = [100 * share for share in shares]
        ax.plot(epochs, percent, "o-", color=colour, linewidth=1.8, markersize=5)
        ax.annotate(name, (epochs[-1], percent[-1]), (8, -3), textcoords="offset points", color=colour)
    last = max(map(len, curves.values()))
    ax.set(xlim=(0.8, 1.25 * last), xticks=range(1, last + 1))
    dress(ax, "Both rise, then they part", "epoch", "right answers (%)")
    return ax
