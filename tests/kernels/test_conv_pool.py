"""A convolution with the max pooling behind it: twins agree, one image after another or as a whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels import buffers, threads
from tinydl.kernels.reference import conv_pool as reference
from tinydl.shapes import conv_output_size

compiled = pytest.importorskip("tinydl.kernels.compiled.conv_pool")

ONE = (1, 1)


def arrays(n, c, o, kernel, size, groups=1, dtype="f4", seed=0):
    """Return x, weight and bias: small integers, of whose sums many are equal."""
    rng = np.random.default_rng(seed)
    shapes = (n, c, *size), (o, c // groups, *kernel), (o,)
    return [rng.integers(-2, 3, shape).astype(dtype) for shape in shapes]


def check(x, weight, bias, stride, padding, dilation, groups, relu):
    """Compare both twins, forward and backward, to the last digit: no sum of these integers is rounded."""
    sizes = stride, padding, dilation, groups
    y, indices = compiled.conv2d_max_pool(x, weight, bias, *sizes, relu)
    wanted, places = reference.conv2d_max_pool(x, weight, bias, *sizes, relu)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(indices, places)
    g = np.random.default_rng(1).integers(-3, 4, y.shape).astype(x.dtype)
    for by_x in (False, True):
        found = compiled.conv2d_max_pool_grad(g, indices, x, weight, by_x, *sizes)
        defined = reference.conv2d_max_pool_grad(g, indices, x, weight, by_x, *sizes)
        for ours, theirs in zip(found, defined, strict=True):
            assert ours.dtype == x.dtype
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 5),
    c=st.integers(1, 4),
    o=st.integers(1, 20),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    extra=st.tuples(st.integers(1, 15), st.integers(1, 15)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 2),
    dtype=st.sampled_from(["f4", "f8"]),
    relu=st.booleans(),
    with_bias=st.booleans(),
)
def test_twins_agree(n, c, o, kernel, extra, stride, padding, dilation, groups, dtype, relu, with_bias):
    size = tuple(d * (k - 1) + e + s for d, k, e, s in zip(dilation, kernel, extra, stride, strict=True))
    x, weight, bias = arrays(n, c * groups, o * groups, kernel, size, groups, dtype)
    check(x, weight, bias if with_bias else None, stride, padding, dilation, groups, relu)


LARGE = {
    "image by image": (8, 1, 32, (3, 3), (28, 28), 1, (0, 0)),
    "an odd number of rows and columns": (7, 3, 20, (5, 5), (19, 21), 1, (1, 2)),
    "groups": (6, 8, 16, (3, 3), (16, 16), 2, (1, 1)),
    "depthwise": (4, 8, 8, (3, 3), (16, 16), 8, (1, 1)),
    "by Winograd's algorithm": (8, 32, 64, (3, 3), (19, 18), 1, (1, 1)),
    "an image too large for the cache": (3, 3, 64, (3, 3), (40, 40), 1, (0, 0)),
    "more terms than are summed at a time": (4, 130, 8, (3, 3), (12, 12), 1, (1, 1)),
}


@pytest.mark.parametrize("case", LARGE)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_large_ones(case, dtype, n_threads):
    n, c, o, kernel, size, groups, padding = LARGE[case]
    x, weight, bias = arrays(n, c, o, kernel, size, groups, dtype)
    if case == "by Winograd's algorithm":  # which rounds: equal numbers would not be so
        rng = np.random.default_rng(0)
        x, weight = (rng.standard_normal(a.shape).astype(dtype) for a in (x, weight))
        y, indices = compiled.conv2d_max_pool(x, weight, bias, ONE, padding, ONE, groups, True)
        wanted, places = reference.conv2d_max_pool(x, weight, bias, ONE, padding, ONE, groups, True)
        np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)
        assert np.mean(indices != places) < 1e-3
        g = rng.standard_normal(y.shape).astype(dtype)
        given = g, places, x, weight, True, ONE, padding, ONE, groups
        for ours, theirs in zip(
            compiled.conv2d_max_pool_grad(*given), reference.conv2d_max_pool_grad(*given), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-3)
    else:
        check(x, weight, bias, ONE, padding, ONE, groups, True)


def by_image(case, n_threads=2):
    n, c, o, kernel, size, groups, padding = LARGE[case]
    geometry = compiled.geometry_of((n, c, *size), (o, c // groups, *kernel), ONE, padding, ONE, groups)
    return compiled._by_image(n, geometry, c // groups, n_threads)


@pytest.mark.parametrize("case", LARGE)
def test_results_own_their_memory(case):
    n, c, o, kernel, size, groups, padding = LARGE[case]
    x, weight, bias = arrays(n, c, o, kernel, size, groups)
    y, indices = compiled.conv2d_max_pool(x, weight, bias, ONE, padding, ONE, groups, True)
    gx, *_ = compiled.conv2d_max_pool_grad(y, indices, x, weight, True, ONE, padding, ONE, groups)
    for images in (y, indices, gx):
        assert buffers.is_fresh(images)
        assert images.transpose(0, 2, 3, 1).flags.c_contiguous


def test_which_go_image_by_image():
    assert [case for case in LARGE if by_image(case)] == [*LARGE][:3]
    assert not by_image("image by image", n_threads=9), "threads share images"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("relu", [False, True])
def test_what_is_not_finite(value, relu, n_threads):
    x, weight, bias = arrays(5, 3, 8, (3, 3), (16, 14))
    x[1, 2, 5, 6] = value
    y, indices = compiled.conv2d_max_pool(x, weight, bias, ONE, ONE, ONE, 1, relu)
    wanted, places = reference.conv2d_max_pool(x, weight, bias, ONE, ONE, ONE, 1, relu)
    assert not np.isfinite(y).all()
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(indices, places)
    g = np.ones_like(y)
    g[0, 3, 2, 2] = value
    given = g, indices, x, weight, False, ONE, ONE, ONE, 1
    for ours, theirs in zip(compiled.conv2d_max_pool_grad(*given), reference.conv2d_max_pool_grad(*given), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_layout(lay_out, dtype):
    x, weight, bias = arrays(6, 2, 8, (3, 3), (12, 13), 1, dtype)
    sizes = ONE, (0, 0), ONE, 1
    y, indices = compiled.conv2d_max_pool(*map(lay_out, (x, weight, bias)), *sizes, True)
    wanted, places = reference.conv2d_max_pool(x, weight, bias, *sizes, True)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(indices, places)
    g = np.random.default_rng(1).integers(-3, 4, y.shape).astype(dtype)
    for by_x in (False, True):
        found = compiled.conv2d_max_pool_grad(*map(lay_out, (g, places, x, weight)), by_x, *sizes)
        defined = reference.conv2d_max_pool_grad(g, places, x, weight, by_x, *sizes)
        for ours, theirs in zip(found, defined, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_the_same_bits_for_the_same_number_of_threads():
    """Also where another number was in use before."""
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(shape, np.float32) for shape in ((3, 1, 20, 20), (8, 1, 3, 3)))
    sizes = ONE, (0, 0), ONE, 1
    y, indices = compiled.conv2d_max_pool(x, weight, None, *sizes, True)
    g = rng.standard_normal(y.shape, np.float32)
    before, found = threads.num_threads(), {}
    try:
        for n in (1, 4, 2, 1, 2, 4):
            threads.set_num_threads(n)
            gw, gb = compiled.conv2d_max_pool_grad(g, indices, x, weight, False, *sizes)
            assert found.setdefault(n, (gw.tobytes(), gb.tobytes())) == (gw.tobytes(), gb.tobytes())
    finally:
        threads.set_num_threads(before)


def test_the_reference_by_loops():
    x, weight, bias = arrays(2, 2, 3, (2, 2), (5, 6))
    y, indices = reference.conv2d_max_pool(x, weight, bias, ONE, ONE, ONE, 1, True)
    h, w = (conv_output_size(size, 2, 1, 1, 1) for size in (5, 6))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for n, o, i, j in np.ndindex(2, 3, h // 2, w // 2):
        places = [(2 * i + k // 2, 2 * j + k % 2) for k in range(4)]
        sums = [float((padded[n, :, r : r + 2, c : c + 2] * weight[o]).sum() + bias[o]) for r, c in places]
        best = max(sums)
        assert y[n, o, i, j] == max(best, 0)
        row, column = places[sums.index(best)]
        assert indices[n, o, i, j] == (row * w + column if best > 0 else -1)
