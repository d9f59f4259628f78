"""Winograd's algorithm against the direct sums: on small integers both are exact, so they must agree to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels.compiled.geometry import Image
from tinydl.kernels.reference import conv as reference

winograd = pytest.importorskip("tinydl.kernels.compiled.winograd")
conv = pytest.importorskip("tinydl.kernels.compiled.conv")
tile = pytest.importorskip("tinydl.kernels.compiled.winograd_tile")

ONE, PLAIN = (1, 1), ((1, 1), (1, 1), 1)


def arrays(n, c, o, h, w, padding, dtype="f4", seed=0):
    """Return small integers x, weight, bias and g in channels-last order, and the first two in PyTorch's."""
    rng = np.random.default_rng(seed)
    x, weight, bias = (rng.integers(-4, 5, shape).astype(dtype) for shape in ((n, c, h, w), (o, c, 3, 3), (o,)))
    y_shape = n, o, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2
    g = rng.integers(-4, 5, y_shape).astype(dtype)
    last = [np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (x, g)]
    return x, weight, bias, g, *last


def by_taps(weight):
    o, c = weight.shape[:2]
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(9, c, o)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 3),
    c=st.integers(1, 35),
    o=st.integers(1, 35),
    h=st.integers(3, 9),
    w=st.integers(3, 9),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dtype=st.sampled_from(["f4", "f8"]),
)
def test_forward_and_gradient_by_the_weight(n, c, o, h, w, padding, dtype):
    x, weight, bias, g, x_last, g_last = arrays(n, c, o, h, w, padding, dtype)
    y = np.full((*g_last.shape[:3], o), np.nan, dtype)
    winograd.convolve(x_last, by_taps(weight), bias, y, padding, -40.0, 50.0)
    wanted = reference.conv2d(x, weight, bias, ONE, padding, *PLAIN[1:], None, -40.0, 50.0)
    np.testing.assert_array_equal(y.transpose(0, 3, 1, 2), wanted)
    gw = winograd.weight_grad(g_last, x_last, padding).reshape(3, 3, c, o).transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(gw, reference.conv2d_weight_grad(g, x, weight.shape, ONE, padding, *PLAIN[1:]))


def test_several_blocks_and_threads_give_the_same(n_threads):
    x, weight, bias, _, x_last, g_last = arrays(9, 16, 32, 20, 13, (1, 1))
    y = np.empty_like(g_last)
    winograd.convolve(x_last, by_taps(weight), bias, y, (1, 1))
    np.testing.assert_array_equal(y.transpose(0, 3, 1, 2), reference.conv2d(x, weight, bias, ONE, (1, 1), *PLAIN[1:]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_reaches_all_it_should_and_no_more(value):
    x, weight, bias, g, *_ = arrays(2, 32, 16, 17, 16, (1, 1))
    geometry = ONE, (1, 1), *PLAIN[1:]
    assert winograd.pays(2, conv._geometry(x.shape, weight.shape, *geometry), Image(17, 16, 16))
    weight = np.abs(weight) + 1
    x[1, 3, 2, 15] = g[0, 5, 0, 3] = value
    for name, one, shape in (("conv2d", x, ()), ("conv2d_input_grad", g, (x.shape,))):
        ours, wanted = (getattr(twin, name)(one, weight, *shape or [bias], *geometry) for twin in (conv, reference))
        assert 0 < np.isfinite(wanted).sum() < wanted.size
        np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(wanted))


@pytest.mark.parametrize(
    "kernel, stride, dilation, groups", [((5, 5), 1, 1, 1), ((3, 3), 2, 1, 1), ((3, 3), 1, 2, 1), ((3, 3), 1, 1, 2)]
)
def test_it_is_for_plain_3x3_only(kernel, stride, dilation, groups):
    weight_shape = 64, 64 // groups, *kernel
    geometry = conv._geometry((8, 64, 30, 30), weight_shape, (stride,) * 2, (1, 1), (dilation,) * 2, groups)
    assert not winograd.pays(8, geometry, geometry.y)


def test_few_channels_few_places_or_odd_small_images_are_left_to_direct_sums():
    def pays(n, c, o, side):
        geometry = conv._geometry((n, c, side, side), (o, c, 3, 3), ONE, (1, 1), ONE, 1)
        return winograd.pays(n, geometry, geometry.y)

    assert pays(8, 32, 32, 8)
    assert not pays(8, 8, 64, 8)
    assert not pays(1, 32, 32, 8)
    assert not pays(64, 64, 64, 5)


@pytest.mark.parametrize("row, column", [(0, 0), (-1, -2), (3, 2)])
def test_the_transforms_in_python(row, column):
    """They stand in for the instructions where kernels run interpreted."""
    rng = np.random.default_rng(0)
    n, height, width, channels = 5, 6, 5, 7
    x = rng.integers(-9, 9, height * width * channels).astype(np.float32)
    where = 1, row, column, height, width, width * channels, channels
    for matrix, compiled in ((tile.INPUT, winograd._spread_x), (tile.GRADIENT, winograd._spread_g)):
        found = []
        for spread in (tile._spread_in_python(matrix), run_compiled(compiled)):
            y = np.zeros(16 * 10, np.float32)
            spread(x, *where, y, 2, 10, n)
            found.append(y)
        np.testing.assert_array_equal(*found)
    found = []
    for gather in (tile._gather_in_python, run_compiled(winograd._gather)):
        y = np.zeros(height * width * channels, np.float32)
        at = abs(row), abs(column), height, width, width * channels, channels
        gather(x[:160], 3, 10, np.arange(9, dtype=np.float32), 2, y, 1, *at, n, np.float32(-8), np.float32(20))
        found.append(y)
    np.testing.assert_array_equal(*found)


def run_compiled(intrinsic):
    """Return an intrinsic as a function of Python."""
    numba = pytest.importorskip("numba")
    return numba.njit(lambda *args: intrinsic(*args))


def test_direct_sums_where_most_squares_lie_at_the_rim():
    geometry = conv._geometry((128, 64, 4, 4), (64, 64, 3, 3), ONE, (0, 0), ONE, 1)
    assert winograd.pays(128, geometry, geometry.y)  # one square of 2×2 places
    assert not winograd.pays(128, geometry, geometry.x)  # four of them, for places that see one to four of g


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 9), padding=st.integers(0, 2))
def test_pairs_of_places_and_taps(n, padding):
    out = n - 2 + 2 * padding
    seen = [0 <= place + tap - padding < n for place in range(out) for tap in range(3)]
    assert winograd._pairs(n, out, padding) == sum(seen)
