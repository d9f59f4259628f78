"""Sums and products of arrays: twins agree, in every layout, whether NumPy does them or a kernel."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels.reference import arithmetic as reference

compiled = pytest.importorskip("tinydl.kernels.compiled.arithmetic")
SHAPE = (2, 8, 5, 4)


@pytest.fixture(autouse=True)
def no_array_is_small(monkeypatch):
    monkeypatch.setattr(compiled, "FEW", 4)
    monkeypatch.setattr("tinydl.kernels.compiled.memory.FEW", 50)


def last(shape, dtype="f"):
    """Return random numbers whose channels lie side by side."""
    n, c, h, w = shape
    return np.random.default_rng(c).normal(size=(n, h, w, c)).astype(dtype).transpose(0, 3, 1, 2)


def test_sums_of_any_layouts(lay_out, n_threads):
    x, y = last(SHAPE), last(SHAPE)[::-1]
    for a, b in ((lay_out(x), lay_out(y)), (lay_out(x), y), (x, 2.5), (2.5, x), (x, x[:1])):
        for bounds in ((-math.inf, math.inf), (0.0, math.inf), (0.0, 0.5)):
            found = compiled.add(a, b, *bounds)
            np.testing.assert_array_equal(found, reference.add(a, b, *bounds))
            assert found.dtype == np.float32


def test_nan_and_infinities_pass_through_a_sum():
    x = np.resize(np.array([np.nan, np.inf, -np.inf, 0.0], np.float32), 64)
    for bounds in ((-math.inf, math.inf), (0.0, 6.0)):
        np.testing.assert_array_equal(compiled.add(x, x, *bounds), reference.add(x, x, *bounds))
    assert np.isnan(compiled.add(x, x, 0.0, 6.0)[::4]).all()


def test_images_scaled_by_their_channels(lay_out, n_threads):
    x, scale = last(SHAPE), np.arange(16, dtype=np.float32).reshape(2, 8, 1, 1)
    for a, b in ((lay_out(x), scale), (scale, lay_out(x)), (lay_out(x), lay_out(scale)), (x, 2.0), (x, x)):
        np.testing.assert_array_equal(compiled.mul(a, b), reference.mul(a, b))


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(0, 3),
    c=st.integers(1, 20),
    side=st.integers(1, 4),
    dtype=st.sampled_from(["float32", "float64", "int64", ">f4"]),
)
def test_twins_agree(n, c, side, dtype):
    x = (9 * last((n, c, side, 3))).astype(dtype)
    scale = np.arange(n * c).reshape(n, c, 1, 1).astype(dtype)
    for ours, defined in ((compiled.add(x, x), x + x), (compiled.mul(x, scale), x * scale)):
        np.testing.assert_array_equal(ours, defined)
        assert ours.dtype == defined.dtype


def test_the_kernels_are_used_where_they_should(monkeypatch):
    def refuse(*_):
        raise AssertionError("NumPy was asked")

    monkeypatch.setattr(reference, "add", refuse)
    monkeypatch.setattr(reference, "mul", refuse)
    x = last(SHAPE)
    compiled.add(x, x)
    compiled.mul(np.ones((2, 8, 1, 1), np.float32), x)
    with pytest.raises(AssertionError, match="NumPy"):
        compiled.add(x, x[:1])
