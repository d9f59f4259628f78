"""The one way a lesson's picture appears: by itself in a notebook, and not at all where matplotlib is missing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

_P = ParamSpec("_P")


def picture(draw: Callable[_P, Any]) -> Callable[_P, None]:
    """Make a function that draws and returns Axes one that shows them and returns nothing, for the end of a cell.

    Without matplotlib it says so in one line, and the lesson goes on. The drawing itself stays at `__wrapped__`.
    """

    @wraps(draw)
    def show(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            draw(*args, **kwargs)
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] != "matplotlib":
                raise
            print("(no picture here: matplotlib is not installed)")

    return show
