import itertools
import math

import numpy as np
import pytest

from tinydl.optim import SGD
from tinydl.optim.lr_scheduler import ReduceLROnPlateau
from tinydl.tensor import Tensor


def run(metrics, lr=0.1, **options):
    optimizer = SGD([Tensor([1.0])], lr=lr)
    schedule = ReduceLROnPlateau(optimizer, **options)
    rates = []
    for value in metrics:
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step(value)
    return rates


def better(value, best, mode, threshold, threshold_mode):
    if mode == "min":
        return value < (best * (1 - threshold) if threshold_mode == "rel" else best - threshold)
    return value > (best * (1 + threshold) if threshold_mode == "rel" else best + threshold)


@pytest.mark.parametrize(
    "mode, threshold_mode, patience, cooldown",
    list(itertools.product(("min", "max"), ("rel", "abs"), (0, 2), (0, 3))),
)
@pytest.mark.parametrize("offset", [0.0, -0.5])
def test_counts_bad_epochs(mode, threshold_mode, patience, cooldown, offset):
    metrics = np.random.default_rng(5).random(80) + offset
    metrics[6] = math.nan
    lr, best, bad, rest, expected = 1.0, math.inf if mode == "min" else -math.inf, 0, 0, []
    for value in metrics:
        expected.append(lr)
        if better(value, best, mode, 0.05, threshold_mode):
            best, bad = value, 0
        else:
            bad += 1
        if rest:
            rest, bad = rest - 1, 0
        if bad > patience:
            lr, rest, bad = max(lr * 0.7, 0.01), cooldown, 0
    options = {"factor": 0.7, "patience": patience, "cooldown": cooldown, "threshold": 0.05, "min_lr": 0.01}
    got = run(metrics, lr=1.0, mode=mode, threshold_mode=threshold_mode, eps=0, **options)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert expected[-1] < 1.0


def test_pytorch():
    """Made with PyTorch 2.13.0: SGD(lr=0.1) and the same arguments."""
    metrics = [1.0, 0.5, 0.5, 0.6, 0.4999, 0.7, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
    got = run(metrics, factor=0.5, patience=1, cooldown=1, threshold=0.01)
    np.testing.assert_allclose(got, [0.1] * 4 + [0.05] * 5 + [0.025] * 3, rtol=1e-12)


def test_groups_have_their_own_floor_and_tiny_cuts_are_not_made():
    groups = [{"params": [Tensor([1.0])]}, {"params": [Tensor([1.0])], "lr": 1e-8}]
    optimizer = SGD(groups, lr=0.1)
    schedule = ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.05, 0.0])
    for _ in range(3):
        schedule.step(1.0)
    assert schedule.get_last_lr() == [0.05, 1e-8]


def test_metrics_may_be_a_tensor():
    optimizer = SGD([Tensor([1.0])], lr=0.1)
    schedule = ReduceLROnPlateau(optimizer)
    schedule.step(Tensor(np.array(0.5, np.float32)))
    assert schedule.best == 0.5
    assert type(schedule.best) is float


@pytest.mark.parametrize(
    "options, words",
    [
        ({"mode": "mean"}, "mode"),
        ({"threshold_mode": "percent"}, "threshold_mode"),
        ({"factor": 1.0}, "factor"),
        ({"patience": -1}, "patience"),
        ({"cooldown": -1}, "cooldown"),
        ({"threshold": math.nan}, "threshold"),
        ({"min_lr": -1}, "min_lr"),
        ({"min_lr": [0.1, 0.2]}, "min_lr has 2 entries"),
        ({"eps": -1}, "eps"),
    ],
)
def test_refuses(options, words):
    with pytest.raises(ValueError, match=words):
        ReduceLROnPlateau(SGD([Tensor([1.0])], lr=0.1), **options)
