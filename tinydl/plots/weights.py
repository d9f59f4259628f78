"""What a network has learned to look for, and what it sees: kernels and feature maps as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.plots.sheets import tiles
from tinydl.shapes import Array, Pair
from tinydl.tensor import as_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def filters(weight: Any, shape: Pair | None = None, n: int = 64, ax: Any = None) -> Axes:
    """Draw a layer's weights as images on one scale: blue below 0, white at 0, red above.

    Args:
        weight: convolution kernels (O, I, kh, kw), drawn a row an output channel when I > 1; or the weight (O, H·W)
            of a linear layer that looks at images.
        shape: (H, W) of those images; by default they are square.
        n: how many tiles at most, from the front; the title tells how many there are.
        ax: the Axes to draw on.

    Raises: ValueError for another number of axes, or when `shape` does not fit.

    >>> len(filters(np.random.default_rng(0).normal(size=(8, 1, 3, 3))).images)
    8
    """
    array = as_array(weight, name="weight")
    stack, per_row = _kernels(array, shape)
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    shown = stack[:n] if per_row is None else stack[: max(1, n // per_row) * per_row]
    reach = float(np.abs(stack).max()) or 1.0
    panel, image = tiles(ax, shown, columns=per_row, inches=0.6, cmap="RdBu_r", vmin=-reach, vmax=reach)
    what = "kernels" if array.ndim == 4 else "units"
    return _with_scale(panel, image, "weight", len(shown), len(stack), what)


def _kernels(weight: Array, shape: Pair | None) -> tuple[Array, int | None]:
    """Return a layer's weights as a stack of images, and how many belong in a row (None: as it comes)."""
    if weight.ndim == 4 and weight.size:
        per_row = weight.shape[1] if weight.shape[1] > 1 else None
        return weight.reshape(-1, *weight.shape[2:]), per_row
    if weight.ndim != 2 or not weight.size:
        raise ValueError(f"weight must be (O, I, kh, kw) or (O, H·W) and not empty, got shape {weight.shape}")
    side = int(np.sqrt(weight.shape[1]))
    height, width = shape or (side, side)
    if height * width != weight.shape[1]:
        raise ValueError(
            f"weight has {weight.shape[1]} inputs, which are no {height} × {width} image; give shape=(H, W)"
        )
    return weight.reshape(-1, height, width), None


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
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    titles = [str(channel) for channel in range(min(n, len(maps)))]
    panel, image = tiles(ax, maps[:n], titles, inches=0.85, cmap="viridis")
    return _with_scale(panel, image, "activation", len(titles), len(maps), "channels")


def _with_scale(ax: Axes, image: Any, label: str, shown: int, total: int, what: str) -> Axes:
    """Add the colour scale, and say how much of the whole is shown."""
    ax.figure.colorbar(image, ax=ax, shrink=0.8, aspect=25, pad=0.02).set_label(label)
    ax.set_title(f"{total:,} {what}" if shown == total else f"{shown:,} of {total:,} {what}", loc="left", fontsize=10)
    return ax
