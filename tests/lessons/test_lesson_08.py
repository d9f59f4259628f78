"""Lesson 8's checks tell right answers from wrong ones, and say what is wrong."""

import math

import numpy as np
import pytest

from tinydl.lessons import check, solution
from tinydl.lessons.lesson_08 import _ADAM_MISTAKES, _MOMENTUM_MISTAKES, _RATE_MISTAKES
from tinydl.lessons.pictures.lesson_08 import best_rates, four_paths, losses_of, paths_in

IDS = "08.1", "08.2", "08.3"
MISTAKES = [
    (id, likely, mistake)
    for id, mistakes in zip(IDS, (_MOMENTUM_MISTAKES, _ADAM_MISTAKES, _RATE_MISTAKES))
    for likely, mistake in mistakes.items()
]
momentum_step, adam_step, rate = (solution(id).value for id in IDS)


@pytest.mark.parametrize("id, stub", [("08.1", (..., ...)), ("08.2", (..., ..., ...)), ("08.3", ...)])
def test_the_solution_is_right_and_the_stub_is_not_attempted(id, stub):
    assert check(id, solution(id).value).status == "right"
    assert check(id, lambda *arguments: stub).status == "not attempted"


@pytest.mark.parametrize("id", IDS)
def test_an_error_is_wrong(id):
    def fails(*arguments):
        return 1 / 0

    assert "ZeroDivisionError" in repr(check(id, fails))
    assert check(id, fails).status == "wrong"
    assert check(id, lambda: 1).status == "wrong"


@pytest.mark.parametrize("id, likely, mistake", MISTAKES, ids=range(len(MISTAKES)))
def test_wrong_answers_are_recognised(id, likely, mistake):
    verdict = check(id, mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


@pytest.mark.parametrize("id", IDS)
def test_a_missing_return_is_wrong(id):
    assert "`return` missing" in repr(check(id, lambda *arguments: None))


def test_momentum_may_change_what_it_is_given():
    def in_place(p, g, v, lr, beta):
        v *= beta
        v += g
        p -= lr * v
        return p, v

    assert check("08.1", in_place).status == "right"
    assert check("08.1", lambda *arguments: list(momentum_step(*arguments))).status == "right"


def test_other_right_ways_to_write_adam():
    def by_difference(p, g, m, v, t, lr, beta1, beta2, eps):
        m = m + (1 - beta1) * (g - m)
        v = v + (1 - beta2) * (g**2 - v)
        size = (v / (1 - beta2**t)) ** 0.5 + eps
        return p - lr / (1 - beta1**t) * m / size, m, v

    assert check("08.2", by_difference).status == "right"


@pytest.mark.parametrize("id, right", [("08.1", momentum_step), ("08.2", adam_step)])
def test_a_step_for_single_numbers_alone_is_wrong(id, right):
    def first_knob_only(p, *rest):
        return right(p, *rest) if np.ndim(p) == 0 else tuple(np.full(2, part[0]) for part in right(p, *rest))

    verdict = check(id, first_knob_only)
    assert verdict.status == "wrong"
    assert "right for single numbers" in repr(verdict)


def test_adam_with_math_sqrt_fails_on_arrays():
    def scalar(p, g, m, v, t, lr, beta1, beta2, eps):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        return p - lr * m / (1 - beta1**t) / (math.sqrt(v / (1 - beta2**t)) + eps), m, v

    assert "TypeError" in repr(check("08.2", scalar))


def test_the_way_down_may_be_written_as_a_square():
    def squared(t, total, warmup, top):
        if t + 1 <= warmup:
            return top / warmup * (t + 1)
        return top * math.cos(math.pi / 2 * (t - warmup) / (total - warmup)) ** 2

    assert check("08.3", squared).status == "right"


def test_a_constant_rate_is_wrong():
    assert check("08.3", lambda t, total, warmup, top: top).status == "wrong"


def test_the_picture_shows_four_ways_down():
    left, right = four_paths.__wrapped__()
    left.figure.draw_without_rendering()
    ends = {line.get_label(): line.get_ydata()[-1] for line in right.lines}
    assert list(ends) == ["SGD", "momentum", "RMSprop", "Adam"]
    assert max(ends.values()) < 0.03
    assert all(line.get_ydata()[0] == 20.5 for line in right.lines)


def test_the_pictures_of_paths_and_losses():
    path = np.array([[-4.0, 1.0], [-2.0, 0.5]])
    ax = paths_in.__wrapped__(lambda p: (p * p).sum(-1), {"one": path}, "a title")
    ax.figure.draw_without_rendering()
    assert ax.lines[0].get_xydata().tolist() == path.tolist()
    ax = losses_of.__wrapped__({"one": np.array([1.0, 0.1])}, "a title")
    ax.figure.draw_without_rendering()
    assert ax.lines[0].get_ydata().tolist() == [1.0, 0.1]


def test_the_picture_of_the_best_rates_rings_the_lowest():
    ax = best_rates.__wrapped__({"one": [3.0, 1.0, 2.0]}, [0.01, 0.1, 1.0])
    ax.figure.draw_without_rendering()
    assert ax.lines[1].get_xydata().tolist() == [[0.1, 1.0]]
