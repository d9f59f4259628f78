"""`check`, `hint`, `solution` as a learner meets them: whatever the answer does, a verdict comes back."""

import sys
import warnings

import pytest

from tinydl import lessons, random
from tinydl.lessons import check, hint, solution, tutor
from tinydl.lessons.tutor import exercises, place_of


def right(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


@pytest.fixture(autouse=True)
def no_hints_given(monkeypatch):
    monkeypatch.setattr(tutor, "_given", {})


def test_three_answers():
    assert check("01.1", right).status == "right"
    assert check("01.1", lambda f, x, h: 0.0).status == "wrong"
    assert check("01.1", lambda f, x, h: ...).status == "not attempted"


def not_written(f, x, h):
    raise NotImplementedError


def half_written(f, x, h):
    return f(x), ...


@pytest.mark.parametrize("stub", [..., not_written, half_written])
def test_not_attempted(stub):
    verdict = check("01.1", stub)
    assert verdict.status == "not attempted"
    assert 'hint("01.1")' in verdict.text


def divides(f, x, h):
    return f(x) / 0


def leaves(f, x, h):
    sys.exit(0)


def forever(f, x, h):
    return forever(f, x, h)


def broken_source(f, x, h):
    return eval("f(x +")


def wrong_count(f, x):
    return 0.0


def none(f, x, h):
    right(f, x, h)


def text(f, x, h):
    return "steep"


@pytest.mark.parametrize(
    "answer, words",
    [
        (divides, "ZeroDivisionError"),
        (divides, "return f(x) / 0"),
        (leaves, "SystemExit"),
        (forever, "RecursionError"),
        (broken_source, "SyntaxError"),
        (wrong_count, "TypeError"),
        (none, "is the `return` missing?"),
        (text, "str where float is wanted"),
        (3, "a function is needed"),
        (None, "a function is needed"),
    ],
)
def test_accidents_are_wrong_and_explained(answer, words, capsys):
    verdict = check("01.1", answer)
    assert verdict.status == "wrong"
    assert words in repr(verdict)
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_is_the_learners_own():
    def stop(f, x, h):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("01.1", stop)


def test_what_is_printed_and_warned_is_kept_out_of_the_notebook(capsys):
    def chatty(f, x, h):
        print("looking at", x)
        print("oh", file=sys.stderr)
        warnings.warn("beware", stacklevel=1)
        return 0.0

    verdict = check("01.1", chatty)
    assert "it printed, at the end: " in repr(verdict)
    assert "oh" in repr(verdict)
    assert capsys.readouterr() == ("", "")


def test_a_check_leaves_random_numbers_alone():
    def draws(f, x, h):
        random.default_generator().random()
        return right(f, x, h)

    before = random.get_state()
    assert check("01.1", draws).status == "right"
    assert random.get_state() == before


def test_an_answer_that_is_another_each_time_is_wrong():
    calls = []

    def fickle(f, x, h):
        calls.append(x)
        return right(f, x, h) + len(calls) % 2

    assert check("01.1", fickle).status == "wrong"


def test_hints_come_one_after_another():
    given = [hint("01.1") for _ in range(4)]
    assert [one.number for one in given] == [1, 2, 3, 3]
    assert 'solution("01.1")' in given[-1].text
    assert hint("01.2").number == 1
    assert hint("01.1", 1) == given[0]


def test_solutions_show_the_code_that_they_are():
    shown = solution("01.1")
    scope = {}
    exec(repr(shown), scope)
    assert check("01.1", scope["slope"]).status == "right"
    assert check("01.1", shown.value).status == "right"


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: check("01.9", right), "lesson 1 has the exercises 01.1, 01.2"),
        (lambda: check("99.1", right), "there is no lesson 99"),
        (lambda: hint("one"), 'id must look like "01.1"'),
        (lambda: hint("01.1", 0), "01.1 has the hints 1 to 3, got 0"),
        (lambda: hint("01.1", 4), "got 4"),
        (lambda: solution("1"), "got '1'"),
    ],
)
def test_what_does_not_exist_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_place_of():
    source = "# a\nx = 1\n\n@property\ndef f():\n    return 2\n\nclass C:\n    pass\n"
    assert [place_of(source, name) for name in ("x", "f", "C")] == [(1, 2), (3, 6), (7, 9)]
    with pytest.raises(LookupError, match="y"):
        place_of(source, "y")


def test_every_lesson_is_well_formed():
    numbers = [n for n in range(1, 100) if (tutor._FOLDER / f"lesson_{n:02}.py").exists()]
    assert numbers
    for n in numbers:
        for task in exercises(n):
            assert task.id.startswith(f"{n:02}.")
            assert len(task.hints) >= 2
            assert solution(task.id).source.count("\n") < 25
            assert check(task.id, ...).status == "not attempted"


def test_public_names():
    assert all(hasattr(lessons, name) for name in lessons.__all__)
