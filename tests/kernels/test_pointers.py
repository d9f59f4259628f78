"""A kernel that is called by its address does what it does when it is called by name."""

import numpy as np
import pytest

jit = pytest.importorskip("tinydl.kernels.compiled.jit")
pointers = pytest.importorskip("tinydl.kernels.compiled.pointers")


@jit.njit
def add_to(y, x, factors, by):
    for i in range(y.size):
        y[i] += factors[0, 0] * x[i] * by
    return x.size > 2


@jit.njit
def twice(address, y, x, factors):
    first = pointers.call(address, y, x, factors, 0.5)
    return pointers.call(address, *(y, x), factors, 2.0), first


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_it_gets_what_it_is_given(dtype):
    y, x, factors = np.zeros(3, dtype), np.arange(3, dtype=dtype), np.full((1, 1), 4, dtype)
    address = pointers.address_of(add_to, y, x, factors, 1.0)
    assert twice(address, y, x, factors) == (True, True)
    np.testing.assert_array_equal(y, 10 * x)
    assert twice(address, y[:2].copy(), x[:2].copy(), factors) == (False, False)
