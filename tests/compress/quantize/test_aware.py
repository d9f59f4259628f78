from itertools import pairwise

import numpy as np
import pytest
from networks import everything, small_images

from tinydl import evaluate, fit, nn, no_grad
from tinydl.compress.quantize import QuantizationAware, Scheme, calibrate, prepare, quantize_static
from tinydl.optim import SGD, Adam
from tinydl.tensor import Tensor

COARSE = {"weights": Scheme(2, symmetric=True, axis=0), "activations": Scheme(4)}


def batches(n, seed=0):
    """Return images and their class: which third of the image is brightest."""
    made = []
    for i in range(n):
        x = small_images(32, seed + i)
        made.append((x, Tensor(x.data.reshape(32, 16)[:, :15].reshape(32, 3, 5).mean(2).argmax(1))))
    return made


@pytest.fixture(scope="module")
def trained():
    model = everything()
    fit(model, batches(20), epochs=8, optimizer=Adam(model.parameters(), lr=0.01))
    return model


def test_training_brings_back_what_few_bits_lost(trained):
    data, test = batches(20), batches(8, 100)
    after = quantize_static(trained, [x for x, _ in data], **COARSE)
    network = calibrate(prepare(trained, data[0][0], observer="average", **COARSE), data)
    before = [p.data.copy() for p in network.model.parameters()]
    fit(network, data, epochs=4, optimizer=Adam(network.parameters(), lr=0.003), callbacks=[QuantizationAware(40)])
    assert network.state == "frozen"
    assert not all(np.array_equal(a, p.data) for a, p in zip(before, network.model.parameters()))
    losses = [evaluate(net, test).loss for net in (trained, after, network)]
    assert losses[0] < losses[2] < 0.8 * losses[1]


def test_ranges_follow_and_then_stand_still(trained):
    data = batches(6)
    network = calibrate(prepare(trained, data[0][0], observer="average"), data[:1])
    scales = []

    class Look(QuantizationAware):
        def on_step_end(self, trainer):
            super().on_step_end(trainer)
            site = network.sites["%1"]
            scales.append((float(site.quantizer.scale), network.quantizer("last.weight").scale.copy(), site.state))

    optimizer = SGD(network.parameters(), lr=0.5)
    fit(network, data, epochs=1, optimizer=optimizer, callbacks=[Look(3)])
    values, weights, states = zip(*scales)
    assert states == ("following",) * 2 + ("frozen",) * 4
    assert len(set(values[:3])) == 3
    assert len(set(values[2:])) == 1
    assert all(not np.array_equal(a, b) for a, b in pairwise(weights))
    final = network.quantizer("last.weight")
    assert np.array_equal(final.scale, final.scheme.of(network.model.last.weight.data).scale)


def test_what_is_measured_is_what_is_planned(trained):
    """Between epochs, and after the end, evaluation sees the scales of the weights as they are."""
    data = batches(4)
    network = calibrate(prepare(trained, data[0][0], observer="average"), data)
    history = fit(network, data, epochs=1, validation=data, callbacks=[QuantizationAware(0)])
    assert history[0]["validation_loss"] == pytest.approx(evaluate(network, data).loss, rel=1e-6)
    with no_grad():
        assert network.plan().weights["last.weight"].scale.shape == (3,)


def test_other_models_and_uncalibrated_ones_are_refused(trained):
    data = batches(2)
    with pytest.raises(TypeError, match=r"trains what prepare\(\) returns, got Linear"):
        fit(nn.Linear(2, 2), data, epochs=1, callbacks=[QuantizationAware()])
    with pytest.raises(ValueError, match="calibration needs at least one batch"):
        fit(prepare(trained, data[0][0]), data, epochs=1, callbacks=[QuantizationAware()])
    with pytest.raises(ValueError, match="observe must be at least 0"):
        QuantizationAware(-1)
