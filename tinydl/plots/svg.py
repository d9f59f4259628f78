"""A graph of boxes as SVG text: the same boxes always give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from tinydl.plots.figures import BLUE
from tinydl.plots.layered import Key, Layout, Point, layout

_FONT = 13.0
_LETTER = (
    8.0  # the widest of the usual monospace fonts takes 0.602 em a letter; some renderers round up to whole pixels
)
_LINE = 16.0
_PAD = 7.0
_BADGE = 25.0
_MARGIN = 12.0
_COLUMN_GAP, _ROW_GAP = 42.0, 14.0
_ARRIVAL = 12.0  # between edges that arrive at one badge
_LABEL_FONT = 9.5
_TYPE = f"font-family=\"'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace\" font-size=\"{_FONT}\""
_INK = {"name": "#1a1a1a", "value": "#1a1a1a", "gradient": "#a63d00", "note": "#5f5f5f"}
_FACE = {"leaf": ("#e3f3ec", "#00785a"), "constant": ("#f1f1f1", "#8a8a8a"), "result": ("#ffffff", BLUE)}
_EDGE = "#6a6a6a"
_SPACE = "\N{NO-BREAK SPACE}"  # plain ones are merged where two meet


class Line(NamedTuple):
    """A line of text in a box; `kind` is "name", "value", "gradient" or "note"."""

    text: str
    kind: str


class Input(NamedTuple):
    """Where an edge comes from, and what it is called where it arrives (nothing, if that does not matter)."""

    key: Key
    label: str = ""


class Box(NamedTuple):
    """A box of the graph.

    Attributes:
        key: tells it from the others.
        kind: "leaf", "constant" or "result".
        lines: what stands in it.
        inputs: where its edges come from, in the order of the op's operands.
        op: what stands on the badge at its left side; empty for none.
        hint: shown when the pointer rests on it.
    """

    key: Key
    kind: str
    lines: Sequence[Line]
    inputs: Sequence[Input] = ()
    op: str = ""
    hint: str = ""

    @property
    def badge_width(self) -> float:
        """The width of the badge: a circle for a sign, longer for a name."""
        return max(_BADGE, _LETTER * len(self.op) + 14) if self.op else 0.0

    @property
    def badge_height(self) -> float:
        """The height of the badge: room for every edge to arrive."""
        return max(_BADGE, _ARRIVAL * len(self.inputs))

    @property
    def width(self) -> float:
        """The width of the box with its badge."""
        return self.badge_width + _LETTER * max([3, *(len(line.text) for line in self.lines)]) + 2 * _PAD

    @property
    def height(self) -> float:
        """The height of the box."""
        return max(_LINE * len(self.lines) + _PAD, self.badge_height)


class SVG:
    """A picture as SVG text: a notebook shows it, `save` writes it, `str` gives the text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:  # without an address: notebooks keep it beside the picture
        return f"<SVG picture of {len(self.text):,} characters>"

    def _repr_svg_(self) -> str:
        return self.text

    def save(self, path: str | PathLike[str]) -> None:
        """Write the picture to `path`, as UTF-8."""
        Path(path).write_text(self.text, encoding="utf-8")


def draw(boxes: Sequence[Box], legend: Sequence[Line] = ()) -> SVG:
    """Return boxes and the edges between them as a picture, inputs at the left, a legend below.

    >>> x, y = Box(0, "leaf", [Line("x", "name")]), Box(1, "result", [Line("4", "value")], [Input(0), Input(0)], "×")
    >>> "×" in str(draw([x, y]))
    True
    """
    edges = [(source.key, box.key) for box in boxes for source in box.inputs]
    label = max((len(source.label) for box in boxes for source in box.inputs), default=0)
    gap = _COLUMN_GAP + 0.6 * _LABEL_FONT * max(0, label - 2)
    plan = layout({box.key: (box.width, box.height) for box in boxes}, edges, gap, _ROW_GAP)
    words = "   ".join(line.text for line in legend)
    width = round(max(plan.width, _LETTER * len(words)) + 2 * _MARGIN)
    height = round(plan.height + 2 * _MARGIN + (1.6 * _LINE if legend else 0))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'style="max-width: 100%" role="img">',
        "<title>computational graph</title>",
        f'<rect width="{width}" height="{height}" rx="6" fill="white"/>',  # readable on a dark page too
        f'<g {_TYPE} transform="translate({(width - plan.width) / 2:.1f} {_MARGIN})">',
        *_edges(boxes, plan),
        *(part for box in boxes for part in _box(box, plan.centres[box.key])),
        "</g>",
        _legend(legend, height - _MARGIN),
        "</svg>",
    ]
    return SVG("\n".join(part for part in parts if part) + "\n")


