"""Where a picture is drawn: the figure, the colours, the file.

Every picture takes `ax`. Given, it is drawn on, and its figure stays the caller's. Omitted, a figure is made: by pyplot
where somebody is looking (a notebook or IPython, or a program that imported pyplot and has a screen to show it on), so
that it appears by itself and `plt.show()` finds it; elsewhere one that pyplot never hears of, so that nothing has to be
closed. Matplotlib is imported when the first picture is drawn, never by `import tinydl`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 90
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = COLOURS = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
"""Six colours told apart with any colour vision. Source: Okabe & Ito 2008, Color Universal Design."""

_FILE_BACKENDS = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}
_nobody_looks: ContextVar[bool] = ContextVar("nobody_looks", default=False)


@contextmanager
def off_screen() -> Iterator[None]:
    """Keep new figures away from pyplot inside the block: nothing pops up, nothing has to be closed."""
    token = _nobody_looks.set(True)
    try:
        yield
    finally:
        _nobody_looks.reset(token)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of `width` × `height` inches at 90 dots an inch, visible if anybody is looking."""
    from matplotlib.figure import Figure

    pyplot = _viewer()
    make: Callable[..., Figure] = Figure if pyplot is None else pyplot.figure
    with warnings.catch_warnings():  # a notebook closes its figures at the end of the cell, however many
        warnings.filterwarnings("ignore", "More than .* figures have been opened", RuntimeWarning)
        return make(figsize=(width, height), dpi=DPI, layout="constrained")


def _viewer() -> Any:
    """Return pyplot where its figures are seen, else None."""
    if _nobody_looks.get():
        return None
    ipython = sys.modules.get("IPython")
    interactive = ipython is not None and ipython.get_ipython() is not None
    pyplot = import_module("matplotlib.pyplot") if interactive else sys.modules.get("matplotlib.pyplot")
    return None if pyplot is None or pyplot.get_backend().lower() in _FILE_BACKENDS else pyplot


def panels(ax: Any, count: int, width: float, height: float) -> list[Axes]:
    """Return `count` Axes side by side: those given, or those of a new figure of `width` × `height` inches.

    Raises: ValueError when `ax` holds another number of Axes, TypeError when it holds something else.
    """
    from matplotlib.axes import Axes

    if ax is None:
        return list(new_figure(width, height).subplots(1, count, squeeze=False)[0])
    several = getattr(ax, "flat", ax)
    given = list(several) if isinstance(several, Iterable) else [ax]
    if not all(isinstance(one, Axes) for one in given):
        raise TypeError(f"ax must be matplotlib Axes, got {[type(one).__name__ for one in given]}")
    if len(given) != count:
        raise ValueError(f"ax must hold {count} Axes, got {len(given)}")
    return given


def dress(ax: Axes, title: str, xlabel: str, ylabel: str) -> None:
    """Label a panel, and take away the lines that say nothing."""
    ax.set_title(title, loc="left", fontsize=10)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)


def save(path: Any, picture: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Draw `picture(*args, **kwargs)` off screen and write it at 90 dots an inch.

    Args:
        path: a path whose suffix says the format (.png, .pdf, .svg), or a binary file (PNG).
        picture: a function of `tinydl.plots` that returns Axes.
        *args: what it draws.
        **kwargs: its options.

    >>> from io import BytesIO
    >>> from tinydl.plots import confusion
    >>> save(file := BytesIO(), confusion, [0, 1, 1], [0, 1, 0])
    >>> file.getvalue()[1:4]
    b'PNG'
    """
    with off_screen():
        axes = picture(*args, **kwargs)
    first = axes[0] if isinstance(axes, Sequence) else axes
    first.figure.savefig(path, dpi=DPI)
