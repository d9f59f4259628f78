"""Sequential with fused kernels gives what its modules give one by one, and fuses only where it may."""

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.modes import observe
from tinydl.nn import fusion
from tinydl.tensor import Tensor


def settled(norm, rng):
    """Return a batch norm in evaluation mode, as if trained."""
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        tensor.data = rng.normal(size=tensor.shape).astype(np.float32)
    norm.running_var.data = rng.uniform(0.5, 2, norm.num_features).astype(np.float32)
    return norm.eval()


def networks(rng):
    conv = nn.Conv2d(4, 6, 3, 2, 1, bias=False)
    return {
        "conv, norm, relu": [conv, settled(nn.BatchNorm2d(6), rng), nn.ReLU()],
        "conv with bias, norm": [nn.Conv2d(4, 6, 3), settled(nn.BatchNorm2d(6), rng)],
        "conv, relu6": [nn.Conv2d(4, 6, (3, 2), padding=1), nn.ReLU6()],
        "depthwise, norm, relu6": [nn.DepthwiseConv2d(4, 3), settled(nn.BatchNorm2d(4), rng), nn.ReLU6()],
        "groups, norm, relu": [nn.Conv2d(4, 6, 1, groups=2), settled(nn.BatchNorm2d(6), rng), nn.ReLU()],
        "conv, norm, silu": [nn.Conv2d(4, 6, 3), settled(nn.BatchNorm2d(6), rng), nn.SiLU()],
        "conv, hardswish": [nn.Conv2d(4, 6, (3, 2)), nn.Hardswish()],
        "linear, silu": [nn.Flatten(), nn.Linear(4 * 7 * 5, 9), nn.SiLU()],
        "linear, relu": [nn.Flatten(), nn.Linear(4 * 7 * 5, 9), nn.ReLU(), nn.Dropout(0.0), nn.Linear(9, 3)],
        "linear layers in a row": [nn.Flatten(), nn.Linear(4 * 7 * 5, 9), nn.ReLU6(), nn.Linear(9, 3), nn.SiLU()],
    }


@pytest.mark.parametrize("name", networks(np.random.default_rng(0)))
def test_equal_to_the_modules_one_by_one(name, calls):
    rng = np.random.default_rng(1)
    modules = networks(rng)[name]
    model = nn.Sequential(*modules)
    x = Tensor(3 * rng.normal(size=(2, 4, 7, 5)).astype(np.float32))
    wanted = x
    for module in modules:
        wanted = module(wanted)
    assert not calls
    recorded = model(x)
    assert not calls
    np.testing.assert_array_equal(recorded.data, wanted.data)
    with tinydl.no_grad():
        y = model(x)
    assert len(calls) == 1
    assert not y.requires_grad
    np.testing.assert_allclose(y.data, wanted.data, rtol=1e-4, atol=1e-5)


def test_a_chain_of_linear_layers_ends_where_one_does_not_fit(calls):
    x = Tensor(np.ones((2, 6), np.float32))
    modules = [nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.Hardswish(), nn.Linear(4, 3), nn.Linear(3, 2)]
    with tinydl.no_grad():
        nn.Sequential(*modules)(x)
        assert calls == ["linear_chain", "linear_chain"]
        calls.clear()
        modules[-1].register_forward_hook(lambda *a: None)
        nn.Sequential(*modules)(x)
        assert calls == ["linear_chain"]
        calls.clear()
        with observe(lambda *a: None):
            nn.Sequential(*modules)(x)
        assert calls == ["linear_clamped", "linear_clamped"]
        with pytest.raises(ValueError, match="linear"):
            nn.Sequential(nn.Linear(6, 5), nn.Linear(4, 3))(x)
        with pytest.raises(TypeError):
            nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3))(Tensor(np.ones((2, 6), np.int64)))
        mixed = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3).double())(x)
        assert mixed.shape == (2, 3)


class Pair(nn.Module):
    def forward(self, x):
        return x, x.data


class Second(nn.Module):
    def forward(self, pair):
        return pair[1]


