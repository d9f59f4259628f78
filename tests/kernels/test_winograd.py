"""Winograd's algorithm against the direct sums: equal but for rounding, and wherever something is not finite."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels.compiled.geometry import Image
from tinydl.kernels.reference import conv as reference
from tinydl.kernels.reference import pool
from tinydl.shapes import QUARTERS

winograd = pytest.importorskip("tinydl.kernels.compiled.winograd")
winograd_grad = pytest.importorskip("tinydl.kernels.compiled.winograd_grad")
numba = pytest.importorskip("numba")
conv = pytest.importorskip("tinydl.kernels.compiled.conv")
tile = pytest.importorskip("tinydl.kernels.compiled.winograd_tile")

ONE, PLAIN = (1, 1), ((1, 1), (1, 1), 1)


def arrays(n, c, o, h, w, padding, dtype="f4", seed=0):
    """Return x, weight, bias and g in PyTorch's order, then x and g in channels-last order: small integers."""
    rng = np.random.default_rng(seed)
    x, weight, bias = (rng.integers(-4, 5, shape).astype(dtype) for shape in ((n, c, h, w), (o, c, 3, 3), (o,)))
    y_shape = n, o, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2
    g = rng.integers(-4, 5, y_shape).astype(dtype)
    last = [np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (x, g)]
    return x, weight, bias, g, *last


def agree(found, wanted, longer=1):
    """Compare results whose sums have some hundred terms, or are so much longer, with numbers of about ten at most."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=longer * 5e3 * np.finfo(wanted.dtype).eps)


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
    assert winograd.convolve(x_last, by_taps(weight), bias, y, padding, -40.0, 50.0)
    wanted = reference.conv2d(x, weight, bias, ONE, padding, *PLAIN[1:], None, -40.0, 50.0)
    agree(y.transpose(0, 3, 1, 2), wanted)
    gw = winograd_grad.weight_grad(g_last, x_last, padding).reshape(3, 3, c, o).transpose(3, 2, 0, 1)
    agree(gw, reference.conv2d_weight_grad(g, x, weight.shape, ONE, padding, *PLAIN[1:]))
    turned = np.ascontiguousarray(weight.transpose(2, 3, 0, 1)).reshape(9, o, c)
    gx, outside = np.full_like(x_last, np.nan), (2 - padding[0], 2 - padding[1])
    assert winograd.convolve(g_last, turned, np.zeros(c, dtype), gx, outside, transform=winograd.TURNED)
    agree(gx.transpose(0, 3, 1, 2), reference.conv2d_input_grad(g, weight, x.shape, ONE, padding, *PLAIN[1:]))


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 5),
    c=st.integers(1, 35),
    o=st.integers(1, 35),
    h=st.integers(4, 13),
    w=st.integers(4, 13),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dtype=st.sampled_from(["f4", "f8"]),
    pooled=st.booleans(),
)
def test_both_gradients_at_once(n, c, o, h, w, padding, dtype, pooled):
    x, weight, _, g, x_last, g_last = arrays(n, c, o, h, w, padding, dtype)
    places = None
    if pooled:
        y, indices = pool.max_pool2d(g, *QUARTERS, (g.shape[2] // 2, g.shape[3] // 2), True)
        g = pool.max_pool2d_grad(y, indices, g.shape, True)
        given, places = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (y, indices))
    gx = np.full_like(x_last, np.nan)
    taps = np.ascontiguousarray(weight.transpose(2, 3, 0, 1)).reshape(9, o, c)
    gw, gb = winograd_grad.gradients(given if pooled else g_last, places, x_last, taps, g_last.shape, padding, gx)
    geometry = ONE, padding, *PLAIN[1:]
    agree(gx.transpose(0, 3, 1, 2), reference.conv2d_input_grad(g, weight, x.shape, *geometry))
    wanted = reference.conv2d_weight_grad(g, x, weight.shape, *geometry)
    agree(gw.reshape(3, 3, c, o).transpose(3, 2, 0, 1), wanted, 5)
    agree(gb, reference.conv2d_bias_grad(g) if pooled else np.zeros(o))


def test_blocks_that_end_inside_of_an_image(n_threads):
    """Each worker has several blocks, and an image is more than one."""
    x, weight, _, g, x_last, g_last = arrays(9, 32, 32, 30, 26, (1, 1), "f8")
    sizes = winograd.sizes_of(x_last.shape, g_last.shape, (1, 1))
    assert sizes.block < sizes.each
    assert winograd.pays(9, conv.geometry_of(x.shape, weight.shape, ONE, (1, 1), *PLAIN[1:]), Image(30, 26, 32))
    found = conv.conv2d_gradients(g, x, weight, ONE, (1, 1), *PLAIN[1:])
    for ours, wanted in zip(found, reference.conv2d_gradients(g, x, weight, ONE, (1, 1), *PLAIN[1:]), strict=True):
        agree(ours, wanted, 50)


def test_several_blocks_and_threads_give_the_same(n_threads):
    x, weight, bias, _, x_last, g_last = arrays(9, 16, 32, 20, 13, (1, 1))
    y = np.empty_like(g_last)
    assert winograd.convolve(x_last, by_taps(weight), bias, y, (1, 1))
    agree(y.transpose(0, 3, 1, 2), reference.conv2d(x, weight, bias, ONE, (1, 1), *PLAIN[1:]))


def test_rounding_is_about_twice_that_of_direct_sums():
    rng = np.random.default_rng(0)
    x, weight, g = (
        rng.standard_normal(shape, np.float32) for shape in ((8, 64, 16, 16), (64, 64, 3, 3), (8, 64, 16, 16))
    )
    geometry = ONE, (1, 1), *PLAIN[1:]
    assert winograd.pays(8, conv.geometry_of(x.shape, weight.shape, *geometry), Image(16, 16, 64))
    cases = (("conv2d", (x, weight, None)), ("conv2d_input_grad", (g, weight, x.shape)))
    for name, args in (*cases, ("conv2d_weight_grad", (g, x, weight.shape)), ("conv2d_gradients", (g, x, weight))):
        exact = getattr(reference, name)(
            *(a.astype(float) if isinstance(a, np.ndarray) else a for a in args), *geometry
        )
        found = getattr(conv, name)(*args, *geometry)
        for one, wanted in zip(found, exact, strict=True) if isinstance(found, tuple) else [(found, exact)]:
            assert (one - wanted).std() < 2.5e-6 * wanted.std()
            assert abs(one - wanted).max() < 3e-5 * wanted.std()


def matrices(near, far):
    """Return (Bᵀ, G, Aᵀ) for the points 0, ±near, ±far and ∞, by the textbook: Toom and Cook's polynomials."""
    points = np.array([0, near, -near, far, -far])
    others = [points[points != p] for p in points]
    g = [[p**k / np.prod(p - q) for k in range(3)] for p, q in zip(points, others, strict=True)] + [[0, 0, 1]]
    b = [[*np.poly(q)[::-1], 0] for q in others] + [np.poly(points)[::-1]]
    return np.array(b), np.array(g), np.array([[*points**k, k == 3] for k in range(4)])


