"""The networks that both engines are timed on: one text, built from tinydl's `nn` or from PyTorch's."""

from types import ModuleType
from typing import Any

SHAPES = {"residual": (3, 32, 32)}
"""Input shapes other than 1×28×28."""


def conv_bn_relu(nn: Any, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[Any]:
    """Return convolution, batch norm, ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def mlp(nn: Any) -> Any:
    """784-256-128-10."""
    sizes = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)]
    return nn.Sequential(nn.Flatten(), *sizes)


def cnn3(nn: Any) -> Any:
    """Three 3×3 convolutions."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def cnn1(nn: Any) -> Any:
    """One convolution and a large dense layer."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(5408, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def lenetish(nn: Any) -> Any:
    """Two 5×5 convolutions."""
    return nn.Sequential(
        *(nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(10, 20, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(320, 50), nn.ReLU(), nn.Linear(50, 10)),
    )


def mobile(nn: Any) -> Any:
    """Depthwise-separable blocks with batch norm."""
    layers = conv_bn_relu(nn, 1, 16, 3, 2)
    for inputs, outputs, stride in ((16, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1)):
        layers += conv_bn_relu(nn, inputs, inputs, 3, stride, inputs) + conv_bn_relu(nn, inputs, outputs, 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def residual(nn: Any) -> Any:
    """3×32×32 input, residual blocks with batch norm, as in a small CIFAR ResNet."""

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU()
            same = stride == 1 and inputs == outputs
            self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

        def forward(self, x: Any) -> Any:
            y = self.relu(self.bn1(self.conv1(x)))
            return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))

    blocks = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]
    return nn.Sequential(*conv_bn_relu(nn, 3, 16, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def strided(nn: Any) -> Any:
    """Stride-2 5×5 convolutions instead of pooling."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2, 2), nn.ReLU()),
        *(nn.Conv2d(32, 64, 5, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 10)),
    )


def shuffled(nn: Any) -> Any:
    """Grouped pointwise convolutions, channel shuffle, depthwise convolutions."""

    def unit(inputs: int, outputs: int, stride: int) -> list[Any]:
        squeeze = conv_bn_relu(nn, inputs, outputs // 2, 1, groups=4) + [nn.ChannelShuffle(4)]
        spatial = conv_bn_relu(nn, outputs // 2, outputs // 2, 3, stride, outputs // 2)[:2]
        return squeeze + spatial + conv_bn_relu(nn, outputs // 2, outputs, 1, groups=4)

    layers = conv_bn_relu(nn, 1, 16, 3, 2) + unit(16, 64, 1) + unit(64, 64, 2) + unit(64, 128, 1) + unit(128, 128, 2)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


NETWORKS = {f.__name__: f for f in (mlp, cnn3, cnn1, lenetish, mobile, residual, strided, shuffled)}


def build(name: str, nn: ModuleType) -> tuple[Any, tuple[int, ...]]:
    """Return (network, input shape)."""
    return NETWORKS[name](nn), SHAPES.get(name, (1, 28, 28))
