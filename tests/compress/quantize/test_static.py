from functools import partial

import numpy as np
import pytest
from networks import build, everything, images, small_images

from tinydl import nn, no_grad
from tinydl.compress import flow, fold_batch_norm
from tinydl.compress.quantize import OBSERVERS, Percentile, Scheme, calibrate, correct_bias, prepare, quantize_static
from tinydl.compress.quantize.equalize import _pairs
from tinydl.tensor import Tensor


def run(model, x):
    with no_grad():
        return model(x).data


def test_it_is_prepare_and_calibrate():
    batches = [small_images(8, seed) for seed in range(3)]
    model, x = everything(), small_images(5, 9)
    quantized = quantize_static(model, batches)
    assert quantized.state == "frozen"
    assert not quantized.training
    by_hand = prepare(model, batches[0])
    for batch in batches:
        run(by_hand, batch)
    assert np.array_equal(run(quantized, x), run(by_hand.freeze().eval(), x))
    low, high = quantized.sites["input 0"].quantizer.real_range
    everything_seen = np.concatenate([batch.data for batch in batches])
    assert high - low == pytest.approx(everything_seen.max() - everything_seen.min(), rel=1e-4)


@pytest.mark.parametrize("observer", [*OBSERVERS, partial(Percentile, percent=99.9)])
def test_every_observer_gives_nearly_the_same_network(observer):
    batches = [small_images(64, seed) for seed in range(4)]
    model, x = everything(), small_images(64, 9)
    exact = run(fold_batch_norm(model), x)
    error = np.std(run(quantize_static(model, batches, observer=observer), x) - exact)
    assert 0 < error < 0.1 * np.std(exact)


def test_batches_may_come_with_targets_as_arrays_and_once():
    batches = [small_images(8, seed) for seed in range(3)]
    wanted = quantize_static(everything(), batches).plan()
    with_targets = quantize_static(everything(), ((x, Tensor([0])) for x in batches), corrected=False).plan()
    arrays = quantize_static(everything(), [x.data for x in batches]).plan()
    for plan in (with_targets, arrays):
        assert [q.scale for q in plan.activations.values()] == [q.scale for q in wanted.activations.values()]


def test_nothing_to_calibrate_with_is_refused():
    with pytest.raises(ValueError, match="batches: calibration needs at least one batch, got none"):
        quantize_static(everything(), [])
    simulated = prepare(everything(), small_images(2))
    with pytest.raises(ValueError, match="calibration needs at least one batch"):
        calibrate(simulated, [])
    with pytest.raises(ValueError, match="needs at least one batch"):
        correct_bias(simulated, [])


def test_a_network_is_calibrated_once():
    x = small_images(4)
    simulated = calibrate(prepare(everything(), x), [x])
    with pytest.raises(ValueError, match="is 'frozen' already"):
        calibrate(simulated, [x])
    with pytest.raises(ValueError, match="must be calibrating, it is 'frozen'"):
        correct_bias(simulated, [x])


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(16, 6),
        nn.Conv2d(1, 6, 2),
    ],
)
def test_a_corrected_layer_has_the_mean_it_had(layer):
    x = Tensor(small_images(200).data + 2)
    model = nn.Sequential(nn.Flatten(), layer) if isinstance(layer, nn.Linear) else nn.Sequential(layer)
    axes = (0,) if isinstance(layer, nn.Linear) else (0, 2, 3)
    coarse = {"weights": Scheme(2, symmetric=True, axis=0)}
    exact = run(model, x).mean(axes)
    plain, corrected = (run(quantize_static(model, [x], corrected=c, **coarse), x).mean(axes) for c in (False, True))
    assert np.abs(corrected - exact).max() < 0.35 * np.abs(plain - exact).max()


def test_the_correction_of_groups_by_hand():
    model = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2))
    x = Tensor(np.random.default_rng(0).uniform(0, 1, (7, 4, 5, 5)).astype(np.float32))
    network = prepare(model, x, weights=Scheme(3, symmetric=True, axis=0))
    correct_bias(network, [x])
    w = model[0].weight.data.astype(np.float64)
    error = network.quantizer("0.weight").fake(w) - w
    mean = x.data.mean((0, 2, 3))
    for o in range(6):
        seen = mean[:2] if o < 3 else mean[2:]
        shift = sum(error[o, c, i, j] * seen[c] for c in range(2) for i in range(3) for j in range(3))
        assert network.model[0].bias.data[o] == pytest.approx(model[0].bias.data[o] - shift, abs=1e-6)


def test_equalization_and_correction_help_a_network_with_uneven_channels():
    model, x = build("mobile"), images(64)
    folded = fold_batch_norm(model)
    with no_grad():
        for first, bias, second, depthwise in _pairs(flow(folded, x)):
            s = np.exp(1.5 * np.random.default_rng(0).standard_normal(len(bias.data))).astype(np.float32)
            first.copy_(first.data * s[:, None, None, None])
            bias.copy_(bias.data * s)
            axis = 0 if depthwise else 1
            second.copy_(second.data / s.reshape([-1 if i == axis else 1 for i in range(second.ndim)]))
    exact = run(folded, x)
    coarse = {"weights": Scheme(5, symmetric=True)}
    plain, even, both = (
        np.std(run(quantize_static(folded, [x], equalized=e, corrected=c, **coarse), x) - exact)
        for e, c in ((False, False), (True, False), (True, True))
    )
    assert even < 0.7 * plain
    assert both < plain
