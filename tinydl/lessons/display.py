"""What a learner sees: verdicts, hints and solutions, as text in a terminal and as HTML in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, Literal, TypeAlias

from tinydl.plots.figures import BLUE, GREEN, VERMILION

Status: TypeAlias = Literal["not attempted", "wrong", "right"]

_SIGNS: dict[Status, str] = {"not attempted": "○", "wrong": "✗", "right": "✓"}
_COLOURS: dict[Status, str] = {"not attempted": BLUE, "wrong": VERMILION, "right": GREEN}


def _framed(colour: str, head: str, body: str) -> str:
    """Return HTML that is readable on light and dark pages: the page's own ink, a coloured bar at the side."""
    return f'<div style="border-left: 4px solid {colour}; padding: 2px 10px">{head}{body}</div>'


@dataclass(frozen=True)
class Verdict:
    """What `check` answers.

    Attributes:
        id: the exercise.
        status: "not attempted", "wrong" or "right".
        text: one sentence.
        details: (label, text) pairs: the smallest failing input, what came, what was wanted, the likely mistake.

    >>> Verdict("01.1", "wrong", "not yet", (("yours", "3"), ("wanted", "4")))
    ✗ 01.1 wrong: not yet
        yours: 3
        wanted: 4
    """

    id: str
    status: Status
    text: str
    details: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        lines = [f"{_SIGNS[self.status]} {self.id} {self.status}: {self.text}"]
        for label, text in self.details:
            lines.append(f"    {label}: " + text.replace("\n", "\n        "))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = f"<b>{_SIGNS[self.status]} {self.id} {self.status}</b>: {escape(self.text)}"
        rows = "".join(
            f'<div style="white-space: pre-wrap">{escape(label)}: <code>{escape(text)}</code></div>'
            for label, text in self.details
        )
        return _framed(_COLOURS[self.status], head, rows)


@dataclass(frozen=True)
class Hint:
    """One hint, with its place among the others.

    >>> Hint("01.1", 1, 2, "Draw it.")
    hint 1 of 2 for 01.1: Draw it.
    """

    id: str
    number: int
    count: int
    text: str

    def __repr__(self) -> str:
        return f"hint {self.number} of {self.count} for {self.id}: {self.text}"

    def _repr_html_(self) -> str:
        return _framed(BLUE, f"<b>hint {self.number} of {self.count} for {self.id}</b>: {escape(self.text)}", "")


@dataclass(frozen=True, repr=False)
class Solution:
    """A solution: shown as its source; `value` is the solved object itself.

    >>> Solution("01.1", "best = 2", 2)
    best = 2
    """

    id: str
    source: str
    value: Any

    def __repr__(self) -> str:
        return self.source

    def _repr_html_(self) -> str:
        return _framed(BLUE, "", f"<pre>{escape(self.source)}</pre>")
