import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.prune import Constant, Filter, Movement, PolynomialDecay, Pruner, Pruning, masks, sparsify
from tinydl.optim import SGD
from tinydl.tensor import Tensor
from tinydl.train import fit


def layer(weights):
    dense = nn.Linear(len(weights), 1, bias=False)
    dense.weight.data = np.array([weights], np.float32)
    return dense


def learn(pruner, gradient, lr=0.0):
    """One step of a loss with this gradient."""
    (target,) = pruner.targets
    target.parameter.grad = Tensor(np.array([gradient], np.float32))
    pruner.criterion.observe(pruner.targets)
    SGD([target.parameter], lr).step()


def test_what_moves_towards_zero_goes_first():
    dense = layer([1.0, -1.0, 0.1, -0.1])
    pruner = Pruner(dense, Movement())
    learn(pruner, [1.0, -1.0, -1.0, 1.0])  # descent shrinks the first two and grows the others
    np.testing.assert_allclose(pruner.criterion.movement["weight"], [[-1, -1, 0.1, 0.1]], rtol=1e-6)
    pruner.prune(0.5)
    assert masks(dense)["weight"].tolist() == [[False, False, True, True]]


def test_pruned_weights_come_back_as_they_were():
    dense = layer([1.0, -1.0, 2.0])
    pruner = Pruner(dense, Movement())
    learn(pruner, [1.0, 0.0, 0.0])
    pruner.prune(1 / 3)
    assert dense.weight.tolist() == [[0, -1, 2]]
    learn(pruner, [-5.0, -0.5, 0.0], lr=0.5)  # seen through the mask: the first would grow, the second shrinks
    assert dense.weight.tolist() == [[0, -0.75, 2]]
    np.testing.assert_allclose(pruner.criterion.movement["weight"], [[4, -0.5, 0]])
    pruner.prune(1 / 3)
    assert dense.weight.tolist() == [[1, 0, 2]]
    pruner.prune(2 / 3)
    assert dense.weight.tolist() == [[1, 0, 0]]
    learn(pruner, [0.0, -3.0, 3.0])  # 0.75 of the second and 2 of the third are held
    np.testing.assert_allclose(pruner.criterion.movement["weight"], [[4, -2.75, -6]])


def test_units_are_sums():
    dense = nn.Linear(2, 2, bias=False)
    dense.weight.data = np.ones((2, 2), np.float32)
    pruner = Pruner(dense, Movement(), Filter())
    dense.weight.grad = Tensor([[3.0, -1.0], [0.5, 0.5]])
    pruner.criterion.observe(pruner.targets)
    np.testing.assert_allclose(pruner.criterion.scores(dense, pruner.targets, pruner.units), [[-2, -1]])


def test_in_fit_it_keeps_what_matters(backend):
    draw = np.random.default_rng(0)
    x = draw.standard_normal((200, 8)).astype(np.float32)
    y = (x[:, :4] @ np.array([1, -1, 1, -1]) > 0).astype(np.int64)
    data = [(Tensor(x[i : i + 20]), Tensor(y[i : i + 20])) for i in range(0, 200, 20)]
    model = nn.Linear(8, 2, generator=draw)
    pruner = Pruner(model, Movement())
    optimizer = SGD(model.parameters(), 0.5)
    fit(model, data, epochs=10, optimizer=optimizer, callbacks=[Pruning(pruner, PolynomialDecay(0, 0.5, 10, 60))])
    assert pruner.sparsity == 0.5
    assert masks(model)["weight"][:, :4].all()


def test_its_state_goes_on():
    dense, other = layer([1.0, -1.0, 2.0]), layer([0.0, 0.0, 0.0])
    first, second = Pruner(dense, Movement()), Pruner(other, Movement())
    learn(first, [1.0, 0.0, 0.0])
    first.prune(1 / 3)
    other.load_state_dict(dense.state_dict())
    second.criterion.load_state_dict(first.criterion.state_dict())
    for pruner in (first, second):
        learn(pruner, [-5.0, -0.5, 0.0])
        pruner.prune(1 / 3)
    assert other.weight.tolist() == dense.weight.tolist() == [[1, 0, 2]]
    with pytest.raises(ValueError, match="must hold 'movement' and 'held'"):
        first.criterion.load_state_dict({"movement": {}})


def test_nothing_observed_is_refused():
    with pytest.raises(ValueError, match="Movement has seen no gradient of weight"):
        sparsify(layer([1.0]), 0.0, Movement())
    data = [(Tensor([[1.0]]), Tensor([0]))]
    with pytest.raises(ValueError, match="begins after the first step"):
        fit(layer([1.0]), data, epochs=1, callbacks=[Pruning(Pruner(layer([1.0]), Movement()), Constant(0.5))])
