from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from twins import twin

from tinydl.kernels import threads


def _strided(x: np.ndarray) -> np.ndarray:
    wide = np.full(tuple(2 * n + 1 for n in x.shape), np.nan if x.dtype.kind == "f" else -7).astype(x.dtype)
    view = wide[tuple(slice(1, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def _reversed(x: np.ndarray) -> np.ndarray:
    back = tuple(slice(None, None, -1) for _ in x.shape)
    return x[back].copy()[back]


def _read_only(x: np.ndarray) -> np.ndarray:
    copy = x.copy()
    copy.flags.writeable = False
    return copy


def _misaligned(x: np.ndarray) -> np.ndarray:
    memory = np.empty(x.nbytes + 1, np.uint8)
    copy = memory[1:].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": np.ascontiguousarray,
    "channels last": lambda x: np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1) if x.ndim > 1 else x.copy(),
    "fortran": np.asfortranarray,
    "strided": _strided,
    "reversed": _reversed,
    "read-only": _read_only,
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "misaligned": _misaligned,
}


@pytest.fixture(scope="module", params=["reference", "compiled"])
def kernels(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Return the integer kernels of each backend."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    return twin(request.param)


@pytest.fixture(params=LAYOUTS)
def lay_out(request: pytest.FixtureRequest) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that stores an array's values in another memory layout."""
    return LAYOUTS[request.param]


@pytest.fixture(params=[1, 2, 3])
def n_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run the test with each of these numbers of threads."""
    before = threads.num_threads()
    threads.set_num_threads(request.param)
    yield request.param
    threads.set_num_threads(before)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
