import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.flow import flow
from tinydl.compress.replay import replay


def model():
    return nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def test_a_change_reaches_the_steps_behind_it():
    net, x = model().eval(), np.random.default_rng(0).standard_normal((2, 1, 4, 4)).astype(np.float32)
    found = flow(net, x)
    (y,) = replay(found, [x])
    assert np.allclose(y, net(x).data, atol=1e-6)
    (zeroed,) = replay(found, [x], lambda step, y: y * 0 if step.op == "relu" else y)
    assert np.allclose(zeroed, np.broadcast_to(net[4].bias.data, (2, 3)))


def test_inputs_of_another_shape_are_refused():
    found = flow(model(), np.zeros((2, 1, 4, 4), np.float32))
    with pytest.raises(ValueError, match=r"inputs: the flow was traced with shapes \[\(2, 1, 4, 4\)\], got \[\(1, 1"):
        replay(found, [np.zeros((1, 1, 4, 4), np.float32)])
