import numpy as np
import pytest

from tinydl import nn, ops
from tinydl.compress.prune.derivatives import batch_mean, gradients, hessian_diagonal, losses
from tinydl.nn.functional import cross_entropy
from tinydl.tensor import Tensor


def tiny(seed=0):
    """A network of each kind of layer with curvature, in float64."""
    draw = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 2, generator=draw), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 3, generator=draw)
    ).double()
    x = Tensor(draw.standard_normal((5, 1, 3, 3)))
    return model, x, Tensor(draw.integers(0, 3, 5))


def full_hessian(model, x, y, step=1e-5):
    """Return the whole Hessian by central differences of first derivatives, every entry of it."""
    parameters = list(model.parameters())

    def slope():
        return np.concatenate([g.ravel() for g in gradients(cross_entropy(model(x), y), parameters)])

    columns = []
    for p in parameters:
        for i in range(p.numel()):
            flat = p.data.reshape(-1)
            kept = flat[i]
            flat[i] = kept + step
            above = slope()
            flat[i] = kept - step
            below = slope()
            flat[i] = kept
            columns.append((above - below) / (2 * step))
    return np.array(columns)


def flattened(arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


def test_the_diagonal_is_that_of_the_full_hessian(backend):
    model, x, y = tiny()
    found = hessian_diagonal(cross_entropy(model(x), y), list(model.parameters()))
    assert [h.shape for h in found] == [p.shape for p in model.parameters()]
    np.testing.assert_allclose(flattened(found), np.diag(full_hessian(model, x, y)), rtol=1e-6, atol=1e-9)


def test_the_estimate_has_the_mean_and_the_variance_that_are_stated():
    model, x, y = tiny()
    parameters, hessian = list(model.parameters()), full_hessian(*tiny())
    draw, m, n = np.random.default_rng(1), 2, 600
    estimates = []
    for _ in range(n):
        value = cross_entropy(model(x), y)
        estimates.append(flattened(hessian_diagonal(value, parameters, probes=m, generator=draw)))
    diagonal = np.diag(hessian)
    variance = (np.sum(hessian**2, axis=1) - diagonal**2) / m
    error = np.abs(np.mean(estimates, axis=0) - diagonal) / np.sqrt(variance / n)
    assert error.max() < 4.5  # standard errors, of 19 estimates
    np.testing.assert_allclose(np.var(estimates, axis=0), variance, rtol=0.35)


def test_the_estimate_is_exact_where_the_hessian_is_diagonal():
    w = Tensor(np.array([1.0, -2.0, 3.0]), requires_grad=True)
    (found,) = hessian_diagonal((w * w * w).sum(), [w], probes=1)
    np.testing.assert_allclose(found, 6 * w.data)


@pytest.mark.parametrize("probes", [None, 2])
def test_what_does_not_curve_is_zero(probes):
    used, linear, unused = (Tensor(np.ones(2), requires_grad=True) for _ in range(3))
    value = (ops.exp(used) + 3 * linear).sum()
    found = hessian_diagonal(value, [unused, used, linear], probes)
    np.testing.assert_allclose(found, [[0, 0], [np.e, np.e], [0, 0]])
    flat = hessian_diagonal((3 * linear).sum(), [linear], probes)
    np.testing.assert_array_equal(flat, [[0, 0]])


def test_the_network_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2))
    before = {name: np.array(value.data) for name, value in model.state_dict().items()}
    data = [(Tensor(np.ones((4, 2), np.float32)), Tensor([0, 1, 0, 1]))]
    values = [value.item() for _ in range(2) for value, n in losses(model, data, cross_entropy)]
    assert values[0] == values[1], "dropout drops nothing"
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert all(np.array_equal(before[name], value.data) for name, value in model.state_dict().items())


def test_means_are_over_samples_not_batches():
    model = nn.Identity()
    data = [(Tensor([1.0, 1.0, 1.0]), Tensor([0, 0, 0])), (Tensor([5.0]), Tensor([0]))]
    (found,) = batch_mean(model, data, lambda y, target: y.mean(), lambda value: [value.data])
    assert found == 2


def test_bad_input_is_refused():
    w = Tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match="probes must be at least 1, got 0"):
        hessian_diagonal((w * w).sum(), [w], probes=0)
    with pytest.raises(TypeError, match="probes must be an integer"):
        hessian_diagonal((w * w).sum(), [w], probes=1.5)
    with pytest.raises(ValueError, match="at least one"):
        list(losses(nn.Identity(), [], cross_entropy))
