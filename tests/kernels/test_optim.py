import math
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinydl.kernels import threads
from tinydl.kernels.reference import optim as reference

LayOut = Callable[[np.ndarray], np.ndarray]

few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=["reference", "compiled"])
def kernels(request: pytest.FixtureRequest) -> ModuleType:
    return _module(request.param)


def _module(backend: str) -> ModuleType:
    if backend == "compiled":
        pytest.importorskip("numba")
    return import_module(f"tinydl.kernels.{backend}.optim")


def _gradients(n_steps: int = 30) -> list[float]:
    return np.random.default_rng(1).normal(size=n_steps).tolist()


def _one(value: float = 0.0) -> np.ndarray:
    return np.full((1, 1), value)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(
    "momentum, dampening, nesterov", [(0, 0, False), (0.9, 0, False), (0.9, 0.3, False), (0.9, 0, True)]
)
def test_sgd_is_pytorchs_recipe(
    kernels: ModuleType, weight_decay: float, momentum: float, dampening: float, nesterov: bool
) -> None:
    """Follows the pseudocode in the documentation of torch.optim.SGD, one number at a time."""
    p, velocity = _one(1.0), _one(np.nan) if momentum else None
    theta, b = 1.0, 0.0
    for t, g in enumerate(_gradients()):
        kernels.sgd_step(p, _one(g), velocity, 0.1, momentum, dampening, nesterov, weight_decay, t == 0)
        g += weight_decay * theta
        if momentum:
            b = momentum * b + (1 - dampening) * g if t else g
            g = g + momentum * b if nesterov else b
        theta -= 0.1 * g
        np.testing.assert_allclose(p, theta, rtol=1e-12)
    if velocity is not None:
        np.testing.assert_allclose(velocity, b, rtol=1e-12)


@pytest.mark.parametrize("weight_decay, decoupled", [(0.0, False), (0.1, False), (0.1, True)])
def test_adam_is_pytorchs_recipe(kernels: ModuleType, weight_decay: float, decoupled: bool) -> None:
    """Follows the pseudocode in the documentation of torch.optim.Adam and AdamW, one number at a time."""
    p, m, v = _one(1.0), _one(), _one()
    theta, first, second = 1.0, 0.0, 0.0
    for t, g in enumerate(_gradients(), start=1):
        kernels.adam_step(p, _one(g), m, v, 0.1, 0.8, 0.95, 1e-3, weight_decay, decoupled, t)
        if decoupled:
            theta -= 0.1 * weight_decay * theta
        else:
            g += weight_decay * theta
        first = 0.8 * first + 0.2 * g
        second = 0.95 * second + 0.05 * g * g
        theta -= 0.1 * (first / (1 - 0.8**t)) / (math.sqrt(second / (1 - 0.95**t)) + 1e-3)
        np.testing.assert_allclose([p[0, 0], m[0, 0], v[0, 0]], [theta, first, second], rtol=1e-11)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop_is_pytorchs_recipe(kernels: ModuleType, weight_decay: float, momentum: float, centered: bool) -> None:
    """Follows the pseudocode in the documentation of torch.optim.RMSprop, one number at a time."""
    p, square = _one(1.0), _one()
    grad_avg, velocity = _one() if centered else None, _one() if momentum else None
    theta, v, average, b = 1.0, 0.0, 0.0, 0.0
    for g in _gradients():
        kernels.rmsprop_step(p, _one(g), square, grad_avg, velocity, 0.01, 0.9, 1e-3, weight_decay, momentum)
        g += weight_decay * theta
        v = 0.9 * v + 0.1 * g * g
        variance = v
        if centered:
            average = 0.9 * average + 0.1 * g
            variance = v - average * average
        b = momentum * b + g / (math.sqrt(variance) + 1e-3)
        theta -= 0.01 * b
        np.testing.assert_allclose(p, theta, rtol=1e-10)


def test_ema_moves_a_part_of_the_way(kernels: ModuleType) -> None:
    average = np.array([1.0, -2.0])
    kernels.ema_step(average, np.array([3.0, 2.0]), 0.75)
    np.testing.assert_allclose(average, [1.5, -1.0], rtol=1e-15)


STEPS: dict[str, tuple[int, tuple[object, ...]]] = {
    "sgd_step": (1, (0.1, 0.9, 0.1, False, 0.01, False)),
    "adam_step": (2, (0.1, 0.9, 0.99, 1e-8, 0.01, True, 3)),
    "rmsprop_step": (3, (0.1, 0.9, 1e-8, 0.01, 0.5)),
    "ema_step": (0, (0.9,)),
}


