import math

import numpy as np
import pytest

from tinydl import nn, zoo
from tinydl.checkpoint import CheckpointError, save, save_weights
from tinydl.zoo.weights import glorot_start, kaiming_start, loaded

NARROW = {"num_classes": 5, "in_channels": 1, "width": 0.25, "small": True}


def state(model):
    return {name: value.data.copy() for name, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


# ---- loading


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v1", "squeezenet1_1", "resnet18", "xception"])
def test_weights_come_from_a_file(name, tmp_path):
    first = zoo.build(name, **NARROW)
    save_weights(first, tmp_path / "w.safetensors")
    second = zoo.build(name, **NARROW)
    assert not same(state(first), state(second))
    assert same(state(first), state(zoo.build(name, **NARROW, weights=tmp_path / "w.safetensors")))
    assert same(state(first), state(zoo.build(name, **NARROW, weights=str(tmp_path / "w.safetensors"))))


@pytest.mark.parametrize("name", ["mlp", "convnet", "lenet5", "lenet_300_100"])
def test_small_networks_load_too(name, tmp_path):
    first = zoo.build(name)
    save_weights(first, tmp_path / "w.safetensors")
    assert same(state(first), state(zoo.build(name, weights=tmp_path / "w.safetensors")))


def test_counters_may_be_missing(tmp_path):
    """PyTorch wrote none before version 0.4.1."""
    first = state(zoo.resnet18(**NARROW))
    old = {name: value for name, value in first.items() if not name.endswith("num_batches_tracked")}
    assert len(old) < len(first)
    save_weights(old, tmp_path / "w.safetensors")
    assert same(first, state(zoo.resnet18(**NARROW, weights=tmp_path / "w.safetensors")))


def test_a_wrong_file_is_refused_with_every_difference(tmp_path):
    weights = state(zoo.mobilenet_v2(**NARROW))
    weights["classifier.1.weight"] = weights["classifier.1.weight"][:, 1:]
    weights["features.0.0.bias"] = np.zeros(8, np.float32)
    del weights["features.18.1.running_var"]
    save_weights(weights, tmp_path / "w.safetensors")
    model = zoo.mobilenet_v2(**NARROW)
    before = state(model)
    with pytest.raises(ValueError, match=r"w\.safetensors") as refusal:
        loaded(model, tmp_path / "w.safetensors")
    for part in (
        "classifier.1.weight: shape (5, 1279) in the state, (5, 1280) here",
        "features.0.0.bias: not known here",
        "features.18.1.running_var: missing",
    ):
        assert part in str(refusal.value)
    assert same(before, state(model))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        zoo.lenet5(weights=tmp_path / "none.safetensors")
    save({"epoch": 1}, tmp_path / "state")
    with pytest.raises(CheckpointError, match="training state"):
        zoo.lenet5(weights=tmp_path / "state")
    (tmp_path / "page").write_bytes(b"<html>")
    with pytest.raises(CheckpointError):
        zoo.lenet5(weights=tmp_path / "page")


# ---- the start


def layers():
    return nn.Sequential(nn.Conv2d(40, 60, 3), nn.Conv2d(60, 60, 5, groups=60), nn.Linear(300, 200), nn.BatchNorm2d(3))


def deviations(model):
    return [float(model[i].weight.data.std()) for i in range(3)]


def test_kaiming_start():
    model = layers()
    linear = state(model[2])
    kaiming_start(model, linear_std=None)
    assert deviations(model)[:2] == pytest.approx([math.sqrt(2 / (60 * 9)), math.sqrt(2 / (60 * 25))], rel=0.1)
    assert same(linear, state(model[2]))
    kaiming_start(model)
    assert deviations(model)[2] == pytest.approx(0.01, rel=0.1)
    assert not any(model[i].bias.data.any() for i in range(3))
    assert model[3].weight.data.all()


def test_glorot_start():
    model = layers()
    glorot_start(model)
    expected = [math.sqrt(2 / n) for n in (40 * 9 + 60 * 9, 25 + 60 * 25, 500)]
    assert deviations(model) == pytest.approx(expected, rel=0.1)
    assert not any(model[i].bias.data.any() for i in range(3))


@pytest.mark.parametrize(
    "name, layer, deviation",
    [
        ("lenet5", "5", 1 / math.sqrt(800)),
        ("lenet_300_100", "1", 1 / math.sqrt(784)),
        ("mobilenet_v1", "features.13.1.0", math.sqrt(2 / 2048)),
        ("mobilenet_v2", "features.18.0", math.sqrt(2 / 1280)),
        ("mobilenet_v3_small", "classifier.0", 0.01),
        ("shufflenet_v1", "features.15.block.0.0", 3 / 960),
        ("shufflenet_v1", "conv1.0", 0.01),
        ("shufflenet_v2_x0_5", "conv5.0", 1 / math.sqrt(3 * 192)),
        ("squeezenet1_0", "features.12.expand3x3", math.sqrt(2 / (64 * 9))),
        ("squeezenet1_0", "classifier.1", 0.01),
        ("resnet18", "layer4.1.conv2", math.sqrt(2 / (512 * 9))),
        ("resnet18", "fc", 1 / math.sqrt(3 * 512)),
        ("efficientnet_b0", "classifier.1", 1 / math.sqrt(3 * 1000)),
        ("efficientnet_b0", "features.8.0", math.sqrt(2 / 1280)),
    ],
)
def test_networks_start_as_their_authors_have_it(name, layer, deviation):
    weight = zoo.build(name).get_submodule(layer).weight.data
    assert weight.std() == pytest.approx(deviation, rel=0.05 if weight.size > 2000 else 0.15)
    assert abs(weight.mean()) < 5 * deviation / math.sqrt(weight.size)
