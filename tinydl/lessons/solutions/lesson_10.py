"""Lesson 10, answered: the arithmetic of a layer, what a number sees, and a network of few knobs."""

from tinydl import nn


def conv_layer(shape, channels, kernel, stride, padding):
    """Return (channels, height, width, knobs) of a convolution on maps of the given shape."""
    c, height, width = shape
    h, w = ((n + 2 * padding - kernel) // stride + 1 for n in (height, width))
    return channels, h, w, channels * (c * kernel * kernel + 1)


def sees(layers):
    """Return how many pixels wide the patch is that one number behind layers of (kernel, stride) sees."""
    size, jump = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * jump
        jump *= stride
    return size


def small_net():
    """Return an untrained network: digits (N, 1, 28, 28) → logits (N, 10), with at most 10,000 knobs."""
    return nn.Sequential(
        *[nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), nn.ReLU()],
        *[nn.Conv2d(8, 16, 5), nn.MaxPool2d(2), nn.ReLU()],
        nn.Flatten(),
        nn.Linear(256, 10),
    )
