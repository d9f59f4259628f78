"""The smallest failing input is found with Hypothesis and without it."""

import sys

import numpy as np
import pytest

from tinydl.lessons.search import Pick, samples, simplest, smallest_failure


@pytest.fixture(params=["with hypothesis", "without"])
def smallest(request, monkeypatch):
    def find(*args, **kwargs):
        with monkeypatch.context() as patch:
            if request.param == "without":
                patch.setitem(sys.modules, "hypothesis", None)
            return smallest_failure(*args, **kwargs)

    return find


def test_failures_are_small(smallest):
    assert smallest(lambda pick: pick.integer(-100, 100), lambda n: n > 5) in range(6, 20)
    assert smallest(lambda pick: pick.numbers(3), lambda xs: len(xs) == 3) == [0, 0, 0]


def test_hypothesis_shrinks_to_the_smallest():
    found = smallest_failure(lambda pick: (pick.integer(-100, 100), pick.one_of("abc")), lambda c: c[0] > 5)
    assert found == (6, "a")


def test_nothing_is_found_where_nothing_fails(smallest):
    tried = []
    assert smallest(lambda pick: pick.integer(0, 9), lambda n: tried.append(n)) is None
    assert set(tried) == set(range(10))


def test_a_rare_failure_is_found(smallest):
    assert smallest(lambda pick: pick.integer(0, 50), lambda n: n == 37, tries=400) == 37


def test_samples_are_always_the_same_and_grow():
    def case(pick):
        return pick.integer(-1000, 1000)

    cases = samples(case, 100)
    assert cases == samples(case, 100)
    assert max(map(abs, cases[:10])) < 150 < max(map(abs, cases))
    assert all(-1000 <= n <= 1000 for n in cases)
    assert min(samples(lambda pick: pick.integer(3, 5), 50)) == 3


def test_picks():
    drawn = samples(lambda pick: (pick.number(-1, 1), pick.one_of("abc"), pick.array(2, 3), pick.numbers(2)), 60)
    assert {x for x, *_ in drawn} <= {i / 8 for i in range(-8, 9)}
    assert {c for _, c, *_ in drawn} == set("abc")
    assert all(a.shape == (2, 3) and a.dtype == np.float64 for *_, a, _ in drawn)
    assert simplest(lambda pick: pick.integer(-9, -3)) == -3
    first, second = (Pick(lambda low, high: 7).generator().random() for _ in range(2))
    assert first == second


def test_an_unreliable_failure_does_not_escape_as_an_error_of_ours():
    answers = iter([False, False, True] + [False] * 10_000)
    assert smallest_failure(lambda pick: pick.integer(0, 9), lambda n: next(answers)) is not None
