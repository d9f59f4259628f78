import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.factorize import stacked_pair
from tinydl.compress.factorize.stacked import compose
from tinydl.random import manual_seed


def with_composed_kernel(conv, pair):
    """Return a convolution like `conv` with the kernel that the pair has together."""
    conv.weight.data[...] = compose(*(layer.weight.data for layer in pair))
    return conv


@pytest.mark.parametrize("padding", [0, 2, "same", "valid", (2, 1)])
def test_two_convolutions_are_one_with_the_composed_kernel_borders_included(backend, same, padding):
    manual_seed(0)
    conv = nn.Conv2d(2, 3, 5, stride=1 if isinstance(padding, str) else 2, padding=padding)
    pair, _ = stacked_pair(conv, 4)
    same(with_composed_kernel(conv, pair), pair, 2, 2, 9, 8)


def test_a_kernel_made_of_two_is_found(same):
    draw = np.random.default_rng(5)
    manual_seed(0)
    conv = nn.Conv2d(3, 4, 5, padding=2)
    conv.weight.data[...] = 0.1 * compose(draw.standard_normal((2, 3, 3, 3)), draw.standard_normal((4, 2, 3, 3)))
    pair, missed = stacked_pair(conv, 2, rounds=300)
    assert missed < 1e-6
    same(conv, pair, 2, 3, 8, 8, tolerance=1e-3)


def test_what_is_missed_falls_with_channels_and_rounds_and_is_said():
    manual_seed(0)
    conv = nn.Conv2d(3, 4, 5)
    found = []
    for channels, rounds in ((2, 3), (2, 20), (6, 20), (27, 2)):
        pair, missed = stacked_pair(conv, channels, rounds)
        w = conv.weight.data
        product = compose(*(layer.weight.data for layer in pair))
        assert missed == pytest.approx(np.sum((w - product) ** 2) / np.sum(w**2), abs=1e-6)
        found.append(missed)
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.3
    assert found[-1] < 1e-9


def test_zeros_stay_zeros():
    conv = nn.Conv2d(1, 1, 5)
    conv.weight.data[...] = 0
    pair, missed = stacked_pair(conv, 2)
    assert missed == 0
    assert not compose(*(layer.weight.data for layer in pair)).any()


@pytest.mark.parametrize(
    ("conv", "channels", "message"),
    [
        (nn.Conv2d(1, 1, 3), 2, "layer must be 5×5"),
        (nn.Conv2d(1, 1, 5, dilation=2), 2, "layer must be 5×5 with dilation 1"),
        (nn.Conv2d(1, 1, 5, padding=2, padding_mode="reflect"), 2, "padding_mode 'zeros'"),
        (nn.Conv2d(2, 2, 5, groups=2), 2, "layer must have groups=1"),
        (nn.Conv2d(1, 1, 5), 0, "channels must be at least 1"),
    ],
)
def test_refuses_by_name(conv, channels, message):
    with pytest.raises(ValueError, match=message):
        stacked_pair(conv, channels)
