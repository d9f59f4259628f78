"""How activations (or weights, or gradients) are spread: layer below layer, or step after step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.plots.figures import BLUE, VERMILION, dress, panels
from tinydl.shapes import Array
from tinydl.tensor import as_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 121


def activation_histograms(layers: Mapping[str, Any] | Sequence[Any], ax: Any = None) -> Axes:
    """Draw how values are spread: a ridge a layer for a mapping, a heat map over time for a list.

    Each ridge is scaled to its own peak; beside it stand the mean, the standard deviation and the share of exact zeros,
    which are counted there and not in the ridge (after a ReLU they would be its only peak). All layers share the
    horizontal axis, which spans the middle 99.8 % of the widest layer. The heat map's colour is the share of a step's
    values, on a logarithmic scale, with the mean ± one standard deviation drawn over it.

    Args:
        layers: arrays by layer name, the first layer first; or one array a step.
        ax: the Axes to draw on.

    Raises: ValueError when there is nothing to draw, naming the layer or step.

    >>> rng = np.random.default_rng(0)
    >>> ridges = activation_histograms({"fc1": rng.normal(size=500), "fc2": np.maximum(rng.normal(size=500), 0)})
    >>> [tick.get_text() for tick in ridges.get_yticklabels()]
    ['fc1', 'fc2']
    """
    named = isinstance(layers, Mapping)
    entries = dict(layers) if isinstance(layers, Mapping) else {f"step {i}": a for i, a in enumerate(layers)}
    if not entries:
        raise ValueError("layers is empty: at least one array is needed")
    values = {str(name): _values(str(name), array) for name, array in entries.items()}
    edges = np.linspace(*_span(list(values.values())), _BINS + 1)
    return _ridges(values, edges, ax) if named else _heat(list(values.values()), edges, ax)


def _values(name: str, array: Any) -> Array:
    values = as_array(array, name=f"layers[{name!r}]").ravel().astype(np.float64)
    if not np.isfinite(values).any():
        raise ValueError(f"layers[{name!r}] holds no finite number among its {values.size}")
    return values


def _span(arrays: list[Array]) -> tuple[float, float]:
    """Return the range that holds the middle 99.8 % of the widest array, never empty."""
    ends = np.array([np.percentile(a[np.isfinite(a)], (0.1, 99.9)) for a in arrays])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    margin = 0.03 * (high - low) or 0.5
    return low - margin, high + margin


def _shares(values: Array, edges: Array) -> Array:
    """Return the share of all values in each bin, exact zeros left out."""
    kept = values[np.isfinite(values) & (values != 0)]
    shares: Array = np.histogram(kept, edges)[0] / values.size
    return shares


def _ridges(layers: dict[str, Array], edges: Array, ax: Any) -> Axes:
    n, middles = len(layers), (edges[1:] + edges[:-1]) / 2
    (panel,) = panels(ax, 1, 7.5, 1.1 + 0.5 * n)
    column: dict[str, Any] = {"transform": panel.get_yaxis_transform(), "fontsize": 9, "family": "monospace"}
    for depth, values in enumerate(layers.values()):
        shares = _shares(values, edges)
        ridge = depth - 0.85 * shares / (shares.max() or 1.0)  # the axis points down: the first layer on top
        panel.fill_between(middles, depth, ridge, color=BLUE, alpha=0.75, linewidth=0)
        panel.plot(middles, ridge, color=BLUE, linewidth=1)
        panel.text(1.02, depth, _summary(values), va="bottom", **column)
    panel.text(1.02, -0.95, f"{'mean':>9}{'sd':>9}{'zeros':>8}", va="bottom", **column)
    dress(panel, "spread of values, a layer a row", "value", "")
    panel.set(yticks=range(n), yticklabels=list(layers), ylim=(n - 0.8, -1.05), xlim=(edges[0], edges[-1]))
    panel.spines["left"].set_visible(False)
    panel.tick_params(axis="y", length=0)
    return panel


def _summary(values: Array) -> str:
    """Return mean, standard deviation and share of zeros in columns; a share that is not finite is told as well."""
    finite = values[np.isfinite(values)]
    text = f"{finite.mean():9.2g}{finite.std():9.2g}{100 * np.mean(values == 0):6.0f} %"
    lost = 100 * (1 - finite.size / values.size)
    return f"{text}  {lost:.3g} % not finite" if lost else text


def _heat(steps: list[Array], edges: Array, ax: Any) -> Axes:
    from matplotlib.colors import LogNorm

    (panel,) = panels(ax, 1, 7.5, 3.4)
    shares = np.stack([_shares(values, edges) for values in steps], axis=1)
    least = shares[shares > 0].min(initial=1.0)
    norm = LogNorm(100 * least, max(100 * shares.max(), 200 * least))
    extent = (-0.5, len(steps) - 0.5, edges[0], edges[-1])
    image = panel.imshow(100 * shares, origin="lower", aspect="auto", extent=extent, cmap="Blues", norm=norm)
    panel.figure.colorbar(image, ax=panel).set_label("share of the step's values (%)")
    finite = [values[np.isfinite(values)] for values in steps]
    mean, sd = np.array([v.mean() for v in finite]), np.array([v.std() for v in finite])
    panel.plot(mean, color=VERMILION, label="mean")
    for sign in (-1, 1):
        panel.plot(
            mean + sign * sd, color=VERMILION, linestyle="--", linewidth=1, label="mean ± sd" if sign > 0 else "_"
        )
    zeros = 100 * np.mean(steps[-1] == 0)
    dress(panel, f"spread of values over time; exact zeros at the end: {zeros:.0f} %", "step", "value")
    panel.set(xlim=extent[:2], ylim=extent[2:])
    panel.grid(False)
    panel.legend(frameon=True, fontsize=9, loc="upper right")
    return panel
