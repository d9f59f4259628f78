"""Integer kernels: both twins bit for bit, and against sums of Python's own integers."""

import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import twin

from tinydl.kernels.integer import ROUNDINGS, Addition, Filter, Requantizer
from tinydl.kernels.reference.pool import areas
from tinydl.shapes import conv_output_size

reference = twin("reference")


def numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def some_filter(rng: np.random.Generator, *shape: int, rounding: str = "single", factor: float = 3e-3) -> Filter:
    weight = rng.integers(-127, 128, shape).astype(np.int8)
    bias = rng.integers(-20_000, 20_000, shape[0]).astype(np.int32)
    scales = rng.uniform(0.5, 1.5, shape[0]) * factor
    low, high = sorted(int(v) for v in rng.integers(-128, 128, 2))
    output = Requantizer.between(scales, 1.0, int(rng.integers(-128, 128)), rounding=rounding, low=low, high=high)
    return Filter(weight, bias, int(rng.integers(-128, 128)), output)


# -------------------------------------------------------------------------------------------------------- convolution


def exact_conv2d(x: np.ndarray, f: Filter, stride: Any, padding: Any, dilation: Any, groups: int) -> np.ndarray:
    """Return Σ w·(x − zero) + bias in Python's integers, place by place."""
    o, c, kh, kw = f.weight.shape
    h, w = map(conv_output_size, x.shape[2:], (kh, kw), stride, padding, dilation)
    y = np.zeros((len(x), o, h, w), object)
    for n, k, i, j in np.ndindex(y.shape):
        total = int(f.bias[k])
        for q, a, b in np.ndindex(c, kh, kw):
            row = i * stride[0] - padding[0] + a * dilation[0]
            col = j * stride[1] - padding[1] + b * dilation[1]
            if 0 <= row < x.shape[2] and 0 <= col < x.shape[3]:
                channel = k // (o // groups) * c + q
                total += int(f.weight[k, q, a, b]) * (int(x[n, channel, row, col]) - f.zero)
        y[n, k, i, j] = total
    return y


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolution_pads_with_the_zero_point(kernels: SimpleNamespace, rng: np.random.Generator, groups: int) -> None:
    x, f = numbers(rng, 2, 4, 5, 4), some_filter(rng, 8, 4 // groups, 3, 2)
    options = (2, 1), (1, 1), (1, 2), groups
    totals = exact_conv2d(x, f, *options)
    want = np.empty(totals.shape, int)
    for n, k, i, j in np.ndindex(totals.shape):
        mantissa, shift = int(f.output.multiplier[k]), int(f.output.shift[k])
        rounded = math.floor(Fraction(totals[n, k, i, j] * mantissa, 2 ** (31 - shift)) + Fraction(1, 2))
        want[n, k, i, j] = max(f.output.low, min(f.output.high, rounded + f.output.zero))
    got = kernels.int8_conv2d(x, f, *options)
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, want)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_convolution_twins_agree_bit_for_bit(data: st.DataObject) -> None:
    pytest.importorskip("numba")

    def two(low: int, high: int) -> tuple[int, int]:
        return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, padding, dilation, extra = two(1, 5), two(1, 3), two(0, 3), two(1, 2), two(0, 9)
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + e for k, p, d, e in zip(kernel, padding, dilation, extra, strict=True)
    )
    groups = data.draw(st.sampled_from([1, 1, 2, 3, 7]))
    c, o = (groups * data.draw(st.integers(1, top)) for top in (9, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    factor, rounding = data.draw(st.sampled_from([3e-5, 3e-3, 0.3, 1.7])), data.draw(st.sampled_from(ROUNDINGS))
    f = some_filter(rng, o, c // groups, *kernel, rounding=rounding, factor=factor)
    x = numbers(rng, data.draw(st.integers(0, 3)), c, *size)
    options = stride, padding, dilation, groups
    got, want = (k.int8_conv2d(x, f, *options) for k in (twin("compiled"), reference))
    assert got.dtype == want.dtype == np.int8
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "case", [(1, 64, 14, 64, 1), (8, 24, 7, 58, 1), (3, 1, 28, 16, 3), (2, 33, 12, 140, 3)], ids=str
)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_network_shapes_on_any_number_of_threads(case: tuple[int, ...], rounding: str, n_threads: int) -> None:
    pytest.importorskip("numba")
    n, c, size, o, k = case
    rng = np.random.default_rng(0)
    x, f = numbers(rng, n, c, size, size), some_filter(rng, o, c, k, k, rounding=rounding)
    options = (k // 2 + 1, 1), (k // 2, k // 2), (1, 1), 1
    np.testing.assert_array_equal(twin("compiled").int8_conv2d(x, f, *options), reference.int8_conv2d(x, f, *options))


@pytest.mark.parametrize("case", [(8, 64, 14, 1), (2, 300, 9, 2), (1, 17, 30, 1)], ids=str)
@pytest.mark.parametrize("k", [3, 5])
def test_depthwise_shapes_on_any_number_of_threads(case: tuple[int, ...], k: int, n_threads: int) -> None:
    pytest.importorskip("numba")
    n, c, size, stride = case
    rng = np.random.default_rng(0)
    x, f = numbers(rng, n, c, size, size), some_filter(rng, c, 1, k, k)
    options = (stride, stride), (k // 2, k // 2), (1, 1), c
    np.testing.assert_array_equal(twin("compiled").int8_conv2d(x, f, *options), reference.int8_conv2d(x, f, *options))


def test_convolution_of_every_layout(kernels: SimpleNamespace, lay_out: Callable[[np.ndarray], np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    x, f = numbers(rng, 2, 6, 5, 4), some_filter(rng, 10, 6, 3, 3)
    other = lay_out(x)
    options = (1, 1), (1, 1), (1, 1), 1
    np.testing.assert_array_equal(kernels.int8_conv2d(other, f, *options), reference.int8_conv2d(x, f, *options))
    np.testing.assert_array_equal(other, x)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 5), st.integers(1, 70), st.integers(1, 150), st.sampled_from(ROUNDINGS), st.integers(0, 99))
def test_linear(m: int, i: int, o: int, rounding: str, seed: int) -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(seed)
    x, f = numbers(rng, m, i), some_filter(rng, o, i, rounding=rounding)
    want = f.bias + (x.astype(np.int64) - f.zero) @ f.weight.astype(np.int64).T
    want = reference.requantize(want.astype(np.int32), f.output)
    for kernels in reference, twin("compiled"):
        np.testing.assert_array_equal(kernels.int8_linear(x, f), want)


def test_extreme_numbers_do_not_saturate_on_the_way(kernels: SimpleNamespace) -> None:
    """66,311 products of 127 and 255 fit int32, in whatever order they are added."""
    f = Filter(np.full((1, 66_311), 127, np.int8), np.zeros(1, np.int32), -128, Requantizer.between(5e-8, 1.0, 0))
    assert kernels.int8_linear(np.full((1, 66_311), 127, np.int8), f) == round(66_311 * 127 * 255 * 5e-8)


# ------------------------------------------------------------------------------------------- pooling and elementwise


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_pooling(data: st.DataObject) -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    kernel, stride = (data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4))) for _ in range(2))
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(k + data.draw(st.integers(0, 5)) for k in kernel)
    x = numbers(rng, 2, data.draw(st.integers(1, 20)), *size)
    out = tuple(map(conv_output_size, size, kernel, stride, padding, (1, 1)))
    bins, zero = tuple(data.draw(st.integers(1, n)) for n in size), data.draw(st.integers(-128, 127))
    fast = twin("compiled")
    for name, args in {
        "int8_max_pool2d": (x, kernel, stride, padding, (1, 1), out),
        "int8_window_sums": (x, zero, kernel, stride, padding, out),
        "int8_bin_sums": (x, zero, bins),
    }.items():
        got, want = (getattr(k, name)(*args) for k in (fast, reference))
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def test_window_sums_are_the_means_times_the_areas(kernels: SimpleNamespace, rng: np.random.Generator) -> None:
    x = numbers(rng, 2, 3, 7, 6)
    sums = kernels.int8_window_sums(x, 9, (3, 3), (2, 2), (1, 1), (4, 3))
    means = import_module("tinydl.kernels.reference.pool").avg_pool2d(
        x.astype(float) - 9, (3, 3), (2, 2), (1, 1), (4, 3), False
    )
    area = areas(x.shape, (3, 3), (2, 2), (1, 1), (4, 3), False)
    np.testing.assert_array_equal(sums, np.rint(means * area))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_sum_is_rounded_once(data: st.DataObject) -> None:
    pytest.importorskip("numba")
    scales = [data.draw(st.floats(1e-3, 1.0)) for _ in range(3)]
    zeros = [data.draw(st.integers(-128, 127)) for _ in range(3)]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    a, b = numbers(rng, 2, 3, 4, 5), numbers(rng, 2, 3, 4, 5).transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2)
    addition = Addition.between((scales[0], zeros[0]), (scales[1], zeros[1]), scales[2], zeros[2], low=-100)
    got, want = (k.int8_add(a, b, addition) for k in (twin("compiled"), reference))
    np.testing.assert_array_equal(got, want)
    real = (scales[0] * (a.astype(float) - zeros[0]) + scales[1] * (b.astype(float) - zeros[1])) / scales[2]
    assert abs(np.clip(real + zeros[2], -100, 127) - got).max() <= 0.5 + 255 * 2.0**-20


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("gate", [True, False])
def test_product(rounding: str, gate: bool, rng: np.random.Generator) -> None:
    pytest.importorskip("numba")
    a = numbers(rng, 2, 1100, 3, 2)
    b = numbers(rng, 2, 1100, 1, 1) if gate else numbers(rng, 2, 1100, 3, 2)
    for factor in (3e-3, 0.4):
        output = Requantizer.between(factor, 1.0, -3, rounding=rounding)
        got, want = (k.int8_multiply(a, 5, b, -7, output) for k in (twin("compiled"), reference))
        np.testing.assert_array_equal(got, want)
        real = factor * (a.astype(float) - 5) * (b.astype(float) + 7) - 3
        assert abs(np.clip(real, -128, 127) - got).max() <= (0.76 if rounding == "double" else 0.51)


