"""What a network has learned to look for, and what it sees: kernels and feature maps as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.plots.sheets import tiles
from tinydl.shapes import Array, Pair
from tinydl.tensor import as_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_INPUTS = 16
_SCALE = 0.9
"""The width of a colour scale with its numbers, in inches."""


def filters(weight: Any, shape: Pair | None = None, n: int = 64, ax: Any = None) -> Axes:
    """Draw a layer's weights as images on one scale: blue below 0, white at 0, red above.

    Args:
        weight: convolution kernels (O, I, kh, kw), a row an output channel if I > 1 (its first 16 input channels); or
            the weight (O, H·W) of a linear layer that looks at images.
        shape: (H, W) of those images; by default they are square.
        n: how many tiles at most, from the front; the title tells how many there are.
        ax: the Axes to draw on.

    Raises: ValueError for another number of axes, when `shape` does not fit, or n is below 1.

    >>> len(filters(np.random.default_rng(0).normal(size=(8, 1, 3, 3))).images)
    8
    """
    kernels = _kernels(as_array(weight, name="weight"), shape)
    outputs, inputs = kernels.shape[:2]
    per_row = min(inputs, _MOST_INPUTS)
    shown = kernels[: max(1, _at_least_one(n) // per_row), :per_row]
    reach = float(np.abs(kernels).max()) or 1.0
    stack = shown.reshape(-1, *shown.shape[2:])
    columns, inches = (None, 0.7) if inputs == 1 else (per_row, 0.5)
    panel, image = tiles(ax, stack, (), columns, inches, _SCALE, cmap="RdBu_r", vmin=-reach, vmax=reach)
    what = "units" if as_array(weight).ndim == 2 else "kernels" if inputs == 1 else "kernels, a row an output channel"
    return _with_scale(panel, image, "weight", len(stack), outputs * inputs, what)


def _kernels(weight: Array, shape: Pair | None) -> Array:
    """Return a layer's weights as (O, I, H, W)."""
    if weight.ndim not in (2, 4) or not weight.size:
        raise ValueError(f"weight must be (O, I, kh, kw) or (O, H·W) and not empty, got shape {weight.shape}")
    if weight.ndim == 4:
        return weight
    side = int(np.sqrt(weight.shape[1]))
    height, width = shape or (side, side)
    if height * width != weight.shape[1]:
        raise ValueError(f"shape must have {weight.shape[1]} pixels, as weight has inputs; got {height} × {width}")
    return weight.reshape(-1, 1, height, width)


def feature_maps(activations: Any, n: int = 64, ax: Any = None) -> Axes:
    """Draw the channels of one sample's activations on one scale, dark to bright, numbered.

    Args:
        activations: (C, H, W), or (1, C, H, W).
        n: how many channels at most, from the first.
        ax: the Axes to draw on.

    Raises: ValueError for other shapes, more than one sample, or n below 1.

    >>> len(feature_maps(np.random.default_rng(0).random((8, 6, 6))).images)
    8
    """
    maps = as_array(activations, name="activations")
    if maps.ndim == 4 and len(maps) == 1:
        maps = maps[0]
    if maps.ndim != 3 or not maps.size:
        raise ValueError(f"activations must be one sample's (C, H, W), got shape {maps.shape}")
    titles = [str(channel) for channel in range(min(_at_least_one(n), len(maps)))]
    panel, image = tiles(ax, maps[:n], titles, None, 0.85, _SCALE, cmap="viridis")
    return _with_scale(panel, image, "activation", len(titles), len(maps), "channels")


def _at_least_one(n: int) -> int:
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    return n


def _with_scale(ax: Axes, image: Any, label: str, shown: int, total: int, what: str) -> Axes:
    """Add the colour scale, and say how much of the whole is shown."""
    ax.figure.colorbar(image, ax=ax, shrink=0.8, aspect=25, pad=0.02).set_label(label)
    ax.set_title(f"{total:,} {what}" if shown == total else f"{shown:,} of {total:,} {what}", loc="left", fontsize=10)
    return ax
