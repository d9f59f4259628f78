"""The words of a check."""

import math

import numpy as np
import pytest

from tinydl.lessons.exercise import NotAttempted, Wrong, ask, compare, difference, exercise, forall, shown, unanswered


def test_differences_in_words():
    assert difference(1.0, 1.0 + 1e-12) == ""
    assert difference([1, 2], np.array([1.0, 2.0])) == ""
    assert difference(math.nan, math.nan) == ""
    assert "return" in difference(None, 1.0)
    assert difference(-2.0, 2.0) == "the sign is turned round"
    assert difference([[1.0, 2.0]], [1.0, 2.0]) == "the shape is (1, 2) where (2,) is wanted"
    assert difference(math.nan, 2.0) == "the result is nan"
    assert difference(1.1, 1.0) == "the result is another"
    assert difference({}, 1.0) == "it returns dict where float is wanted"
    assert difference([[1], [2, 3]], 1.0) == "it returns list where float is wanted"


def test_the_likely_mistake_is_the_one_that_agrees_everywhere():
    mistakes = {"it is doubled": lambda x: 4 * x, "it is squared": lambda x: x * x}
    for answer, likely in ((lambda x: 4 * x, "it is doubled"), (lambda x: x * x, "it is squared"), (lambda x: 7, None)):
        with pytest.raises(Wrong) as caught:
            compare(answer, lambda x: 2 * x, lambda pick: {"x": pick.number()}, mistakes)
        assert caught.value.details.get("likely") == likely
        assert next(iter(caught.value.details)) == "smallest failing input"


def test_a_mistake_that_raises_is_recognised_too():
    with pytest.raises(Wrong) as caught:
        compare(lambda x: 1 / 0, lambda x: x, lambda pick: {"x": pick.number()}, {"by nought": lambda x: 1 / 0})
    assert caught.value.details["error"] == "ZeroDivisionError: division by zero"


def test_arguments_are_copies():
    def spoils(xs):
        total = sum(xs)
        xs.clear()
        return total

    compare(spoils, sum, lambda pick: {"xs": pick.numbers(pick.integer(0, 3))})


def test_forall_says_which_case():
    def examine(n, letter):
        if n > 3:
            raise Wrong("too much", yours=n)

    with pytest.raises(Wrong) as caught:
        forall(lambda pick: {"n": pick.integer(0, 9), "letter": pick.one_of("ab")}, examine)
    assert caught.value.details == {"smallest failing input": "n = 4, letter = a", "yours": "4"}


def test_stubs():
    assert unanswered(...)
    assert unanswered((1, ...))
    assert not unanswered(np.ones(3))
    assert not unanswered(None)
    with pytest.raises(NotAttempted):
        ask(lambda: ...)


def test_shown():
    assert shown(np.float32(0.5)) == "0.5"
    assert shown(math.sin) == "sin"
    assert shown([1.0, "a"]) == "[1.0, 'a']"


def test_an_exercise_is_its_examination():
    @exercise("42.1", "all of it", solution="answer", hints=["a", "b"])
    def life(answer):
        raise Wrong("no")

    assert (life.id, life.title, life.solution, life.hints) == ("42.1", "all of it", "answer", ("a", "b"))
    with pytest.raises(Wrong):
        life.examine(42)