def _arrays(name: str, shape: list[int], dtype: str, lay_out: LayOut, seed: int) -> list[np.ndarray]:
    """Return p, g and states (the first so large that RMSprop's variance is positive); only g may be read-only."""
    rng = np.random.default_rng(seed)
    arrays = [lay_out((rng.random(shape) + 4 * (i == 2)).astype(dtype)) for i in range(2 + STEPS[name][0])]
    for array in (arrays[0], *arrays[2:]):
        array.flags.writeable = True
    return arrays


@pytest.mark.parametrize("name", STEPS)
@few
@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 99),
)
def test_twins_agree_in_every_layout(lay_out: LayOut, name: str, shape: list[int], dtype: str, seed: int) -> None:
    got = _arrays(name, shape, dtype, lay_out, seed)
    wanted = _arrays(name, shape, dtype, np.ascontiguousarray, seed)
    g_before = got[1].tobytes()
    getattr(_module("compiled"), name)(*got, *STEPS[name][1])
    getattr(reference, name)(*wanted, *STEPS[name][1])
    tolerance = 20 * np.finfo(dtype).eps
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    assert got[1].tobytes() == g_before


@pytest.mark.parametrize("name", STEPS)
def test_a_gradient_in_another_memory_order_is_read_in_its_own(kernels: ModuleType, name: str) -> None:
    same = _arrays(name, [3, 4], "float32", np.ascontiguousarray, 0)
    other = _arrays(name, [3, 4], "float32", np.ascontiguousarray, 0)
    other[1] = np.asfortranarray(other[1])
    for arrays in (same, other):
        getattr(kernels, name)(*arrays, *STEPS[name][1])
    for a, b in zip(same, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", STEPS)
def test_a_parameter_without_axes_is_updated(kernels: ModuleType, name: str) -> None:
    plain = _arrays(name, [1], "float32", np.ascontiguousarray, 0)
    scalars = [np.array(array[0]) for array in plain]
    getattr(kernels, name)(*plain, *STEPS[name][1])
    getattr(kernels, name)(*scalars, *STEPS[name][1])
    assert [array.item() for array in scalars] == [array.item() for array in plain]
    assert scalars[0].dtype == np.float32


@pytest.mark.parametrize("name", STEPS)
def test_overflow_is_silent_and_stays_visible(kernels: ModuleType, name: str) -> None:
    arrays = _arrays(name, [2], "float32", np.ascontiguousarray, 0)
    arrays[1][:] = [3e38, np.nan]
    getattr(kernels, name)(*arrays, *STEPS[name][1])
    assert np.isnan(arrays[0][1])


@pytest.mark.parametrize("name", STEPS)
def test_threads_change_no_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = _module("compiled")
    monkeypatch.setattr("tinydl.kernels.compiled.optim.GRAIN", 100)
    before = threads.num_threads()
    try:
        results = []
        for n in (1, 3):
            threads.set_num_threads(n)
            results.append(_arrays(name, [1007], "float32", np.ascontiguousarray, 0))
            getattr(fast, name)(*results[-1], *STEPS[name][1])
    finally:
        threads.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_layouts_add_no_specialisations(lay_out: LayOut) -> None:
    fast = _module("compiled")
    for dtype in ("float32", "float64"):
        for shape in ([3], [2, 3], [2, 3, 4]):
            for lr in (0, 0.1, np.float32(0.1)):
                p, g, velocity = _arrays("sgd_step", shape, dtype, lay_out, 0)
                fast.sgd_step(p, g, velocity, lr, 0, 0, False, 0, True)
                fast.sgd_step(p, g, None, lr, 0, 0, False, 0, np.True_)
    if not hasattr(fast._sgd, "signatures"):
        pytest.skip("kernels run interpreted")
    assert len(fast._sgd.signatures) == 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_fades_away_ends_at_zero(dtype: str) -> None:
    """The averages of parameters that get no gradient any more; numbers too small for full digits are slow."""
    fast, still = _module("compiled"), np.zeros(1, dtype)
    smallest = np.finfo(dtype).smallest_normal
    fading = np.full(1, smallest, dtype)
    p, m, v, velocity, square, average, speed = (fading.copy() for _ in range(7))
    fast.adam_step(p, still, m, v, 0.1, 0.9, 0.999, 1e-8, 0.0, False, 5)
    fast.sgd_step(p, still, velocity, 0.1, 0.9, 0.0, False, 0.0, False)
    fast.rmsprop_step(p, still, square, average, speed, 0.1, 0.9, 1e-8, 0.0, 0.9)
    assert [float(a[0]) for a in (m, v, velocity, square, average, speed)] == [0] * 6
    kept = np.array([4, -4, np.nan], dtype) * smallest
    m = kept.copy()
    fast.adam_step(kept.copy(), np.zeros(3, dtype), m, np.ones(3, dtype), 0.1, 0.9, 0.999, 1e-8, 0.0, False, 5)
    np.testing.assert_allclose(m, kept * np.array(0.9, dtype), rtol=1e-6)
