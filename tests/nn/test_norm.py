import numpy as np
import pytest

from tinydl import nn
from tinydl.tensor import Tensor

rng = np.random.default_rng(0)


def normalised(x, axes, eps):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def learned(layer, *shape):
    """Give the layer a scale and a shift that matter."""
    layer.double()
    layer.weight.data[...] = rng.uniform(0.5, 2, layer.weight.shape)
    layer.bias.data[...] = rng.standard_normal(layer.bias.shape)
    return layer, layer.weight.data.reshape(shape), layer.bias.data.reshape(shape)


@pytest.mark.parametrize(
    "kind, shape", [(nn.BatchNorm1d, (6, 3)), (nn.BatchNorm1d, (4, 3, 5)), (nn.BatchNorm2d, (2, 3, 4, 5))]
)
def test_batch_norm_in_both_modes(kind, shape):
    layer, w, b = learned(kind(3, eps=1e-3, momentum=0.3), 1, 3, *(1,) * (len(shape) - 2))
    axes = tuple(i for i in range(len(shape)) if i != 1)
    mean, var = np.zeros(3), np.ones(3)
    for _ in range(3):
        x = rng.standard_normal(shape) * 3 + 1
        np.testing.assert_allclose(layer(x).data, normalised(x, axes, 1e-3) * w + b, atol=1e-10)
        mean = 0.7 * mean + 0.3 * x.mean(axes)
        var = 0.7 * var + 0.3 * x.var(axes, ddof=1)
    np.testing.assert_allclose(layer.running_mean.data, mean, atol=1e-12)
    np.testing.assert_allclose(layer.running_var.data, var, atol=1e-12)
    assert layer.num_batches_tracked.item() == 3
    form = (1, 3) + (1,) * (len(shape) - 2)
    expected = (x - mean.reshape(form)) / np.sqrt(var.reshape(form) + 1e-3) * w + b
    np.testing.assert_allclose(layer.eval()(x).data, expected, atol=1e-10)
    assert layer.num_batches_tracked.item() == 3


def test_without_momentum_the_statistics_are_plain_means():
    layer = nn.BatchNorm1d(2, momentum=None).double()
    batches = [rng.standard_normal((5, 2)) for _ in range(4)]
    for x in batches:
        layer(x)
    np.testing.assert_allclose(layer.running_mean.data, np.mean([x.mean(0) for x in batches], 0))
    np.testing.assert_allclose(layer.running_var.data, np.mean([x.var(0, ddof=1) for x in batches], 0))
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0, 0]
    assert layer.running_var.tolist() == [1, 1]
    assert layer.num_batches_tracked.item() == 0


def test_without_running_statistics_the_batchs_own_are_used():
    layer = nn.BatchNorm1d(2, track_running_stats=False).double().eval()
    x = rng.standard_normal((5, 2))
    np.testing.assert_allclose(layer(x).data, normalised(x, (0,), 1e-5), atol=1e-10)
    assert list(layer.state_dict()) == ["weight", "bias"]
    layer.reset_running_stats()


def test_names_shapes_and_start():
    layer = nn.BatchNorm2d(3)
    state = layer.state_dict()
    assert list(state) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert [t.tolist() for t in state.values()] == [[1] * 3, [0] * 3, [0] * 3, [1] * 3, 0]
    assert [t.dtype.name for t in state.values()] == ["float32"] * 4 + ["int64"]
    assert list(nn.BatchNorm2d(3, affine=False).state_dict()) == list(state)[2:]
    assert "bias" not in nn.BatchNorm2d(3, bias=False).state_dict()
    layer.weight.data[...] = 5
    layer.reset_parameters()
    assert layer.weight.tolist() == [1] * 3
    assert list(nn.LayerNorm((4, 5)).state_dict()) == ["weight", "bias"]
    assert nn.LayerNorm((4, 5)).weight.shape == (4, 5)
    assert list(nn.LayerNorm(4, bias=False).state_dict()) == ["weight"]
    assert not nn.LayerNorm(4, elementwise_affine=False).state_dict()
    assert not nn.GroupNorm(2, 4, affine=False).state_dict()
    assert list(nn.GroupNorm(2, 4, bias=False).state_dict()) == ["weight"]


def test_a_refused_batch_changes_nothing():
    layer = nn.BatchNorm2d(3)
    for x in (np.ones((1, 3, 1, 1), np.float32), np.ones((2, 4, 2, 2), np.float32), np.ones((2, 3), np.float32)):
        with pytest.raises(ValueError, match=r"batch_norm|BatchNorm2d"):
            layer(x)
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_mean.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="BatchNorm1d: input needs 2 or 3 axes"):
        nn.BatchNorm1d(3)(np.ones((1, 3, 1, 1)))


def test_layer_norm():
    x = rng.standard_normal((2, 3, 4, 5))
    layer, w, b = learned(nn.LayerNorm((4, 5), eps=1e-3), 4, 5)
    np.testing.assert_allclose(layer(x).data, normalised(x, (2, 3), 1e-3) * w + b, atol=1e-10)
    with pytest.raises(ValueError, match="normalized_shape"):
        layer(x[..., :4])


def test_group_norm():
    x = rng.standard_normal((2, 6, 4, 5))
    layer, w, b = learned(nn.GroupNorm(3, 6, eps=1e-3), 1, 6, 1, 1)
    expected = normalised(x.reshape(2, 3, 2, 4, 5), (2, 3, 4), 1e-3).reshape(x.shape) * w + b
    np.testing.assert_allclose(layer(x).data, expected, atol=1e-10)
    with pytest.raises(ValueError, match="GroupNorm: axis C must be 6"):
        nn.GroupNorm(3, 6, affine=False)(x[:, :3])


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(4), nn.LayerNorm(5), nn.GroupNorm(2, 4)], ids=repr)
def test_gradients_flow_and_float32_stays(layer):
    for mode in (True, False):
        layer.train(mode).zero_grad()
        x = Tensor(rng.standard_normal((2, 4, 3, 5)).astype(np.float32), requires_grad=True)
        y = layer(x)
        (y * y * y).sum().backward()
        for t in (x, layer.weight, layer.bias):
            assert t.grad.dtype == y.dtype == np.float32
            assert t.grad.data.any()
    assert {b.dtype.name for b in layer.buffers()} <= {"float32", "int64"}


@pytest.mark.parametrize("value", [float("nan"), -1e-5, float("inf")])
def test_bad_eps_is_named(value):
    for make in (lambda: nn.BatchNorm1d(2, value), lambda: nn.LayerNorm(2, value), lambda: nn.GroupNorm(1, 2, value)):
        with pytest.raises(ValueError, match="eps"):
            make()


@pytest.mark.parametrize(
    "make, error, name",
    [
        (lambda: nn.BatchNorm2d(0), ValueError, "num_features"),
        (lambda: nn.BatchNorm2d(2, momentum=float("nan")), ValueError, "momentum"),
        (lambda: nn.BatchNorm2d(2, momentum=1.5), ValueError, "momentum"),
        (lambda: nn.LayerNorm(()), ValueError, "normalized_shape"),
        (lambda: nn.LayerNorm((3, 0)), ValueError, "normalized_shape"),
        (lambda: nn.LayerNorm(2.0), TypeError, "normalized_shape"),
        (lambda: nn.GroupNorm(3, 4), ValueError, "num_groups must divide num_channels"),
        (lambda: nn.GroupNorm(0, 4), ValueError, "num_groups"),
        (lambda: nn.GroupNorm(1, 0), ValueError, "num_channels"),
    ],
)
def test_bad_settings_are_named(make, error, name):
    with pytest.raises(error, match=name):
        make()
