"""Lesson 1's checks tell right answers from wrong ones, and say what is wrong."""

import math

import pytest

from tinydl.lessons import check, solution
from tinydl.lessons.lesson_01 import _GRADIENT_MISTAKES, _SLOPE_MISTAKES, _STEP_MISTAKES, FIVE
from tinydl.lessons.pictures.lesson_01 import downhill, secant_to_tangent

IDS = "01.1", "01.2", "01.3"
slope = solution("01.1").value


@pytest.mark.parametrize("id", IDS)
def test_the_solution_is_right_and_the_stub_is_not_attempted(id):
    assert check(id, solution(id).value).status == "right"
    assert check(id, lambda *arguments: ...).status == "not attempted"


@pytest.mark.parametrize("id", IDS)
def test_an_error_is_wrong(id):
    def fails(*arguments):
        return 1 / 0

    assert "ZeroDivisionError" in repr(check(id, fails))
    assert check(id, fails).status == "wrong"
    assert check(id, lambda: 1).status == "wrong"


@pytest.mark.parametrize("answer", [lambda f, x, h: (f(x + h) - f(x - h)) / 2 / h, lambda a, b, c: slope(a, b, c)])
def test_other_right_slopes(answer):
    assert check("01.1", answer).status == "right"


@pytest.mark.parametrize("likely, mistake", _SLOPE_MISTAKES.items(), ids=range(len(_SLOPE_MISTAKES)))
def test_wrong_slopes_are_recognised(likely, mistake):
    verdict = check("01.1", mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely
    assert "f = x²" in dict(verdict.details)["smallest failing input"]


def test_a_slope_that_ignores_h_is_wrong():
    assert check("01.1", lambda f, x, h: slope(f, x, 1e-5)).status == "wrong"


@pytest.mark.parametrize("likely, mistake", _STEP_MISTAKES.items(), ids=range(len(_STEP_MISTAKES)))
def test_wrong_best_steps_are_recognised(likely, mistake):
    verdict = check("01.2", mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda f, x, exact, steps: None, "`return` missing"),
        (lambda f, x, exact, steps: 0.3, "none of the steps"),
        (lambda f, x, exact, steps: 1e-5, "wrong"),
        (lambda f, x, exact, steps: steps[0], "another step comes closer"),
    ],
)
def test_other_wrong_best_steps(answer, words):
    verdict = check("01.2", answer)
    assert verdict.status == "wrong"
    assert words in repr(verdict)


def test_an_equivalent_formula_finds_steps_as_good():
    def best(f, x, exact, steps):
        return sorted((abs((f(x + h) - f(x - h)) / h / 2 - exact), h) for h in steps)[0][1]

    assert check("01.2", best).status == "right"


@pytest.mark.parametrize("likely, mistake", _GRADIENT_MISTAKES.items(), ids=range(len(_GRADIENT_MISTAKES)))
def test_wrong_gradients_are_recognised(likely, mistake):
    verdict = check("01.3", mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


def test_a_gradient_that_moves_the_callers_knobs_is_wrong():
    def moves(f, point, h):
        slopes = []
        for i in range(len(point)):
            point[i] += h
            right = f(point)
            point[i] -= 2 * h
            slopes.append((right - f(point)) / (2 * h))
            point[i] += h
        point[0] += 1e-3
        return slopes

    assert "work on list(point)" in repr(check("01.3", moves))


def test_the_formulas_and_their_derivatives_agree():
    for f in FIVE:
        assert abs(slope(f, 0.7, 1e-5) - f.derivative(0.7)) < 1e-8


def test_the_picture_shows_the_v():
    left, right = secant_to_tangent.__wrapped__()
    left.figure.draw_without_rendering()
    errors = {round(-math.log10(h)): error for h, error in zip(*right.lines[1].get_data())}
    assert errors[5] < errors[1]
    assert errors[5] < errors[12]


def test_the_picture_of_the_way_down():
    ax = downhill.__wrapped__(lambda w: w * w, [2.0, 1.0, 0.5])
    ax.figure.draw_without_rendering()
    assert list(ax.lines[1].get_ydata()) == [4.0, 1.0, 0.25]
