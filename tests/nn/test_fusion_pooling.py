"""Max pooling shares a kernel with what stands before it, and changes nothing but the time."""

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.modes import observe
from tinydl.nn.hooks import Bystander
from tinydl.tensor import Tensor


def small_networks():
    return {
        "relu": [nn.Conv2d(2, 5, 3), nn.ReLU(), nn.MaxPool2d(2)],
        "no relu": [nn.Conv2d(2, 5, 3), nn.MaxPool2d((2, 2), 2)],
        "no bias, padding": [nn.Conv2d(2, 5, (3, 2), padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2)],
        "stride, dilation": [nn.Conv2d(2, 4, 2, (1, 2), dilation=2, groups=2), nn.ReLU(), nn.MaxPool2d(2)],
    }


@pytest.mark.parametrize("name", small_networks())
def test_a_convolution_and_the_max_pooling_behind_it_are_one_op(name, calls):
    rng = np.random.default_rng(1)
    modules = small_networks()[name]
    x = rng.normal(size=(3, 2, 13, 12)).astype(np.float32)
    found = []
    for together in (True, False):
        leaf = y = Tensor(x.copy(), requires_grad=True)
        if together:
            y = nn.Sequential(*modules)(leaf)
        else:
            for module in modules:
                y = module(y)
        for module in modules:
            module.zero_grad()
        y.backward(np.cos(np.arange(y.data.size, dtype=np.float32)).reshape(y.shape))
        found.append([y.data, leaf.grad.data, *(p.grad.data for p in modules[0].parameters())])
    assert calls == ["conv_max_pool"]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    with tinydl.no_grad():
        np.testing.assert_allclose(nn.Sequential(*modules)(Tensor(x)).data, found[0][0], rtol=1e-5, atol=1e-5)
    assert calls == ["conv_max_pool"] * 2


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(3),
        nn.MaxPool2d(2, 1),
        nn.MaxPool2d(2, 2, 1),
        nn.MaxPool2d(2, 2, 0, 2),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.MaxPool2d(2, return_indices=True),
        nn.AvgPool2d(2),
    ],
    ids=str,
)
@pytest.mark.parametrize("recording", [True, False])
def test_other_poolings_stay_by_themselves(pool, recording, calls):
    with tinydl.modes.set_grad_enabled(recording):
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), pool)(Tensor(np.ones((1, 2, 9, 9), np.float32)))
    assert "conv_max_pool" not in calls


@pytest.mark.parametrize("watched_one", range(3))
@pytest.mark.parametrize("recording", [True, False])
def test_a_hook_on_any_of_the_three_sees_its_own_values(watched_one, recording, calls):
    modules = [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2)]
    seen = []
    modules[watched_one].register_forward_hook(lambda m, args, y: seen.append(y.shape))
    with tinydl.modes.set_grad_enabled(recording):
        nn.Sequential(*modules)(Tensor(np.ones((1, 2, 8, 8), np.float32)))
    assert seen == [[(1, 3, 6, 6), (1, 3, 6, 6), (1, 3, 3, 3)][watched_one]]
    assert "conv_max_pool" not in calls


@pytest.mark.parametrize("recording", [True, False])
def test_errors_are_those_of_the_layers(recording):
    model = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.MaxPool2d(2))
    with tinydl.modes.set_grad_enabled(recording):
        with pytest.raises(ValueError, match="axis C"):
            model(Tensor(np.zeros((1, 3, 7, 5), np.float32)))
        with pytest.raises(ValueError, match="does not fit"):
            model(Tensor(np.zeros((1, 4, 2, 5), np.float32)))
        with pytest.raises(ValueError, match="max_pool2d"):
            model(Tensor(np.zeros((1, 4, 3, 5), np.float32)))
        with pytest.raises(TypeError):
            model(Tensor(np.zeros((1, 4, 7, 5), np.int64)))
        assert model(Tensor(np.zeros((4, 7, 6), np.float32))).shape == (6, 2, 2), "one image"
        assert model(np.zeros((2, 4, 7, 6), np.float32)).shape == (2, 6, 2, 2), "arrays"


def test_frozen_weights_and_frozen_inputs():
    x = np.random.default_rng(0).normal(size=(2, 2, 8, 8)).astype(np.float32)
    gradients = {}
    for needs in ("x", "weight", "bias", "x weight", "weight bias", "x weight bias"):
        model = nn.Sequential(nn.Conv2d(2, 3, 3, generator=np.random.default_rng(1)), nn.ReLU(), nn.MaxPool2d(2))
        for name, p in model[0].named_parameters():
            p.requires_grad_(name in needs)
        leaf = Tensor(x, requires_grad="x" in needs.split())
        (model(leaf) ** 2).sum().backward()
        leaves = {"x": leaf, "weight": model[0].weight, "bias": model[0].bias}
        for name in needs.split():
            g = leaves[name].grad.data
            np.testing.assert_allclose(g, gradients.setdefault(name, g), rtol=1e-5, atol=1e-6)
        assert all(leaves[name].grad is None for name in leaves if name not in needs.split())


@pytest.mark.parametrize("clamp", [nn.ReLU, nn.ReLU6])
@pytest.mark.parametrize("pool", [(2,), (3, 2, 1), (2, 1), (3, 2, 0, 1, False, True), (2, 2, 0, 2)])
def test_a_clamp_and_a_max_pooling_that_change_places_change_no_bit(clamp, pool):
    rng = np.random.default_rng(5)
    numbers = [-2.0, -1.0, -0.0, 0.0, 1.0, 5.0, 6.0, 7.0, np.nan, np.inf, -np.inf]
    x = rng.choice(np.array(numbers, np.float32), (2, 3, 9, 8))
    found = []
    for together in (True, False):
        leaf, first, second = Tensor(x.copy(), requires_grad=True), clamp(), nn.MaxPool2d(*pool)
        y = nn.Sequential(first, second)(leaf) if together else second(first(leaf))
        y.backward(np.arange(1, y.data.size + 1, dtype=np.float32).reshape(y.shape))
        found.append([y.data, leaf.grad.data])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one.view(np.uint32), other.view(np.uint32))


def kinds_of_ops(modules):
    seen = []
    with observe(lambda op, *others: seen.append(op.name)):
        nn.Sequential(*modules)(Tensor(np.ones((1, 2, 4, 4), np.float32)))
    return seen


def test_a_clamp_runs_behind_the_max_pooling_unless_somebody_watches():
    assert kinds_of_ops([nn.ReLU(), nn.MaxPool2d(2)]) == ["max_pool_relu"]
    assert kinds_of_ops([nn.ReLU6(), nn.MaxPool2d(2)]) == ["max_pool", "relu6"]
    assert kinds_of_ops([nn.ReLU(), nn.AvgPool2d(2)]) == ["relu", "avg_pool"]
    for watched_one in range(2):
        modules = nn.ReLU(), nn.MaxPool2d(2)
        modules[watched_one].register_forward_hook(lambda *a: None)
        assert kinds_of_ops(modules) == ["relu", "max_pool"]
    modules = nn.ReLU(), nn.MaxPool2d(2)
    for module in modules:
        module.register_forward_hook(Bystander(lambda *a: None))
    assert kinds_of_ops(modules) == ["max_pool", "relu"]
    y, indices = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2, return_indices=True))(Tensor(-np.ones((1, 1, 2, 2))))
    assert y.tolist() == [[[[0.0]]]]
    assert indices.tolist() == [[[[0]]]]
