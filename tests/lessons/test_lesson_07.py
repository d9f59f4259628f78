"""Lesson 7's checks tell right answers from wrong ones, and say what is wrong."""

import numpy as np
import pytest

from tinydl.lessons import check, solution
from tinydl.lessons.lesson_07 import _BACKWARD_MISTAKES, _MEMORY_MISTAKES, _START_MISTAKES
from tinydl.lessons.pictures.lesson_07 import over_time, three_starts

IDS = "07.1", "07.2", "07.3"
he, normalise_backward, RunningNorm = (solution(id).value for id in IDS)


class Stub:
    """The class of the notebook before anything is written."""

    def __init__(self, channels):
        self.mean, self.var, self.training = np.zeros(channels), np.ones(channels), True

    def __call__(self, x, eps=1e-5):
        return ...


class Fails(Stub):
    def __call__(self, x, eps=1e-5):
        return 1 / 0


class Silent(RunningNorm):
    def __call__(self, x, eps=1e-5):
        super().__call__(x, eps)


@pytest.mark.parametrize("id", IDS)
def test_the_solution_is_right_and_the_stub_is_not_attempted(id):
    assert check(id, solution(id).value).status == "right"
    assert check(id, lambda *arguments: ...).status == "not attempted"
    assert check(id, ...).status == "not attempted"


def test_the_stub_of_the_class_is_not_attempted():
    assert check("07.3", Stub).status == "not attempted"


@pytest.mark.parametrize("id", IDS)
def test_an_error_is_wrong(id):
    def fails(*arguments):
        return 1 / 0

    assert "ZeroDivisionError" in repr(check(id, fails))
    assert check(id, fails).status == "wrong"
    assert check(id, lambda: 1).status == "wrong"
    assert check(id, 3).status == "wrong"
    assert "ZeroDivisionError" in repr(check("07.3", Fails))


@pytest.mark.parametrize(
    "answer",
    [
        lambda o, i, rng: rng.standard_normal((o, i)) * np.sqrt(2 / i),
        lambda o, i, rng: rng.uniform(-1, 1, (o, i)) * np.sqrt(6 / i),
    ],
)
def test_other_right_starts(answer):
    assert check("07.1", answer).status == "right"


@pytest.mark.parametrize("likely, mistake", _START_MISTAKES.items(), ids=range(len(_START_MISTAKES)))
def test_wrong_starts_are_recognised(likely, mistake):
    verdict = check("07.1", mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda o, i, rng: he(i, o, rng) * (o / i) ** 0.5, "a row for each output"),
        (lambda o, i, rng: None, "`return` missing"),
        (lambda o, i, rng: he(o, i, rng) * np.nan, "wrong"),
        (lambda o, i, rng: rng.uniform(0, 1, (o, i)) * np.sqrt(6 / i), "keep its size"),
        (lambda o, i, rng: he(o, i, np.random.default_rng(0)), "draw from rng"),
        (lambda o, i, rng: he(o, i, np.random.default_rng()), "draw from rng alone"),
        (lambda o, i, rng: np.random.default_rng(1).normal(0, 1, (o, i)) * 0, "keep its size"),
    ],
)
def test_other_wrong_starts(answer, words):
    verdict = check("07.1", answer)
    assert verdict.status == "wrong"
    assert words in repr(verdict)


def test_a_start_that_leans_to_one_side_is_wrong():
    def leans(o, i, rng):
        return he(o, i, rng) * 0.96 + 0.02

    assert check("07.1", leans).status == "wrong"


@pytest.mark.parametrize("likely, mistake", _BACKWARD_MISTAKES.items(), ids=range(len(_BACKWARD_MISTAKES)))
def test_wrong_ways_back_are_recognised(likely, mistake):
    verdict = check("07.2", mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


def test_the_formula_of_the_paper_is_right():
    def paper(g, x, eps):
        m, centred, rstd = len(x), x - x.mean(0), 1 / np.sqrt(x.var(0) + eps)
        by_var = (g * centred).sum(0) * -0.5 * rstd**3
        by_mean = -(g * rstd).sum(0) + by_var * (-2 * centred).mean(0)
        return g * rstd + by_var * 2 * centred / m + by_mean / m

    assert check("07.2", paper).status == "right"


@pytest.mark.parametrize("likely, mistake", _MEMORY_MISTAKES.items(), ids=range(len(_MEMORY_MISTAKES)))
def test_wrong_memories_are_recognised(likely, mistake):
    verdict = check("07.3", mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


def test_a_norm_that_returns_nothing_is_wrong():
    assert "`return` missing" in repr(check("07.3", Silent))


def test_a_memory_by_in_place_steps_is_right():
    class InPlace(Stub):
        def __call__(self, x, eps=1e-5):
            mean, var = x.mean(0), x.var(0)
            if not self.training:
                mean, var = self.mean, self.var
            else:
                self.mean += 0.1 * (mean - self.mean)
                self.var += 0.1 * (x.var(0, ddof=1) - self.var)
            return (x - mean) / np.sqrt(var + eps)

    assert check("07.3", InPlace).status == "right"


def test_the_picture_shows_one_signal_that_dies_one_that_lives_and_one_that_bursts():
    panels = three_starts.__wrapped__()
    panels[0].figure.draw_without_rendering()
    last = [float(ax.texts[-1].get_text().removeprefix("sd ")) for ax in panels]
    assert last[0] < 0.01
    assert 0.5 < last[1] < 2
    assert last[2] > 100


def test_the_picture_over_time():
    steps = [np.random.default_rng(i).normal(0, 1, (8, 5)) for i in range(4)]
    left, right = over_time.__wrapped__(steps, steps)
    left.figure.draw_without_rendering()
    assert left.get_title("left") == "without BatchNorm"
    assert right.get_xlabel() == "step"
