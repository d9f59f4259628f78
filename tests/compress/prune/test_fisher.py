import numpy as np
import pytest

import tinydl
from tinydl import nn, optim
from tinydl.compress.prune import Filter, Fisher, PolynomialDecay, Pruner, Pruning
from tinydl.data import DataLoader, TensorDataset
from tinydl.random import manual_seed
from tinydl.tensor import Tensor


def observed(gradients, decay=0.5):
    """Return a layer, a criterion and its pruner, after steps with these gradients."""
    layer, criterion = nn.Linear(3, 2, bias=False), Fisher(decay)
    pruner = Pruner(layer, criterion)
    for g in gradients:
        layer.weight.grad = Tensor(np.full((2, 3), g, np.float32))
        criterion.observe(pruner.targets)
    return layer, criterion, pruner


def test_the_average_forgets_at_its_decay():
    _, criterion, _ = observed([2.0, 0.0, 3.0])
    np.testing.assert_allclose(criterion.squares["weight"], 0.5**3 * 4 + 0.5 * 9)


def test_scores_are_weight_squared_times_the_mean_square():
    layer, criterion, pruner = observed([2.0])
    layer.weight.data = np.arange(6, dtype=np.float32).reshape(2, 3)
    (score,) = criterion.scores(layer, pruner.targets, pruner.units)
    np.testing.assert_allclose(score, 2.0 * np.arange(6) ** 2)
    rows = [np.arange(6).reshape(2, 3)]
    np.testing.assert_allclose(criterion.scores(layer, pruner.targets, rows)[0], [2 * (1 + 4), 2 * (9 + 16 + 25)])


def test_it_finds_the_loss_that_removing_a_weight_costs():
    """For a quadratic −log likelihood with unit noise, mean g² over single samples is the second derivative."""
    r = np.random.default_rng(0)
    x = r.standard_normal((4000, 3)) * [1.0, 2.0, 0.5]
    layer, criterion = nn.Linear(3, 1, bias=False).double(), Fisher(0.9999)
    layer.weight.data = np.array([[1.0, -0.4, 3.0]])
    target = x @ layer.weight.data.T + r.standard_normal((4000, 1))
    pruner = Pruner(layer, criterion)
    for row, t in zip(x, target):
        layer.weight.grad = None
        (0.5 * (layer(Tensor(row[None])) - Tensor(t[None])) ** 2).sum().backward()
        criterion.observe(pruner.targets)
    (score,) = criterion.scores(layer, pruner.targets, pruner.units)
    costs = []
    for i in range(3):
        weight = layer.weight.data.copy()
        weight[0, i] = 0
        costs.append(0.5 * (np.mean((target - x @ weight.T) ** 2) - np.mean((target - x @ layer.weight.data.T) ** 2)))
    np.testing.assert_allclose(score / 2 / (1 - 0.9999**4000), costs, rtol=0.2)


def test_dead_neurons_go_first_and_training_goes_on():
    manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    model[0].bias.data = np.array([0, 0, 0, 0, 0, -100], np.float32)
    r = np.random.default_rng(0)
    x = r.standard_normal((256, 4)).astype(np.float32)
    loader = DataLoader(TensorDataset(x, (x[:, 0] > 0).astype(np.int64)), 16)
    pruner = Pruner(model, Fisher(), scope="global")
    pruning = Pruning(pruner, PolynomialDecay(0.0, 0.5, begin=4, end=40), frequency=4)
    history = tinydl.fit(model, loader, epochs=6, optimizer=optim.Adam(model.parameters(), 0.01), callbacks=[pruning])
    assert pruner.sparsity == 0.5
    assert (model[0].weight.data[5] == 0).all()
    assert (model[2].weight.data[:, 5] == 0).all()
    assert history[-1]["train_loss"] < history[0]["train_loss"]


def test_units_of_any_granularity():
    layer, criterion = nn.Conv2d(2, 4, 3), Fisher()
    pruner = Pruner(layer, criterion, Filter())
    layer.weight.grad = Tensor(np.ones(layer.weight.shape, np.float32))
    criterion.observe(pruner.targets)
    pruner.prune(0.5)
    assert ((layer.weight.data != 0).any(axis=(1, 2, 3))).sum() == 2


def test_a_snapshot_is_one():
    layer, criterion, pruner = observed([2.0])
    state = criterion.state_dict()
    layer.weight.grad = Tensor(np.ones((2, 3), np.float32))
    criterion.observe(pruner.targets)
    other = Fisher()
    other.load_state_dict(state)
    np.testing.assert_allclose(other.squares["weight"], 2.0)
    criterion.load_state_dict(state)
    np.testing.assert_allclose(criterion.squares["weight"], 2.0)


def test_refuses():
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\), got 1"):
        Fisher(1)
    pruner = Pruner(nn.Linear(3, 2), Fisher())
    with pytest.raises(ValueError, match=r"no gradients of \['weight'\] were observed yet"):
        pruner.prune(0.5)