def test_between_modules_may_be_anything():
    model = nn.Sequential(Pair(), Second(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    x = np.ones((4, 3), np.float32)
    wanted = model(Tensor(x))
    with tinydl.no_grad():
        np.testing.assert_allclose(model(Tensor(x)).data, wanted.data, rtol=1e-6)


def nested(rng):
    conv, norm = nn.Conv2d(4, 6, 1, bias=False), settled(nn.BatchNorm2d(6), rng)
    return nn.Sequential(nn.Identity(), nn.Sequential(nn.DepthwiseConv2d(4, 3), nn.Sequential(conv, norm)), nn.ReLU())


def test_across_the_borders_of_inner_sequentials(calls, monkeypatch):
    """A ReLU behind a Sequential that ends with a norm needs no pass of its own."""
    rng = np.random.default_rng(1)
    model, x = nested(rng), Tensor(3 * rng.normal(size=(2, 4, 7, 5)).astype(np.float32))
    wanted = x
    for module in (model[0], model[1][0], model[1][1][0], model[1][1][1], model[2]):
        wanted = module(wanted)
    np.testing.assert_array_equal(model(x).data, wanted.data)
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: pytest.fail("the ReLU ran alone"))
    with tinydl.no_grad():
        np.testing.assert_allclose(model(x).data, wanted.data, rtol=1e-4, atol=1e-5)
    assert calls == ["conv2d_clamped"]


def test_an_inner_sequential_that_is_watched_is_called():
    rng = np.random.default_rng(1)
    model, seen = nested(rng), []
    model[1].register_forward_hook(lambda module, args, y: seen.append(y.data.min()))
    with tinydl.no_grad():
        model(Tensor(3 * rng.normal(size=(2, 4, 7, 5)).astype(np.float32)))
    assert len(seen) == 1
    assert seen[0] < 0


class Doubling(nn.Sequential):
    def forward(self, input):
        return 2 * super().forward(input)


def test_an_inner_sequential_with_a_forward_of_its_own_is_called():
    model = nn.Sequential(Doubling(nn.Identity()), nn.ReLU())
    with tinydl.no_grad():
        assert model(Tensor([-1.0, 3.0])).tolist() == [0.0, 6.0]


@pytest.mark.parametrize(
    "norm, shape", [(nn.BatchNorm1d, (8, 4)), (nn.BatchNorm1d, (3, 4, 5)), (nn.BatchNorm2d, (2, 4, 3, 5))]
)
def test_batch_norm_and_relu_learn_as_one_by_one(norm, shape):
    rng = np.random.default_rng(4)
    x, g = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    found = []
    for together in (True, False):
        modules = norm(4), nn.ReLU()
        leaf = Tensor(x.copy(), requires_grad=True)
        y = nn.Sequential(*modules)(leaf) if together else modules[1](modules[0](leaf))
        y.backward(g)
        assert (y.data == 0).any()
        gradients = [p.grad.data for p in modules[0].parameters()]
        found.append([y.data, leaf.grad.data, *gradients, *(b.data for b in modules[0].buffers())])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_a_hook_between_batch_norm_and_relu_sees_negative_numbers():
    modules = nn.BatchNorm1d(2), nn.ReLU()
    seen = []
    modules[0].register_forward_hook(lambda m, args, y: seen.append(y.data.min()))
    nn.Sequential(*modules)(Tensor(np.array([[1.0, 2.0], [3.0, -4.0]], np.float32)))
    assert seen[0] < 0


def test_fused_wherever_the_input_comes_from(calls):
    """Some results carry a dtype that is equal to float32, but not the same object."""
    rng = np.random.default_rng(4)
    x = Tensor(np.zeros((2, 4, 7, 5), np.dtype(np.float32).newbyteorder("=")))
    assert x.dtype is not np.dtype(np.float32)
    with tinydl.no_grad():
        nn.Sequential(*networks(rng)["conv, norm, relu"])(x)
    assert calls == ["conv2d_clamped"]


def watched(modules):
    modules[0].register_forward_hook(lambda *a: None)


def training(modules):
    modules[1].train()


def mixed(modules):
    modules[1].double()


def untracked(modules):
    modules[1] = nn.BatchNorm2d(6, track_running_stats=False)


def mirrored(modules):
    modules[0].padding_mode = "reflect"


class Doubled(nn.Conv2d):
    def forward(self, input):
        return super().forward(input) * 2


def of_a_subclass(modules):
    modules[0] = Doubled(4, 6, 3)


@pytest.mark.parametrize("change", [watched, training, mixed, untracked, mirrored, of_a_subclass])
def test_called_one_by_one_where_fusing_would_change_something(change, calls):
    rng = np.random.default_rng(2)
    modules = networks(rng)["conv, norm, relu"]
    change(modules)
    x = rng.normal(size=(2, 4, 7, 5)).astype(modules[0].weight.dtype)
    with tinydl.no_grad():
        nn.Sequential(*modules)(Tensor(x))
    assert not calls


def test_a_hook_on_any_of_them_sees_its_own_values():
    rng = np.random.default_rng(3)
    modules = networks(rng)["conv, norm, relu"]
    seen = []
    for module in modules:
        module.register_forward_hook(lambda m, args, y: seen.append(type(m).__name__))
    with tinydl.no_grad():
        nn.Sequential(*modules)(Tensor(np.zeros((1, 4, 7, 5), np.float32)))
    assert seen == ["Conv2d", "BatchNorm2d", "ReLU"]


def test_errors_are_the_usual_ones():
    conv = nn.Conv2d(4, 6, 3)
    with tinydl.no_grad():
        for model in (nn.Sequential(conv, nn.ReLU()), conv):
            with pytest.raises(ValueError, match="axis C"):
                model(Tensor(np.zeros((1, 3, 7, 5), np.float32)))
            with pytest.raises(TypeError):
                model(Tensor(np.zeros((1, 4, 7, 5), np.int64)))


def test_anomaly_mode_sees_into_fused_kernels():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())
    model[0].weight.data = np.full((1, 1, 1, 1), np.inf, np.float32)
    with tinydl.no_grad(), tinydl.detect_anomaly(), pytest.raises(FloatingPointError, match="conv2d_clamped made"):
        model(Tensor(np.zeros((1, 1, 2, 2), np.float32)))


