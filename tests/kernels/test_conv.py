"""All values are small integers, so every order of summation must give the very same float."""

import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
from conv_case import DEEP, FEW_PIXELS, LARGE, SLIDING, SMALL, Case, cases
from hypothesis import given, settings

from tinydl.kernels import buffers
from tinydl.kernels.reference import conv as reference


@pytest.fixture(scope="module", params=["reference", "compiled"])
def conv(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "compiled":
        pytest.importorskip("numba")
    return import_module(f"tinydl.kernels.{request.param}.conv")


@pytest.fixture(scope="module")
def compiled() -> ModuleType:
    pytest.importorskip("numba")
    return import_module("tinydl.kernels.compiled.conv")


def assert_same(actual: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    assert actual.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(actual, expected)


@settings(deadline=None, max_examples=60)
@given(case=cases())
def test_against_loops(conv: ModuleType, case: Case) -> None:
    x, weight, bias, g = case.arrays()
    y = np.zeros(case.y_shape) + (bias[:, None, None] if case.bias else 0)
    gx, gw = np.zeros(case.x_shape), np.zeros(case.weight_shape)
    for at_y, at_x, at_w in case.taps():
        y[at_y] += x[at_x] * weight[at_w]
        gx[at_x] += g[at_y] * weight[at_w]
        gw[at_w] += g[at_y] * x[at_x]
    assert_same(conv.conv2d(x, weight, bias, *case.geometry), y, case.dtype)
    assert_same(conv.conv2d_input_grad(g, weight, case.x_shape, *case.geometry), gx, case.dtype)
    assert_same(conv.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry), gw, case.dtype)
    assert_same(conv.conv2d_bias_grad(g), g.sum((0, 2, 3)), case.dtype)


@settings(deadline=None, max_examples=40)
@given(case=cases())
def test_im2col_against_loops(case: Case) -> None:
    case.groups, case.og = 1, 1
    x, *_ = case.arrays()
    _, _, h, w = case.y_shape
    columns = np.zeros((case.n, h, w, case.cg, *case.kernel))
    gathered = np.zeros(case.x_shape)
    for (n, _, row, col), at_x, (_, c, i, j) in case.taps():
        columns[n, row, col, c, i, j] = x[at_x]
        gathered[at_x] += 1
    options = (case.kernel, case.stride, case.padding, case.dilation)
    matrix = reference.im2col(x, *options)
    assert_same(matrix, columns.reshape(case.n * h * w, -1 if case.n else matrix.shape[1]), case.dtype)
    assert_same(reference.col2im(np.ones_like(matrix), case.x_shape, *options), gathered, case.dtype)


@pytest.mark.parametrize("case", FEW_PIXELS, ids=str)
def test_few_pixels_are_dot_products(compiled: ModuleType, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    dot = compiled.dot_into
    monkeypatch.setattr(compiled, "dot_into", lambda *args: ran.append(True) or dot(*args))
    x, weight, bias, _ = case.arrays()
    scale = np.linspace(0.5, 2, len(weight)).astype(x.dtype)
    for more in ((), (scale, -3.0, 3.0)):
        got, want = (conv.conv2d(x, weight, bias, *case.geometry, *more) for conv in (compiled, reference))
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-3)
    assert ran == [True, True]


@pytest.mark.parametrize("case", [*LARGE, *SLIDING, *DEEP, *FEW_PIXELS], ids=str)
def test_large_ones_agree_with_the_reference(
    compiled: ModuleType, case: Case, n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case in DEEP:
        monkeypatch.setattr(compiled, "SHORT", 0)
    x, weight, bias, g = case.arrays()
    results = [
        (
            conv.conv2d(x, weight, bias, *case.geometry),
            conv.conv2d_input_grad(g, weight, case.x_shape, *case.geometry),
            conv.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry),
            conv.conv2d_bias_grad(g),
        )
        for conv in (compiled, reference)
    ]
    for got, want in zip(*results, strict=True):
        assert got.dtype == np.dtype(case.dtype)
        np.testing.assert_allclose(got, want, rtol=0, atol=case.tolerance)


@pytest.mark.parametrize("name", ["conv2d", "conv2d_input_grad", "conv2d_gradients"])
def test_results_are_channels_last_and_own_their_memory(compiled: ModuleType, name: str) -> None:
    for case in (LARGE[3], LARGE[-1], Case(8, 1, 32, 32, (20, 20), (3, 3), padding=(1, 1))):
        x, weight, bias, g = case.arrays()
        if name == "conv2d":
            result = compiled.conv2d(x, weight, bias, *case.geometry)
        elif name == "conv2d_gradients":
            result, _ = compiled.conv2d_gradients(g, x, weight, *case.geometry)
        else:
            result = compiled.conv2d_input_grad(g, weight, case.x_shape, *case.geometry)
        assert result.transpose(0, 2, 3, 1).flags.c_contiguous
        assert buffers.is_fresh(result)


def test_nothing_is_compiled_twice(compiled: ModuleType) -> None:
    """Whatever the layouts, sizes and options: one version for float32, one for float64."""
    from tinydl.kernels.compiled.sums import _add_pixels
    from tinydl.kernels.compiled.sweep import DENSE, DEPTHWISE

    if not hasattr(DENSE.sweep, "signatures"):
        pytest.skip("kernels run interpreted")
    for case in SMALL:
        for dtype, lay_out in itertools.product(("f4", "f8"), (np.asfortranarray, lambda a: a[::1], np.copy)):
            case = replace(case, dtype=dtype)
            x, weight, bias, g = (lay_out(a) for a in case.arrays())
            x.flags.writeable = weight.flags.writeable = False
            compiled.conv2d(x, weight, bias, *case.geometry)
            compiled.conv2d_input_grad(g, weight, case.x_shape, *case.geometry)
            compiled.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry)
            compiled.conv2d_bias_grad(g)
    for kernel in (DENSE.sweep, DEPTHWISE.sweep, _add_pixels):
        assert len(kernel.signatures) == 2


