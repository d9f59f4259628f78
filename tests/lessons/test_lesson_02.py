"""Lesson 2's checks tell right answers from wrong ones, and say what is wrong."""

import math

import pytest

from tinydl.lessons import check, solution
from tinydl.lessons.lesson_02 import _MUL_MISTAKES, _WALKS, expression
from tinydl.lessons.pictures.lesson_02 import walk_back
from tinydl.lessons.search import samples
from tinydl.lessons.solutions.lesson_02 import Value, tanh

IDS = "02.1", "02.2", "02.3"
order, backward = solution("02.2").value, solution("02.3").value


@pytest.mark.parametrize("id", IDS)
def test_the_solution_is_right_and_the_stub_is_not_attempted(id):
    assert check(id, solution(id).value).status == "right"
    assert check(id, lambda *arguments: ...).status == "not attempted"
    assert check(id, ...).status == "not attempted"


@pytest.mark.parametrize("id", IDS)
def test_an_error_is_wrong(id):
    def fails(*arguments):
        return 1 / 0

    assert "ZeroDivisionError" in repr(check(id, fails))
    assert check(id, fails).status == "wrong"
    assert check(id, lambda: 1).status == "wrong"
    assert check(id, 3).status == "wrong"


@pytest.mark.parametrize("likely, mistake", _MUL_MISTAKES.items(), ids=range(len(_MUL_MISTAKES)))
def test_wrong_products_are_recognised(likely, mistake):
    verdict = check("02.1", mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


def test_a_product_without_return_is_wrong():
    assert "`return` missing" in repr(check("02.1", lambda a, b: None))


def breadth_first(root):
    found, queue = [], [root]
    while queue:
        box = queue.pop(0)
        if box not in found:
            found.append(box)
            queue += box.parents
    return found[::-1]


def twice(root):
    return [box for parent in root.parents for box in twice(parent)] + [root]


@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda root: order(root)[::-1], "wrong way round"),
        (lambda root: order(root)[:-1], "the root is missing"),
        (lambda root: [root], "boxes are missing"),
        (twice, "a box is there twice"),
        (breadth_first, "stands before one of its parents"),
        (lambda root: [box.data for box in order(root)], "no box of this graph"),
        (lambda root: None, "`return` missing"),
        (lambda root: root, "a list of boxes"),
    ],
)
def test_wrong_orders_are_recognised(answer, words):
    verdict = check("02.2", answer)
    assert verdict.status == "wrong"
    assert words in repr(verdict)
    assert "a = " in dict(verdict.details)["smallest failing input"]


def test_another_right_order():
    def right_parent_first(root):
        found = []

        def visit(box):
            if box not in found:
                for parent in reversed(box.parents):
                    visit(parent)
                found.append(box)

        visit(root)
        return tuple(found)

    assert check("02.2", right_parent_first).status == "right"


@pytest.mark.parametrize("likely, walk", _WALKS.items(), ids=range(len(_WALKS)))
def test_wrong_walks_are_recognised(likely, walk):
    verdict = check("02.3", walk)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


def test_a_plus_a_catches_the_overwritten_gradient():
    overwrites = next(iter(_WALKS.values()))
    details = dict(check("02.3", overwrites).details)
    assert details["smallest failing input"] == "root = a = 0.0; c = a + a"
    assert (details["yours"], details["wanted"]) == ("[1.0]", "[2.0]")


def test_a_walk_that_also_returns_something_is_right():
    def walk(root):
        backward(root)
        return root

    assert check("02.3", walk).status == "right"


def test_random_expressions_use_every_rule_and_share_boxes():
    roots = [expression_["root"] for expression_ in samples(expression, 200)]
    text = " ".join(map(repr, roots))
    assert all(sign in text for sign in ("+", "*", "tanh"))
    assert any(len({id(p) for p in box.parents}) < len(box.parents) for root in roots for box in order(root))


def test_the_rules_agree_with_measurements():
    h = 1e-5
    assert abs(tanh(0.3)[1] - (math.tanh(0.3 + h) - math.tanh(0.3 - h)) / (2 * h)) < 1e-9
    a, b = Value(0.5), Value(-1.5)
    backward(((a * b + a) * a).tanh())
    measured = [
        (math.tanh((x * y + x) * x) - math.tanh((u * v + u) * u)) / (2 * h)
        for (x, y), (u, v) in (((0.5 + h, -1.5), (0.5 - h, -1.5)), ((0.5, -1.5 + h), (0.5, -1.5 - h)))
    ]
    assert [a.grad, b.grad] == pytest.approx(measured, abs=1e-9)


def test_the_picture_ends_with_the_gradient_of_lesson_1():
    axes = walk_back.__wrapped__()
    axes[0].figure.draw_without_rendering()
    words = [{text.get_text() for text in ax.texts} for ax in axes]
    assert {"∂ -2.5942", "∂ -1.1674", "∂ -1.2971"} <= words[2]
    assert not any(word.startswith("∂") for word in words[0])
    assert "∂ -1.4174" in words[1]
