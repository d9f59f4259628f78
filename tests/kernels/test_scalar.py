import math
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("numba")
from tinydl.kernels.compiled import scalar
from tinydl.kernels.compiled.jit import njit


@njit
def _exp(y: np.ndarray, x: np.ndarray) -> None:
    for i in range(x.size):
        y[i] = scalar.exp_negative(y.dtype.type, x[i])


@njit
def _expm1(y: np.ndarray, x: np.ndarray) -> None:
    for i in range(x.size):
        y[i] = scalar.expm1_negative(y.dtype.type, x[i])


@njit
def _log1p(y: np.ndarray, x: np.ndarray) -> None:
    for i in range(x.size):
        y[i] = scalar.log1p_unit(y.dtype.type, x[i])


@njit
def _erf(y: np.ndarray, x: np.ndarray) -> None:
    for i in range(x.size):
        y[i] = scalar.erf(y.dtype.type, x[i])


SMALL = np.logspace(-30, 0, 5_000)
MORE = np.linspace(0.001, 1, 5_000)


def _units(y: np.ndarray, exact: np.ndarray) -> float:
    """Return the largest error, in distances to the next number of y's type at that place of the scale."""
    return float(np.max(np.abs(y - exact) / np.spacing(np.abs(exact).astype(y.dtype))))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "loop, exact, x",
    [
        (_exp, np.exp, -np.concatenate([SMALL, 87 * MORE])),
        (_expm1, np.expm1, -np.concatenate([SMALL, 40 * MORE])),
        (_log1p, np.log1p, np.concatenate([SMALL, MORE])),
        (_erf, np.vectorize(math.erf), np.concatenate([SMALL, -SMALL, 7 * MORE, -7 * MORE])),
    ],
    ids=["exp", "expm1", "log1p", "erf"],
)
def test_errors_are_a_few_units_in_the_last_place(
    loop: Callable[..., None], exact: Callable[[np.ndarray], np.ndarray], x: np.ndarray, dtype: str
) -> None:
    x = x.astype(dtype)
    y = np.empty_like(x)
    loop(y, x)
    assert _units(y, exact(x.astype(np.float64))) < 3.5


def test_double_precision_holds_down_to_the_smallest_powers() -> None:
    x = -708 * MORE
    y = np.empty_like(x)
    _exp(y, x)
    assert _units(y, np.exp(x)) < 3.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_limits_are_exact_and_nan_stays_nan(dtype: str) -> None:
    y = np.empty(4, dtype)
    _exp(y, np.array([0, -1e4, -np.inf, np.nan], dtype))
    np.testing.assert_array_equal(y, [1, 0, 0, np.nan])
    _expm1(y, np.array([0, -1e4, -np.inf, np.nan], dtype))
    np.testing.assert_array_equal(y, [0, -1, -1, np.nan])
    _erf(y, np.array([0, -1e4, np.inf, np.nan], dtype))
    np.testing.assert_array_equal(y, [0, -1, 1, np.nan])
