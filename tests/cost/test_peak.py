"""Peaks by hand: a size n is that of one map of 4 × 8 × 8."""

import numpy as np
import pytest

from tinydl import Tensor, nn
from tinydl.cost.peak import inference_peak

N = 4 * 8 * 8 * 4


def peak_of(*modules):
    return inference_peak(nn.Sequential(*modules), [Tensor(np.zeros((1, 4, 8, 8), np.float32))])


def conv():
    return nn.Conv2d(4, 4, 3, padding=1)


def test_a_layer_needs_what_it_reads_and_writes_beside_the_input(backend):
    assert peak_of(conv()) == (2 * N, "0")
    assert peak_of(conv(), conv(), conv(), conv()) == (3 * N, "1")
    assert peak_of(nn.Identity(), nn.Dropout()) == (N, "Sequential"), "nothing is made"


def test_a_block_holds_its_input_until_the_sum(backend):
    assert peak_of(*[nn.Residual(conv()) for _ in range(3)]) == (4 * N, "1")
    assert peak_of(nn.Residual(conv())) == (3 * N, "0")


def test_layers_of_one_kernel_hand_nothing_on(backend):
    """Separately, batch norm and ReLU would hold their input and output beside the model's input."""
    assert peak_of(conv(), nn.BatchNorm2d(4), nn.ReLU()) == (2 * N, "0")
    assert peak_of(conv(), nn.BatchNorm2d(4), nn.Hardswish()) == (2 * N, "0")
    assert peak_of(conv(), nn.Tanh()) == (3 * N, "1")


def test_places_of_maxima_count_while_they_are_there(backend):
    peak = peak_of(nn.MaxPool2d(2))
    assert peak.at == "0"
    assert peak.bytes - N - N // 4 in (16 * 4, 16 * 4 * 4, 16 * 4 * 8)


def test_views_are_free_and_a_dict_of_results_is_kept():
    class Net(nn.Module):
        def forward(self, x):
            a = x + 1.0
            b = a[:, 1:].reshape(1, -1)
            del a
            return {"b": b, "c": [x * 2.0, x * 3.0]}

    assert inference_peak(Net(), [Tensor(np.zeros((1, 4, 8, 8), np.float32))]) == (4 * N, "Net")


def test_the_model_may_be_used_again():
    model = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU())
    x = Tensor(np.zeros((1, 4, 8, 8), np.float32))
    assert inference_peak(model, [x]) == inference_peak(model, [x])
    with pytest.raises(ValueError):
        inference_peak(model, [Tensor(np.zeros((1, 3, 8, 8), np.float32))])
    assert all(m.training and m._hooks is None for m in model.modules())
