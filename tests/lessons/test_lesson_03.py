"""Lesson 3's checks tell right answers from wrong ones, and say what is wrong."""

import pytest

from tinydl.lessons import check, solution
from tinydl.lessons.lesson_03 import _TRAIN_MISTAKES, beginning, moons
from tinydl.lessons.pictures.lesson_03 import film_strip, four_runs, region
from tinydl.lessons.solutions.lesson_02 import backward

IDS = "03.1", "03.2"


@pytest.mark.parametrize("id", IDS)
def test_the_solution_is_right_and_the_stub_is_not_attempted(id):
    assert check(id, solution(id).value).status == "right"
    assert check(id, ...).status == "not attempted"


def test_the_stub_of_the_loop_is_not_attempted():
    assert check("03.1", lambda *arguments: ...).status == "not attempted"


def test_an_error_is_wrong():
    def fails(*arguments):
        return 1 / 0

    assert "ZeroDivisionError" in repr(check("03.1", fails))
    assert check("03.1", fails).status == "wrong"
    assert check("03.1", lambda: 1).status == "wrong"
    assert check("03.1", 3).status == "wrong"


@pytest.mark.parametrize("likely, mistake", _TRAIN_MISTAKES.items(), ids=range(len(_TRAIN_MISTAKES)))
def test_wrong_loops_are_recognised(likely, mistake):
    verdict = check("03.1", mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


@pytest.mark.parametrize(
    "answer, words",
    [(lambda *arguments: None, "`return` missing"), (lambda *arguments: 0.1, "a list of losses is wanted")],
)
def test_other_wrong_loops(answer, words):
    verdict = check("03.1", answer)
    assert verdict.status == "wrong"
    assert words in repr(verdict)


def test_sweeping_after_the_step_and_keeping_values_is_right():
    def train(knobs, loss, steps, lr):
        history = []
        for _ in range(steps):
            history.append(loss())
            backward(history[-1])
            for knob in knobs:
                knob.data -= lr * knob.grad
                knob.grad = 0.0
        return history

    assert check("03.1", train).status == "right"


@pytest.mark.parametrize(
    "answer, words",
    [("A", "too short"), ("C", "too long"), ("D", "climbs"), ("E", "one of the letters"), (None, "one of the letters")],
)
def test_wrong_runs(answer, words):
    verdict = check("03.2", answer)
    assert verdict.status == "wrong"
    assert words in repr(verdict)


def test_a_small_letter_will_do():
    assert check("03.2", " b").status == "right"


def test_moons_and_knobs_are_always_the_same():
    assert moons(40) == moons(40)
    assert sum(side for *_, side in moons(40)) == 0
    assert beginning(6) == beginning(6) != beginning(6, seed=2)


def test_the_film_ends_with_a_small_loss():
    axes = film_strip.__wrapped__()
    axes[0].figure.draw_without_rendering()
    losses = [float(ax.get_title(loc="left").split()[-1]) for ax in axes]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.1 < losses[0]


def test_the_picture_of_one_region():
    ax = region.__wrapped__([[1.0, 0.0, 0.0]], [1.0, 0.0], moons(4), "one")
    ax.figure.draw_without_rendering()
    assert ax.get_title(loc="left") == "one"


def test_run_b_is_the_one_that_swings():
    axes = four_runs.__wrapped__()
    axes[0].figure.draw_without_rendering()
    a, b, c, d = ([float(y) for y in ax.lines[1].get_ydata()] for ax in axes)
    assert a == sorted(a)
    assert max(b) > 2.4
    assert min(b[20:]) < -0.4
    assert abs(c[-1] - 1) < 0.1
    assert d == sorted(d, reverse=True)
