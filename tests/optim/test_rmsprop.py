import itertools
import math

import numpy as np
import pytest

from tinydl.optim import RMSprop
from tinydl.tensor import Tensor


def rule(p, gradients, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, maximize=False):
    square = mean = velocity = 0.0
    path = []
    for g in gradients:
        if g is not None:
            g = -g if maximize else g
            g += weight_decay * p
            square = alpha * square + (1 - alpha) * g * g
            mean = alpha * mean + (1 - alpha) * g
            d = g / (math.sqrt(square - mean**2 if centered else square) + eps)
            velocity = momentum * velocity + d
            p -= lr * velocity
        path.append(p)
    return path


OPTIONS = [
    {"alpha": a, "weight_decay": w, "momentum": m, "centered": c, "eps": 1e-3 if c else 1e-8}
    for a, w, m, c in itertools.product((0.99, 0.7), (0, 0.05), (0, 0.9), (False, True))
]


@pytest.mark.parametrize("options", OPTIONS)
def test_trajectory(follows, options):
    follows(RMSprop, rule, lr=0.01, **options)


def test_trajectory_with_defaults_and_upwards(follows):
    follows(RMSprop, rule)
    follows(RMSprop, rule, lr=0.01, weight_decay=0.1, maximize=True)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"lr": 0.05}, [-2.6357490133399155, 1.4568210277118931, -7.164178834545571]),
        (
            {"lr": 0.05, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.5},
            [-2.2826642830124264, 1.2120932137054738, -4.660383187432913],
        ),
        (
            {"lr": 0.05, "alpha": 0.9, "centered": True, "eps": 1e-3},
            [-2.551313324211607, 1.2879702332857548, -3.988311155814957],
        ),
    ],
)
def test_pytorch(ends_at, options, expected):
    ends_at(RMSprop, options, expected)


@pytest.mark.parametrize("option", ["lr", "alpha", "eps", "weight_decay", "momentum"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_refuses(option, value):
    with pytest.raises(ValueError, match=option):
        RMSprop([Tensor(np.ones(2))], **{option: value})


def test_only_what_is_needed_is_remembered():
    p = Tensor(np.ones(2, np.float32), requires_grad=True)
    p.grad = Tensor(np.ones(2, np.float32))
    for options, names in (
        ({}, {"step", "square_avg"}),
        ({"momentum": 0.5}, {"step", "square_avg", "momentum_buffer"}),
        ({"centered": True}, {"step", "square_avg", "grad_avg"}),
    ):
        optimizer = RMSprop([p], **options)
        optimizer.step()
        assert set(optimizer.state[p]) == names
