import numpy as np
import pytest

from tinydl import nn
from tinydl.compress import integer, share_weights
from tinydl.compress.counts import counts
from tinydl.cost import summary
from tinydl.random import manual_seed

SIZES = (1, 8, 8)


def network():
    manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10), nn.ReLU(),
        nn.Linear(10, 3),
    )  # fmt: skip


def integers(model):
    images = np.random.default_rng(0).standard_normal((16, *SIZES)).astype(np.float32)
    return integer.convert(model.eval(), [images])


def test_floats():
    model, found = network(), counts(network(), SIZES)
    model[4].weight.data[:5] = 0
    assert found.params == 4 * 9 + 4 + 64 * 10 + 10 + 30 + 3
    assert counts(model, SIZES).nonzero == found.params - 5 * 64
    assert (found.macs, found.activation) == (64 * 36 + 640 + 30, summary(model, SIZES).peak.bytes)


def test_shared_weights_count_at_each_place():
    model = network()
    model[4].weight.data[:5] = 0
    shared = share_weights(model, 3)
    assert counts(shared, SIZES)[:3] == counts(model, SIZES)[:3]


def test_integers(backend):
    model = network()
    found, before = counts(integers(model), SIZES), counts(model, SIZES)
    assert (found.params, found.macs) == (before.params, before.macs)
    assert 0.8 * found.params < found.nonzero <= found.params
    assert found.activation == 4 * 64 + 4 * 16  # the map and the pooled one, a byte each


def test_a_value_that_is_needed_later_stays_alive():
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            h = self.first(x)
            return self.second(h) + h

    assert counts(integers(Around()), SIZES).activation == 3 * 4 * 64


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match="axis"):
        counts(network(), (1, 12, 12))
