import copy

import numpy as np
import pytest

import tinydl
from tinydl import checkpoint, kernels, nn, no_grad, optim, zoo
from tinydl.compress.sharing import share_weights, unshare
from tinydl.compress.sharing.shared import cluster, decoded
from tinydl.data import DataLoader, TensorDataset
from tinydl.gradcheck import gradcheck, gradgradcheck
from tinydl.random import manual_seed
from tinydl.tensor import Tensor


def pruned(seed=0):
    """Return a small network of which a third of the weights are 0."""
    manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
    for p in model.parameters():
        p.data = p.data * (np.random.default_rng(seed).random(p.shape) > 1 / 3)
    return model


def batch(n=16):
    r = np.random.default_rng(0)
    return Tensor(r.standard_normal((n, 1, 6, 6)).astype(np.float32)), Tensor(r.integers(0, 3, n))


def test_every_layer_of_a_network_is_shared_and_computes_with_its_codebook():
    model = pruned()
    shared = share_weights(model, bits=3)
    for before, after in zip(model.modules(), shared.modules()):
        if hasattr(before, "weight"):
            assert isinstance(after, type(before))
            assert len(np.unique(after.weight.data)) == 9  # eight and the zero
            assert ((after.weight.data == 0) == (before.weight.data == 0)).all()
            assert np.abs(after.weight.data - before.weight.data).max() < np.abs(before.weight.data).max() / 4
            assert (after.bias.data == before.bias.data).all()
    x, _ = batch()
    np.testing.assert_allclose(shared(x).data, unshare(shared)(x).data, rtol=1e-5, atol=1e-6)
    with no_grad():
        np.testing.assert_allclose(shared(x).data, unshare(shared)(x).data, rtol=1e-5, atol=1e-6)


def test_the_model_itself_stays_as_it_was():
    model = pruned()
    before = {name: p.data.copy() for name, p in model.state_dict().items()}
    share_weights(model, bits=1)
    assert type(model[0]) is nn.Conv2d
    assert all((model.state_dict()[name].data == array).all() for name, array in before.items())


def test_enough_bits_lose_nothing():
    model = nn.Linear(4, 4)
    model.weight.data = np.round(model.weight.data * 8) / 8
    assert (share_weights(model, bits=4).weight.data == model.weight.data).all()
    assert (unshare(share_weights(model, bits=4)).weight.data == model.weight.data).all()


def test_the_gradient_of_a_centroid_is_the_sum_of_its_weights_gradients():
    shared = share_weights(pruned(), bits=2)
    plain = unshare(shared)
    x, target = batch()
    for model in (shared, plain):
        nn.functional.cross_entropy(model(x), target).backward()
    for a, b in zip(shared, plain):
        if hasattr(b, "weight"):
            index = a.weight_index.data
            sums = [b.weight.grad.data[index == code + 1].sum() for code in range(len(a.weight_codebook.data))]
            np.testing.assert_allclose(a.weight_codebook.grad.data, sums, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_looking_up_is_differentiable(check):
    index = Tensor(np.array([[0, 2, 1], [1, 3, 0]], np.uint8))
    codebook = Tensor(np.array([0.5, -1.0, 2.0]), requires_grad=True)
    assert check(lambda c: decoded(c, index) ** 3, (codebook,))


@pytest.mark.parametrize("backend", ["reference", "compiled"])
@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, 0.05, momentum=0.9, weight_decay=1e-3),
        lambda p: optim.Adam(p, 0.01),
        lambda p: optim.AdamW(p, 0.01, weight_decay=0.1),
        lambda p: optim.RMSprop(p, 0.01),
    ],
)
def test_every_optimizer_trains_the_codebooks_and_zeros_stay(make, backend):
    with kernels.use(backend):
        shared = share_weights(pruned(), bits=2)
        zeros = [layer.weight.data == 0 for layer in shared if hasattr(layer, "weight")]
        before = shared[0].weight_codebook.data.copy()
        x, target = batch(48)
        loader = DataLoader(TensorDataset(x.data, target.data), 16)
        history = tinydl.fit(shared, loader, epochs=15, optimizer=make(shared.parameters()))
        assert history[-1]["train_loss"] < history[0]["train_loss"]
        assert (shared[0].weight_codebook.data != before).all()
        for layer, zero in zip([layer for layer in shared if hasattr(layer, "weight")], zeros):
            assert (layer.weight.data[zero] == 0).all()
            assert len(np.unique(layer.weight.data)) <= 5


