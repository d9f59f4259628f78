"""Lesson 10: a digit on its way through a net, what turns its numbers on, and what must not be covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl import nn, random, softmax
from tinydl.data import DataLoader, ImageDataset, Subset
from tinydl.lessons.pictures.easel import picture
from tinydl.modes import no_grad
from tinydl.nn.functional import cross_entropy
from tinydl.optim import Adam
from tinydl.plots.figures import BLUE, COLOURS, VERMILION, dress, new_figure
from tinydl.shapes import Array
from tinydl.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS, _SIZE = 10_000, 50


@picture
def journey(train: ImageDataset, test: ImageDataset, chosen: int) -> Sequence[Axes]:
    """Draw a test image, its maps behind two convolutions of a net trained on 10,000 digits, and ten chances."""
    net = _trained(train)
    x = test[chosen][0][None]
    with no_grad():
        early = net[:2](Tensor(x))
        late = net[2:6](early)
        chances = softmax(net[6:](late), 1).numpy()[0]
    parts: Any = new_figure(9.4, 3.3).subfigures(1, 4, width_ratios=[2.3, 2.4, 2.4, 2.3])
    left, first, second, right = parts
    axes = [left.subplots(), *first.subplots(4, 2).flat, *second.subplots(4, 4).flat, right.subplots()]
    axes[0].imshow(test.images[chosen], cmap="gray_r")
    for ax, channel in zip(axes[1:], [*early.numpy()[0], *late.numpy()[0]]):
        ax.imshow(channel, cmap="viridis", vmin=0)
    for ax in axes[:-1]:
        ax.set(xticks=[], yticks=[])
    for part, text in zip((left, first, second), ("28 × 28 pixels", "8 maps of 24 × 24", "16 maps of 4 × 4")):
        part.suptitle(text, fontsize=10)
    _bars(axes[-1], train.classes, chances)
    right.suptitle("ten chances", fontsize=10)
    return axes


def _trained(train: ImageDataset) -> nn.Sequential:
    """Return a small net after an epoch on some of the digits; tinydl's random numbers stay as they were."""
    state = random.get_state()
    random.manual_seed(10)
    first = nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
    net = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(256, 10))
    random.set_state(state)
    optimizer = Adam(net.parameters(), lr=0.003)
    rows = Subset(train, range(min(_ROWS, len(train))))
    for x, y in DataLoader(rows, _SIZE, shuffle=True, generator=10):
        optimizer.zero_grad()
        cross_entropy(net(x), y).backward()
        optimizer.step()
    return net


def _bars(ax: Axes, classes: Sequence[str], chances: Array) -> None:
    """Draw a bar a class, the likeliest in another colour."""
    colours = [VERMILION if i == chances.argmax() else BLUE for i in range(len(chances))]
    ax.barh(range(len(chances)), chances, color=colours)
    ax.set(yticks=range(len(classes)), yticklabels=list(classes), xlim=(0, 1.02))
    ax.invert_yaxis()
    dress(ax, "", "", "")


@picture
def cover_map(image: Any, margins: Any, side: int) -> Sequence[Axes]:
    """Draw an image, how sure a net stays of it wherever a square covers it, and the cover that hurts most.

    `margins[h, w]` belongs to the square whose upper left corner is at row h, column w; it is drawn at its middle.
    """
    image, margins = np.asarray(image), np.asarray(margins)
    h, w = (int(i) for i in np.unravel_index(margins.argmin(), margins.shape))
    whole, map_, covered = new_figure(9.0, 3.1).subplots(1, 3)
    hidden = image.copy()
    hidden[h : h + side, w : w + side] = image.min()
    worst = f"covered where it hurts: {_signed(margins.min())}"
    for ax, pixels, title in ((whole, image, "the digit"), (covered, hidden, worst)):
        ax.imshow(pixels, cmap="gray_r")
        ax.set_title(title, loc="left", fontsize=10)
    _frame(covered, h, w, side)
    reach = float(np.abs(margins).max()) or 1.0
    low = (side - 1) / 2 - 0.5
    extent = (low, low + margins.shape[1], low + margins.shape[0], low)
    shades = map_.imshow(margins, cmap="RdBu", vmin=-reach, vmax=reach, extent=extent)
    map_.contour(image, levels=[float(image.min() + np.ptp(image) / 2)], colors="black", linewidths=0.8)
    map_.set(xlim=whole.get_xlim(), ylim=whole.get_ylim())
    map_.set_title("its lead, by the place of the cover", loc="left", fontsize=10)
    map_.figure.colorbar(shades, ax=map_, shrink=0.85)
    for ax in (whole, map_, covered):
        ax.set(xticks=[], yticks=[])
    return whole, map_, covered


def _signed(number: float) -> str:
    return f"{number:.1f}".replace("-", "−")


def _frame(ax: Axes, row: int, column: int, side: int) -> None:
    from matplotlib.patches import Rectangle

    box = Rectangle((column - 0.5, row - 0.5), side, side, fill=False, edgecolor=VERMILION, linewidth=2)
    ax.add_patch(box)


@picture
def shift_curves(shares: Mapping[str, Sequence[float]]) -> Axes:
    """Draw the share of right answers over the number of pixels by which all images are shifted, a line a net."""
    ax: Axes = new_figure(6.4, 3.0).subplots()
    for colour, (name, line) in zip(COLOURS, shares.items()):
        percent = [100 * share for share in line]
        ax.plot(range(len(line)), percent, "o-", color=colour, linewidth=1.8, markersize=5)
        ax.annotate(name, (len(line) - 1, percent[-1]), (8, -3), textcoords="offset points", color=colour)
    longest = max(map(len, shares.values()))
    ax.set(xticks=range(longest), xlim=(-0.2, 1.35 * (longest - 1)), ylim=(0, 102))
    dress(ax, "A net of shared weights bears a shift longer", "pixels to the right", "right answers (%)")
    return ax