def test_nan_propagates_through_the_clamp():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU6())
    x = np.zeros((1, 1, 2, 2), np.float32)
    x[0, 0, 0, 0] = np.nan
    with tinydl.no_grad():
        y = model(Tensor(x)).data
    assert np.isnan(y[0, :, 0, 0]).all()
    assert np.isfinite(y[0, :, 1]).all()


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6, nn.SiLU])
def test_after_a_sum(activation, monkeypatch):
    rng, seen = np.random.default_rng(0), []
    kernel = fusion.add_clamped
    monkeypatch.setattr(fusion, "add_clamped", lambda *args: seen.append(args) or kernel(*args))
    a, b = (Tensor(4 * rng.normal(size=(2, 3, 4, 5)).astype(np.float32)) for _ in range(2))
    layer = activation()
    wanted = layer(a + b).data
    np.testing.assert_array_equal(nn.after_sum(a, b, layer).data, wanted)
    assert not seen, "calls are recorded: the sum is needed by itself"
    with tinydl.no_grad():
        np.testing.assert_array_equal(nn.after_sum(a, b, layer).data, wanted)
        assert len(seen) == (activation is not nn.SiLU)
        watched = []
        layer.register_forward_hook(lambda *call: watched.append(call))
        nn.after_sum(a, b, layer)
    assert watched, "a hook sees the activation's call"


@pytest.mark.parametrize(("groups", "fused"), [(2, True), (3, False)])
def test_after_joining_channels(groups, fused, monkeypatch):
    rng, seen = np.random.default_rng(0), []
    kernel = fusion.shuffled_pair
    monkeypatch.setattr(fusion, "shuffled_pair", lambda *args: seen.append(args) or kernel(*args))
    a, b = (Tensor(rng.normal(size=(2, 6, 4, 5)).astype(np.float32)) for _ in range(2))
    shuffle = nn.ChannelShuffle(groups)
    wanted = shuffle(tinydl.cat((a, b), 1)).data
    np.testing.assert_array_equal(nn.after_cat(a, b, shuffle).data, wanted)
    assert not seen, "calls are recorded"
    with tinydl.no_grad():
        np.testing.assert_array_equal(nn.after_cat(a, b, shuffle).data, wanted)
        assert bool(seen) == fused
        seen.clear()
        watched = []
        shuffle.register_forward_hook(lambda *call: watched.append(call))
        nn.after_cat(a, b, shuffle)
    assert watched, "a hook sees the shuffle's call"
    assert not seen
