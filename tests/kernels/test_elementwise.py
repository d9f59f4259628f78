import inspect
import math
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinydl.kernels import threads
from tinydl.kernels.reference import elementwise as reference

LayOut = Callable[[np.ndarray], np.ndarray]

few = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

PARAMETERS = {"leaky_relu": (0.1,), "elu": (1.3,), "swish": (1.5,), "softplus": (1.5, 20.0)}
KEEP_OUTPUT = {"relu", "sigmoid", "tanh"}
OTHERS = {"scale_mask", "hard_swish_in_place", "swish_in_place"}
FORWARD = [name for name in reference.__all__ if not name.endswith("_grad") and name not in OTHERS]
GRADIENTS = [name for name in reference.__all__ if name.endswith("_grad")]
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30, 1e-30, 6.0, 3.0, -3.0, 88.0, -88.0, -104.0, -700.0, 13.3]

ORACLES: dict[str, Callable[..., float]] = {
    "relu": lambda x: x if x > 0 else 0.0,
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "leaky_relu": lambda x, slope: x if x > 0 else slope * x,
    "elu": lambda x, alpha: x if x > 0 else alpha * math.expm1(x),
    "hard_sigmoid": lambda x: min(max(x / 6 + 0.5, 0.0), 1.0),
    "hard_swish": lambda x: x * min(max(x / 6 + 0.5, 0.0), 1.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "swish": lambda x, beta: x / (1 + math.exp(-beta * x)),
    "softplus": lambda x, beta, threshold: math.log1p(math.exp(beta * x)) / beta if beta * x <= threshold else x,
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "erf": math.erf,
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "gelu_tanh": lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
}


@pytest.fixture(scope="module", params=["reference", "compiled"])
def kernels(request: pytest.FixtureRequest) -> ModuleType:
    return _module(request.param)


def _module(backend: str) -> ModuleType:
    if backend == "compiled":
        pytest.importorskip("numba")
    return import_module(f"tinydl.kernels.{backend}.elementwise")


def _parameters(name: str) -> tuple[float, ...]:
    return PARAMETERS.get(name.removesuffix("_grad"), ())


@st.composite
def _numbers(draw: st.DrawFn) -> np.ndarray:
    """Draw an array of any shape, empty ones among them, with some special numbers in it."""
    shape = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = np.where(rng.random(shape) < 0.2, rng.choice(SPECIAL, size=shape), rng.normal(scale=4, size=shape))
    return x.astype(draw(st.sampled_from(["float32", "float64"])))


@pytest.mark.parametrize("name", FORWARD)
def test_values_are_those_of_a_loop_over_scalars(kernels: ModuleType, name: str) -> None:
    x = np.concatenate(
        [np.linspace(-12, 14, 977), [-6, -3, 0, 3, 6], np.logspace(-12, 1, 50), -np.logspace(-12, 1, 50)]
    )
    parameters = _parameters(name)
    wanted = np.array([ORACLES[name](v, *parameters) for v in x])
    np.testing.assert_allclose(getattr(kernels, name)(x, *parameters), wanted, rtol=1e-14, atol=3e-15)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_the_differences_of_the_values(kernels: ModuleType, name: str) -> None:
    forward, parameters = ORACLES[name.removesuffix("_grad")], _parameters(name)
    x = np.linspace(-9.005, 16.995, 521)  # no kink of any function is within a step of these
    step = 1e-4
    slopes = [(forward(v + step, *parameters) - forward(v - step, *parameters)) / (2 * step) for v in x]
    g = np.linspace(-2, 2, x.size)
    kept = np.array([forward(v) for v in x]) if name.removesuffix("_grad") in KEEP_OUTPUT else x
    np.testing.assert_allclose(getattr(kernels, name)(g, kept, *parameters), g * slopes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "name, x, slope",
    [
        ("relu_grad", 0, 0), ("relu6_grad", 0, 0), ("relu6_grad", 6, 0), ("leaky_relu_grad", 0, 0.1),
        ("elu_grad", 0, 1.3), ("hard_sigmoid_grad", -3, 0), ("hard_sigmoid_grad", 3, 0),
        ("hard_swish_grad", -3, 0), ("hard_swish_grad", 3, 1), ("softplus_grad", 20 / 1.5 + 1e-9, 1),
    ],
)  # fmt: skip
def test_the_slope_at_a_kink_is_the_one_promised(kernels: ModuleType, name: str, x: float, slope: float) -> None:
    got = getattr(kernels, name)(np.array([2.0]), np.array([float(x)]), *_parameters(name))
    np.testing.assert_allclose(got, [2 * slope], rtol=1e-15)


@pytest.mark.parametrize("name", [name for name in reference.__all__ if not name.endswith("_in_place")])
@few
@given(x=_numbers(), seed=st.integers(0, 99))
def test_twins_agree_in_every_layout(lay_out: LayOut, name: str, x: np.ndarray, seed: int) -> None:
    x = lay_out(x)
    arguments: tuple[np.ndarray, ...] = (x,)
    if name in GRADIENTS:
        arguments = (np.random.default_rng(seed).normal(size=x.shape).astype(x.dtype.newbyteorder("=")), x)
    before = [a.tobytes() for a in arguments]
    parameters: tuple[object, ...] = _parameters(name)
    if name == "scale_mask":
        parameters = (np.random.default_rng(seed).integers(0, 2, x.shape).astype(np.uint8), 1.25)
    wanted = getattr(reference, name)(*arguments, *parameters)
    assert wanted.dtype == x.dtype.newbyteorder("=")
    got = getattr(_module("compiled"), name)(*arguments, *parameters)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    tolerance = 100 * np.finfo(got.dtype).eps
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)
    assert [a.tobytes() for a in arguments] == before


