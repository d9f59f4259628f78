"""All values are small integers, so every order of summation must give the very same float."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels import buffers
from tinydl.kernels.reference import conv as reference
from tinydl.shapes import conv_output_size


@pytest.fixture(scope="module", params=["reference", "compiled"])
def conv(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "compiled":
        pytest.importorskip("numba")
    return import_module(f"tinydl.kernels.{request.param}.conv")


@pytest.fixture(scope="module")
def compiled() -> ModuleType:
    pytest.importorskip("numba")
    return import_module("tinydl.kernels.compiled.conv")


@dataclass
class Case:
    """One convolution: x (n, groups·cg, height, width), weight (groups·og, cg, kh, kw)."""

    n: int
    groups: int
    cg: int
    og: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    bias: bool = True
    dtype: str = "f4"

    @property
    def x_shape(self) -> tuple[int, ...]:
        return (self.n, self.groups * self.cg, *self.size)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.groups * self.og, self.cg, *self.kernel)

    @property
    def y_shape(self) -> tuple[int, ...]:
        sizes = map(conv_output_size, self.size, self.kernel, self.stride, self.padding, self.dilation)
        return (self.n, self.groups * self.og, *sizes)

    @property
    def geometry(self) -> tuple[Any, ...]:
        return self.stride, self.padding, self.dilation, self.groups

    @property
    def tolerance(self) -> float:
        """How far a result may be off: sums of integers are exact, but for those of Winograd's algorithm."""
        plain = (self.kernel, self.stride, self.dilation, self.groups) == ((3, 3), (1, 1), (1, 1), 1)
        return 2e5 * np.finfo(self.dtype).eps if plain and self.cg * self.og >= 512 else 0

    def arrays(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
        """Return integer x, weight, bias and g."""
        rng = np.random.default_rng(seed)
        x, weight, bias, g = (
            rng.integers(-4, 5, shape).astype(self.dtype)
            for shape in (self.x_shape, self.weight_shape, self.weight_shape[:1], self.y_shape)
        )
        return x, weight, bias if self.bias else None, g

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
        """Yield the places in y, x and weight of every product of the convolution."""
        n, o, h, w = self.y_shape
        for at_y in itertools.product(range(n), range(o), range(h), range(w)):
            for c, i, j in itertools.product(range(self.cg), range(self.kernel[0]), range(self.kernel[1])):
                row = at_y[2] * self.stride[0] + i * self.dilation[0] - self.padding[0]
                col = at_y[3] * self.stride[1] + j * self.dilation[1] - self.padding[1]
                if 0 <= row < self.size[0] and 0 <= col < self.size[1]:
                    yield at_y, (at_y[0], at_y[1] // self.og * self.cg + c, row, col), (at_y[1], c, i, j)


@st.composite
def cases(draw: Callable[..., Any]) -> Case:
    def two(low: int, high: int) -> tuple[int, int]:
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, padding, dilation, extra = two(1, 3), two(1, 3), two(0, 2), two(1, 2), two(0, 3)
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + e for k, p, d, e in zip(kernel, padding, dilation, extra, strict=True)
    )
    n, groups, cg, og = (draw(st.integers(low, 3)) for low in (0, 1, 1, 1))
    dtype = draw(st.sampled_from(["f4", "f8"]))
    return Case(n, groups, cg, og, size, kernel, stride, padding, dilation, draw(st.booleans()), dtype)


# Large enough for several blocks of images, bands of rows, pieces of a patch, and every width of tile.
LARGE = [
    Case(9, 1, 1, 8, (28, 28), (3, 3)),
    Case(2, 1, 1, 10, (28, 28), (5, 5), (1, 1), (2, 2)),
    Case(7, 1, 3, 5, (20, 17), (3, 3), (2, 2), (1, 1)),
    Case(33, 1, 32, 64, (13, 13), (3, 3)),
    Case(5, 1, 64, 64, (5, 5), (3, 3), (1, 1), (1, 1)),
    Case(1, 1, 640, 150, (7, 7), (1, 1)),
    Case(1, 1, 70, 88, (14, 13), (3, 3), (1, 1), (1, 1), dtype="f8"),
    Case(4, 1, 20, 40, (15, 14), (3, 3), (1, 1), (2, 1)),
    Case(3, 1, 32, 16, (18, 15), (3, 3), (1, 1), (1, 0), dtype="f8"),
    Case(8, 1, 16, 32, (14, 14), (5, 5), (2, 2), (2, 2), dtype="f8"),
    Case(1, 1, 8, 16, (40, 150), (3, 3), (1, 1), (1, 1), (2, 2)),
    Case(2, 1, 130, 40, (9, 8), (3, 3), (1, 1), (1, 1)),
    Case(1, 1, 12, 30, (33, 20), (3, 3), (2, 2), (1, 1)),
    Case(8, 1, 64, 128, (14, 14), (1, 1)),
    Case(6, 1, 40, 24, (15, 14), (1, 1), (2, 2)),
    Case(4, 4, 8, 12, (14, 14), (3, 3), (1, 1), (1, 1)),
    Case(4, 2, 8, 8, (14, 14), (1, 1)),
    Case(4, 2, 24, 20, (14, 14), (1, 1)),
    Case(4, 1, 11, 20, (14, 14), (3, 2), dtype="f8"),
    Case(1, 1, 4, 4, (9, 9), (3, 3), (3, 3), (1, 1), bias=False),
    Case(130, 1, 20, 10, (4, 4), (4, 4)),
    Case(6, 24, 1, 1, (14, 14), (3, 3), (1, 1), (1, 1)),
    Case(1, 1, 160, 150, (12, 12), (1, 1)),
    Case(6, 24, 1, 2, (15, 15), (3, 3), (2, 2), (1, 1)),
]


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


SLIDING = [
    Case(2, 2, 3, 5, (6, 18), (3, 3), (1, 1), (1, 1)),
    Case(1, 1, 4, 16, (5, 31), (5, 3), (1, 1), (2, 1), dtype="f8"),
    Case(3, 3, 2, 1, (4, 10), (1, 3)),
]
"""Lines along which tiles slide, in groups as well, forward and, for the gradient, backward."""

DEEP = [
    Case(1, 1, 130, 20, (6, 7), (3, 3), (2, 2), (1, 1), (2, 2)),
    Case(2, 1, 1100, 3, (2, 3), (1, 2)),
    Case(1, 2, 1536, 2, (1, 2), (1, 2)),
]
"""Sums so long that they are made in pieces, which must end where the channels of a tap do, or divide them."""


FEW_PIXELS = [
    Case(1, 1, 200, 130, (7, 7), (3, 3), (1, 1), (1, 1)),
    Case(2, 1, 256, 33, (5, 6), (2, 3), (2, 1), (0, 2), (2, 1)),
    Case(1, 1, 300, 20, (9, 9), (1, 1), (2, 2)),
    Case(3, 1, 192, 7, (4, 5), (1, 1)),
]
"""Few pixels beside their channels: dot products of patches."""


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


SMALL = [
    Case(2, 1, 3, 4, (6, 5), (3, 2), (1, 1), (1, 0)),
    Case(2, 1, 3, 4, (7, 5), (3, 2), (2, 1), (1, 0)),
    Case(2, 1, 1, 4, (7, 5), (3, 2)),
    Case(2, 1, 3, 4, (4, 5), (1, 1)),
    Case(2, 2, 3, 4, (4, 5), (2, 2)),
    Case(2, 3, 1, 2, (6, 5), (3, 3), (1, 1), (1, 1)),
]


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
