import itertools
import math

import numpy as np
import pytest

from tinydl.optim import SGD, Adam, RMSprop
from tinydl.optim.lr_scheduler import OneCycleLR
from tinydl.tensor import Tensor


def run(optimizer, steps, **options):
    schedule = OneCycleLR(optimizer, **options)
    rates, momenta = [], []
    for _ in range(steps):
        group = optimizer.param_groups[-1]
        rates.append(group["lr"])
        momenta.append(group["betas"][0] if "betas" in group else group["momentum"])
        schedule.step()
    return rates, momenta


def curve(t, turns, strategy):
    """The height at step t of the curve through the turning points (step, height)."""
    for (s, a), (e, b) in itertools.pairwise(turns):
        if t <= e or (e, b) == turns[-1]:
            f = (t - s) / (e - s)
            return a + (b - a) * f if strategy == "linear" else b + (a - b) * (1 + math.cos(math.pi * f)) / 2
    raise AssertionError


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("total, start", [(40, 0.3), (7, 0.25), (41, 0.0), (40, 0.45)])
def test_two_phases(strategy, total, start):
    peak, low, top = 0.5, 0.8, 0.9
    options = {
        "max_lr": peak,
        "pct_start": start,
        "anneal_strategy": strategy,
        "div_factor": 10,
        "final_div_factor": 100,
    }
    optimizer = SGD([Tensor([1.0])], lr=7.0, momentum=0.1)
    rates, momenta = run(optimizer, total, total_steps=total, base_momentum=low, max_momentum=top, **options)
    steps = (0, start * total - 1, total - 1)
    for got, heights in ((rates, (peak / 10, peak, peak / 1000)), (momenta, (top, low, top))):
        expected = [curve(t, list(zip(steps, heights)), strategy) for t in range(total)]
        np.testing.assert_allclose(got, expected, rtol=1e-11)


def test_pytorch_two_phases():
    """Made with PyTorch 2.13.0: SGD(lr=0.1, momentum=0.9), OneCycleLR(max_lr=1.0, total_steps=10), twelve digits."""
    rates, momenta = run(SGD([Tensor([1.0])], lr=0.1, momentum=0.9), 10, max_lr=1.0, total_steps=10)
    fall = [0.950484632013, 0.81174565395, 0.611262021936, 0.388741978064, 0.18825834605, 0.0495193679865, 4e-06]
    np.testing.assert_allclose(rates, [0.04, 0.52, 1.0, *fall], rtol=1e-11)
    rise = [0.854951556605, 0.868825509907, 0.888873953302, 0.911126046698, 0.931174490093, 0.945048443395, 0.95]
    np.testing.assert_allclose(momenta, [0.95, 0.9, 0.85, *rise], rtol=1e-11)


def test_pytorch_three_phases():
    """As above with pct_start=0.4, linear, three_phase, div_factor=10, final_div_factor=10."""
    options = {"pct_start": 0.4, "anneal_strategy": "linear", "three_phase": True}
    optimizer = SGD([Tensor([1.0])], lr=0.1, momentum=0.9)
    rates, momenta = run(optimizer, 10, max_lr=1.0, total_steps=10, div_factor=10, final_div_factor=10, **options)
    np.testing.assert_allclose(rates, [0.1, 0.4, 0.7, 1.0, 0.7, 0.4, 0.1, 0.07, 0.04, 0.01], rtol=1e-11)
    down = [0.95, 0.916666666667, 0.883333333333, 0.85]
    np.testing.assert_allclose(momenta, [*down, *down[2::-1], 0.95, 0.95, 0.95], rtol=1e-11)


def test_adams_first_beta_cycles_and_the_second_stays():
    optimizer = Adam([Tensor([1.0])], betas=(0.5, 0.98))
    _, momenta = run(optimizer, 10, max_lr=1.0, total_steps=10)
    np.testing.assert_allclose(momenta[:3], [0.95, 0.9, 0.85], rtol=1e-12)
    assert optimizer.param_groups[0]["betas"][1] == 0.98


def test_groups_have_their_own_peaks():
    optimizer = RMSprop([{"params": [Tensor([1.0])]}, {"params": [Tensor([1.0])]}], lr=0.1)
    schedule = OneCycleLR(optimizer, [1.0, 2.0], epochs=2, steps_per_epoch=5, max_momentum=[0.9, 0.95])
    assert schedule.get_last_lr() == pytest.approx([0.04, 0.08])
    assert [group["momentum"] for group in optimizer.param_groups] == [0.9, 0.95]
    schedule.step()
    schedule.step()
    assert schedule.get_last_lr() == pytest.approx([1.0, 2.0])
    assert schedule.total_steps == 10


def test_momentum_may_stay():
    optimizer = SGD([Tensor([1.0])], lr=0.1, momentum=0.3)
    schedule = OneCycleLR(optimizer, 1.0, total_steps=3, cycle_momentum=False)
    schedule.step()
    assert optimizer.param_groups[0]["momentum"] == 0.3


@pytest.mark.parametrize("total, start", [(1, 0.3), (10, 0.1), (10, 1.0), (2, 0.5)])
def test_phases_without_length(total, start):
    """Where PyTorch divides 0 by 0, the turning point itself is taken."""
    optimizer = SGD([Tensor([1.0])], lr=0.1, momentum=0.9)
    schedule = OneCycleLR(optimizer, 1.0, total_steps=total, pct_start=start)
    for _ in range(total):
        schedule.step()
        assert 0 <= optimizer.param_groups[0]["lr"] <= 1


def test_one_step_too_many_is_refused_and_changes_nothing():
    optimizer = SGD([Tensor([1.0])], lr=0.1, momentum=0.9)
    schedule = OneCycleLR(optimizer, 1.0, total_steps=3)
    for _ in range(3):
        schedule.step()
    before = (dict(optimizer.param_groups[0]), schedule.state_dict())
    with pytest.raises(ValueError, match="step 4 is beyond the last, total_steps is 3"):
        schedule.step()
    assert (dict(optimizer.param_groups[0]), schedule.state_dict()) == before


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "total_steps, or both"),
        ({"epochs": 3}, "total_steps, or both"),
        ({"total_steps": 0}, "total_steps"),
        ({"epochs": 0, "steps_per_epoch": 5}, "epochs"),
        ({"total_steps": 5, "pct_start": 1.1}, "pct_start"),
        ({"total_steps": 5, "anneal_strategy": "cubic"}, "anneal_strategy"),
        ({"total_steps": 5, "max_lr": -1}, "max_lr"),
        ({"total_steps": 5, "max_lr": [1.0, 2.0]}, "max_lr has 2 entries"),
        ({"total_steps": 5, "div_factor": 0}, "div_factor"),
        ({"total_steps": 5, "final_div_factor": float("nan")}, "final_div_factor"),
        ({"total_steps": 5, "max_momentum": 1.0}, "max_momentum"),
        ({"total_steps": 5, "base_momentum": -0.1}, "base_momentum"),
    ],
)
def test_refuses_and_leaves_the_optimizer(options, words):
    optimizer = SGD([Tensor([1.0])], lr=0.1, momentum=0.9)
    before = dict(optimizer.param_groups[0])
    with pytest.raises(ValueError, match=words):
        OneCycleLR(optimizer, **({"max_lr": 1.0} | options))
    assert optimizer.param_groups[0] == before


def test_refuses_an_optimizer_without_momentum():
    from tinydl.optim import Optimizer

    with pytest.raises(ValueError, match="momentum or betas"):
        OneCycleLR(Optimizer([Tensor([1.0])], {"lr": 0.1}), 1.0, total_steps=5)
