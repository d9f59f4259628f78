import numpy as np
import pytest

from tinydl import nn, zoo
from tinydl.compress import freeze, replace_head, unfreeze
from tinydl.optim import SGD
from tinydl.tensor import Tensor


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
        self.classifier = nn.Linear(4, 3)

    def forward(self, input):
        return self.classifier(self.features(input).mean((2, 3)))


def images(n=8):
    return Tensor(np.random.default_rng(0).standard_normal((n, 1, 6, 6)).astype(np.float32) + 2)


def state(model):
    return {name: value.data.copy() for name, value in model.state_dict().items()}


def test_what_is_frozen_stays_to_the_last_bit_while_the_rest_learns(backend):
    model = Net()
    assert freeze(model, "features*") == [f"features.{n}" for n in ("0.weight", "0.bias", "1.weight", "1.bias")]
    before = state(model)
    optimizer = SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        model.train()
        model(images()).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    after = state(model)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_frozen_parts_are_in_evaluation_mode_whatever_the_model_is():
    model = Net()
    freeze(model, "features")
    assert model.training
    assert not any(module.training for module in model.train().features.modules())
    assert np.array_equal(model.features(images()).data, model.features(images()).data)  # no dropout


def test_unfreezing_gives_everything_back():
    model = Net()
    freeze(model)
    assert not any(p.requires_grad for p in model.parameters())
    assert not any(module.training for module in model.train().modules())
    model.training = True
    assert unfreeze(model, "features.1") == ["features.1.weight", "features.1.bias"]
    assert model.features[1].training
    assert not model.features[3].training
    unfreeze(model)
    assert all(p.requires_grad for p in model.parameters())
    assert all(module.training for module in model.train().modules())


def test_a_copy_stays_frozen():
    import copy

    model = Net()
    freeze(model, "features")
    assert not copy.deepcopy(model).train().features[1].training


def test_nothing_is_frozen_when_a_pattern_fits_nothing():
    model = Net()
    with pytest.raises(ValueError, match=r"layers: no module has a name like 'feature\.\*'"):
        freeze(model, ["classifier", "feature.*"])
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", ["convnet", "mobilenet_v2", "squeezenet1_1", "resnet18", "efficientnet_b0"])
def test_the_head_of_zoo_networks(name):
    small = {"small": True, "width": 0.25} if "small" in zoo.options(name) else {}
    model = zoo.build(name, num_classes=10, in_channels=1, **small).eval()
    head = replace_head(model, 4)
    x = Tensor(np.zeros((2, 1, 28, 28), np.float32))
    assert model(x).shape == (2, 4)
    assert any(module is head for module in model.modules())
    assert not head.training


def test_a_named_head_of_the_same_dtype():
    model = Net().double()
    head = replace_head(model, 5, "classifier", np.random.default_rng(0))
    assert (head.weight.shape, head.weight.dtype) == ((5, 4), np.float64)
    again = replace_head(Net(), 5, generator=np.random.default_rng(0))
    assert np.allclose(again.weight.data, head.weight.data)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Net(), 0), ValueError, "num_classes must be at least 1"),
        ((Net(), 3, "head"), AttributeError, "no module 'head'"),
        ((Net(), 3, "features.0"), TypeError, "the head 'features.0' must be a Linear or a 1×1 convolution"),
        ((Net(), 3, ""), ValueError, "name must be of a layer inside the model"),
        ((nn.Sequential(nn.ReLU()), 3), ValueError, "model has no layer inside"),
        ((nn.Linear(2, 2), 3), ValueError, "model has no layer inside"),
    ],
)
def test_refuses_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        replace_head(*arguments)
