import math

import numpy as np
import pytest

from tinydl.optim import SGD
from tinydl.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from tinydl.tensor import Tensor

BASES = [0.1, 0.03]


def two_groups():
    groups = [{"params": [Tensor([1.0])]}, {"params": [Tensor([2.0])], "lr": BASES[1]}]
    return SGD(groups, lr=BASES[0], momentum=0.9)


def rates(optimizer, schedulers, steps):
    """The rates of every group at each step; the schedules are stepped one after the other."""
    rows = []
    for _ in range(steps):
        rows.append([group["lr"] for group in optimizer.param_groups])
        for schedule in schedulers:
            schedule.step()
    return np.array(rows)


def check(make, formula, steps=40):
    """Compare a schedule with lr(t, lr0), the closed form."""
    optimizer = two_groups()
    schedule = make(optimizer)
    assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
    expected = [[formula(t, lr0) for lr0 in BASES] for t in range(steps)]
    np.testing.assert_allclose(rates(optimizer, [schedule], steps), expected, rtol=1e-11)
    assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_step(size):
    check(lambda o: StepLR(o, size, gamma=0.5), lambda t, lr0: lr0 * 0.5 ** (t // size))


def test_multi_step_counts_repeated_milestones():
    marks = [10, 3, 3, 7]
    check(lambda o: MultiStepLR(o, marks, 0.3), lambda t, lr0: lr0 * 0.3 ** sum(m <= t for m in marks))


def test_multi_step_counts_a_milestone_at_the_start():
    check(lambda o: MultiStepLR(o, [0, 2], 0.5), lambda t, lr0: lr0 * 0.5 ** (1 + (t >= 2)), steps=5)


def test_exponential():
    check(lambda o: ExponentialLR(o, 0.9), lambda t, lr0: lr0 * 0.9**t)


@pytest.mark.parametrize("start, end, total", [(1 / 3, 1, 5), (0.1, 0.5, 1), (1, 0, 4), (0.5, 0.5, 3)])
def test_linear(start, end, total):
    def formula(t, lr0):
        return lr0 * (start + (end - start) * min(t, total) / total)

    if end == 0:  # in PyTorch, too, the last rate is what rounding leaves of the one before
        optimizer = two_groups()
        got = rates(optimizer, [LinearLR(optimizer, start, end, total)], 7)
        np.testing.assert_allclose(got, [[formula(t, lr0) for lr0 in BASES] for t in range(7)], atol=1e-16)
    else:
        check(lambda o: LinearLR(o, start, end, total), formula)


def test_linear_defaults_are_pytorchs():
    check(LinearLR, lambda t, lr0: lr0 * (1 / 3 + 2 / 3 * min(t, 5) / 5), steps=8)


@pytest.mark.parametrize("T_max, eta_min", [(1, 0.0), (2, 0.01), (7, 0.001), (40, 0.0)])
def test_cosine(T_max, eta_min):
    def formula(t, lr0):
        return eta_min + (lr0 - eta_min) * (1 + math.cos(math.pi * t / T_max)) / 2

    optimizer = two_groups()
    got = rates(optimizer, [CosineAnnealingLR(optimizer, T_max, eta_min)], 60)
    np.testing.assert_allclose(got, [[formula(t, lr0) for lr0 in BASES] for t in range(60)], rtol=1e-9, atol=1e-15)


def test_lambda():
    check(lambda o: LambdaLR(o, lambda t: 1 / (1 + t)), lambda t, lr0: lr0 / (1 + t))
    optimizer = two_groups()
    got = rates(optimizer, [LambdaLR(optimizer, [lambda t: 2, lambda t: np.float32(0.5) ** t])], 4)
    np.testing.assert_allclose(got.T, [[0.2] * 4, [0.03 * 0.5**t for t in range(4)]], rtol=1e-12)
    assert all(type(group["lr"]) is float for group in optimizer.param_groups)


def test_warm_up_then_cosine():
    def make(optimizer):
        return SequentialLR(optimizer, [LinearLR(optimizer, 0.01, 1, 5), CosineAnnealingLR(optimizer, 35)], [5])

    def formula(t, lr0):
        return lr0 * (0.01 + 0.99 * t / 5) if t < 5 else lr0 * (1 + math.cos(math.pi * (t - 5) / 35)) / 2

    check(make, formula, steps=40)


def test_each_schedule_of_a_sequence_starts_from_the_initial_rate():
    def make(optimizer):
        parts = [StepLR(optimizer, 2, 0.5), LinearLR(optimizer, 0.5, 1, 2), LambdaLR(optimizer, lambda t: 3 + t)]
        return SequentialLR(optimizer, parts, [5, 8])

    factors = [1, 1, 0.5, 0.5, 0.25, 0.5, 0.75, 1, 3, 4]
    check(make, lambda t, lr0: lr0 * factors[t], steps=10)


def test_a_sequence_of_one_and_a_sequence_within_a_sequence():
    check(lambda o: SequentialLR(o, [ExponentialLR(o, 0.5)], []), lambda t, lr0: lr0 * 0.5**t, steps=4)

    def nested(optimizer):
        inner = SequentialLR(optimizer, [LinearLR(optimizer, 0.5, 1, 2), ExponentialLR(optimizer, 0.1)], [2])
        return SequentialLR(optimizer, [StepLR(optimizer, 1, 0.2), inner], [2])

    check(nested, lambda t, lr0: lr0 * [1, 0.2, 0.5, 0.75, 1, 0.1][t], steps=6)


# ---- against PyTorch: made with PyTorch 2.13.0, SGD(lr=0.1), twelve digits


def test_pytorch_cosine():
    optimizer = SGD([Tensor([1.0])], lr=0.1)
    got = rates(optimizer, [CosineAnnealingLR(optimizer, 4, 0.01)], 11)[:, 0]
    half = [0.1, 0.0868198051534, 0.055, 0.0231801948466]
    np.testing.assert_allclose(got, [*half, 0.01, *half[:0:-1], *half[:3]], rtol=1e-11)


def test_pytorch_sequence():
    optimizer = SGD([Tensor([1.0])], lr=0.1)
    parts = [LinearLR(optimizer, 0.1, 1, 4), CosineAnnealingLR(optimizer, 6)]
    got = rates(optimizer, [SequentialLR(optimizer, parts, [4])], 10)[:, 0]
    warm, cold = [0.01, 0.0325, 0.055, 0.0775], [0.1, 0.0933012701892, 0.075, 0.05, 0.025, 0.00669872981078]
    np.testing.assert_allclose(got, warm + cold, rtol=1e-11)


def test_pytorch_chain():
    optimizer = SGD([Tensor([1.0])], lr=0.1)
    chain = [LinearLR(optimizer, 0.25, 1, 3), CosineAnnealingLR(optimizer, 6, 0.01), StepLR(optimizer, 2, 0.5)]
    expected = [0.025, 0.0473205080757, 0.0295096189432, 0.0295641057273, 0.00989102643183]
    expected += [0.00997080062041, 0.005, 0.0110288568297, 0.00691987298108]
    np.testing.assert_allclose(rates(optimizer, chain, 9)[:, 0], expected, rtol=1e-11)


# ---- refusals


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda o: StepLR(o, 0), ValueError, "step_size"),
        (lambda o: StepLR(o, 1.5), TypeError, "step_size"),
        (lambda o: StepLR(o, 1, float("nan")), ValueError, "gamma"),
        (lambda o: StepLR(None, 1), TypeError, "optimizer"),
        (lambda o: MultiStepLR(o, [1, -2]), ValueError, "milestones"),
        (lambda o: ExponentialLR(o, -1), ValueError, "gamma"),
        (lambda o: LinearLR(o, 0), ValueError, "start_factor"),
        (lambda o: LinearLR(o, 0.5, 1.5), ValueError, "end_factor"),
        (lambda o: LinearLR(o, total_iters=0), ValueError, "total_iters"),
        (lambda o: CosineAnnealingLR(o, 0), ValueError, "T_max"),
        (lambda o: CosineAnnealingLR(o, 3, -0.1), ValueError, "eta_min"),
        (lambda o: LambdaLR(o, 0.5), TypeError, "lr_lambda"),
        (lambda o: LambdaLR(o, [abs]), ValueError, "lr_lambda has 1 entries, the optimizer 2"),
        (lambda o: SequentialLR(o, [], []), ValueError, "milestone"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)], [3]), ValueError, "1 for 1"),
        (lambda o: SequentialLR(o, [StepLR(o, 1), StepLR(o, 1), StepLR(o, 1)], [3, 3]), ValueError, "must rise"),
        (lambda o: SequentialLR(o, [StepLR(o, 1), StepLR(two_groups(), 1)], [3]), ValueError, "another optimizer"),
        (lambda o: SequentialLR(o, [ReduceLROnPlateau(o), StepLR(o, 1)], [3]), ValueError, "metrics"),
    ],
)
def test_refuses_and_leaves_the_optimizer(make, error, words):
    optimizer = two_groups()
    with pytest.raises(error, match=words):
        make(optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == BASES
