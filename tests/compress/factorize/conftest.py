import numpy as np
import pytest

from tinydl import no_grad
from tinydl.tensor import Tensor


@pytest.fixture
def same():
    """Assert that two modules compute the same on noise, to rounding."""

    def check(model, other, *shape, tolerance=1e-5):
        x = Tensor(np.random.default_rng(1).standard_normal(shape).astype(np.float32))
        with no_grad():
            expected, found = model(x).data, other(x).data
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= tolerance * max(1.0, np.abs(expected).max())

    return check
