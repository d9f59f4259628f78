"""What a Module looks like: PyTorch's indented text, and a table for notebooks that unfolds without JavaScript."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any, Protocol

from tinydl.tensor import Tensor


class Shown(Protocol):
    """What is shown of a module."""

    def extra_repr(self) -> str:
        """Return the module's own settings."""

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """Return the modules inside, with their names."""

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Return the parameters, with their names."""


def as_text(module: Shown) -> str:
    """Return `Name(settings)`, or one indented line for each module inside."""
    lines = [f"  ({name}): {_indented(as_text(child))}" for name, child in module.named_children()]
    settings = module.extra_repr()
    if not lines:
        return f"{type(module).__name__}({settings})"
    first = [f"  {settings}"] if settings else []
    return "\n".join([f"{type(module).__name__}(", *first, *lines, ")"])


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def as_html(module: Shown) -> str:
    """Return a table with a row for each layer (its settings, parameters and their number), containers foldable."""
    rows = [_row(name, child) for name, child in module.named_children()]
    own = list(module.named_parameters(recurse=False))
    if own or not rows:
        rows.insert(0, _cells("", module.extra_repr(), own))
    head = "".join(f'<th style="text-align:left">{title}</th>' for title in ("layer", "module", "parameters", "number"))
    return (
        f"<details open><summary><b>{escape(type(module).__name__)}</b>: {_count(module.named_parameters())} parameters"
        f"</summary><table><tr>{head}</tr>{''.join(rows)}</table></details>"
    )


def _row(name: str, module: Shown) -> str:
    if any(True for _ in module.named_children()):
        return f'<tr><td>{escape(name)}</td><td colspan="3" style="text-align:left">{as_html(module)}</td></tr>'
    return _cells(name, as_text(module), list(module.named_parameters(recurse=False)))


def _cells(name: str, text: str, parameters: list[tuple[str, Tensor]]) -> str:
    shapes = "<br>".join(f"{escape(key)} {p.shape}" for key, p in parameters)
    number = _count(parameters) if parameters else ""
    return (
        f'<tr><td>{escape(name)}</td><td style="text-align:left">{escape(text)}</td>'
        f'<td style="text-align:left">{shapes}</td><td style="text-align:right">{number}</td></tr>'
    )


def _count(parameters: Iterable[tuple[str, Tensor]]) -> str:
    return f"{sum(p.numel() for _, p in parameters):,}"
