"""Lesson 2, the chain rule is a graph: its exercises and how they are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tinydl.lessons.exercise import (
    Arguments,
    Wrong,
    ask,
    compare,
    difference,
    exercise,
    forall,
    need_function,
    unanswered,
)
from tinydl.lessons.search import Pick
from tinydl.lessons.solutions import lesson_02 as answers

_Value: Any = answers.Value
_order: Callable[[Any], list[Any]] = answers.order
_backward: Callable[[Any], None] = answers.backward
_RULES: dict[str, Callable[..., Any]] = {"+": answers.add, "*": answers.mul, "tanh": answers.tanh}


class Box(_Value):  # type: ignore[misc]  # the solutions are untyped
    """A Value with a name and the line that made it; printed as the program that leads to it.

    >>> a = Box("a", "0.5", 0.5)
    >>> Box("b", "a + a", 1.0, (a, a), (1.0, 1.0))
    a = 0.5; b = a + a
    """

    def __init__(
        self, name: str, line: str, data: float, parents: Iterable[Any] = (), slopes: Iterable[float] = ()
    ) -> None:
        super().__init__(data, tuple(parents), tuple(slopes))
        self.name = name
        self.line = f"{name} = {line}"

    def __repr__(self) -> str:
        return "; ".join(box.line for box in _order(self))


def expression(pick: Pick) -> Arguments:
    """Return the last box of a random program of sums, products and tanh; the simplest is a + a."""
    boxes = [Box(name, f"{x}", x) for name, x in zip(("a", "b"), pick.numbers(2, -2, 2))]
    for name in "cdefgh"[: pick.integer(1, 6)]:
        sign = pick.one_of(("+", "*", "tanh"))
        parents = [pick.one_of(boxes) for _ in range(1 if sign == "tanh" else 2)]
        data, *slopes = _RULES[sign](*[parent.data for parent in parents])
        names = [parent.name for parent in parents]
        line = f"tanh({names[0]})" if sign == "tanh" else f" {sign} ".join(names)
        boxes.append(Box(name, line, data, parents, slopes))
    return {"root": boxes[-1]}


def _two_numbers(pick: Pick) -> Arguments:
    return {"a": pick.number(), "b": pick.number()}


_MUL_MISTAKES: dict[str, Callable[..., Any]] = {
    "the slopes are swapped: when a moves, what multiplies the move is b": lambda a, b: (a * b, a, b),
    "slopes of 1 belong to a sum; the slope of a product by a is b": lambda a, b: (a * b, 1.0, 1.0),
    "only the value is returned; the two slopes go behind it: return value, slope, slope": lambda a, b: a * b,
    "that is one slope only; there is one for each of the two numbers": lambda a, b: (a * b, b),
    "the value comes first, then the slopes": lambda a, b: (b, a, a * b),
    "that is the sum; a product is wanted": lambda a, b: (a + b, b, a),
}


@exercise(
    "02.1",
    "the product with its two slopes",
    solution="mul",
    hints=[
        "Three numbers, as in add: the value, the slope by a, the slope by b.",
        "Let a move by a little step h, b stay. Then (a + h) * b - a * b = h * b. Divide by h.",
        "The slope by a is b. By the same argument the slope by b is a: return a * b, …, …",
    ],
)
def mul(answer: Any) -> None:
    """Hold value and slopes against b and a."""
    compare(answer, answers.mul, _two_numbers, _MUL_MISTAKES)


def _names(boxes: Iterable[Any]) -> str:
    return ", ".join(str(getattr(box, "name", box)) for box in boxes)


def _early(found: list[Any]) -> list[Any]:
    """Return the boxes that stand before one of their parents."""
    place = {id(box): i for i, box in enumerate(found)}
    return [box for box in found if any(place[id(parent)] > place[id(box)] for parent in box.parents)]


def _trouble_with_order(found: list[Any], wanted: list[Any]) -> tuple[str, str]:
    """Return what is wrong with an order and the likely mistake; two empty strings when nothing is."""
    known, given = {id(box) for box in wanted}, [id(box) for box in found]
    if any(id(box) not in known for box in found):
        return "something in the list is no box of this graph", "put the boxes themselves into the list"
    if len(set(given)) < len(given):
        return "a box is there twice", "remember the boxes that you have seen, and visit none of them again"
    if found[-1:] != wanted[-1:] and len(given) == len(known) - 1:
        return "the root is missing", "it too is a box: append it, after its parents"
    if len(given) < len(known):
        return "boxes are missing", "go to the parents of the parents too: visit calls itself"
    if not _early(found):
        return "", ""
    if not _early(found[::-1]):
        return "it is the wrong way round", "append a box after the loop that visits its parents, not before"
    return "a box stands before one of its parents", "a box has to wait for all parents: visit them first, then append"


@exercise(
    "02.2",
    "every box once, and after its parents",
    solution="order",
    hints=[
        "Write a function visit(box) inside, which first visits every parent of the box, then appends the box.",
        "A box that is used twice is visited twice: begin visit with `if box not in seen`, seen being a set.",
        "visit: if box not in seen: seen.add(box); for parent in box.parents: visit(parent); found.append(box). "
        "Then visit(root) and return found.",
    ],
)
def order(answer: Any) -> None:
    """Accept every order that keeps parents before children."""
    need_function(answer)

    def examine(root: Any) -> None:
        found, wanted = ask(answer, root), _order(root)
        if found is None:
            raise Wrong(difference(found, wanted))
        if not isinstance(found, (list, tuple)):
            raise Wrong("a list of boxes is wanted", yours=found)
        text, likely = _trouble_with_order(list(found), wanted)
        if text:
            raise Wrong(text, likely, yours=_names(found), a_right_one=_names(wanted))

    forall(expression, examine)


def _overwrites(root: Any) -> None:
    root.grad = 1.0
    for box in reversed(_order(root)):
        for parent, slope in zip(box.parents, box.slopes):
            parent.grad = slope * box.grad


def _not_reversed(root: Any) -> None:
    root.grad = 1.0
    for box in _order(root):
        for parent, slope in zip(box.parents, box.slopes):
            parent.grad += slope * box.grad


def _slope_alone(root: Any) -> None:
    root.grad = 1.0
    for box in reversed(_order(root)):
        for parent, slope in zip(box.parents, box.slopes):
            parent.grad += slope


def _adds_instead(root: Any) -> None:
    root.grad = 1.0
    for box in reversed(_order(root)):
        for parent, slope in zip(box.parents, box.slopes):
            parent.grad += slope + box.grad


def _path_by_path(root: Any) -> None:
    def go(box: Any) -> None:
        for parent, slope in zip(box.parents, box.slopes):
            parent.grad += slope * box.grad
            go(parent)

    root.grad = 1.0
    go(root)


def _no_start(root: Any) -> None:
    """Leave every gradient at 0."""


_WALKS: dict[str, Callable[[Any], None]] = {
    "you overwrite the gradient where you should add to it: `=` where `+=` is needed": _overwrites,
    "root.grad must be 1 before the walk begins, or nothing but zeros is passed on": _no_start,
    "the root alone passes anything on; go through all boxes backwards: reversed(order(root))": _not_reversed,
    "the slope is passed on alone; multiply it by the grad of the box": _slope_alone,
    "slope and grad are added; along a path they are multiplied": _adds_instead,
    "a box passes its gradient on before all of it has come; walk along reversed(order(root))": _path_by_path,
}


def gradients_after(walk: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make of a walk a function that returns what it leaves at the boxes without parents."""

    def leaves(root: Any) -> Any:
        result = walk(root)
        return ... if unanswered(result) else [box.grad for box in _order(root) if not box.parents]

    return leaves


@exercise(
    "02.3",
    "the slopes of 200 random expressions, each in one walk",
    solution="backward",
    hints=[
        "Start with root.grad = 1.0 (the slope of a number by itself). Then go through reversed(order(root)).",
        "Each box has something for each parent: zip(box.parents, box.slopes) gives the pairs.",
        "Inside: parent.grad += slope * box.grad. Why not `=`? Think of a + a.",
    ],
)
def backward(answer: Any) -> None:
    """Hold the gradients of the leaves against ours on random expressions, of which a + a is the simplest."""
    need_function(answer)
    mistakes = {sentence: gradients_after(walk) for sentence, walk in _WALKS.items()}
    compare(gradients_after(answer), gradients_after(_backward), expression, mistakes)
