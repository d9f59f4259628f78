import math

import pytest

from tinydl.compress.prune import AGP, Constant, OneShot, PolynomialDecay, Schedule, Steps


def test_constant_and_one_shot():
    assert [Constant(0.5, 3)(t) for t in (0, 2, 3, 10**9)] == [0, 0, 0.5, 0.5]
    assert [OneShot(0.5, 3)(t) for t in (2, 3, 4)] == [0, 0.5, 0.5]
    assert (Constant(0.5).end, OneShot(0.5, 3).end) == (math.inf, 3)


@pytest.mark.parametrize("power", [0.5, 1, 3])
def test_polynomial(power):
    schedule = PolynomialDecay(0.2, 0.8, 10, 30, power)
    for t in range(10, 31):
        assert schedule(t) == pytest.approx(0.8 - 0.6 * (1 - (t - 10) / 20) ** power)
    assert (schedule(9), schedule(10), schedule(30), schedule(31)) == (0, pytest.approx(0.2), 0.8, 0.8)


def test_a_line_halves_the_way_in_half_the_time():
    assert PolynomialDecay(0.0, 0.8, 0, 100, power=1)(50) == pytest.approx(0.4)


def test_agp_is_the_cubic_with_rests():
    schedule, cubic = AGP(0.9, 100, 500, every=100, initial=0.1), PolynomialDecay(0.1, 0.9, 100, 500)
    assert [schedule(t) for t in (99, 100, 199)] == [0, pytest.approx(0.1), pytest.approx(0.1)]
    assert [schedule(t) for t in (200, 299)] == [cubic(200)] * 2
    assert schedule(500) == schedule(501) == 0.9


def test_steps():
    schedule = Steps({100: 0.8, 10: 0.5})
    assert [schedule(t) for t in (0, 10, 99, 100, 101)] == [0, 0.5, 0.5, 0.8, 0.8]


@pytest.mark.parametrize("schedule", [PolynomialDecay(0, 0.9, 3, 40), AGP(0.9, 3, 43, 5), Steps({3: 0.1, 9: 0.2})])
def test_none_ever_falls(schedule):
    values = [schedule(t) for t in range(60)]
    assert values == sorted(values)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Constant(1.0), r"sparsity must be in \[0, 1\), got 1.0"),
        (lambda: OneShot(-0.5), "sparsity must be in"),
        (lambda: OneShot(0.5, -1), "begin must be at least 0"),
        (lambda: Constant(0.5, 10, 9), "end must be at least 10"),
        (lambda: PolynomialDecay(0.0, 1.0, 0, 1), "final must be in"),
        (lambda: PolynomialDecay(0.0, float("nan"), 0, 1), "final must be in"),
        (lambda: PolynomialDecay(0.5, 0.4, 0, 1), "final must be at least initial"),
        (lambda: PolynomialDecay(0.0, 0.4, 5, 5), "end must be at least 6"),
        (lambda: PolynomialDecay(0.0, 0.4, 0, 1, power=0), "power must be in"),
        (lambda: AGP(0.5, 0, 100, every=30), "every must divide end − begin, got 30 and 100"),
        (lambda: AGP(0.5, 0, 100, every=0), "every must be at least 1"),
        (lambda: Steps({}), "levels is empty"),
        (lambda: Steps({0: 0.5, 1: 0.4}), "must not fall"),
        (lambda: Steps({0: 1.0}), r"levels\[0\] must be in"),
        (lambda: Steps({-1: 0.5}), "levels: t must be at least 0"),
    ],
)
def test_bad_schedules_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_schedule_needs_a_rule():
    with pytest.raises(NotImplementedError, match="no rule"):
        Schedule(0, 1)(0)
