"""Lesson 2: the neuron as a graph, with gradients that walk back through it, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tinydl.lessons.pictures.easel import picture
from tinydl.lessons.solutions import lesson_02 as answers
from tinydl.plots.figures import GREEN, VERMILION, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_value: Callable[[float], Any] = answers.Value
_order: Callable[[Any], list[Any]] = answers.order
_FRAMES = ((0, "forward: values only"), (3, "three boxes have passed theirs on"), (7, "the walk is over: ∂ of all"))
_WIDTH, _HEIGHT = 0.82, 0.74


def _network() -> dict[str, tuple[Any, float, float]]:
    """Return the boxes of lesson 1's neuron and its loss: title -> (box, x, y)."""
    w_top, top, w_left, left, bias, minus = (_value(x) for x in (0.5, 2.0, -1.0, 0.9, 0.2, -1.0))
    one, two = w_top * top, w_left * left
    both = one + two
    total = both + bias
    y = total.tanh()
    miss = y + minus
    return {
        "w_top": (w_top, 0, 3), "top": (top, 0, 2), "w_left": (w_left, 0, 1), "left": (left, 0, 0),
        "bias": (bias, 2, 0), "−1": (minus, 4, 0), "×": (one, 1, 2.5), "× ": (two, 1, 0.5), "+": (both, 2, 1.5),
        "+ ": (total, 3, 1.5), "tanh": (y, 4, 1.5), "miss: +": (miss, 5, 1.5), "loss: ×": (miss * miss, 6, 1.5),
    }  # fmt: skip


def _walk(root: Any, passes: int) -> set[int]:
    """Let the first `passes` boxes with parents pass on their gradient; return the ids of boxes that hold all of it."""
    root.grad = 1.0
    done, reached = 0, {id(root)}
    for box in reversed(_order(root)):
        if not box.parents or done == passes:
            continue
        for parent, slope in zip(box.parents, box.slopes):
            parent.grad += slope * box.grad
            reached.add(id(parent))
        done += 1
    return reached


@picture
def walk_back() -> Sequence[Axes]:
    """Draw the graph three times: after the forward pass, on the way back, and at the end."""
    axes: Sequence[Axes] = new_figure(8.6, 8.4).subplots(len(_FRAMES), 1)
    for ax, (passes, title) in zip(axes, _FRAMES):
        _frame(ax, passes, title)
    return axes


def _frame(ax: Axes, passes: int, title: str) -> None:
    boxes = _network()
    reached = _walk(boxes["loss: ×"][0], passes) if passes else set()
    places = {id(box): (x, y) for box, x, y in boxes.values()}
    for box, x, y in boxes.values():
        for i, parent in enumerate(box.parents):
            _edge(ax, places[id(parent)], (x, y), id(box) in reached and id(parent) in reached, _bow(box, i))
    for name, (box, x, y) in boxes.items():
        _draw_box(ax, name, box, (x, y), id(box) in reached)
    ax.set_title(title, loc="left", fontsize=10)
    ax.set_xlim(-0.5, 6.5)
    ax.set_ylim(-0.5, 3.5)
    ax.axis("off")


def _bow(box: Any, i: int) -> float:
    """Return how much an edge bends: two from the same parent go different ways."""
    return 0.0 if len({id(parent) for parent in box.parents}) == len(box.parents) else (0.5, -0.5)[i]


def _edge(ax: Axes, start: tuple[float, float], end: tuple[float, float], back: bool, bow: float) -> None:
    left, right = (start[0] + _WIDTH / 2, start[1]), (end[0] - _WIDTH / 2, end[1])
    path = {"color": VERMILION if back else "0.6", "connectionstyle": f"arc3,rad={bow}", "linewidth": 1.6}
    ax.annotate("", left if back else right, right if back else left, arrowprops={"arrowstyle": "->", **path})


def _draw_box(ax: Axes, name: str, box: Any, at: tuple[float, float], reached: bool) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner, edge = (at[0] - _WIDTH / 2, at[1] - _HEIGHT / 2), "0.4" if box.parents else GREEN
    style = "round,pad=0,rounding_size=0.08"
    ax.add_patch(FancyBboxPatch(corner, _WIDTH, _HEIGHT, boxstyle=style, facecolor="white", edgecolor=edge))
    ax.text(at[0], at[1] + 0.23, name.strip(), ha="center", va="center", fontsize=8, color="0.35")
    ax.text(at[0], at[1], f"{box.data:.4g}", ha="center", va="center", fontsize=9)
    if reached:
        text = f"∂ {box.grad:.4f}"
        ax.text(at[0], at[1] - 0.24, text, ha="center", va="center", fontsize=9, color=VERMILION, weight="bold")
