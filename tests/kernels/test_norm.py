import math
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinydl.kernels import threads
from tinydl.kernels.reference import norm as reference

LayOut = Callable[[np.ndarray], np.ndarray]

few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=["reference", "compiled"])
def kernels(request: pytest.FixtureRequest) -> ModuleType:
    return _module(request.param)


def _module(backend: str) -> ModuleType:
    if backend == "compiled":
        pytest.importorskip("numba")
    return import_module(f"tinydl.kernels.{backend}.norm")


def _assert_close(got: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...], dtype: str, ulps: float = 100) -> None:
    for a, b in zip(got, wanted, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert a.dtype == dtype
        tolerance = ulps * np.finfo(dtype).eps
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 5), (2, 3, 4, 5), (2, 3, 2, 2, 2)])
def test_batch_norm_is_that_of_a_loop_over_channels(
    kernels: ModuleType, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    x, weight, bias, eps = rng.normal(2, 3, shape), rng.normal(size=3), rng.normal(size=3), 0.1
    y, mean, var, rstd = kernels.batch_norm(x, weight, bias, eps)
    for c in range(3):
        values = x[:, c].ravel().tolist()
        m = math.fsum(values) / len(values)
        v = math.fsum((value - m) ** 2 for value in values) / len(values)
        r = 1 / math.sqrt(v + eps)
        np.testing.assert_allclose([mean[c], var[c], rstd[c]], [m, v, r], rtol=1e-13)
        np.testing.assert_allclose(y[:, c], (x[:, c] - m) * r * weight[c] + bias[c], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(
        kernels.channel_affine(x, weight, bias), (x.swapaxes(1, -1) * weight + bias).swapaxes(1, -1)
    )


def _slopes(loss: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Return the gradient of `loss` by central differences."""
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        bump = np.zeros_like(x)
        bump[place] = step
        slopes[place] = (loss(x + bump) - loss(x - bump)) / (2 * step)
    return slopes


def test_batch_norm_gradients_are_the_differences_of_the_values(kernels: ModuleType, rng: np.random.Generator) -> None:
    x, g = rng.normal(size=(2, 3, 2, 3)), rng.normal(size=(2, 3, 2, 3))
    weight, bias = rng.normal(size=3), rng.normal(size=3)
    _, mean, _, rstd = kernels.batch_norm(x, weight, bias, 0.1)
    gx, gw, gb = kernels.batch_norm_grad(g, x, weight, mean, rstd)
    np.testing.assert_allclose(
        gx, _slopes(lambda x: (g * kernels.batch_norm(x, weight, bias, 0.1)[0]).sum(), x), atol=1e-8
    )
    np.testing.assert_allclose(
        gw, _slopes(lambda w: (g * kernels.batch_norm(x, w, bias, 0.1)[0]).sum(), weight), atol=1e-8
    )
    np.testing.assert_allclose(
        gb, _slopes(lambda b: (g * kernels.batch_norm(x, weight, b, 0.1)[0]).sum(), bias), atol=1e-8
    )


def test_standardize_and_its_gradient(kernels: ModuleType, rng: np.random.Generator) -> None:
    x, g = rng.normal(1, 2, (3, 5)), rng.normal(size=(3, 5))
    y, rstd = kernels.standardize(x, 0.1)
    np.testing.assert_allclose(rstd, [1 / math.sqrt(np.var(row) + 0.1) for row in x], rtol=1e-13)
    np.testing.assert_allclose(y, (x - x.mean(axis=1, keepdims=True)) * rstd[:, None], rtol=1e-12, atol=1e-14)
    wanted = _slopes(lambda x: (g * kernels.standardize(x, 0.1)[0]).sum(), x)
    np.testing.assert_allclose(kernels.standardize_grad(g, y, rstd), wanted, atol=1e-8)


@few
@given(data=st.data())
def test_twins_agree_in_every_layout(lay_out: LayOut, data: st.DataObject) -> None:
    fast = _module("compiled")
    sizes = st.sampled_from([1, 2, 3, 5])
    shape = data.draw(st.tuples(sizes, st.sampled_from([1, 2, 3, 7, 130]), *[sizes] * data.draw(st.integers(0, 3))))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, g = (lay_out(rng.normal(size=shape).astype(dtype)) for _ in range(2))
    weight, bias = (lay_out(rng.normal(size=shape[1]).astype(dtype)) for _ in range(2))
    affine = data.draw(st.sampled_from([(weight, bias), (None, None), (weight, None)]))
    before = [a.tobytes() for a in (x, g, weight, bias)]

    wanted = reference.batch_norm(x, *affine, 1e-2)
    _assert_close(fast.batch_norm(x, *affine, 1e-2), wanted, dtype)
    grad_arguments = g, x, affine[0], lay_out(wanted[1]), lay_out(wanted[3])
    _assert_close(fast.batch_norm_grad(*grad_arguments), reference.batch_norm_grad(*grad_arguments), dtype, ulps=500)
    rectified = reference.batch_norm(x, *affine, 1e-2, True)
    _assert_close(fast.batch_norm(x, *affine, 1e-2, True), rectified, dtype)
    assert (rectified[0] == np.maximum(wanted[0], 0)).all()
    grad_arguments = *grad_arguments, lay_out(rectified[0])
    _assert_close(fast.batch_norm_grad(*grad_arguments), reference.batch_norm_grad(*grad_arguments), dtype, ulps=500)
    masked = np.where(rectified[0] > 0, g, 0), *grad_arguments[1:5]
    _assert_close(reference.batch_norm_grad(*grad_arguments), reference.batch_norm_grad(*masked), dtype)
    _assert_close((fast.channel_affine(x, weight, bias),), (reference.channel_affine(x, weight, bias),), dtype)
    statistics = lay_out(wanted[1]), lay_out(wanted[2])
    fixed = [kernels.batch_norm_eval(x, *statistics, *affine, 1e-2) for kernels in (fast, reference)]
    _assert_close((fixed[0],), (fixed[1],), dtype)
    _assert_close((fixed[1],), (wanted[0],), dtype)
    layer_bias = data.draw(st.sampled_from([None, lay_out(rng.normal(size=shape[1]).astype(dtype))]))
    folded = [kernels.folded_norm(*statistics, *affine, layer_bias, 1e-2) for kernels in (fast, reference)]
    _assert_close(folded[0], folded[1], dtype)
    offset = 0 if layer_bias is None else layer_bias.reshape(-1, *[1] * (x.ndim - 2))
    shift, scale = (a.reshape(-1, *[1] * (x.ndim - 2)) for a in folded[1])
    _assert_close((shift + scale * (x - offset),), (wanted[0],), dtype, ulps=500)

    rows, g_rows = x.reshape(-1, shape[1]), g.reshape(-1, shape[1])
    y, rstd = reference.standardize(rows, 1e-2)
    _assert_close(fast.standardize(rows, 1e-2), (y, rstd), dtype)
    wanted_grad = reference.standardize_grad(g_rows, y, rstd)
    _assert_close((fast.standardize_grad(g_rows, lay_out(y), lay_out(rstd)),), (wanted_grad,), dtype, ulps=500)
    assert [a.tobytes() for a in (x, g, weight, bias)] == before


@pytest.mark.parametrize("outlier", [0, 1e6])
def test_a_mean_far_from_zero_costs_no_precision(kernels: ModuleType, outlier: float, rng: np.random.Generator) -> None:
    """In single precision, mean 10⁴ and deviation 1; an outlier in front must not spoil the sums either."""
    x = rng.normal(1e4, 1, (64, 3, 6, 6)).astype(np.float32)
    x[0, :, 0, 0] += outlier
    y, mean, var, _ = kernels.batch_norm(x, None, None, 0.0)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(var, exact.var((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(y.mean((0, 2, 3), np.float64), 0, atol=2e-6)
    np.testing.assert_allclose(y.std((0, 2, 3), np.float64), 1, rtol=2e-6)
    rows, _ = kernels.standardize(x.reshape(64, -1), 0.0)
    np.testing.assert_allclose(rows.mean(1, np.float64), 0, atol=2e-6)
    np.testing.assert_allclose(rows.std(1, np.float64), 1, rtol=2e-6)


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_nan_or_infinity_spoils_its_channel_and_no_other(kernels: ModuleType, value: float, place: int) -> None:
    x = np.arange(15, dtype=np.float32).reshape(5, 3)
    x[place, 1] = value
    y, mean, var, rstd = kernels.batch_norm(x, None, None, 1e-5)
    assert np.isnan(y).all(axis=0).tolist() == [False, True, False]
    np.testing.assert_array_equal(mean, [6, value, 8])
    assert np.isnan(var).tolist() == np.isnan(rstd).tolist() == [False, True, False]
    rows, _ = kernels.standardize(x.T.copy(), 1e-5)
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, False]


def test_the_compiled_results_have_the_channels_last(rng: np.random.Generator) -> None:
    fast = _module("compiled")
    for x in (rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 4, 5, 3)).transpose(0, 3, 1, 2)):
        y, mean, _, rstd = fast.batch_norm(x, None, None, 1e-5)
        gx, _, _ = fast.batch_norm_grad(x, x, None, mean, rstd)
        for result in (y, gx, fast.channel_affine(x, mean, rstd)):
            assert result.transpose(0, 2, 3, 1).flags.c_contiguous


def test_the_same_number_of_threads_gives_the_same_bits_and_another_the_same_digits(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = _module("compiled")
    monkeypatch.setattr("tinydl.kernels.compiled.memory.FEW", 500)
    x = rng.normal(size=(30, 10, 5, 5)).astype(np.float32)
    before = threads.num_threads()
    try:
        results = []
        for n in (1, 2, 2, 3):
            threads.set_num_threads(n)
            y, mean, var, rstd = fast.batch_norm(x, None, None, 1e-5)
            results.append((y, mean, var, rstd, *fast.batch_norm_grad(x, y, None, mean, rstd)))
    finally:
        threads.set_num_threads(before)
    for one, two, again, three in zip(*results, strict=True):
        np.testing.assert_array_equal(two, again)
        _assert_close((two, three), (one, one), "float32")


def test_empty_arrays_pass(kernels: ModuleType) -> None:
    x = np.zeros((0, 3, 2, 2), np.float32)
    assert kernels.channel_affine(x, np.ones(3, np.float32), np.ones(3, np.float32)).shape == x.shape
    assert kernels.batch_norm_eval(x, *np.ones((2, 3), np.float32), None, None, 0.0).shape == x.shape
    gx, gw, gb = kernels.batch_norm_grad(x, x, None, np.ones(3, np.float32), np.ones(3, np.float32))
    assert gx.shape == x.shape
    assert gw.tolist() == gb.tolist() == [0, 0, 0]
    y, rstd = kernels.standardize(np.zeros((0, 4)), 1e-5)
    assert (y.shape, rstd.shape) == ((0, 4), (0,))


def test_layouts_add_no_specialisations(lay_out: LayOut) -> None:
    fast = _module("compiled")
    for dtype in ("float32", "float64"):
        for shape in ((2, 3), (2, 3, 4), (2, 3, 4, 5)):
            x, weight = lay_out(np.ones(shape, dtype)), lay_out(np.ones(3, dtype))
            for affine in ((weight, weight), (None, None)):
                _, mean, _, rstd = fast.batch_norm(x, *affine, 1)
                fast.batch_norm_grad(x, x, affine[0], mean, rstd)
            fast.standardize_grad(*fast.standardize(x.reshape(2, -1), 1)[:1] * 2, weight[:2])
    compiled = [kernel for kernel in vars(fast).values() if hasattr(kernel, "signatures")]
    assert all(len(kernel.signatures) <= 2 for kernel in compiled)
