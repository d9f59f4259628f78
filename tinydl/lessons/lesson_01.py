"""Lesson 1, a derivative by hand: its exercises and how they are checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinydl.lessons.exercise import (
    Arguments,
    Wrong,
    ask,
    compare,
    difference,
    exercise,
    forall,
    likely_mistake,
    need_function,
)
from tinydl.lessons.search import Pick


class Formula:
    """A function that is printed as its formula.

    >>> Formula("x²", lambda x: x * x)
    x²
    """

    def __init__(self, text: str, value: Callable[[Any], float]) -> None:
        self.text = text
        self.value = value

    def __call__(self, x: Any) -> float:
        """Return the value at `x`."""
        return self.value(x)

    def __repr__(self) -> str:
        return self.text


class Curve(Formula):
    """A function of one number, with its derivative."""

    def __init__(self, text: str, value: Callable[[float], float], derivative: Callable[[float], float]) -> None:
        super().__init__(text, value)
        self.derivative = derivative


FIVE = (
    Curve("x²", lambda x: x * x, lambda x: 2 * x),
    Curve("x³", lambda x: x**3, lambda x: 3 * x * x),
    Curve("sin x", math.sin, math.cos),
    Curve("exp x", math.exp, math.exp),
    Curve("tanh x", math.tanh, lambda x: 1 - math.tanh(x) ** 2),
)
"""The curves of the lesson, the simplest first."""

_SURFACES = (
    Formula("the square of the sum", lambda p: sum(p) ** 2),
    Formula("the product", math.prod),
    Formula("sin of the sum", lambda p: math.sin(sum(p))),
)
"""Functions of several numbers, in which the slope by one depends on the others."""


def _central(f: Callable[[float], float], x: float, h: float) -> float:
    return (f(x + h) - f(x - h)) / (2 * h)


def _one_knob(pick: Pick) -> Arguments:
    return {"f": pick.one_of(FIVE), "x": pick.number(-2, 2), "h": pick.one_of((1.0, 0.5, 0.25, 0.125))}


_SLOPE_MISTAKES: dict[str, Callable[..., Any]] = {
    "you look ahead only: f(x + h) − f(x); the other point is x − h": lambda f, x, h: (f(x + h) - f(x)) / h,
    "you look back only: f(x) − f(x − h); the other point is x + h": lambda f, x, h: (f(x) - f(x - h)) / h,
    "you divide by h, but the two points are 2h apart": lambda f, x, h: (f(x + h) - f(x - h)) / h,
    "Python reads `/ 2 * h` from the left: half, then times h; write `/ (2 * h)`": lambda f, x, h: (
        (f(x + h) - f(x - h)) / 2 * h
    ),
    "brackets: only the second value is divided; divide the whole difference": lambda f, x, h: (
        f(x + h) - f(x - h) / (2 * h)
    ),
    "that is the rise alone; a slope is rise over run, so divide by 2h": lambda f, x, h: f(x + h) - f(x - h),
    "you subtract the right value from the left one: rise is right minus left": lambda f, x, h: (
        (f(x - h) - f(x + h)) / (2 * h)
    ),
}


@exercise(
    "01.1",
    "a slope from both sides, within 1e-8 of the derivative of five functions at h = 1e-5",
    solution="slope",
    hints=[
        "Which two points lie h to the left and h to the right of x? How high is f at each?",
        "Rise is f at the right point minus f at the left point. How far apart are the two points?",
        "They are 2h apart: return (… − …) / (2 * h), with both pairs of brackets.",
    ],
)
def central_difference(answer: Any) -> None:
    """Hold the answer against the secant of width 2h, then against five derivatives."""
    compare(answer, _central, _one_knob, _SLOPE_MISTAKES)
    for f in FIVE:
        for x in (-1.5, 0.25, 1.0):
            found = ask(answer, f, x, 1e-5)
            if abs(found - f.derivative(x)) > 1e-8:
                raise Wrong("too far from the derivative", f=f, x=x, h=1e-5, yours=found, wanted=f.derivative(x))


_STEPS = [10.0**-k for k in range(1, 13)]
_ROUNDING = 1e-14
"""By so much the last rounding of an equivalent formula, `/ 2 / h`, may change an error."""


def _error(f: Callable[[float], float], x: float, exact: float, h: float) -> float:
    return abs(_central(f, x, h) - exact)


def _one_search(pick: Pick) -> Arguments:
    f, x = pick.one_of(FIVE), pick.number(-2, 2)
    return {"f": f, "x": x, "exact": f.derivative(x), "steps": _STEPS[: pick.integer(2, 12)]}


def _one_sided(f: Callable[[float], float], x: float, exact: float, steps: list[float]) -> float:
    return min(steps, key=lambda h: abs((f(x + h) - f(x)) / h - exact))


def _without_abs(f: Callable[[float], float], x: float, exact: float, steps: list[float]) -> float:
    return min(steps, key=lambda h: _central(f, x, h) - exact)


def _largest_error(f: Callable[[float], float], x: float, exact: float, steps: list[float]) -> float:
    return max(steps, key=lambda h: _error(f, x, exact, h))


def _the_error_itself(f: Callable[[float], float], x: float, exact: float, steps: list[float]) -> float:
    return min(_error(f, x, exact, h) for h in steps)


def _its_place(f: Callable[[float], float], x: float, exact: float, steps: list[float]) -> int:
    return min(range(len(steps)), key=lambda i: _error(f, x, exact, steps[i]))


_STEP_MISTAKES: dict[str, Callable[..., Any]] = {
    "the smallest h is not the best: there the rounding of f is divided by almost nothing": lambda f, x, e, s: min(s),
    "that is the best step when looking ahead only; measure from both sides": _one_sided,
    "a large negative error is not a small one: take abs() of it": _without_abs,
    "that is the step with the largest error: max where min is needed": _largest_error,
    "you return the smallest error; return the h that has it": _the_error_itself,
    "you return the place of the step in the list; return the step itself": _its_place,
}


@exercise(
    "01.2",
    "the h at which the measured slope comes closest",
    solution="best_step",
    hints=[
        "The error of one step is abs(slope(f, x, h) - exact). You want the step whose error is smallest.",
        "min(steps) is the smallest step. min(steps, key=g) is the step for which g(step) is smallest.",
        "So g is a function of h that returns the error: lambda h: abs(… - exact).",
    ],
)
def best_step(answer: Any) -> None:
    """Accept any of the steps that no other beats (two may measure equally well)."""
    need_function(answer)

    def examine(f: Any, x: float, exact: float, steps: list[float]) -> None:
        found = ask(answer, f, x, exact, list(steps))
        best = min(steps, key=lambda h: _error(f, x, exact, h))
        smallest = _error(f, x, exact, best)
        if found is None:
            raise Wrong(difference(found, best))
        if found not in steps:
            likely = likely_mistake(answer, _one_search, _STEP_MISTAKES)
            raise Wrong("that is none of the steps", likely, yours=found, wanted=best)
        if _error(f, x, exact, found) > smallest + _ROUNDING:
            raise Wrong(
                "another step comes closer",
                likely_mistake(answer, _one_search, _STEP_MISTAKES),
                yours=f"{found}, off by {_error(f, x, exact, found):.1e}",
                wanted=f"{best}, off by {smallest:.1e}",
            )

    forall(_one_search, examine)


def _gradient(f: Callable[[list[float]], float], point: list[float], h: float) -> list[float]:
    slopes = []
    for i in range(len(point)):
        sides = [f([*point[:i], point[i] + step, *point[i + 1 :]]) for step in (h, -h)]
        slopes.append((sides[0] - sides[1]) / (2 * h))
    return slopes


def _all_at_once(f: Callable[[list[float]], float], point: list[float], h: float) -> list[float]:
    return [(f([x + h for x in point]) - f([x - h for x in point])) / (2 * h) for _ in point]


def _not_put_back(f: Callable[[list[float]], float], point: list[float], h: float) -> list[float]:
    moved, slopes = list(point), []
    for i in range(len(moved)):
        moved[i] += h
        ahead = f(moved)
        moved[i] -= 2 * h
        slopes.append((ahead - f(moved)) / (2 * h))
    return slopes


def _ahead_only(f: Callable[[list[float]], float], point: list[float], h: float) -> list[float]:
    return [(f([*point[:i], x + h, *point[i + 1 :]]) - f(point)) / h for i, x in enumerate(point)]


_GRADIENT_MISTAKES: dict[str, Callable[..., Any]] = {
    "you turn all knobs at once; turn one and leave the others where they were": _all_at_once,
    "a knob is not put back before the next one is turned: begin each time with a fresh list(point)": _not_put_back,
    "you look ahead only; measure from both sides, over 2h": _ahead_only,
    "you return the slope of the last knob alone; collect them in a list": lambda f, p, h: _gradient(f, p, h)[-1],
}


def _several_knobs(pick: Pick) -> Arguments:
    point = pick.numbers(pick.integer(1, 3), -2, 2)
    return {"f": pick.one_of(_SURFACES), "point": point, "h": pick.one_of((1.0, 0.5, 0.25))}


@exercise(
    "01.3",
    "one slope for each knob, each turned by itself",
    solution="gradient",
    hints=[
        "Go through the knobs with `for i in range(len(point))`. Only point[i] may move while slope i is measured.",
        "`right = list(point)` makes a fresh copy; then right[i] += h moves one knob of it. Do the same for left.",
        "Inside the loop, append (f(right) - f(left)) / (2 * h) to a list; return the list after the loop.",
    ],
)
def gradient(answer: Any) -> None:
    """Hold the answer against central differences in each direction; the point itself must stay as it was."""

    def untouched(f: Any, point: list[float], h: float) -> Any:
        before = list(point)
        found = ask(answer, f, point, h)
        if point != before:
            raise Wrong(
                "the list that you were given is changed afterwards",
                "point[i] += h moves the caller's own knob; work on list(point)",
                before=before,
                after=point,
            )
        return found

    def examine(f: Any, point: list[float], h: float) -> None:
        untouched(f, list(point), h)

    compare(answer, _gradient, _several_knobs, _GRADIENT_MISTAKES)
    forall(_several_knobs, examine)