@pytest.mark.parametrize("name", FORWARD + GRADIENTS)
def test_an_array_without_axes_stays_an_array(kernels: ModuleType, name: str) -> None:
    x = np.array(0.5, np.float32)
    got = getattr(kernels, name)(*(x,) * (2 if name in GRADIENTS else 1), *_parameters(name))
    assert isinstance(got, np.ndarray)
    assert (got.shape, got.dtype) == ((), np.float32)


@pytest.mark.parametrize("name", ["relu", "gelu", "relu_grad", "swish_grad"])
def test_a_broadcast_upstream_gradient_counts_as_its_values(kernels: ModuleType, name: str) -> None:
    x = np.linspace(-3, 3, 24, dtype=np.float32).reshape(2, 3, 4)
    broadcast = np.broadcast_to(x[:1, :, :1], x.shape)
    arguments = (broadcast, x) if name in GRADIENTS else (broadcast,)
    copies = (broadcast.copy(), x) if name in GRADIENTS else (broadcast.copy(),)
    kernel = getattr(kernels, name)
    np.testing.assert_array_equal(kernel(*arguments, *_parameters(name)), kernel(*copies, *_parameters(name)))


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0), (1, 0, 2, 3)])
def test_the_result_keeps_the_memory_order(kernels: ModuleType, axes: tuple[int, ...]) -> None:
    x = np.ones([(2, 3, 4, 5)[axis] for axis in axes], np.float32).transpose(np.argsort(axes))
    assert x.shape == (2, 3, 4, 5)
    assert kernels.relu(x).strides == x.strides
    assert kernels.sigmoid_grad(np.ones_like(x, order="C"), x).strides == x.strides or kernels is reference


@pytest.mark.parametrize("name", FORWARD)
def test_nan_stays_nan(kernels: ModuleType, name: str) -> None:
    x = np.full(37, np.nan, np.float32)
    assert np.isnan(getattr(kernels, name)(x, *_parameters(name))).all()


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "elu", "erf", "swish", "softplus", "mish", "gelu"])
def test_single_precision_is_used_to_the_last_digits(name: str) -> None:
    """Relative to each value, however small: a formula like 1 − (1 − x) would fail."""
    sizes = np.logspace(-7, 0.8, 5000)
    x = np.concatenate([-sizes[::-1] if name not in ("mish", "gelu") else sizes[:0], sizes]).astype(np.float32)
    exact = np.array([ORACLES[name](float(v), *_parameters(name)) for v in x])
    got = getattr(_module("compiled"), name)(x, *_parameters(name))
    assert np.max(np.abs(got - exact) / np.abs(exact)) < 8 * np.finfo(np.float32).eps


def test_dropout_zeroes_even_infinity(kernels: ModuleType) -> None:
    x = np.array([[1.0, np.inf, np.nan], [2.0, -np.inf, 3.0]], np.float32)
    mask = np.array([[1, 0, 0], [0, 1, 1]], bool)
    wanted = np.array([[1.5, 0, 0], [0, -np.inf, 4.5]], np.float32)
    for flags in (mask, mask.view(np.uint8), np.asfortranarray(mask)):
        np.testing.assert_array_equal(kernels.scale_mask(x, flags, 1.5), wanted)
        np.testing.assert_array_equal(kernels.scale_mask(x.T, flags.T, 1.5), wanted.T)
    per_image = np.array([[1], [0]], np.uint8)
    np.testing.assert_array_equal(kernels.scale_mask(x[:, :1], per_image, 2.0), [[2], [0]])
    np.testing.assert_array_equal(kernels.scale_mask(np.ones((2, 3)), per_image, 2.0), [[2, 2, 2], [0, 0, 0]])


@pytest.mark.parametrize("name", ["relu", "gelu_grad"])
def test_threads_change_no_bit(name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = getattr(_module("compiled"), name)
    monkeypatch.setattr("tinydl.kernels.compiled.memory.FEW", 100)
    x = rng.normal(size=(7, 111)).astype(np.float32)
    arguments = (x, x) if name in GRADIENTS else (x,)
    before = threads.num_threads()
    try:
        threads.set_num_threads(1)
        alone = kernel(*arguments)
        threads.set_num_threads(3)
        np.testing.assert_array_equal(kernel(*arguments), alone)
    finally:
        threads.set_num_threads(before)


def test_layouts_add_no_specialisations(lay_out: LayOut) -> None:
    kernels = _module("compiled")
    for dtype in ("float32", "float64"):
        for shape in ((3,), (2, 3, 4), (2, 3, 4, 5)):
            x = lay_out(np.ones(shape, dtype))
            for slope in (0, 0.5, np.float32(0.5)):
                kernels.leaky_relu_grad(x, x, slope)
                kernels.leaky_relu_grad(np.broadcast_to(np.ones((), dtype), shape), x, slope)
    loop = inspect.getclosurevars(kernels.leaky_relu_grad).nonlocals["compiled"]
    if not hasattr(loop, "signatures"):
        pytest.skip("kernels run interpreted")
    assert len(loop.signatures) == 2


@pytest.mark.parametrize("name, parameters", [("hard_swish", ()), ("swish", (1.5,))])
def test_in_place_is_what_the_kernel_makes(
    kernels: ModuleType, lay_out: LayOut, name: str, parameters: tuple[float, ...]
) -> None:
    x = lay_out(np.linspace(-5, 5, 2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)).copy(order="K")
    for array in (x, x[:, 1:, ::2], np.array(0.5, np.float32)):
        wanted = getattr(kernels, name)(array, *parameters)
        assert getattr(kernels, f"{name}_in_place")(array, *parameters) is array
        np.testing.assert_array_equal(array, wanted)