def _text(x: float, y: float, text: str, ink: str, anchor: str = "start", extra: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{ink}" text-anchor="{anchor}"{extra}>'
        f"{escape(text).replace(' ', _SPACE)}</text>"
    )


def _box(box: Box, centre: Point) -> Iterator[str]:
    """Yield the box around `centre`: its badge, its frame, its lines."""
    face, rim = _FACE[box.kind]
    left, top = centre[0] - box.width / 2, centre[1] - box.height / 2
    x, width = left + box.badge_width, box.width - box.badge_width
    yield f"<g>{f'<title>{escape(box.hint)}</title>' if box.hint else ''}"
    yield (
        f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{box.height:.1f}" rx="4" '
        f'fill="{face}" stroke="{rim}" stroke-width="1.3"/>'
    )
    if box.op:
        yield (
            f'<rect x="{left:.1f}" y="{centre[1] - box.badge_height / 2:.1f}" width="{box.badge_width:.1f}" '
            f'height="{box.badge_height:.1f}" rx="{_BADGE / 2}" fill="{rim}"/>'
        )
        yield _text(left + box.badge_width / 2, centre[1] + 0.35 * _FONT, box.op, "white", "middle")
    baseline = centre[1] - _LINE * len(box.lines) / 2 + 0.78 * _LINE
    for i, line in enumerate(box.lines):
        bold = ' font-weight="bold"' if line.kind == "name" else ""
        text = line.text.lstrip()  # some renderers ignore spaces at the start: they become a shift
        middle = x + (width + _LETTER * (len(line.text) - len(text))) / 2
        yield _text(middle, baseline + i * _LINE, text, _INK[line.kind], "middle", bold)
    yield "</g>"


def _edges(boxes: Sequence[Box], plan: Layout) -> Iterator[str]:
    """Yield a curve with a tip for each input, arriving one below the other in the order of where they come from."""
    routes = iter(plan.routes)
    for box in boxes:
        arriving = [(next(routes), source) for source in box.inputs]
        arriving.sort(key=lambda pair: pair[0][-2][1])
        for i, (route, source) in enumerate(arriving):
            offset = (i - (len(arriving) - 1) / 2) * _ARRIVAL
            x, y = route[-1][0], route[-1][1] + offset
            yield f'<path d="{_curve([*route[:-1], (x - 5, y)])}" fill="none" stroke="{_EDGE}" stroke-width="1.3"/>'
            yield f'<path d="M{x:.1f} {y:.1f} l-7 -3.2 v6.4 z" fill="{_EDGE}"/>'
            if source.label:
                baseline = y - 3 if i < len(arriving) - 1 else y + 0.9 * _LABEL_FONT + 1
                yield _text(x - 9, baseline, source.label, _EDGE, "end", f' font-size="{_LABEL_FONT}"')


def _curve(points: Sequence[Point]) -> str:
    """Return path data through `points`, level at each of them; each x is reached half-way between (cubic Bézier)."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        path += f" C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
    return path


def _legend(lines: Sequence[Line], y: float) -> str:
    """Return the legend as one line of text, each word in its own ink."""
    if not lines:
        return ""
    words = (3 * _SPACE).join(f'<tspan fill="{_INK[line.kind]}">{escape(line.text)}</tspan>' for line in lines)
    return f'<text x="{_MARGIN}" y="{y:.1f}" {_TYPE}>{words}</text>'
