import numpy as np
import pytest

from tinydl import nn, no_grad, zoo
from tinydl.compress import fold_batch_norm
from tinydl.random import manual_seed
from tinydl.tensor import Tensor

FAMILIES = {
    "mobile": {},
    "convnet": {},
    "mobilenet_v1": {"width": 0.25},
    "mobilenet_v2": {"width": 0.25},
    "mobilenet_v3_small": {"width": 0.5},
    "mobilenet_v3_large": {"width": 0.25},
    "shufflenet_v1": {"width": 0.5},
    "shufflenet_v2_x0_5": {},
    "squeezenet1_1": {"width": 0.25},
    "xception": {"width": 0.1},
    "resnet18": {"width": 0.25},
    "efficientnet_b0": {"width": 0.25},
}


def lived_in(model, seed=0):
    """Give the norms of `model` statistics, scales and shifts as training would leave them."""
    draw = np.random.default_rng(seed)
    with no_grad():
        for norm in norms(model):
            for tensor, low, high in (
                (norm.running_mean, -0.5, 0.5),
                (norm.running_var, 0.3, 2.0),
                (norm.weight, 0.5, 1.5),
                (norm.bias, -0.5, 0.5),
            ):
                if tensor is not None:
                    tensor.copy_(draw.uniform(low, high, tensor.shape))
    return model


def norms(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def image(*shape):
    return Tensor(np.random.default_rng(1).standard_normal(shape).astype(np.float32))


def assert_same_results(model, folded, x):
    with no_grad():
        expected, found = model.eval()(x).data, folded(x).data
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_computes_the_same_without_a_norm(name):
    manual_seed(0)
    small = {"small": True} if "small" in zoo.options(name) else {}
    model = lived_in(zoo.build(name, num_classes=10, in_channels=1, **FAMILIES[name], **small))
    folded = fold_batch_norm(model)
    assert type(folded) is type(model)
    assert not folded.training
    assert not norms(folded)
    assert_same_results(model, folded, image(3, 1, 28, 28))
    moved = sum(norm.num_features for norm in norms(model))
    numbers = [sum(p.numel() for p in net.parameters()) for net in (model, folded)]
    assert numbers[1] == numbers[0] - moved


@pytest.mark.parametrize(
    "conv, norm",
    [
        (nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)),
        (nn.Conv2d(4, 6, (1, 3), (2, 1), bias=False), nn.BatchNorm2d(6, eps=0.1)),
        (nn.Conv2d(4, 8, 3, groups=2, padding=1, padding_mode="reflect"), nn.BatchNorm2d(8, affine=False)),
        (nn.DepthwiseConv2d(4, 3, multiplier=2), nn.BatchNorm2d(8, bias=False)),
        (nn.PointwiseConv2d(4, 3), nn.BatchNorm2d(3)),
    ],
)
def test_kinds_of_convolutions_and_norms(conv, norm):
    model = lived_in(nn.Sequential(conv, norm))
    folded = fold_batch_norm(model)
    assert isinstance(folded[1], nn.Identity)
    assert_same_results(model, folded, image(2, 4, 7, 6))


def test_the_model_stays_as_it_was():
    model = lived_in(nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2)))
    before = {name: value.data.copy() for name, value in model.state_dict().items()}
    fold_batch_norm(model)
    assert model.training
    assert model[0].bias is None
    assert all(np.array_equal(before[name], value.data) for name, value in model.state_dict().items())


def test_double_precision_and_frozen_weights_stay_what_they_are():
    model = lived_in(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).double().requires_grad_(False))
    folded = fold_batch_norm(model)
    assert {p.dtype for p in folded.parameters()} == {np.dtype(np.float64)}
    assert not any(p.requires_grad for p in folded.parameters())
    assert_same_results(model, folded, Tensor(image(2, 1, 5, 5).data.astype(np.float64)))


class Backwards(nn.Sequential):
    def forward(self, input):
        return self[0](self[1](input))


class Scaled(nn.Conv2d):
    def forward(self, input):
        return 2 * super().forward(input)


def twice(conv):
    return nn.Sequential(conv, nn.BatchNorm2d(2), conv, nn.BatchNorm2d(2))


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.BatchNorm2d(2)),
        nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)),
        nn.Sequential(nn.ConvTranspose2d(2, 2, 1), nn.BatchNorm2d(2)),
        nn.Sequential(Scaled(2, 2, 1), nn.BatchNorm2d(2)),
        nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)),
        Backwards(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)),
        twice(nn.Conv2d(2, 2, 1)),
    ],
)
def test_what_cannot_be_folded_stays(model):
    lived_in(model)
    folded = fold_batch_norm(model)
    assert len(norms(folded)) == len(norms(model))
    assert_same_results(model, folded, image(2, 2, 3, 3))


def test_a_norm_and_a_weight_may_be_shared():
    norm, convs = nn.BatchNorm2d(2), [nn.Conv2d(2, 2, 1) for _ in range(2)]
    convs[1].weight = convs[0].weight
    model = lived_in(nn.Sequential(convs[0], norm, nn.ReLU(), convs[1], norm))
    folded = fold_batch_norm(model)
    assert not norms(folded)
    assert_same_results(model, folded, image(2, 2, 3, 3))


class Own(nn.Module):
    norm_after = {"first": "second"}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.second = nn.BatchNorm2d(2)
        self.first = nn.Conv2d(2, 2, 1)
        self.third = nn.BatchNorm2d(2)

    def forward(self, input):
        return self.third(self.second(self.first(input)).relu())


def test_a_module_may_name_its_pairs():
    model = lived_in(Own())
    folded = fold_batch_norm(model)
    assert isinstance(folded.second, nn.Identity)
    assert isinstance(folded.third, nn.BatchNorm2d)
    assert_same_results(model, folded, image(2, 2, 3, 3))


def test_masks_stay_with_the_weights():
    model = lived_in(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)))
    model[0].weight.mask = np.random.default_rng(0).random((3, 2, 3, 3)) < 0.5
    folded = fold_batch_norm(model)
    np.testing.assert_array_equal(folded[0].weight.mask.data, model[0].weight.mask.data)
    np.testing.assert_array_equal(folded[0].weight.data != 0, model[0].weight.mask.data)
