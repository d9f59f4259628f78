"""Lesson 4's checks tell right answers from wrong ones, and say what is wrong."""

import numpy as np
import pytest

from tinydl.lessons import check, solution
from tinydl.lessons.lesson_04 import _MATMUL_MISTAKES, _UNBROADCAST_MISTAKES
from tinydl.lessons.pictures.lesson_04 import images, ladder, stretched_and_summed

IDS = "04.1", "04.2"


@pytest.mark.parametrize("id", IDS)
def test_the_solution_is_right_and_the_stub_is_not_attempted(id):
    assert check(id, solution(id).value).status == "right"
    assert check(id, lambda *arguments: ...).status == "not attempted"


def test_half_an_answer_is_not_attempted():
    assert check("04.2", lambda g, a, b: (g @ b.T, ...)).status == "not attempted"


@pytest.mark.parametrize("id", IDS)
def test_an_error_is_wrong(id):
    def fails(*arguments):
        return 1 / 0

    assert "ZeroDivisionError" in repr(check(id, fails))
    assert check(id, fails).status == "wrong"
    assert check(id, 3).status == "wrong"


def test_other_right_ways():
    def one_axis_at_a_time(g, shape):
        while g.ndim > len(shape):
            g = g.sum(axis=0)
        for i, size in enumerate(shape):
            if size == 1:
                g = g.sum(axis=i, keepdims=True)
        return g

    def with_einsum(g, a, b):
        return [np.einsum("no,ko->nk", g, b), np.einsum("nk,no->ko", a, g)]

    assert check("04.1", one_axis_at_a_time).status == "right"
    assert check("04.2", with_einsum).status == "right"


@pytest.mark.parametrize("likely, mistake", _UNBROADCAST_MISTAKES.items(), ids=range(len(_UNBROADCAST_MISTAKES)))
def test_wrong_ways_back_are_recognised(likely, mistake):
    verdict = check("04.1", mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


def test_a_gradient_changed_in_place_is_wrong():
    def spoils(g, shape):
        total = solution("04.1").value(g, shape).copy()
        g += 1
        return total

    assert "changed afterwards" in repr(check("04.1", spoils))


@pytest.mark.parametrize("likely, mistake", _MATMUL_MISTAKES.items(), ids=range(len(_MATMUL_MISTAKES)))
def test_wrong_products_are_recognised(likely, mistake):
    verdict = check("04.2", mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda g, a, b: None, "two gradients are wanted"),
        (lambda g, a, b: g @ b.T, "two gradients are wanted"),
        (lambda g, a, b: (g @ b.T, None), "the gradient of b: it returns None"),
        (lambda g, a, b: (g @ b, a @ g), "matmul"),
    ],
)
def test_other_wrong_products(answer, words):
    verdict = check("04.2", answer)
    assert verdict.status == "wrong"
    assert words in repr(verdict)


def test_the_picture_shows_the_sums():
    slopes = np.array([[1, 0, -1], [2, 1, 0]])
    left, right = stretched_and_summed.__wrapped__(np.array([5, 6, 7]), slopes)
    left.figure.draw_without_rendering()
    assert [text.get_text() for text in right.texts if text.get_text()][6:9] == ["3", "1", "-1"]
    assert sum(text.get_text() == "5" for text in left.texts) == 3


def test_the_other_pictures():
    axes = images.__wrapped__(np.ones((4, 7, 7)), "abcd", per_row=3)
    axes[0].figure.draw_without_rendering()
    assert [len(ax.images) for ax in axes] == [1, 1, 1, 1, 0, 0]
    ax = ladder.__wrapped__([2, 4], [3.0, 10.0])
    ax.figure.draw_without_rendering()
    assert list(ax.lines[0].get_ydata()) == [3.0, 10.0]
