"""Losses against their definitions, row by row, under every option."""

import itertools
import math

import numpy as np
import pytest

from tinydl import ops
from tinydl.autograd import grad
from tinydl.tensor import Tensor

C = 3
WEIGHT = np.array([0.5, 2.0, 1.5])
SHAPES = [(5, C), (C,), (2, C, 4), (2, C, 2, 3)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def rows_of(x):
    """Return scores (N, C, d…) as a list of rows of C numbers, in the order of the flattened targets."""
    if x.ndim == 1:
        return [x]
    return list(np.moveaxis(x, 1, -1).reshape(-1, C))


def by_rows(x, target, weight, ignore_index, reduction, smoothing):
    """−Σ_c w[c] q[c] log p[c] of each row that counts; the mean divides by the sum of the targets' weights."""
    weight = np.ones(C) if weight is None else weight
    losses, total = [], 0.0
    for row, t in zip(rows_of(x), np.ravel(target)):
        if t == ignore_index:
            losses.append(0.0)
            continue
        logp = row - math.log(math.fsum(np.exp(row)))
        q = [(1 - smoothing) * (c == t) + smoothing / C for c in range(C)]
        losses.append(-math.fsum(weight[c] * q[c] * logp[c] for c in range(C)))
        total += weight[t]
    if reduction == "none":
        return np.reshape(losses, np.shape(target))
    return sum(losses) if reduction == "sum" else sum(losses) / total


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_cross_entropy_of_class_indices(rng, shape, reduction, weight):
    x = rng.standard_normal(shape)
    target = rng.integers(0, C, shape[:1] + shape[2:] if len(shape) > 1 else ())
    for ignore_index, smoothing, wrap in itertools.product((-100, 1), (0.0, 0.1, 1.0), (np.asarray, Tensor)):
        if reduction == "mean" and np.all(target == ignore_index):
            continue
        found = ops.cross_entropy(wrap(x), wrap(target), weight, ignore_index, reduction, smoothing)
        wanted = by_rows(x, target, weight, ignore_index, reduction, smoothing)
        assert np.shape(np.asarray(found)) == np.shape(wanted)
        assert np.allclose(np.asarray(found), wanted, rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_nll_loss_is_cross_entropy_without_the_softmax(rng, shape, reduction, weight):
    x = rng.standard_normal(shape)
    target = rng.integers(0, C, shape[:1] + shape[2:] if len(shape) > 1 else ())
    logp = ops.log_softmax(x, min(1, len(shape) - 1))
    found = ops.nll_loss(logp, target, weight, -100, reduction)
    assert np.allclose(found, by_rows(x, target, weight, -100, reduction, 0.0), rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_of_probabilities(rng, shape, weight, smoothing):
    """Here the mean divides by the number of rows."""
    axis = min(1, len(shape) - 1)
    x, q = rng.standard_normal(shape), rng.uniform(0, 1, shape)
    q /= q.sum(axis, keepdims=True)
    w = np.ones(C) if weight is None else weight
    losses = []
    for row, probabilities in zip(rows_of(x), rows_of(q)):
        logp = row - math.log(math.fsum(np.exp(row)))
        smooth = (1 - smoothing) * probabilities + smoothing / C
        losses.append(-math.fsum(w * smooth * logp))
    for reduction, wanted in (("none", losses), ("sum", sum(losses)), ("mean", sum(losses) / len(losses))):
        found = ops.cross_entropy(Tensor(x), q, weight, reduction=reduction, label_smoothing=smoothing)
        assert np.allclose(found.data.ravel(), wanted, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_ten_thousand(dtype):
    x = Tensor(np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, -1e4]], dtype), requires_grad=True)
    loss = ops.cross_entropy(x, np.array([0, 0]), reduction="none")
    assert loss.tolist() == [0.0, 2e4]
    loss.sum().backward()
    assert np.allclose(x.grad.data, [[0, 0, 0], [-1, 1, 0]])
    y = Tensor(np.array([1e4, -1e4, 1e4, -1e4], dtype), requires_grad=True)
    loss = ops.binary_cross_entropy_with_logits(y, np.array([1, 0, 0, 1], dtype), reduction="none")
    assert loss.tolist() == [0, 0, 1e4, 1e4]
    loss.sum().backward()
    assert y.grad.tolist() == [0, 0, 1, -1]


def test_nothing_that_counts_has_the_mean_nan_and_no_gradient(rng):
    x = Tensor(rng.standard_normal((2, C)), requires_grad=True)
    loss = ops.cross_entropy(x, np.array([-100, -100]))
    assert math.isnan(loss.item())
    assert ops.cross_entropy(x, np.array([-100, -100]), reduction="sum").item() == 0
    assert math.isnan(ops.cross_entropy(np.zeros((0, C)), np.zeros(0, int)))
    assert ops.cross_entropy(np.zeros((0, C)), np.zeros(0, int), reduction="sum") == 0
    assert math.isnan(ops.mse_loss(np.zeros((0, 2)), np.zeros((0, 2))))


def test_targets_changed_later_do_not_matter(rng):
    x, target = rng.standard_normal((2, C)), np.array([0, 1])
    wanted = Tensor(x, requires_grad=True)
    ops.cross_entropy(wanted, target.copy()).backward()
    found = Tensor(x, requires_grad=True)
    loss = ops.cross_entropy(found, target)
    target[:] = 2
    loss.backward()
    assert np.array_equal(found.grad.data, wanted.grad.data)


def reduced(losses, reduction):
    return {"none": losses, "sum": np.sum(losses), "mean": np.mean(losses)}[reduction]


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_losses_of_numbers(rng, shape, reduction):
    x, t = (np.asarray(rng.standard_normal(shape)) * 2 for _ in range(2))
    d = np.abs(x - t)
    assert np.allclose(ops.mse_loss(x, t, reduction), reduced(d * d, reduction))
    assert np.allclose(ops.l1_loss(x, t, reduction), reduced(d, reduction))
    for beta in (0.0, 0.5, 1.0, 3.0):
        wanted = [v**2 / (2 * beta) if v < beta else v - beta / 2 for v in d.ravel()]
        found = ops.smooth_l1_loss(x, t, reduction, beta)
        assert np.allclose(found, reduced(np.reshape(wanted, shape), reduction))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_binary_cross_entropy(rng, reduction):
    x, q, w = rng.standard_normal((4, 3)) * 5, rng.uniform(0, 1, (4, 3)), rng.uniform(0.5, 2, 3)
    p = 1 / (1 + np.exp(-x))
    bce = ops.binary_cross_entropy_with_logits
    losses = -(q * np.log(p) + (1 - q) * np.log(1 - p))
    assert np.allclose(bce(x, q, reduction=reduction), reduced(losses, reduction))
    assert np.allclose(bce(x, q, w, reduction), reduced(losses * w, reduction))
    positive = -(w * q * np.log(p) + (1 - q) * np.log(1 - p))
    assert np.allclose(bce(x, q, None, reduction, w), reduced(positive, reduction))


def test_binary_cross_entropy_keeps_small_losses_and_the_slope_at_0():
    x = Tensor(np.array([20.0], np.float32), requires_grad=True)
    assert ops.binary_cross_entropy_with_logits(x, np.ones(1)).item() == pytest.approx(math.exp(-20), rel=1e-5)
    x = Tensor(np.zeros(2), requires_grad=True)
    ops.binary_cross_entropy_with_logits(x, np.array([0.0, 1.0]), reduction="sum").backward()
    assert x.grad.tolist() == [0.5, -0.5]


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "batchmean"])
def test_kl_divergence(rng, reduction):
    q = rng.uniform(0, 1, (4, 3))
    q[1, 1] = 0.0
    x = np.log(rng.uniform(0.1, 1, (4, 3)))
    losses = np.array([v * (math.log(v) - logq) if v else 0.0 for v, logq in zip(q.ravel(), x.ravel())]).reshape(4, 3)
    wanted = losses.sum() / 4 if reduction == "batchmean" else reduced(losses, reduction)
    assert np.allclose(ops.kl_div(x, q, reduction), wanted)
    positive = np.maximum(q, 0.01)
    losses = positive * (np.log(positive) - x)
    wanted = losses.sum() / 4 if reduction == "batchmean" else reduced(losses, reduction)
    assert np.allclose(ops.kl_div(x, np.log(positive), reduction, log_target=True), wanted)


def test_a_probability_of_0_spoils_no_gradient():
    q = Tensor(np.array([0.0, 1.0]), requires_grad=True)
    x = Tensor(np.log([0.5, 0.5]), requires_grad=True)
    gx, gq = grad(ops.kl_div(x, q, "sum"), [x, q])
    assert np.isfinite(gx.data).all()
    assert np.isfinite(gq.data).all()