def test_the_matrices_are_the_textbooks_and_its_points_round_worse():
    ours = tile.INPUT[1] @ tile.INPUT[0], winograd.G, tile.OUTPUT[1] @ tile.OUTPUT[0]
    for found, wanted in zip(ours, matrices(tile.NEAR, tile.FAR), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-15)
    np.testing.assert_array_equal(tile.GRADIENT[1] @ tile.GRADIENT[0], ours[2].T)
    np.testing.assert_allclose(tile.SEEN[1] @ tile.SEEN[0], ours[0].T, atol=1e-15)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((64, 200, 6, 6)), rng.standard_normal((64, 200, 3, 3))
    exact = sum(x[..., i : i + 4, j : j + 4] * w[..., i, None, j, None] for i, j in np.ndindex(3, 3)).sum(0)
    errors = []
    for three in (ours, matrices(1, 2)):
        b, g, a = (m.astype(np.float32) for m in three)
        planes = (b @ x.astype(np.float32) @ b.T) * (g @ w.astype(np.float32) @ g.T)
        errors.append((a @ planes.sum(0) @ a.T - exact).std())
    assert errors[1] > 2 * errors[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_what_is_not_finite_reaches_all_it_should_and_no_more(value):
    if value == 3e38 and numba.config.DISABLE_JIT:
        pytest.skip("whether a sum of two such numbers overflows depends on the order, which is another one")
    x, weight, bias, g, *_ = arrays(8, 64, 32, 17, 16, (1, 1))
    geometry = ONE, (1, 1), *PLAIN[1:]
    assert winograd.pays(8, conv.geometry_of(x.shape, weight.shape, *geometry), Image(17, 16, 32))
    x[1, 3, 2, 14] = g[0, 5, 8, 3] = value
    weight[2, 1, 1, 1] = np.nan
    calls = (
        ("conv2d", (x, weight, bias)),
        ("conv2d_input_grad", (g, weight, x.shape)),
        ("conv2d_weight_grad", (g, x, weight.shape)),
        ("conv2d_gradients", (g, x, weight)),
    )
    for name, args in calls:
        ours, wanted = (getattr(twin, name)(*args, *geometry) for twin in (conv, reference))
        if isinstance(ours, tuple):
            ours, wanted = (np.concatenate([some.ravel() for some in found]) for found in (ours, wanted))
        assert 0 < np.isfinite(wanted).sum() < wanted.size
        np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(wanted))
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(wanted))


@pytest.mark.parametrize(
    "kernel, stride, dilation, groups", [((5, 5), 1, 1, 1), ((3, 3), 2, 1, 1), ((3, 3), 1, 2, 1), ((3, 3), 1, 1, 2)]
)
def test_it_is_for_plain_3x3_only(kernel, stride, dilation, groups):
    weight_shape = 64, 64 // groups, *kernel
    geometry = conv.geometry_of((8, 64, 30, 30), weight_shape, (stride,) * 2, (1, 1), (dilation,) * 2, groups)
    assert not winograd.pays(8, geometry, geometry.y)


