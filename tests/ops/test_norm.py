"""Normalization against its definition, and the running statistics of batch norm."""

import numpy as np
import pytest

from tinydl import no_grad, ops
from tinydl.tensor import Tensor


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def normalized(values, eps):
    return (values - values.mean()) / np.sqrt(values.var() + eps)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (2, 3, 4, 5)])
def test_batch_norm_in_training(rng, shape):
    x, weight, bias = rng.standard_normal(shape) + 3, rng.standard_normal(3), rng.standard_normal(3)
    mean, var = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0])
    running = Tensor(mean), Tensor(var.copy())
    before = mean.copy(), var.copy()
    y = ops.batch_norm(Tensor(x), *running, Tensor(weight), bias, training=True, momentum=0.3, eps=1e-3).data
    n = x.size // 3
    for c in range(3):
        assert np.allclose(y[:, c], weight[c] * normalized(x[:, c], 1e-3) + bias[c])
        assert np.isclose(running[0].data[c], 0.7 * before[0][c] + 0.3 * x[:, c].mean())
        assert np.isclose(running[1].data[c], 0.7 * before[1][c] + 0.3 * x[:, c].var() * n / (n - 1))


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_in_evaluation(rng, affine):
    x, mean, var = rng.standard_normal((2, 3, 4)), rng.standard_normal(3), rng.uniform(0.5, 2, 3)
    weight, bias = (rng.standard_normal(3), rng.standard_normal(3)) if affine else (None, None)
    y = ops.batch_norm(x, mean, var, weight, bias, eps=1e-3)
    for c in range(3):
        plain = (x[:, c] - mean[c]) / np.sqrt(var[c] + 1e-3)
        assert np.allclose(y[:, c], weight[c] * plain + bias[c] if affine else plain)
    assert np.array_equal(x, np.random.default_rng(0).standard_normal((2, 3, 4)))


def test_batch_norm_counts_the_change_of_its_statistics():
    mean, var = Tensor(np.zeros(2, np.float32)), Tensor(np.ones(2, np.float32))
    x = Tensor(np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32), requires_grad=True)
    in_evaluation = ops.batch_norm(x, mean, var)
    kept = (Tensor([1.0, 2.0], requires_grad=True) * mean).sum()
    ops.batch_norm(x, mean, var, training=True)
    in_evaluation.sum().backward()
    with pytest.raises(RuntimeError, match="changed in place"):
        kept.backward()


def test_statistics_far_from_0_lose_no_accuracy(rng):
    x = (rng.standard_normal((64, 2)) * 1e-2 + 1e3).astype(np.float32)
    y = ops.batch_norm(x, training=True, eps=0.0)
    wanted = [normalized(x[:, c].astype(np.float64), 0.0) for c in range(2)]
    assert np.allclose(y.T, wanted, atol=2e-3)
    rows = ops.layer_norm(np.ascontiguousarray(x.T), 64, eps=0.0)
    assert np.allclose(rows, wanted, atol=2e-3)


@pytest.mark.parametrize("tail", [(4,), (3, 4), (2, 3, 4)])
def test_layer_norm(rng, tail):
    x, weight, bias = rng.standard_normal((2, 3, 4)), rng.standard_normal(tail), rng.standard_normal(tail)
    y = ops.layer_norm(x, tail, weight, bias, 1e-3)
    lead = x.shape[: 3 - len(tail)]
    for place in np.ndindex(*lead):
        assert np.allclose(y[place], weight * normalized(x[place], 1e-3) + bias)
    assert np.array_equal(ops.layer_norm(x, 4), ops.layer_norm(x, (4,)))


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_norm(rng, groups):
    x, weight, bias = rng.standard_normal((2, 6, 3, 2)), rng.standard_normal(6), rng.standard_normal(6)
    y = ops.group_norm(x, groups, weight, bias, 1e-3)
    size = 6 // groups
    for n, g in np.ndindex(2, groups):
        part = slice(g * size, (g + 1) * size)
        wanted = normalized(x[n, part], 1e-3)
        assert np.allclose(y[n, part], wanted * weight[part, None, None] + bias[part, None, None])


def test_dropout_keeps_the_mean_and_scales_the_survivors():
    x = np.ones((100, 100), np.float32)
    y = ops.dropout(x, 0.3, generator=np.random.default_rng(0))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert y.mean() == pytest.approx(1, abs=0.02)
    assert ops.dropout(x, 0.3, training=False) is x
    assert not ops.dropout(x, 1.0).any()


def test_dropout_drops_the_same_elements_of_the_gradient():
    x = Tensor(np.ones((5, 7)), requires_grad=True)
    y = ops.dropout(x, 0.5, generator=np.random.default_rng(0))
    y.sum().backward()
    assert np.array_equal(x.grad.data, y.data)
    assert np.array_equal(y.data, ops.dropout(x.data, 0.5, generator=np.random.default_rng(0)))


def test_drop_path_drops_whole_samples():
    y = ops.drop_path(np.ones((1000, 2, 3)), 0.25, generator=np.random.default_rng(0))
    rows = y.reshape(1000, 6)
    assert (rows == rows[:, :1]).all()
    assert set(np.unique(rows)) == {0, 1 / 0.75}
    assert rows.mean() == pytest.approx(1, abs=0.06)


def test_dropout_is_off_where_nothing_is_to_be_dropped():
    x = Tensor(np.ones(3))
    with no_grad():
        assert ops.dropout(x, 0.0) is x
        assert ops.drop_path(x, 0.0) is x
