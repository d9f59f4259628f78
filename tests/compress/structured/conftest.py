"""Networks of the zoo with numbers as training leaves them: no two channels are alike."""

import numpy as np
import pytest

from tinydl import nn, no_grad, zoo
from tinydl.random import manual_seed
from tinydl.tensor import Tensor


@pytest.fixture
def lived_in():
    return _lived_in


@pytest.fixture
def small():
    """Build a narrow network with its small stem: `small("resnet18")`."""

    def build(name, **settings):
        manual_seed(0)
        has = zoo.options(name)
        usual = {"small": True, "width": {"xception": 0.1, "shufflenet_v1": 0.5}.get(name, 0.25)}
        settings = {k: v for k, v in {**usual, **settings}.items() if k in has}
        return _lived_in(zoo.build(name, num_classes=10, in_channels=1, **settings))

    return build


@pytest.fixture
def image():
    return lambda *shape: np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def _lived_in(model):
    """Draw norms' statistics, scales and shifts, and biases; weights such that activations stay near 1."""
    draw = np.random.default_rng(0)
    with no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                _fill(draw, module.running_mean, -0.5, 0.5)
                _fill(draw, module.running_var, 0.3, 2.0)
                _fill(draw, module.weight, 0.5, 1.5)
                _fill(draw, module.bias, -0.5, 0.5)
            elif isinstance(module, nn.Conv2d | nn.Linear):
                reach = np.sqrt(6 / np.prod(module.weight.shape[1:]))
                _fill(draw, module.weight, -reach, reach)
                _fill(draw, module.bias, -0.5, 0.5)
    return model.eval()


def _fill(draw, tensor, low, high):
    if tensor is not None:
        tensor.copy_(Tensor(draw.uniform(low, high, tensor.shape).astype(np.float32)))