@pytest.mark.parametrize("case", [LARGE[1], LARGE[2], LARGE[5], LARGE[8], LARGE[10], LARGE[15]], ids=str)
def test_gradients_are_adjoint(conv: ModuleType, case: Case) -> None:
    x, weight, _, g = case.arrays(seed=1)
    form = np.sum(g * conv.conv2d(x, weight, None, *case.geometry), dtype=np.float64)
    gx = conv.conv2d_input_grad(g, weight, case.x_shape, *case.geometry)
    gw = conv.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry)
    assert form != 0
    for one, gradient in ((x, gx), (weight, gw)):
        assert np.sum(one * gradient, dtype=np.float64) == pytest.approx(form, rel=0, abs=10 * case.tolerance)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_every_layout(conv: ModuleType, case: Case, lay_out: Callable[[np.ndarray], np.ndarray]) -> None:
    plain = x, weight, bias, g = case.arrays()
    given = x2, weight2, bias2, g2 = [lay_out(a) for a in plain]
    results = (
        conv.conv2d(x2, weight2, bias2, *case.geometry),
        conv.conv2d_input_grad(g2, weight2, case.x_shape, *case.geometry),
        conv.conv2d_weight_grad(g2, x2, case.weight_shape, *case.geometry),
    )
    assert_same(results[0], reference.conv2d(x, weight, bias, *case.geometry), case.dtype)
    assert_same(results[1], reference.conv2d_input_grad(g, weight, case.x_shape, *case.geometry), case.dtype)
    assert_same(results[2], reference.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry), case.dtype)
    for before, after in zip(plain, given, strict=True):
        np.testing.assert_array_equal(after, before)
        assert not any(np.shares_memory(after, result) for result in results)


def test_broadcast_arrays(conv: ModuleType) -> None:
    case = SMALL[0]
    x, weight, bias, g = (np.broadcast_to(np.float32(2), a.shape) for a in case.arrays())
    expected = reference.conv2d(x.copy(), weight.copy(), bias.copy(), *case.geometry)
    assert_same(conv.conv2d(x, weight, bias, *case.geometry), expected, "f4")
    expected = reference.conv2d_weight_grad(g.copy(), x.copy(), case.weight_shape, *case.geometry)
    assert_same(conv.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry), expected, "f4")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("case", SMALL, ids=str)
def test_nan_and_inf_reach_all_they_should_and_no_more(conv: ModuleType, case: Case, value: float) -> None:
    x, weight, bias, g = case.arrays()
    weight, g = np.abs(weight) + 1, np.abs(g) + 1
    x[1, 0, 2, 3] = value
    want = np.isfinite(reference.conv2d(x, weight, bias, *case.geometry))
    assert 0 < want.sum() < want.size
    np.testing.assert_array_equal(np.isfinite(conv.conv2d(x, weight, bias, *case.geometry)), want)
    want = np.isfinite(reference.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry))
    assert not want.all()
    np.testing.assert_array_equal(np.isfinite(conv.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry)), want)
    g[1, 1, 0, 2] = value
    want = np.isfinite(reference.conv2d_input_grad(g, weight, case.x_shape, *case.geometry))
    assert 0 < want.sum() < want.size
    np.testing.assert_array_equal(np.isfinite(conv.conv2d_input_grad(g, weight, case.x_shape, *case.geometry)), want)


