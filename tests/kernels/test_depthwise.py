"""All values are small integers, so every order of summation must give the very same float."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels.reference import conv as reference
from tinydl.shapes import conv_output_size

CASES = [
    # n, channels, multiplier, (H, W), kernel, stride, padding, dilation
    (8, 64, 1, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1)),
    (8, 64, 1, (14, 14), (3, 3), (2, 2), (1, 1), (1, 1)),
    (3, 33, 1, (7, 9), (5, 5), (1, 1), (2, 2), (1, 1)),
    (2, 16, 3, (11, 8), (3, 5), (2, 1), (1, 2), (1, 1)),
    (2, 8, 1, (12, 11), (3, 3), (1, 1), (2, 2), (2, 2)),
    (1, 4, 2, (5, 5), (5, 5), (1, 1), (0, 0), (1, 1)),
    (70, 5, 1, (4, 4), (1, 1), (1, 1), (0, 0), (1, 1)),
    (1, 1100, 1, (12, 11), (5, 5), (1, 1), (2, 2), (1, 1)),
    (2, 12, 1, (6, 16), (3, 3), (1, 1), (1, 1), (1, 1)),  # lines along which tiles slide
    (2, 70, 1, (5, 14), (3, 3), (1, 1), (1, 1), (1, 1)),  # the same for several vectors of channels
]


@pytest.fixture(scope="module", params=["reference", "compiled"])
def depthwise(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "compiled":
        pytest.importorskip("numba")
    return import_module(f"tinydl.kernels.{request.param}.depthwise")


@pytest.fixture(scope="module")
def compiled() -> ModuleType:
    pytest.importorskip("numba")
    return import_module("tinydl.kernels.compiled.depthwise")


def arrays(n: int, c: int, m: int, size: Any, kernel: Any, *options: Any, dtype: str = "f4") -> tuple[np.ndarray, ...]:
    """Return integer x, weight, bias and g."""
    rng = np.random.default_rng(0)
    out = map(conv_output_size, size, kernel, *options)
    shapes = ((n, c, *size), (c * m, 1, *kernel), (c * m,), (n, c * m, *out))
    return tuple(rng.integers(-4, 5, shape).astype(dtype) for shape in shapes)


def check(depthwise: ModuleType, n: int, c: int, m: int, size: Any, kernel: Any, *options: Any, dtype: str) -> None:
    """Compare with `conv2d` in as many groups as there are channels, whose own oracle is in test_conv.py."""
    x, weight, bias, g = arrays(n, c, m, size, kernel, *options, dtype=dtype)
    for got, want in (
        (
            depthwise.depthwise_conv2d(x, weight, bias, *options),
            reference.conv2d(x, weight, bias, *options, c),
        ),
        (
            depthwise.depthwise_conv2d(x, weight, None, *options),
            reference.conv2d(x, weight, None, *options, c),
        ),
        (
            depthwise.depthwise_conv2d_input_grad(g, weight, x.shape, *options),
            reference.conv2d_input_grad(g, weight, x.shape, *options, c),
        ),
        (
            depthwise.depthwise_conv2d_weight_grad(g, x, weight.shape, *options),
            reference.conv2d_weight_grad(g, x, weight.shape, *options, c),
        ),
    ):
        assert got.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_network_shapes(compiled: ModuleType, case: tuple[Any, ...], dtype: str, n_threads: int) -> None:
    check(compiled, *case, dtype=dtype)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_shape(depthwise: ModuleType, data: st.DataObject) -> None:
    def two(low: int, high: int) -> tuple[int, int]:
        return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, padding, dilation, extra = two(1, 4), two(1, 3), two(0, 3), two(1, 2), two(0, 4)
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + e for k, p, d, e in zip(kernel, padding, dilation, extra, strict=True)
    )
    n, c, m = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 5)), data.draw(st.integers(1, 3))
    check(depthwise, n, c, m, size, kernel, stride, padding, dilation, dtype=data.draw(st.sampled_from(["f4", "f8"])))


@pytest.mark.parametrize("case", CASES[3:6], ids=str)
def test_every_layout(
    depthwise: ModuleType, case: tuple[Any, ...], lay_out: Callable[[np.ndarray], np.ndarray]
) -> None:
    c, options = case[1], case[5:]
    plain = x, weight, bias, g = arrays(*case)
    given = x2, weight2, bias2, g2 = [lay_out(a) for a in plain]
    results = (
        depthwise.depthwise_conv2d(x2, weight2, bias2, *options),
        depthwise.depthwise_conv2d_input_grad(g2, weight2, x.shape, *options),
        depthwise.depthwise_conv2d_weight_grad(g2, x2, weight.shape, *options),
    )
    wanted = (
        reference.conv2d(x, weight, bias, *options, c),
        reference.conv2d_input_grad(g, weight, x.shape, *options, c),
        reference.conv2d_weight_grad(g, x, weight.shape, *options, c),
    )
    for got, want in zip(results, wanted, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, want)
    for before, after in zip(plain, given, strict=True):
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("case", CASES[:6], ids=str)
def test_gradients_are_adjoint(depthwise: ModuleType, case: tuple[Any, ...]) -> None:
    x, weight, _, g = arrays(*case)
    options = case[5:]
    form = np.sum(g * depthwise.depthwise_conv2d(x, weight, None, *options), dtype=np.float64)
    gx = depthwise.depthwise_conv2d_input_grad(g, weight, x.shape, *options)
    gw = depthwise.depthwise_conv2d_weight_grad(g, x, weight.shape, *options)
    assert form != 0
    assert np.sum(x * gx, dtype=np.float64) == np.sum(weight * gw, dtype=np.float64) == form


def test_nan_and_inf_stay_in_their_window_and_channel(depthwise: ModuleType) -> None:
    x, weight, bias, _ = arrays(*CASES[0])
    x[1, 5, 6, 7], x[2, 3, 0, 0] = np.nan, np.inf
    y = depthwise.depthwise_conv2d(x, np.abs(weight) + 1, bias, *CASES[0][5:])
    bad = ~np.isfinite(y)
    assert bad[1, 5, 5:8, 6:9].all()
    assert bad[2, 3, :2, :2].all()
    assert bad.sum() == 9 + 4
