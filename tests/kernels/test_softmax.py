import math
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinydl.kernels.reference import softmax as reference

LayOut = Callable[[np.ndarray], np.ndarray]

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

FAMILY = ["softmax", "log_softmax"]


@pytest.fixture(scope="module", params=["reference", "compiled"])
def kernels(request: pytest.FixtureRequest) -> ModuleType:
    return _module(request.param)


def _module(backend: str) -> ModuleType:
    if backend == "compiled":
        pytest.importorskip("numba")
    return import_module(f"tinydl.kernels.{backend}.softmax")


def _probabilities(row: np.ndarray) -> np.ndarray:
    """Return softmax of one row in Python's own numbers."""
    powers = [math.exp(float(v) - float(max(row))) for v in row]
    return np.array([p / math.fsum(powers) for p in powers])


def test_values_are_those_of_a_loop_over_scalars(kernels: ModuleType, rng: np.random.Generator) -> None:
    x = rng.normal(scale=5, size=(3, 7, 4))
    wanted = np.apply_along_axis(_probabilities, 1, x)
    np.testing.assert_allclose(kernels.softmax(x, 1), wanted, rtol=1e-14)
    np.testing.assert_allclose(kernels.softmax(x, -2), wanted, rtol=1e-14)
    np.testing.assert_allclose(kernels.log_softmax(x, 1), np.log(wanted), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", FAMILY)
def test_gradients_are_the_differences_of_the_values(kernels: ModuleType, name: str, rng: np.random.Generator) -> None:
    x, g, step = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4)), 1e-6
    forward = getattr(kernels, name)
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        bump = np.zeros_like(x)
        bump[place] = step
        slopes[place] = (g * (forward(x + bump, 1) - forward(x - bump, 1))).sum() / (2 * step)
    np.testing.assert_allclose(getattr(kernels, name + "_grad")(g, forward(x, 1), 1), slopes, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_and_masked_ones_are_exact(kernels: ModuleType, dtype: str) -> None:
    x = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [0.0, -np.inf, 0.0]], dtype)
    y = kernels.softmax(x, 1)
    np.testing.assert_allclose(y, [[1, 0, 0], [1 / 3] * 3, [0.5, 0, 0.5]], rtol=1e-6)
    assert y[2, 1] == 0
    logs = kernels.log_softmax(x, 1)
    np.testing.assert_allclose(logs[:2], [[0, -2e4, -1e4], [-math.log(3)] * 3], rtol=1e-6)
    assert logs[2, 1] == -np.inf
    np.testing.assert_allclose(kernels.log_softmax_grad(np.ones_like(x), logs, 1), 1 - 3 * y, atol=1e-6)


@pytest.mark.parametrize("name", FAMILY)
def test_one_nan_or_infinity_spoils_its_row_and_no_other(kernels: ModuleType, name: str) -> None:
    x = np.zeros((5, 4), np.float32)
    x[1, 2], x[3, 0] = np.nan, np.inf
    assert np.isnan(getattr(kernels, name)(x, 1)).all(axis=1).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("name", [*FAMILY, "softmax_grad", "log_softmax_grad"])
@few
@given(data=st.data())
def test_twins_agree_in_every_layout(lay_out: LayOut, name: str, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.normal(scale=3, size=shape).astype(dtype)
    forward = getattr(reference, name.removesuffix("_grad"))
    arguments = (lay_out(x), lay_out(forward(x, axis))) if name.endswith("_grad") else (lay_out(x),)
    before = [a.tobytes() for a in arguments]
    wanted, got = (getattr(module, name)(*arguments, axis) for module in (reference, _module("compiled")))
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype) == (x.shape, x.dtype)
    tolerance = 30 * np.finfo(dtype).eps
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)
    assert [a.tobytes() for a in arguments] == before


def test_an_array_without_axes_is_one_certain_class(kernels: ModuleType) -> None:
    assert kernels.softmax(np.array(3.0), 0) == 1
    assert kernels.log_softmax(np.array(3.0), -1) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 2.0, 0.25]])
@pytest.mark.parametrize("ignored", [-100, 2])
def test_nll_picks_the_label_and_its_gradient_goes_there(
    kernels: ModuleType, lay_out: LayOut, dtype: str, weights: list[float] | None, ignored: int
) -> None:
    logp = np.random.default_rng(0).normal(size=(6, 4)).astype(dtype)
    target, g = np.array([0, 3, 2, 2, ignored, 1]), np.arange(1, 7).astype(dtype)
    weight = None if weights is None else lay_out(np.array(weights, dtype))
    slopes = np.array([[-(weights or [1] * 4)[c] * (c == t != ignored) for c in range(4)] for t in target])

    loss = kernels.nll(lay_out(logp), lay_out(target), weight, ignored)
    assert loss.dtype == dtype
    np.testing.assert_array_equal(loss, (slopes * logp).sum(axis=1))
    gradient = kernels.nll_grad(lay_out(g), lay_out(target), weight, ignored, 4)
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(gradient, slopes * g[:, None])


