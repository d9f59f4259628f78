"""The four roundings against Python's own integers and fractions."""

import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels.integer import ROUNDINGS, Requantizer


def oracle_single(total: int, factor: float) -> int:
    """Half up, with the factor as a 31-bit mantissa: ⌊total·m/2^b + ½⌋ in fractions."""
    mantissa, shift = frexp31(factor)
    exact = Fraction(total * mantissa, 2 ** (31 - shift))
    return math.floor(exact + Fraction(1, 2))


def oracle_double(total: int, factor: float) -> int:
    """Round total·m/2³¹ half away from 0 for positive, half up for negative numbers; then /2^k half away from 0."""
    mantissa, shift = frexp31(factor)
    total = max(-(2**31), min(2**31 - 1, total * 2 ** max(shift, 0)))
    first = math.floor(Fraction(total * mantissa, 2**31) + Fraction(1, 2))
    exact = Fraction(first, 2 ** max(-shift, 0))
    away = math.floor(abs(exact) + Fraction(1, 2))
    return away if exact >= 0 else -away


def oracle_float32(total: int, factor: float) -> int:
    """Round the one float32 product to even; Python's own round does that to a fraction."""
    product = to_float32(Fraction(float(to_float32(Fraction(total)))) * Fraction(float(np.float32(factor))))
    return round(Fraction(product))


def oracle_qdq(total: int, factor: float) -> int:
    """As factor = s/0.25 with s rounded to float32: multiply, round to float32, divide, round to float32, to even."""
    scale = np.float32(factor * 0.25)
    real = to_float32(Fraction(to_float32(Fraction(total))) * Fraction(float(scale)))
    return round(Fraction(to_float32(Fraction(real) / Fraction(1, 4))))


def frexp31(factor: float) -> tuple[int, int]:
    exact, shift = Fraction(factor), 0
    while exact >= 1:
        exact, shift = exact / 2, shift + 1
    while exact < Fraction(1, 2):
        exact, shift = exact * 2, shift - 1
    return round(exact * 2**31), shift


def to_float32(exact: Fraction) -> float:
    """Return the float32 number next to a fraction, ties to even: 24 bits, by integers alone."""
    if exact == 0:
        return 0.0
    exponent = 0
    while abs(exact) >= 2**24:
        exact, exponent = exact / 2, exponent + 1
    while abs(exact) < 2**23:
        exact, exponent = exact * 2, exponent - 1
    return math.ldexp(round(exact), exponent)


ORACLES = {"single": oracle_single, "double": oracle_double, "float32": oracle_float32, "qdq": oracle_qdq}


@pytest.mark.parametrize("rounding", ROUNDINGS)
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_every_rounding_is_that_of_its_definition(kernels: SimpleNamespace, rounding: str, data: st.DataObject) -> None:
    factor = data.draw(st.floats(1e-7, 4.0))
    near = [round(k / factor) + d for k in (-3.5, -0.5, 0.5, 1.5, 100.5) for d in (-1, 0, 1)]
    totals = data.draw(st.lists(st.one_of(st.sampled_from(near), st.integers(-(2**31) + 1, 2**31 - 1)), min_size=1))
    totals = [max(-(2**31), min(2**31 - 1, total)) for total in totals]
    zero = data.draw(st.integers(-128, 127))
    scale = 0.25 if rounding == "qdq" else 1.0
    output = Requantizer.between(np.array([factor * scale]), scale, zero, rounding=rounding)
    got = kernels.requantize(np.array(totals, np.int32).reshape(-1, 1), output)
    assert got.dtype == np.int8
    for total, y in zip(totals, got.ravel().tolist(), strict=True):
        assert y == max(-128, min(127, ORACLES[rounding](total, factor) + zero)), (total, factor, zero)


def test_the_roundings_differ_where_they_should(kernels: SimpleNamespace) -> None:
    """At ties: 1.5, 2.5, −0.5 and −1.5 with factor ½."""
    ties = np.array([[3], [5], [-1], [-3]], np.int32)
    got = {
        r: kernels.requantize(ties, Requantizer.between(np.array([0.5]), 1.0, 0, rounding=r)).ravel().tolist()
        for r in ROUNDINGS
    }
    assert got["single"] == [2, 3, 0, -1]
    assert got["float32"] == got["qdq"] == [2, 2, 0, -2]


@pytest.mark.parametrize("bits", [3, 6, 9])
def test_single_and_double_rounding_differ_as_rarely_as_known(kernels: SimpleNamespace, bits: int) -> None:
    """They do at a rate of about 2^−(r+1), and never by more than one unit."""
    totals = np.random.default_rng(0).integers(-100 * 2**bits, 100 * 2**bits, (200_000, 1)).astype(np.int32)
    factor = 0.7 * 2.0**-bits
    one, two = (
        kernels.requantize(totals, Requantizer.between(np.array([factor]), 1.0, 0, rounding=r)).astype(int)
        for r in ("single", "double")
    )
    assert abs(one - two).max() == 1
    assert 0.4 * 2 ** -(bits + 1) < np.mean(one != two) < 2.5 * 2 ** -(bits + 1)
