import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinydl.compress.quantize import PowersOfTwo

FLOATS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@given(st.integers(2, 8), arrays(np.float32, 9, elements=FLOATS))
def test_what_comes_back_is_a_power_and_the_nearest_one(bits, x):
    p = PowersOfTwo.of(x, bits)
    q = p.quantize(x)
    assert q.dtype == np.int8
    assert np.abs(q.astype(int)).max() <= 2 ** (bits - 1) - 1
    back = p.dequantize(q).astype(np.float64)
    powers = np.concatenate([[0.0], 2.0 ** np.arange(p.low, p.high + 1), -(2.0 ** np.arange(p.low, p.high + 1))])
    assert np.isin(back, powers).all()
    nearest = np.abs(x[:, None].astype(np.float64) - powers).min(1)
    assert np.allclose(np.abs(back - x), nearest, rtol=1e-6, atol=0)


@given(st.integers(2, 8), st.lists(st.integers(-127, 127), min_size=1))
def test_codes_come_back(bits, codes):
    top = 2 ** (bits - 1) - 1
    q = np.clip(np.array(codes, np.int8), -top, top)
    p = PowersOfTwo(bits, 3)
    assert np.array_equal(p.quantize(p.dequantize(q)), q)


def test_borders_and_ends():
    p = PowersOfTwo(3, 0)  # 1, 1/2, 1/4
    assert p.low == -2
    x = [0.124, 0.126, 0.374, 0.376, 0.74, 0.76, 100.0, np.inf, -0.3]
    assert p.dequantize(p.quantize(x)).tolist() == [0.0, 0.25, 0.25, 0.5, 0.5, 1.0, 1.0, 1.0, -0.25]


def test_a_constant_array_of_a_power_and_zeros_come_back():
    for value in (0.0, 0.25, -8.0):
        x = np.full(3, value, np.float32)
        p = PowersOfTwo.of(x, 4)
        assert np.array_equal(p.dequantize(p.quantize(x)), x)


def test_bad_input_is_refused():
    for bits in (1, 9):
        with pytest.raises(ValueError, match="bits must be"):
            PowersOfTwo(bits, 0)
    for high in (-127, 128):
        with pytest.raises(ValueError, match="high must be"):
            PowersOfTwo(4, high)
    with pytest.raises(ValueError, match="x must hold numbers"):
        PowersOfTwo.of([], 4)
    with pytest.raises(ValueError, match="all of them finite"):
        PowersOfTwo.of([np.inf], 4)
    with pytest.raises(ValueError, match="x holds NaN"):
        PowersOfTwo(4, 0).quantize([np.nan])
