import numpy as np
import pytest

from tinydl import Tensor, nn
from tinydl.cost.fused import fusions, possible_fusions
from tinydl.modes import observe
from tinydl.train import evaluating


def block():
    return [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU()]


def ones(*shape):
    return Tensor(np.ones(shape, np.float32))


def kinds(modules):
    return [type(module).__name__ for module in modules]


def inferred(model, *inputs):
    with evaluating(model):
        return fusions(model, inputs)


def test_groups_are_found_by_the_weight_their_kernel_is_given(backend):
    model = nn.Sequential(nn.Sequential(*block()), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3), nn.ReLU())
    found = inferred(model, ones(1, 2, 6, 6))
    assert kinds(found.members) == ["Linear", "ReLU", "Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds(found.guests) == ["ReLU", "BatchNorm2d", "ReLU"]
    seen = []
    with evaluating(model), observe(lambda op, arrays, *rest: seen.append((op.name, found.of(op, arrays)))):
        model(ones(1, 2, 6, 6))
    names = [(name, fusion and fusion.name) for name, fusion in seen]
    assert names == [("conv2d_clamped", "0.0"), ("max_pool", None), ("reshape", None), ("linear_clamped", "3")]
    assert all(m.training and m._hooks is None for m in model.modules())


def test_training_fuses_other_layers(backend):
    model = nn.Sequential(*block(), nn.Flatten(), nn.Linear(64, 3), nn.BatchNorm1d(3), nn.ReLU())
    found = fusions(model, [ones(2, 2, 6, 6)])
    assert kinds(found.members) == ["BatchNorm2d", "ReLU", "BatchNorm1d", "ReLU"]
    assert kinds(found.guests) == ["ReLU", "ReLU"]
    assert [fusion.name for fusion in found.found.values()] == ["1", "5"]


def test_only_what_runs_fused_counts():
    same = nn.Sequential(nn.Conv2d(2, 4, 3, padding="same"), nn.ReLU())
    assert not inferred(same, ones(1, 2, 6, 6)).members, "this padding is done apart"
    hooked = nn.Sequential(*block())
    hooked[0].register_forward_hook(lambda *call: None)
    assert not inferred(hooked, ones(1, 2, 6, 6)).members

    class Branches(nn.Module):
        def __init__(self):
            self.used, self.unused = nn.Sequential(*block()), nn.Sequential(*block())

        def forward(self, x):
            return self.used(x)

    model = Branches()
    assert inferred(model, ones(1, 2, 6, 6)).members == list(model.used)


def test_what_has_no_weight_is_left_alone():
    model = nn.Sequential(nn.BatchNorm1d(2, affine=False), nn.ReLU())
    assert not possible_fusions(model).members


def test_a_model_without_groups_does_not_run():
    assert not fusions(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), [None]).members
    with pytest.raises((AttributeError, TypeError)):
        inferred(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Flatten()), None)
