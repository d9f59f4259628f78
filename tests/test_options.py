import numpy as np
import pytest

from tinydl.options import choice, factor, number, whole, whole_pair

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("value", [0, 0.5, 1, np.float32(0.5), np.int64(1)])
def test_number_returns_a_python_float(value):
    result = number(value, "p", "[0, 1]")
    assert type(result) is float
    assert result == value


@pytest.mark.parametrize("value", [-0.1, 1.1, NAN, INF, -INF])
@pytest.mark.parametrize("interval", ["[0, 1]", "(0, 1)", "[0, 1)"])
def test_number_refuses_what_lies_outside(value, interval):
    with pytest.raises(ValueError, match=r"^p must be in .0, 1., got"):
        number(value, "p", interval)


def test_number_minds_its_brackets():
    assert number(0, "p", "[0, 1)") == 0
    assert number(INF, "p", "(0, inf]") == INF
    for value, interval in ((0, "(0, 1]"), (1, "[0, 1)"), (INF, "[0, inf)"), (NAN, "(-inf, inf)")):
        with pytest.raises(ValueError, match="must be in"):
            number(value, "p", interval)


@pytest.mark.parametrize("value", ["0.5", None, True, 1j, [0.5], np.zeros(1)])
def test_number_refuses_what_is_none(value):
    with pytest.raises(TypeError, match=r"^p must be a number"):
        number(value, "p")


@pytest.mark.parametrize("value, error", [(0, ValueError), (-3, ValueError), (2.0, TypeError), (NAN, TypeError)])
def test_whole_refuses(value, error):
    with pytest.raises(error, match=r"^groups must be"):
        whole(value, "groups", 1)


def test_whole_takes_numpy_integers_but_no_bool():
    assert type(whole(np.int32(4), "n", 1)) is int
    with pytest.raises(TypeError, match="bool"):
        whole(True, "n", 0)


def test_whole_pair():
    assert whole_pair([2, 3], "stride", 1) == (2, 3)
    for value, error in (
        ((1, 2, 3), ValueError),
        ((1, 0), ValueError),
        (NAN, TypeError),
        ((1, NAN), TypeError),
        ("ab", TypeError),
    ):
        with pytest.raises(error, match=r"^stride must be"):
            whole_pair(value, "stride", 1)


def test_choice_and_factor():
    with pytest.raises(ValueError, match=r"^mode must be one of 'a', 'b', got 3"):
        choice(3, "mode", ("a", "b"))
    with pytest.raises(ValueError, match=r"^groups must divide in_channels, got 3 and 8"):
        factor(3, 8, "groups", "in_channels")
    with pytest.raises(ValueError, match=r"^groups must be at least 1"):
        factor(0, 8, "groups", "in_channels")