def logsumexp(row: np.ndarray) -> float:
    return math.log(math.fsum(math.exp(v) for v in row.tolist()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 2.0, 0.25]])
@pytest.mark.parametrize("ignored", [-100, 2])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_cross_entropy_and_its_gradient_against_loops(
    kernels: ModuleType, lay_out: LayOut, dtype: str, weights: list[float] | None, ignored: int, smoothing: float
) -> None:
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(dtype)
    target, g = np.array([0, 3, 2, 2, ignored, 1]), np.arange(1, 7).astype(dtype)
    weight = None if weights is None else lay_out(np.array(weights, dtype))
    losses, gradient = np.zeros(6), np.zeros((6, 4))
    for n, c in np.ndindex(6, 4):
        if target[n] != ignored:
            q = (weights or [1] * 4)[c] * ((1 - smoothing) * (c == target[n]) + smoothing / 4)
            losses[n] += q * (logsumexp(x[n]) - x[n, c])
            gradient[n] += g[n] * q * np.exp(x[n] - logsumexp(x[n]))
            gradient[n, c] -= g[n] * q
    arguments = lay_out(x), lay_out(target), weight, ignored, smoothing
    found = kernels.cross_entropy(*arguments), kernels.cross_entropy_grad(lay_out(g), *arguments)
    for got, wanted in zip(found, (losses, gradient), strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, wanted, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-6)


def test_cross_entropy_of_huge_masked_and_spoilt_scores(kernels: ModuleType) -> None:
    x = np.array([[1e4, -1e4], [-1e4, 1e4], [0, -np.inf], [-np.inf, 0], [np.nan, 0], [np.nan, 0]], np.float32)
    options = np.array([0, 0, 0, 0, 0, -100]), None, -100, 0.0
    np.testing.assert_array_equal(kernels.cross_entropy(x, *options), [0, 2e4, 0, np.inf, np.nan, 0])
    gradient = kernels.cross_entropy_grad(np.ones(6, np.float32), x, *options)
    np.testing.assert_array_equal(gradient, [[0, 0], [-1, 1], [0, 0], [-1, 1], [np.nan, np.nan], [0, 0]])


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_grad"])
def test_cross_entropy_of_many_rows_is_shared_out(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(30_000, 10)).astype(np.float32)
    arguments = (x, np.arange(30_000) % 10, None, 3, 0.1)
    arguments = (np.linspace(0, 1, 30_000, dtype=np.float32), *arguments) if name.endswith("grad") else arguments
    got, wanted = (getattr(module, name)(*arguments) for module in (_module("compiled"), reference))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_an_ignored_sample_costs_nothing_even_if_it_is_nan(kernels: ModuleType) -> None:
    logp = np.array([[np.nan, np.nan], [-1.0, -2.0]])
    np.testing.assert_array_equal(kernels.nll(logp, np.array([-100, 0]), None, -100), [0, 1])


@pytest.mark.parametrize("label", [-1, 4, 2**40])
def test_the_compiled_twins_never_read_or_write_beyond_the_classes(label: int) -> None:
    fast, x, target = _module("compiled"), np.zeros((2, 4)), np.array([0, label])
    with pytest.raises(IndexError, match="not the number of a class"):
        fast.nll(x, target, None, -100)
    with pytest.raises(IndexError, match="not the number of a class"):
        fast.cross_entropy(x, target, None, -100, 0.0)
    assert not fast.cross_entropy_grad(np.ones(2), x, target, None, -100, 0.0)[1].any()


def test_layouts_add_no_specialisations(lay_out: LayOut) -> None:
    fast = _module("compiled")
    for dtype in ("float32", "float64"):
        for shape in ((3,), (2, 3), (2, 3, 4)):
            x = lay_out(np.ones(shape, dtype))
            fast.log_softmax_grad(x, fast.log_softmax(x, -1), 0)
        fast.nll(lay_out(np.zeros((2, 3), dtype)), lay_out(np.array([0, 1], np.int32)), None, -100)
    compiled = [kernel for kernel in vars(fast).values() if hasattr(kernel, "signatures")]
    assert all(len(kernel.signatures) <= 2 for kernel in compiled)
