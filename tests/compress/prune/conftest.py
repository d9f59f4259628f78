import numpy as np
import pytest

from tinydl import nn


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
