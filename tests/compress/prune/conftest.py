import numpy as np
import pytest

from tinydl import kernels, nn


@pytest.fixture(params=["reference", "compiled"])
def backend(request):
    if request.param == "compiled":
        pytest.importorskip("numba")
    with kernels.use(request.param):
        yield request.param


@pytest.fixture
def network():
    """A small network with a plain, a depthwise and a pointwise convolution, a norm, and a dense layer."""
    draw = np.random.default_rng(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, generator=draw),
        nn.DepthwiseConv2d(4, 3, padding=1, generator=draw),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.PointwiseConv2d(4, 8, generator=draw),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 3, generator=draw),
    )
