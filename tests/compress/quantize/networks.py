"""Small networks of every family, lived in: with statistics and weights as training would leave them."""

import numpy as np

from tinydl import nn, no_grad, ops, zoo
from tinydl.random import manual_seed
from tinydl.tensor import Tensor

FAMILIES = {
    "mlp": {},
    "lenetish": {},
    "mobile": {},
    "convnet": {},
    "mobilenet_v1": {"width": 0.25},
    "mobilenet_v2": {"width": 0.25},
    "mobilenet_v3_small": {"width": 0.5},
    "shufflenet_v1": {"width": 0.5},
    "shufflenet_v2_x0_5": {},
    "squeezenet1_1": {"width": 0.25},
    "xception": {"width": 0.1},
    "resnet18": {"width": 0.25},
    "efficientnet_b0": {"width": 0.25},
}


def build(name, seed=0):
    """Return a network of the zoo whose norms have seen some noise, so that every layer's results are about 1."""
    manual_seed(seed)
    small = {"small": True} if "small" in zoo.options(name) else {}
    model = zoo.build(name, num_classes=10, in_channels=1, **FAMILIES[name], **small)
    with no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        model(images(32))
    return model.eval()


def images(n, seed=1):
    return Tensor(np.random.default_rng(seed).standard_normal((n, 1, 28, 28)).astype(np.float32))


class Everything(nn.Module):
    """A shortcut, a concatenation, a gate, and poolings of both kinds, in one small module."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.beside = nn.Conv2d(4, 4, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Linear(8 * 4, 3)

    def forward(self, input):
        x = self.first(input)
        y = ops.relu(self.beside(x) + x)
        y = self.gate(y) * y
        return self.last(ops.flatten(self.pool(ops.cat([x, y], 1)), 1))


def everything():
    manual_seed(3)
    model = Everything()
    with no_grad():
        model(small_images(64))
    return model.eval()


def small_images(n, seed=1):
    return Tensor(np.random.default_rng(seed).standard_normal((n, 1, 4, 4)).astype(np.float32))
