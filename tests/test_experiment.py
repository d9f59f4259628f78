"""From a config to what it stands for."""

import numpy as np
import pytest

from tinydl import nn, zoo
from tinydl.config import MODELS, RunConfig
from tinydl.experiment import Experiment, make_model


def test_models_for_digits():
    for name in MODELS:
        model = make_model(RunConfig(model=name)).eval()
        assert model(np.zeros((2, 1, 28, 28), np.float32)).shape == (2, 10)


@pytest.mark.parametrize("name", ["lenet5", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_any_network_of_the_zoo_takes_digits(name):
    model = make_model(RunConfig(model=name, dropout=0.125)).eval()
    assert model(np.zeros((2, 1, 28, 28), np.float32)).shape == (2, 10)
    assert {layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)} == {0.125}


def test_networks_can_be_made_narrow():
    wide, narrow = (make_model(RunConfig(model="mobilenet_v1", width=width)) for width in (None, 0.25))
    assert sum(p.numel() for p in narrow.parameters()) < sum(p.numel() for p in wide.parameters()) / 10


def test_other_names_are_refused():
    with pytest.raises(ValueError, match=r"model must be one of .*mobilenet_v2.*; got 'resnet99'"):
        RunConfig(model="resnet99")
    assert set(MODELS) < set(zoo.names())


def test_a_network_of_the_zoo_is_trained_and_tested(tmp_path):
    settings = {"data": "synthetic", "limit": 60, "epochs": 1, "batch_size": 16, "model": "shufflenet_v2_x0_5"}
    experiment = Experiment(RunConfig(**settings), tmp_path, show=False, say=lambda line: None)
    assert 0 <= experiment.run().accuracy <= 1
    assert (tmp_path / "best.safetensors").exists()