def test_lookup(
    kernels: SimpleNamespace, lay_out: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> None:
    x, table = numbers(rng, 3, 5, 4, 7), numbers(rng, 256)
    want = np.array([table[int(v) + 128] for v in x.ravel()]).reshape(x.shape)
    np.testing.assert_array_equal(kernels.int8_lookup(lay_out(x), table), want)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (2, 1, 5, 4), (7, 9)], ids=str)
def test_quantizing(
    kernels: SimpleNamespace, lay_out: Callable[[np.ndarray], np.ndarray], dtype: str, shape: tuple[int, ...]
) -> None:
    x = (np.random.default_rng(0).standard_normal(shape) * 40).astype(dtype)
    x.flat[:4] = np.inf, -np.inf, 0.25, 0.75
    got = kernels.int8_quantize(lay_out(x), np.float32(0.5), -3, -100, 120)
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, np.clip(np.rint(x / np.float32(0.5)) - 3, -100, 120))
    x.flat[-1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        kernels.int8_quantize(lay_out(x), np.float32(0.5), -3, -100, 120)


OTHERS = {
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+sse4.2,+fma,+bmi2,+popcnt"},
    "interpreted": {"NUMBA_DISABLE_JIT": "1"},
}

SAMPLE = """
import numpy as np
from tinydl.kernels.compiled import int8_conv
from tinydl.kernels.integer import Filter, Requantizer
from tinydl.kernels.reference import int8_conv as reference

rng = np.random.default_rng(0)
for c, o, k, groups, rounding in (7, 37, 1, 1, "single"), (6, 10, 3, 2, "double"), (21, 21, 5, 21, "single"):
    x = rng.integers(-128, 128, (2, c, 9, 8)).astype(np.int8)
    weight = rng.integers(-127, 128, (o, c // groups, k, k)).astype(np.int8)
    output = Requantizer.between(rng.uniform(0.5, 1.5, o) * 3e-3, 1.0, 5, rounding=rounding)
    options = Filter(weight, np.zeros(o, np.int32), 3, output), (2, 1), (k // 2, k // 2), (1, 1), groups
    assert np.array_equal(int8_conv.int8_conv2d(x, *options), reference.int8_conv2d(x, *options)), (c, o)
"""


@pytest.mark.parametrize("name", OTHERS)
def test_other_processors(name: str) -> None:
    """Where there is no instruction for four products at a time, tiles take other ones, to the same bits."""
    pytest.importorskip("numba")
    if name == "AVX2" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("for x86 only")
    subprocess.run([sys.executable, "-c", SAMPLE], check=True, env={**os.environ, **OTHERS[name]}, timeout=300)


def test_empty_batches(kernels: SimpleNamespace, rng: np.random.Generator) -> None:
    x, f = np.zeros((0, 4, 5, 5), np.int8), some_filter(rng, 6, 4, 3, 3)
    assert kernels.int8_conv2d(x, f, (1, 1), (1, 1), (1, 1), 1).shape == (0, 6, 5, 5)
    assert kernels.int8_linear(np.zeros((0, 9), np.int8), some_filter(rng, 6, 9)).shape == (0, 6)
    assert kernels.int8_max_pool2d(x, (2, 2), (2, 2), (0, 0), (1, 1), (2, 2)).shape == (0, 4, 2, 2)
    assert kernels.int8_bin_sums(x, 0, (1, 1)).shape == (0, 4, 1, 1)
    assert kernels.int8_lookup(x, np.zeros(256, np.int8)).shape == x.shape


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_scales_that_are_none_are_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scales must be finite"):
        Requantizer.between(scale, 1.0, 0)
    with pytest.raises(ValueError, match="scales must be finite"):
        Requantizer.between(1.0, scale, 0)
    with pytest.raises(ValueError, match="scales must be finite"):
        Addition.between((scale, 0), (1.0, 0), 1.0, 0)


def test_what_does_not_fit_int32_is_refused() -> None:
    output = Requantizer.between(1e-6, 1.0, 0)
    too_long = np.full((1, 66_312), 127, np.int8)
    with pytest.raises(ValueError, match="66312 terms"):
        Filter(too_long, np.zeros(1, np.int32), 0, output)
    with pytest.raises(ValueError, match="safe in int32"):
        Filter(too_long[:, :66_311], np.full(1, 10_000, np.int32), 0, output)
    with pytest.raises(ValueError, match="-128"):
        Filter(np.full((1, 1), -128, np.int8), np.zeros(1, np.int32), 0, output)
    with pytest.raises(TypeError, match="int32 bias"):
        Filter(np.ones((1, 1), np.int8), np.zeros(1, np.float32), 0, output)
    with pytest.raises(ValueError, match="rounding"):
        Requantizer.between(1.0, 1.0, 0, rounding="up")
    with pytest.raises(ValueError, match="low"):
        Requantizer.between(1.0, 1.0, 0, low=5, high=4)
