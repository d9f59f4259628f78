"""Lesson 5's checks tell right answers from wrong ones, and say what is wrong."""

import numpy as np
import pytest

from tinydl.lessons import check, solution
from tinydl.lessons.lesson_05 import _ENTROPY_MISTAKES, _LOG_MISTAKES, _PUSH_MISTAKES
from tinydl.lessons.pictures.lesson_05 import pushes, shares_over_time, surprise_curve

IDS = "05.1", "05.2", "05.3"
log_softmax = solution("05.1").value
MISTAKES = [
    (id, likely, mistake)
    for id, table in zip(IDS, (_LOG_MISTAKES, _ENTROPY_MISTAKES, _PUSH_MISTAKES))
    for likely, mistake in table.items()
]


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
    assert check(id, 3).status == "wrong"
    assert "`return` missing" in repr(check(id, lambda *arguments: None))


@pytest.mark.parametrize("id, likely, mistake", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_recognised(id, likely, mistake):
    verdict = check(id, mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)


@pytest.mark.parametrize(
    "answer",
    [
        lambda s: s - np.log(np.exp(s).sum(-1, keepdims=True)),
        lambda s: np.log(softmax(s)),
        lambda s: np.log(softmax(s - s.max(-1, keepdims=True))),
        lambda s: s - s.max() - np.log(np.exp(s - s.max()).sum(-1, keepdims=True)),
        lambda s: np.log(softmax(s) + 1e-300),
    ],
)
def test_formulas_that_overflow_are_wrong(answer):
    verdict = check("05.1", answer)
    assert verdict.status == "wrong"
    assert "10,000 are too much" in repr(verdict)


def test_a_logarithm_of_a_softmax_is_found_where_it_is_certain_and_wrong():
    def careless(scores, labels):
        p = softmax(scores - scores.max(-1, keepdims=True))
        return -np.log(p[np.arange(len(labels)), labels]).mean()

    verdict = check("05.2", careless)
    assert verdict.status == "wrong"
    assert "begin with log_softmax" in repr(verdict)


def test_other_right_ways():
    def loop(scores, labels):
        return -sum(row[label] for row, label in zip(log_softmax(scores), labels)) / len(labels)

    def one_hot(scores, labels):
        return (np.exp(log_softmax(scores)) - np.eye(scores.shape[1])[labels]) / len(scores)

    assert check("05.1", lambda s: s - np.logaddexp.reduce(s, axis=-1, keepdims=True)).status == "right"
    assert check("05.2", loop).status == "right"
    assert check("05.3", one_hot).status == "right"


def test_the_picture_of_the_pushes():
    axes = pushes.__wrapped__(np.array([0.0, 0.0]), 1, ["3", "7"])
    axes[0].figure.draw_without_rendering()
    assert [text.get_text() for text in axes[2].texts if text.get_text()] == ["-0.50", "+0.50"]
    assert [bar.get_height() for bar in axes[1].patches] == [0.5, 0.5]


def test_the_other_pictures():
    ax = surprise_curve.__wrapped__()
    ax.figure.draw_without_rendering()
    assert ax.lines[0].get_ydata()[-1] == 0
    ax = shares_over_time.__wrapped__([np.array([0.5, 0.5]), np.array([0.1, 0.9])], ["3", "7"])
    ax.figure.draw_without_rendering()
    assert {" 7", "the others: 3"} <= {text.get_text() for text in ax.texts}
