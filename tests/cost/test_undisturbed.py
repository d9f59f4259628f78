import numpy as np
import pytest

from tinydl import Tensor, nn, random
from tinydl.cost.undisturbed import undisturbed


def state_of(model):
    return {name: value.data.tobytes() for name, value in model.state_dict().items()}


def test_everything_is_put_back_even_after_an_error():
    own = np.random.default_rng(3)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Dropout(0.5, generator=own))
    model[1].eval()
    model[0].weight.grad = g = Tensor(np.ones((3, 2), np.float32))
    before, memory = state_of(model), model[1].running_mean.data
    draws = random.get_state(), own.bit_generator.state
    x = Tensor(np.random.default_rng(0).random((4, 2), np.float32))

    def disturb():
        assert model[0].weight.grad is None
        model.train()
        model(x).sum().backward()
        assert state_of(model) != before
        model[1].running_var.data = np.full(3, 7, np.float32)
        raise KeyError

    with pytest.raises(KeyError), undisturbed(model):
        disturb()
    assert state_of(model) == before
    assert model[1].running_mean.data is memory
    assert (random.get_state(), own.bit_generator.state) == draws
    assert model[0].weight.grad is g
    assert model[0].bias.grad is None
    assert [m.training for m in model.modules()] == [True, True, False, True, True]
