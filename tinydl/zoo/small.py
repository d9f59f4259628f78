"""The small networks for 28×28 digits that lessons, benchmarks and `tinydl train` use.

| name | layers | parameters |
|---|---|--:|
| mlp | 784-256-128-10, ReLU | 235,146 |
| cnn1 | conv 32, max 2, dense 128, dense 10 | 693,962 |
| cnn3 | conv 32, max 2, conv 64, max 2, conv 64, dense 64, dense 10 | 93,322 |
| lenetish | conv 10·5×5, max 2, conv 20·5×5, max 2, dense 50, dense 10 | 21,840 |
| mobile | conv 16 s2, five depthwise-separable blocks to 128, global average, dense 10 | 36,874 |
| convnet | conv-BN-ReLU 16, 32 (max 2), 64 (max 2), max 2, dropout, dense 10 | 29,178 |
"""

from __future__ import annotations

from tinydl import nn
from tinydl.zoo.blocks import ConvNormActivation, DepthwiseSeparable
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, loaded

_OWN = Paper("no paper: a network of these lessons and benchmarks", (1, 28, 28))


@network(_OWN)
def mlp(num_classes: int = 10, in_channels: int = 1, dropout: float = 0.0, weights: Weights = None) -> nn.Sequential:
    """Return the multi-layer perceptron 784-256-128-10.

    >>> sum(p.numel() for p in mlp().parameters())
    235146
    """
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784 * in_channels, 256),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(128, num_classes),
    )
    return loaded(model, weights)


@network(_OWN)
def cnn1(num_classes: int = 10, in_channels: int = 1, dropout: float = 0.0, weights: Weights = None) -> nn.Sequential:
    """Return one convolution and a large dense layer: few MACs, many parameters.

    >>> sum(p.numel() for p in cnn1().parameters())
    693962
    """
    model = nn.Sequential(
        nn.Conv2d(in_channels, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 13 * 13, 128),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(128, num_classes),
    )
    return loaded(model, weights)


@network(_OWN)
def cnn3(num_classes: int = 10, in_channels: int = 1, dropout: float = 0.0, weights: Weights = None) -> nn.Sequential:
    """Return three convolutions and a small head: few parameters, three times cnn1's MACs.

    >>> sum(p.numel() for p in cnn3().parameters())
    93322
    """
    model = nn.Sequential(
        nn.Conv2d(in_channels, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 3 * 3, 64),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(64, num_classes),
    )
    return loaded(model, weights)


@network(_OWN)
def lenetish(
    num_classes: int = 10, in_channels: int = 1, dropout: float = 0.0, weights: Weights = None
) -> nn.Sequential:
    """Return the small network of many PyTorch tutorials, after LeNet-5.

    >>> sum(p.numel() for p in lenetish().parameters())
    21840
    """
    model = nn.Sequential(
        nn.Conv2d(in_channels, 10, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(10, 20, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(320, 50),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(50, num_classes),
    )
    return loaded(model, weights)


@network(Paper("after Howard et al. 2017, arXiv:1704.04861", (1, 28, 28)))
def mobile(num_classes: int = 10, in_channels: int = 1, dropout: float = 0.0, weights: Weights = None) -> nn.Sequential:
    """Return a MobileNetV1 in small: depthwise-separable blocks, global average.

    Source: Howard et al. 2017, MobileNets, arXiv:1704.04861, section 3.1.

    >>> sum(p.numel() for p in mobile().parameters())
    36874
    """
    layers = list(ConvNormActivation(in_channels, 16, 3, 2))
    for inputs, outputs, stride in ((16, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1)):
        block = DepthwiseSeparable(inputs, outputs, stride, activation=nn.ReLU)
        layers += [*block[0], *block[1]]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(128, num_classes)]
    return loaded(nn.Sequential(*layers, *head), weights)


@network(_OWN)
def convnet(
    num_classes: int = 10, in_channels: int = 1, dropout: float = 0.0, weights: Weights = None
) -> nn.Sequential:
    """Return three conv-BN-ReLU stages of 16, 32, 64 channels, each halved by max pooling, and a linear classifier.

    >>> sum(p.numel() for p in convnet().parameters())
    29178
    """
    model = nn.Sequential(
        *ConvNormActivation(in_channels, 16, 3),
        nn.MaxPool2d(2),
        *ConvNormActivation(16, 32, 3),
        nn.MaxPool2d(2),
        *ConvNormActivation(32, 64, 3),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(64 * 3 * 3, num_classes),
    )
    return loaded(model, weights)