def test_state_dict_round_trip(tmp_path):
    shared = share_weights(pruned(), bits=3)
    other = share_weights(pruned(seed=1), bits=3)
    checkpoint.save(shared.state_dict(), tmp_path / "s")
    other.load_state_dict(checkpoint.load(tmp_path / "s"))
    x, _ = batch()
    assert (other(x).data == shared(x).data).all()


def test_copies_are_shared_and_independent():
    shared = share_weights(pruned(), bits=3)
    twin = copy.deepcopy(shared)
    twin[0].weight_codebook.data = twin[0].weight_codebook.data * 2
    assert (twin[0].weight.data == 2 * shared[0].weight.data).all()
    assert type(twin[0]) is type(shared[0])


def test_bits_by_name_share_just_those_and_biases_too():
    shared = share_weights(pruned(), {"3.weight": 2, "3.bias": 1, "5.bias": 1})
    names = [name for name, _ in shared.named_parameters()]
    assert names == "0.weight 0.bias 3.weight_codebook 3.bias_codebook 5.weight 5.bias_codebook".split()
    assert len(np.unique(shared[3].bias.data)) <= 3
    again = share_weights(shared, {"0.weight": 1, "5.weight": 1})
    assert [name for name, _ in again[5].named_parameters()] == ["weight_codebook", "bias_codebook"]
    assert list(unshare(again).state_dict()) == list(pruned().state_dict())


def test_eight_bits_have_257_codes():
    layer = nn.Linear(64, 32)
    layer.weight.data = layer.weight.data * (np.arange(64) > 0)
    shared = share_weights(layer, bits=8)
    assert shared.weight_index.dtype == np.uint16
    assert len(np.unique(shared.weight.data)) == 257


def test_a_layer_of_zeros_stays_one():
    layer = nn.Linear(3, 2)
    layer.weight.data = np.zeros((2, 3), np.float32)
    shared = share_weights(layer)
    assert shared.weight_codebook.shape == (0,)
    optimizer = optim.Adam(shared.parameters())
    shared(Tensor(np.ones((1, 3), np.float32))).sum().backward()
    optimizer.step()
    assert (shared.weight.data == 0).all()


def test_modules_used_twice_stay_one_module():
    layer = nn.Linear(3, 3)
    shared = share_weights(nn.Sequential(layer, layer))
    assert shared[0] is shared[1]
    assert (unshare(shared)[0].weight.data == shared[0].weight.data).all()


def test_any_layer_with_parameters_can_be_shared():
    model = zoo.mobilenet_v2(num_classes=10, in_channels=1, width=0.25, small=True)
    shared = share_weights(model, bits=5, start="linear").eval()
    x = Tensor(np.random.default_rng(0).standard_normal((2, 1, 28, 28)).astype(np.float32))
    np.testing.assert_allclose(shared(x).data, unshare(shared)(x).data, rtol=1e-3, atol=1e-5)


def test_frozen_weights_have_frozen_codebooks():
    layer = nn.Linear(3, 2).requires_grad_(False)
    shared = share_weights(layer)
    assert not shared.weight_codebook.requires_grad
    assert not unshare(shared).weight.requires_grad
    assert unshare(share_weights(nn.Linear(3, 2))).weight.requires_grad


@pytest.mark.parametrize("start", ["exact", "linear", "density", "random"])
def test_cluster_finds_the_nearest(start):
    weights = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    weights[0, :3] = 0
    codebook, index = cluster(weights, 2, start, np.random.default_rng(0))
    assert codebook.dtype == np.float32
    assert index.dtype == np.uint8
    assert ((index == 0) == (weights == 0)).all()
    nearest = 1 + np.abs(weights[..., None] - codebook).argmin(axis=-1)
    assert (index[weights != 0] == nearest[weights != 0]).all()


@pytest.mark.parametrize(
    "bits, error, words",
    [
        (0, ValueError, "bits of 0.weight must be at least 1, got 0"),
        (9, ValueError, "bits of 0.weight must be 1 … 8, got 9"),
        (2.5, TypeError, "bits of 0.weight must be an integer"),
        ({"1.weight": 3}, ValueError, r"has no parameters \['1.weight'\]; it has"),
    ],
)
def test_refuses(bits, error, words):
    model = pruned()
    with pytest.raises(error, match=words):
        share_weights(model, bits)


def test_refuses_another_start_and_tied_parameters():
    with pytest.raises(ValueError, match="start must be one of 'exact', 'linear'"):
        share_weights(nn.Linear(2, 2), start="best")
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    with pytest.raises(ValueError, match=r"0.weight is a parameter of several layers"):
        share_weights(model)
