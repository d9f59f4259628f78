"""A table with a line of totals, as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Line = Sequence[str]


@dataclass(frozen=True)
class Table:
    """Cells as text, and how to lay them out.

    Attributes:
        title: what it is about, in a few words (shown in HTML only: a terminal has the command above).
        head: the columns' titles.
        lines: the rows, each with as many cells as `head`.
        totals: the last row, set off by rules.
        left: how many columns, from the first, hold words and are flush left; the others hold numbers.
        notes: sentences below the table, each with the word it begins with.
    """

    title: str
    head: Line
    lines: Sequence[Line]
    totals: Line
    left: int
    notes: Sequence[tuple[str, str]] = ()

    def text(self) -> str:
        """Return lines of equal columns.

        >>> print(Table("fruit", ("name", "n"), [("fig", "10")], ("all", "10"), 1, [("ripe", "all")]).text())
        name   n
        --------
        fig   10
        --------
        all   10
        ripe: all
        """
        every = [self.head, *self.lines, self.totals]
        widths = [max(len(line[i]) for line in every) for i in range(len(self.head))]
        head, *rows, totals = ("  ".join(self._padded(line, widths)).rstrip() for line in every)
        rule = "-" * (sum(widths) + 2 * len(widths) - 2)
        notes = [f"{word}: {sentence}" for word, sentence in self.notes]
        return "\n".join([head, rule, *rows, rule, totals, *notes])

    def _padded(self, line: Line, widths: Sequence[int]) -> list[str]:
        return [c.ljust(w) if i < self.left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))]

    def html(self) -> str:
        """Return a table that folds away without JavaScript, its notes below."""
        rows = "".join(self._row("td", line) for line in self.lines)
        notes = "".join(f"<li><b>{escape(word)}</b>: {escape(sentence)}</li>" for word, sentence in self.notes)
        return (
            f"<details open><summary><b>{escape(self.title)}</b></summary>"
            f"<table>{self._row('th', self.head)}{rows}{self._row('th', self.totals)}</table><ul>{notes}</ul></details>"
        )

    def _row(self, tag: str, line: Line) -> str:
        sides = ("left" if i < self.left else "right" for i in range(len(line)))
        cells = (f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>' for side, cell in zip(sides, line))
        return f"<tr>{''.join(cells)}</tr>"


def in_bytes(n: float) -> str:
    """Return a number of bytes in the unit that leaves up to three digits before the point; 1 kB is 1000 bytes.

    >>> in_bytes(0), in_bytes(999), in_bytes(401_408), in_bytes(14_019_488)
    ('0 B', '999 B', '401.4 kB', '14.0 MB')
    """
    if n < 1000:
        return f"{n:.0f} B"
    for unit in ("kB", "MB"):
        n /= 1000
        if round(n, 1) < 1000:
            return f"{n:.1f} {unit}"
    return f"{n / 1000:.1f} GB"


def by(sizes: Sequence[int]) -> str:
    """Return sizes as "3×224×224"; "1" when there is no axis.

    >>> by((3, 224, 224)), by(())
    ('3×224×224', '1')
    """
    return "×".join(map(str, sizes)) or "1"
