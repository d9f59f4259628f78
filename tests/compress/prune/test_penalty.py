import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.prune import L1Penalty, ProximalL1
from tinydl.nn import Module
from tinydl.optim import SGD
from tinydl.tensor import Tensor
from tinydl.train import fit


def test_it_is_the_sum_of_magnitudes_and_its_gradient_the_sign(network):
    weights = [p for p in network.parameters() if p.ndim > 1]
    value = L1Penalty(0.25)(network)
    assert value.item() == pytest.approx(0.25 * sum(np.abs(p.data).sum() for p in weights), rel=1e-6)
    value.backward()
    for p in network.parameters():
        if p.ndim > 1:
            np.testing.assert_allclose(p.grad.data, 0.25 * np.sign(p.data))
        else:
            assert p.grad is None


def test_only_what_is_meant(network):
    one = L1Penalty(1.0, layers="6")(network).item()
    assert one == pytest.approx(np.abs(network[6].weight.data).sum(), rel=1e-6)
    table = nn.Embedding(3, 2)
    assert L1Penalty(1.0, types=(Module,))(table).item() == pytest.approx(np.abs(table.weight.data).sum())


def data():
    """Targets that depend on the first of six inputs."""
    x = np.random.default_rng(0).standard_normal((60, 6)).astype(np.float32)
    return [(Tensor(x), Tensor(2 * x[:, :1]))]


def train(callbacks=(), penalty=None, lr=0.1):
    model = nn.Linear(6, 1, generator=np.random.default_rng(1))
    fit(
        model,
        data(),
        epochs=200,
        optimizer=SGD(model.parameters(), lr),
        loss=lambda y, target: ((y - target) ** 2).mean(),
        penalty=penalty,
        callbacks=callbacks,
    )
    return model.weight.data[0]


def test_the_penalty_makes_small_and_the_proximal_step_makes_zero():
    plain, pulled, proximal = train(), train(penalty=L1Penalty(0.3)), train([ProximalL1(0.3)])
    assert abs(plain[0] - 2) < 1e-3
    assert 0 < np.abs(pulled[1:]).max() < 0.05
    assert not proximal[1:].any(), "exactly zero"
    assert abs(pulled[0] - proximal[0]) < 0.05
    assert 1.7 < proximal[0] < 1.95


def test_the_proximal_step_is_the_soft_threshold():
    model = nn.Linear(4, 1, bias=False)
    model.weight.data = np.array([[0.5, -0.5, 0.1, -0.1]], np.float32)
    flat = [(Tensor(np.zeros((2, 4), np.float32)), Tensor([0, 0]))]
    fit(model, flat, epochs=1, optimizer=SGD(model.parameters(), 0.5), callbacks=[ProximalL1(0.4)])
    np.testing.assert_allclose(model.weight.data, [[0.3, -0.3, 0, 0]], rtol=1e-6)


def test_it_waits_for_the_optimizers_step():
    model = nn.Linear(1, 2, bias=False)
    model.weight.data = np.ones((2, 1), np.float32)
    flat = [(Tensor([[0.0]]), Tensor([0]))] * 4
    fit(model, flat, epochs=1, accumulate=2, optimizer=SGD(model.parameters(), 1.0), callbacks=[ProximalL1(0.25)])
    assert model.weight.tolist() == [[0.5], [0.5]]


@pytest.mark.parametrize("kind", [L1Penalty, ProximalL1])
def test_bad_factors_and_names_are_refused(kind, network):
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="factor must be in"):
            kind(wrong)
    with pytest.raises(ValueError, match="'conv' fits none"):
        L1Penalty(0.1, layers="conv")(network)