def test_few_channels_few_places_or_odd_small_images_are_left_to_direct_sums():
    def pays(n, c, o, side):
        geometry = conv.geometry_of((n, c, side, side), (o, c, 3, 3), ONE, (1, 1), ONE, 1)
        return winograd.pays(n, geometry, geometry.y)

    assert pays(32, 64, 64, 8)
    assert not pays(32, 8, 64, 8)
    assert not pays(1, 64, 64, 8)
    assert not pays(64, 64, 64, 5)


@pytest.mark.parametrize("row, column", [(0, 0), (-1, -2), (3, 2)])
def test_the_transforms_in_python(row, column):
    """They stand in for the instructions where kernels run interpreted."""
    rng = np.random.default_rng(0)
    n, height, width, channels = 5, 6, 5, 7
    x = rng.integers(-9, 9, height * width * channels).astype(np.float32)
    planes = rng.integers(-9, 9, 380).astype(np.float32)
    where = 1, row, column, height, width, width * channels, channels
    for factors, compiled in ((tile.INPUT, winograd._spread_x), (tile.GRADIENT, winograd._spread_g)):
        found = []
        for spread in (tile._spread_in_python(factors), run_compiled(compiled)):
            y = np.zeros(36 * 10, np.float32)
            spread(x, *where, y, 2, 10, n)
            found.append(y)
        np.testing.assert_allclose(*found, atol=1e-4)
    found = []
    for gather in (tile._gather_in_python, run_compiled(winograd._gather)):
        y = np.zeros(height * width * channels, np.float32)
        at = abs(row), abs(column), height, width, width * channels, channels
        limits, spoilt = (np.float32(-8), np.float32(20)), np.zeros(3, np.int64)
        gather(planes, 3, 10, np.arange(9, dtype=np.float32), 2, y, 1, *at, n, *limits, spoilt, 1)
        found.append(y)
        assert not spoilt.any()
        spoilt_planes = planes.copy()
        spoilt_planes[3 + 350 + n - 1] = np.inf
        with np.errstate(all="ignore"):
            gather(spoilt_planes, 3, 10, np.arange(9, dtype=np.float32), 2, y.copy(), 1, *at, n, *limits, spoilt, 1)
        assert spoilt.tolist() == [0, 1, 0]
    np.testing.assert_allclose(*found, atol=1e-4)


@pytest.mark.parametrize("row, column", [(0, 0), (-1, -2), (3, 2)])
@pytest.mark.parametrize("above, beside", [(0, 0), (0, 1), (2, 0), (1, 3)])
def test_adding_to_what_squares_see_in_python(row, column, above, beside):
    rng = np.random.default_rng(0)
    n, height, width, channels = 5, 6, 5, 7
    planes, before = (rng.integers(-9, 9, size).astype(np.float32) for size in (380, height * width * channels + 1))
    where = row, column, height, width, width * channels, channels
    found = []
    for add in (tile._add_in_python, run_compiled(winograd_grad._add)):
        y, spoilt = before.copy(), np.zeros(3, np.int64)
        add(planes, 3, 10, y, 1, *where, n, above, beside, spoilt, 1)
        found.append(y)
        assert not spoilt.any()
        worse = planes.copy()
        worse[3 + 350 + n - 1] = np.inf
        with np.errstate(all="ignore"):
            add(worse, 3, 10, y.copy(), 1, *where, n, above, beside, spoilt, 1)
        assert spoilt.tolist() == [0, 1, 0]
    np.testing.assert_allclose(*found, atol=1e-3)
    image, old = (a[1:].reshape(height, width, channels) for a in (found[1], before))
    np.testing.assert_array_equal(image[..., n:], old[..., n:])
    square = planes[3 + 10 * np.arange(36)[:, None] + np.arange(n)].reshape(6, 6, n)
    seen = np.einsum("ip,jq,pqc->ijc", *[tile.SEEN[1] @ tile.SEEN[0]] * 2, square)
    for i, j in np.ndindex(6, 6):
        if 0 <= row + i < height and 0 <= column + j < width:
            written = (above and i < 2) or (beside and j < 2)
            wanted = seen[i, j] + (old[row + i, column + j, :n] if written else 0)
            np.testing.assert_allclose(image[row + i, column + j, :n], wanted, atol=1e-3)


def run_compiled(intrinsic):
    """Return an intrinsic as a function of Python."""
    return numba.njit(lambda *args: intrinsic(*args))


def test_direct_sums_where_most_squares_lie_at_the_rim():
    geometry = conv.geometry_of((128, 64, 6, 6), (64, 64, 3, 3), ONE, (0, 0), ONE, 1)
    assert winograd.pays(128, geometry, geometry.y)  # one square of 4×4 places
    assert not winograd.pays(128, geometry, geometry.x)  # four of them, for places that see one to nine of g


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 9), padding=st.integers(0, 2))
def test_pairs_of_places_and_taps(n, padding):
    out = n - 2 + 2 * padding
    seen = [0 <= place + tap - padding < n for place in range(out) for tap in range(3)]
    assert winograd._pairs(n, out, padding) == sum(seen)
