"""What layout.py makes of images and weights is what NumPy's transpositions make of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels import buffers

layout = pytest.importorskip("tinydl.kernels.compiled.layout")
transpose = pytest.importorskip("tinydl.kernels.compiled.transpose")

sizes = st.integers(1, 40)


def draw(shape, dtype):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@settings(max_examples=40, deadline=None)
@given(
    groups=st.integers(1, 3), o=sizes, c=sizes, kh=st.integers(1, 3), kw=st.integers(1, 3), dtype=st.sampled_from("fd")
)
def test_weights(groups, o, c, kh, kw, dtype):
    weight, scale = draw((groups * o, c, kh, kw), dtype), draw(groups * o, dtype)
    seen = weight.reshape(groups, o, c, kh, kw)
    for given_scale, factor in ((None, 1), (scale, scale.reshape(groups, 1, 1, 1, o))):
        packed = layout.patches_first(weight, groups, weight.dtype, given_scale)
        wanted = seen.transpose(0, 3, 4, 2, 1) * factor
        np.testing.assert_array_equal(packed, wanted.reshape(groups, kh * kw * c, o))
        again = layout.patches_last(np.ascontiguousarray(wanted.reshape(groups, kh * kw * c, o)), weight.shape)
        np.testing.assert_array_equal(again, weight if given_scale is None else weight * scale[:, None, None, None])
        assert buffers.is_fresh(again)
        aligned = layout.patches_first(weight, groups, weight.dtype, given_scale, aligned=True)
        np.testing.assert_array_equal(aligned[..., :o], wanted.reshape(groups, kh * kw * c, o))
        line = aligned.shape[2] * aligned.itemsize
        assert line % 64 == 0 or 64 % line == 0 or layout.VECTOR_BYTES < 64
    for aligned in (False, True):
        packed = layout.taps_first(weight, groups, weight.dtype, aligned)[..., :c]
        np.testing.assert_array_equal(packed, seen.transpose(0, 3, 4, 1, 2).reshape(groups, kh * kw * o, c))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 3), c=sizes, h=st.integers(1, 9), w=st.integers(1, 9), dtype=st.sampled_from("fdi"))
def test_images(n, c, h, w, dtype):
    x = draw((n, c, h, w), dtype)
    last = layout.channels_last(x)
    assert last.flags.c_contiguous
    np.testing.assert_array_equal(last, x.transpose(0, 2, 3, 1))
    again = layout.channels_last(last.transpose(0, 3, 1, 2))
    assert np.shares_memory(last, again) or last.size == 0


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (3, 3, 9, 7), (1, 3, 1, 1), (0, 3, 2, 2)])
def test_planes_of_three_colours(shape, n_threads, monkeypatch):
    monkeypatch.setattr("tinydl.kernels.compiled.memory.FEW", 8)
    x = draw(shape, "f")
    np.testing.assert_array_equal(layout.channels_last(x), x.transpose(0, 2, 3, 1))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 3), h=st.integers(1, 5), w=st.integers(1, 5), c=st.integers(2, 9), first=st.integers(0, 1))
def test_parts_of_the_channels(n, h, w, c, first):
    wide = draw((n, h, w, c), "f").transpose(0, 3, 1, 2)
    for some in (wide[:, first:], wide[:, first : c - 1 + first], wide[:, first:, ::2], wide[:, :1, :, ::-1]):
        found = layout.channels_last(some)
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, some.transpose(0, 2, 3, 1))


def test_images_of_any_layout(lay_out):
    x = draw((2, 3, 5, 4), "f")
    np.testing.assert_array_equal(layout.channels_last(lay_out(x)), x.transpose(0, 2, 3, 1))


def test_the_square_in_python():
    """It stands in for the instructions where kernels run interpreted."""
    numba = pytest.importorskip("numba")
    x, scale, rows = draw(6 * 30, "f"), draw(30, "f"), np.arange(40) * 41
    found = []
    for square in (transpose._in_python, numba.njit(lambda *args: transpose._square(*args))):
        y = np.zeros(40 * 41, np.float32)
        square(x, 2, 30, y, rows, 3, 5, scale, 1, 5, 19)
        found.append(y)
    np.testing.assert_array_equal(*found)
