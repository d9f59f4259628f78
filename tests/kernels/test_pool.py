from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels import buffers
from tinydl.kernels.reference import pool as reference
from tinydl.shapes import pool_output_size


@pytest.fixture(scope="module", params=["reference", "compiled"])
def pool(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "compiled":
        pytest.importorskip("numba")
    return import_module(f"tinydl.kernels.{request.param}.pool")


@pytest.fixture(scope="module")
def compiled() -> ModuleType:
    pytest.importorskip("numba")
    return import_module("tinydl.kernels.compiled.pool")


def window(at: int, n: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    """Return the places of window `at` that exist on an axis of n places."""
    return [p for p in (at * stride - padding + i * dilation for i in range(kernel)) if 0 <= p < n]


def loop_max(x: np.ndarray, places: list[tuple[int, int]]) -> tuple[float, int]:
    """Return the first maximum (the first NaN if there is one) among `places` of an image, and where it stands."""
    best, where = -np.inf, -1
    for row, col in places:
        value = x[row, col]
        if where < 0 or value > best or (np.isnan(value) and not np.isnan(best)):
            best, where = value, row * x.shape[1] + col
    return best, where


@st.composite
def geometries(draw: Callable[..., Any], dilated: bool = True) -> tuple[Any, ...]:
    def two(low: int, high: int) -> tuple[int, int]:
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, dilation = two(1, 3), two(1, 3), two(1, 2) if dilated else (1, 1)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    extra = two(0, 4)
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + e for k, p, d, e in zip(kernel, padding, dilation, extra, strict=True)
    )
    ceil_mode = draw(st.booleans())
    out = tuple(
        pool_output_size(*sizes, ceil_mode) for sizes in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    return size, kernel, stride, padding, dilation, out


def images(rng: np.random.Generator, n: int, c: int, size: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return images with many ties, and here and there NaN, Inf and −Inf."""
    x = rng.integers(-2, 3, (n, c, *size)).astype(dtype)
    odd = rng.random(x.shape)
    x[odd < 0.05], x[odd > 0.95], x[(odd > 0.5) & (odd < 0.53)] = np.nan, -np.inf, np.inf
    return x


@settings(deadline=None, max_examples=100)
@given(geometry=geometries(), n=st.integers(0, 2), c=st.integers(1, 4), dtype=st.sampled_from(["f4", "f8"]))
def test_max_pool_against_loops(pool: ModuleType, geometry: tuple[Any, ...], n: int, c: int, dtype: str) -> None:
    (height, width), kernel, stride, padding, dilation, out = geometry
    rng = np.random.default_rng(0)
    x = images(rng, n, c, (height, width), dtype)
    y, indices = pool.max_pool2d(x, kernel, stride, padding, dilation, out)
    g = rng.integers(-9, 9, (n, c, *out)).astype(dtype)
    gx = np.zeros_like(x)
    for a, b, h, w in np.ndindex(n, c, *out):
        rows = window(h, height, kernel[0], stride[0], padding[0], dilation[0])
        cols = window(w, width, kernel[1], stride[1], padding[1], dilation[1])
        value, where = loop_max(x[a, b], [(row, col) for row in rows for col in cols])
        np.testing.assert_equal(y[a, b, h, w], value)
        assert indices[a, b, h, w] == where
        if where >= 0:
            gx[a, b].flat[where] += g[a, b, h, w]
    assert y.shape == indices.shape == (n, c, *out)
    assert (y.dtype, indices.dtype) == (np.dtype(dtype), np.dtype(np.int32))
    got = pool.max_pool2d_grad(g, indices, x.shape)
    assert got.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(got, gx)
    np.testing.assert_array_equal(pool.max_pool2d_gather(x, indices), np.where(indices < 0, 0, y))
    rectified, places = pool.max_pool2d(x, kernel, stride, padding, dilation, out, True)
    np.testing.assert_array_equal(rectified, np.where(y <= 0, 0, y))
    np.testing.assert_array_equal(places, np.where(y <= 0, -1, indices))


@settings(deadline=None, max_examples=100)
@given(geometry=geometries(dilated=False), n=st.integers(0, 2), c=st.integers(1, 4), include=st.booleans())
def test_avg_pool_against_loops(pool: ModuleType, geometry: tuple[Any, ...], n: int, c: int, include: bool) -> None:
    (height, width), kernel, stride, padding, _, out = geometry
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((n, c, height, width)), rng.standard_normal((n, c, *out))
    y, gx = np.zeros_like(g), np.zeros_like(x)
    for a, b, h, w in np.ndindex(n, c, *out):
        rows = window(h, height, kernel[0], stride[0], padding[0], 1)
        cols = window(w, width, kernel[1], stride[1], padding[1], 1)
        count = len(rows) * len(cols)
        if include:  # all of the window that lies within the image and its padding
            count = min(kernel[0], height + 2 * padding[0] - h * stride[0])
            count *= min(kernel[1], width + 2 * padding[1] - w * stride[1])
        for row in rows:
            for col in cols:
                y[a, b, h, w] += x[a, b, row, col] / count
                gx[a, b, row, col] += g[a, b, h, w] / count
    options = (kernel, stride, padding)
    np.testing.assert_allclose(pool.avg_pool2d(x, *options, out, include), y, rtol=0, atol=1e-14)
    np.testing.assert_allclose(pool.avg_pool2d_grad(g, x.shape, *options, include), gx, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "size, kernel, stride, padding, ceil_mode, include, counts",
    [  # what torch.nn.functional.avg_pool2d divides each output row by
        (5, 2, 2, 0, True, True, [2, 2, 1]),
        (5, 2, 2, 1, True, True, [2, 2, 2]),
        (5, 2, 2, 1, True, False, [1, 2, 2]),
        (4, 3, 2, 1, True, True, [3, 3, 2]),
        (4, 3, 2, 1, True, False, [2, 3, 1]),
        (4, 3, 2, 1, False, False, [2, 3]),
    ],
)
def test_avg_pool_divisors(
    pool: ModuleType,
    size: int,
    kernel: int,
    stride: int,
    padding: int,
    ceil_mode: bool,
    include: bool,
    counts: list[int],
) -> None:
    out = pool_output_size(size, kernel, stride, padding, 1, ceil_mode)
    g = np.ones((1, 1, out, 1))
    gx = pool.avg_pool2d_grad(g, (1, 1, size, 1), (kernel, 1), (stride, 1), (padding, 0), include)
    assert out == len(counts)
    want = np.zeros(size)
    for h, count in enumerate(counts):
        want[window(h, size, kernel, stride, padding, 1)] += 1 / count
    np.testing.assert_allclose(gx.ravel(), want, atol=1e-15)
    np.testing.assert_array_equal(reference.counts(size, kernel, stride, padding, out, include), counts)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2), st.integers(1, 5), *[st.integers(1, 7)] * 4, st.sampled_from(["f4", "f8"]))
def test_adaptive_pools_against_loops(
    pool: ModuleType, n: int, c: int, height: int, width: int, h: int, w: int, dtype: str
) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, (n, c, height, width)).astype(dtype)
    g = rng.integers(-9, 9, (n, c, h, w)).astype(dtype)
    mean, gx = pool.adaptive_avg_pool2d(x, (h, w)), np.zeros(x.shape)
    top, indices = pool.adaptive_max_pool2d(x, (h, w))
    for i in range(h):
        for j in range(w):
            rows = range(int(np.floor(i * height / h)), int(np.ceil((i + 1) * height / h)))
            cols = range(int(np.floor(j * width / w)), int(np.ceil((j + 1) * width / w)))
            places = [(row, col) for row in rows for col in cols]
            for a, b in np.ndindex(n, c):
                values = [float(x[a, b][place]) for place in places]
                np.testing.assert_allclose(mean[a, b, i, j], sum(values) / len(values), rtol=1e-6, atol=1e-6)
                assert (top[a, b, i, j], indices[a, b, i, j]) == loop_max(x[a, b], places)
                for place in places:
                    gx[a, b][place] += g[a, b, i, j] / len(places)
    got = pool.adaptive_avg_pool2d_grad(g, x.shape)
    assert mean.dtype == top.dtype == got.dtype == np.dtype(dtype)
    assert indices.dtype == np.int32
    np.testing.assert_allclose(got, gx, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(*[st.integers(2, 9)] * 2, st.integers(0, 3), st.integers(1, 40), st.sampled_from(["f4", "f8"]), st.booleans())
def test_quarters(pool: ModuleType, height: int, width: int, n: int, c: int, dtype: str, ceil_mode: bool) -> None:
    rng = np.random.default_rng(0)
    x, options = images(rng, n, c, (height, width), dtype), ((2, 2), (2, 2), (0, 0), (1, 1))
    out = tuple(pool_output_size(size, 2, 2, 0, 1, ceil_mode) for size in (height, width))
    for relu in (False, True):
        y, indices = pool.max_pool2d(x, *options, out, relu)
        g = rng.integers(-9, 9, y.shape).astype(dtype)
        wanted = reference.max_pool2d_grad(g, indices, x.shape)
        np.testing.assert_array_equal(pool.max_pool2d_grad(g, indices, x.shape, True), wanted)


def test_adaptive_max_pool_takes_nan(pool: ModuleType) -> None:
    x = np.zeros((1, 2, 4, 4), np.float32)
    x[0, 1, 2, 3] = np.nan
    y, indices = pool.adaptive_max_pool2d(x, (2, 2))
    assert np.isnan(y).sum() == 1
    assert np.isnan(y[0, 1, 1, 1])
    assert indices[0, 1, 1, 1] == 11


# size, kernel, stride, padding, dilation
LARGE = [
    ((26, 26), (2, 2), (2, 2), (0, 0), (1, 1)),
    ((11, 11), (2, 2), (2, 2), (0, 0), (1, 1)),
    ((14, 13), (3, 3), (2, 2), (1, 1), (1, 1)),
    ((13, 14), (3, 3), (1, 1), (1, 1), (2, 2)),
    ((8, 8), (4, 4), (4, 4), (0, 0), (1, 1)),
]


@pytest.mark.parametrize("c", [1, 16, 33])
@pytest.mark.parametrize("geometry", LARGE, ids=str)
def test_large_ones_agree_with_the_reference(compiled: ModuleType, geometry: Any, c: int, n_threads: int) -> None:
    pool = compiled
    size, kernel, stride, padding, dilation = geometry
    rng = np.random.default_rng(0)
    x = images(rng, 19, c, size, "f4")
    out = tuple(map(pool_output_size, size, kernel, stride, padding, dilation, (False, False)))
    y, indices = pool.max_pool2d(x, kernel, stride, padding, dilation, out)
    y2, indices2 = reference.max_pool2d(x, kernel, stride, padding, dilation, out)
    np.testing.assert_array_equal(y, y2)
    np.testing.assert_array_equal(indices, indices2)
    g = rng.integers(-9, 9, y.shape).astype(np.float32)
    gx = pool.max_pool2d_grad(g, indices, x.shape)
    np.testing.assert_array_equal(gx, reference.max_pool2d_grad(g, indices, x.shape))
    np.testing.assert_array_equal(pool.max_pool2d_gather(x, indices), y)
    x = rng.integers(-9, 9, x.shape).astype(np.float32)
    options = (kernel, stride, padding)
    np.testing.assert_allclose(
        pool.avg_pool2d(x, *options, out, False), reference.avg_pool2d(x, *options, out, False), rtol=1e-6
    )
    np.testing.assert_allclose(
        pool.avg_pool2d_grad(g, x.shape, *options, False),
        reference.avg_pool2d_grad(g, x.shape, *options, False),
        atol=1e-5,
    )
    np.testing.assert_allclose(pool.adaptive_avg_pool2d(x, (1, 1))[..., 0, 0], x.mean((2, 3)), atol=1e-5)
    np.testing.assert_allclose(
        pool.adaptive_avg_pool2d_grad(g[:, :, :1, :1], x.shape),
        reference.adaptive_avg_pool2d_grad(g[:, :, :1, :1], x.shape),
        atol=1e-5,
    )


@pytest.mark.parametrize("geometry", LARGE[:3], ids=str)
def test_every_layout(pool: ModuleType, geometry: Any, lay_out: Callable[[np.ndarray], np.ndarray]) -> None:
    size, kernel, stride, padding, dilation = geometry
    rng = np.random.default_rng(0)
    x = rng.permutation(2 * 5 * size[0] * size[1]).reshape(2, 5, *size).astype(np.float32)
    out = tuple(map(pool_output_size, size, kernel, stride, padding, dilation, (False, False)))
    y, indices = reference.max_pool2d(x, kernel, stride, padding, dilation, out)
    plain = [x, indices, y]
    given = x2, indices2, g2 = [lay_out(a) for a in plain]
    options = (kernel, stride, padding)
    results = [
        (pool.max_pool2d(x2, *options, dilation, out)[0], y),
        (pool.max_pool2d(x2, *options, dilation, out)[1], indices),
        (pool.max_pool2d_grad(g2, indices2, x.shape), reference.max_pool2d_grad(y, indices, x.shape)),
        (pool.max_pool2d_gather(x2, indices2), y),
        (pool.avg_pool2d(x2, *options, out, True), reference.avg_pool2d(x, *options, out, True)),
        (pool.avg_pool2d_grad(g2, x.shape, *options, True), reference.avg_pool2d_grad(y, x.shape, *options, True)),
        (pool.adaptive_avg_pool2d(x2, (2, 3)), reference.adaptive_avg_pool2d(x, (2, 3))),
        (pool.adaptive_avg_pool2d_grad(g2, x.shape), reference.adaptive_avg_pool2d_grad(y, x.shape)),
        (pool.adaptive_max_pool2d(x2, (2, 3))[0], reference.adaptive_max_pool2d(x, (2, 3))[0]),
        (pool.adaptive_max_pool2d(x2, (2, 3))[1], reference.adaptive_max_pool2d(x, (2, 3))[1]),
    ]
    for got, want in results:
        assert got.dtype == want.dtype
        assert got.dtype.isnative
        np.testing.assert_allclose(got, want, rtol=1e-6)
        assert not any(np.shares_memory(got, a) for a in given)
    for before, after in zip(plain, given, strict=True):
        np.testing.assert_array_equal(after, before)


def test_results_are_channels_last_and_own_their_memory(compiled: ModuleType) -> None:
    x = np.zeros((2, 8, 50, 50), np.float32)
    options = ((2, 2), (2, 2), (0, 0))
    y, indices = compiled.max_pool2d(x, *options, (1, 1), (25, 25))
    results = [
        *(y, indices, compiled.max_pool2d_grad(y, indices, x.shape)),
        *(compiled.avg_pool2d(x, *options, (25, 25), True), compiled.avg_pool2d_grad(y, x.shape, *options, True)),
    ]
    for result in results:
        assert result.transpose(0, 2, 3, 1).flags.c_contiguous
        assert buffers.is_fresh(result)


def test_indices_outside_of_the_image_do_no_harm(compiled: ModuleType) -> None:
    indices = np.array([-1, 5, 16, 2**31 - 1], np.int32).reshape(1, 1, 2, 2)
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    np.testing.assert_array_equal(compiled.max_pool2d_gather(x, indices).ravel(), [0, 5, 0, 0])
    gx = compiled.max_pool2d_grad(np.ones((1, 1, 2, 2), np.float32), indices, x.shape)
    np.testing.assert_array_equal(gx.ravel(), np.arange(16) == 5)


def test_nothing_is_compiled_twice(compiled: ModuleType) -> None:
    """Whatever the layouts and options: one version for float32, one for float64."""
    kernels = [getattr(compiled, name) for name in dir(compiled) if hasattr(getattr(compiled, name), "signatures")]
    if not kernels:
        pytest.skip("kernels run interpreted")
    for dtype in ("f4", "f8"):
        for x in (
            np.ones((2, 3, 8, 8), dtype),
            np.ones((8, 8, 3, 2), dtype).T,
            np.broadcast_to(np.ones((), dtype), (2, 3, 8, 8)),
        ):
            for kernel in ((2, 2), (3, 3)):
                y, indices = compiled.max_pool2d(x, kernel, (2, 2), (0, 0), (1, 1), (3, 3))
                indices.flags.writeable = False
                compiled.max_pool2d_grad(y, indices, x.shape)
                compiled.max_pool2d_gather(x, indices.astype(np.int64))
                compiled.avg_pool2d_grad(
                    compiled.avg_pool2d(x, kernel, (2, 2), (0, 0), (3, 3), True), x.shape, kernel, (2, 2), (0, 0), True
                )
            compiled.adaptive_avg_pool2d_grad(compiled.adaptive_avg_pool2d(x, (3, 3)), x.shape)
            compiled.adaptive_max_pool2d(x, (3, 3))
    assert all(len(kernel.signatures) <= 2 for kernel in kernels)