@pytest.mark.parametrize("case", [LARGE[3], replace(LARGE[-1], n=300)], ids=str)
def test_opposite_infinities_make_nan_without_a_warning(conv: ModuleType, case: Case, n_threads: int) -> None:
    x, _, _, g = case.arrays()
    g = np.abs(g) + 1
    x[0], x[-1] = np.inf, -np.inf
    assert np.isnan(conv.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry)).all()
    g[0], g[-1] = np.inf, -np.inf
    assert np.isnan(conv.conv2d_bias_grad(g)).all()


@pytest.mark.parametrize("case", LARGE[:4], ids=str)
def test_random_floats_stay_close_to_float64(conv: ModuleType, case: Case, rng: np.random.Generator) -> None:
    x, weight, g = (rng.standard_normal(s) for s in (case.x_shape, case.weight_shape, case.y_shape))
    x4, weight4, g4 = (a.astype(np.float32) for a in (x, weight, g))
    x, weight, g = (a.astype(np.float64) for a in (x4, weight4, g4))
    for got, want in (
        (conv.conv2d(x4, weight4, None, *case.geometry), conv.conv2d(x, weight, None, *case.geometry)),
        (
            conv.conv2d_input_grad(g4, weight4, case.x_shape, *case.geometry),
            conv.conv2d_input_grad(g, weight, case.x_shape, *case.geometry),
        ),
        (
            conv.conv2d_weight_grad(g4, x4, case.weight_shape, *case.geometry),
            conv.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry),
        ),
    ):
        assert np.abs(got - want).max() < 2e-6 * np.abs(want).max()


def test_same_bits_every_time_and_from_two_threads_at_once(conv: ModuleType, rng: np.random.Generator) -> None:
    case = LARGE[3]
    x, g = (rng.standard_normal(s).astype(np.float32) for s in (case.x_shape, case.y_shape))
    weight = rng.standard_normal(case.weight_shape).astype(np.float32)

    def all_three() -> list[bytes]:
        return [
            conv.conv2d(x, weight, None, *case.geometry).tobytes(),
            conv.conv2d_input_grad(g, weight, case.x_shape, *case.geometry).tobytes(),
            conv.conv2d_weight_grad(g, x, case.weight_shape, *case.geometry).tobytes(),
        ]

    expected = all_three()
    results = []
    users = [threading.Thread(target=lambda: results.extend(all_three() for _ in range(3))) for _ in range(3)]
    for user in users:
        user.start()
    for user in users:
        user.join(timeout=120)
    assert len(results) == 9
    assert all(result == expected for result in results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_fork_after_a_kernel(conv: ModuleType) -> None:
    case = LARGE[3]
    x, weight, bias, _ = case.arrays()
    y = conv.conv2d(x, weight, bias, *case.geometry)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if (conv.conv2d(x, weight, bias, *case.geometry) == y).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize(
    "shape, weight_shape, groups",
    [
        ((2, 3, 6, 5), (4, 3, 3, 3), 1),
        ((2, 6, 5, 4), (4, 3, 2, 2), 2),
        ((2, 5, 6, 6), (5, 1, 3, 3), 5),
        ((1, 130, 4, 4), (20, 130, 3, 3), 1),  # a sum so long that it is made in pieces
        ((2, 200, 6, 5), (21, 200, 1, 1), 1),  # so few pixels that dot products make it
        ((1, 1100, 5, 4), (21, 1100, 1, 1), 1),  # both
        ((3, 30, 1, 1), (7, 30, 1, 1), 1),
    ],
)
@pytest.mark.parametrize("low, high", [(0.0, np.inf), (-1.0, 2.0)])
def test_scaled_weights_and_clamped_results(shape, weight_shape, groups, low, high):
    draw = np.random.default_rng(0)
    x, weight = (draw.standard_normal(s).astype(np.float32) for s in (shape, weight_shape))
    scale, bias = (draw.standard_normal(weight_shape[0]).astype(np.float32) for _ in range(2))
    padding = (0, 0) if weight_shape[2:] == (1, 1) else (1, 1)
    geometry = (1, 1), padding, (1, 1), groups
    scaled = weight.astype(np.float64) * scale[:, None, None, None]
    whole = reference.conv2d(x.astype(np.float64), scaled, bias, *geometry)
    assert (whole < low).any()
    assert (whole > min(high, 1.0)).any()
    for kernels in (reference, import_module("tinydl.kernels.compiled.conv")):
        y = kernels.conv2d(x, weight, bias, *geometry, scale, low, high)
        np.testing.assert_allclose(y, np.clip(whole, low, high), rtol=1e-4, atol=1e-4)
        if kernels is not reference:
            assert buffers.is_fresh(y)
            assert y.transpose(0, 2, 3, 1).flags.c_contiguous
