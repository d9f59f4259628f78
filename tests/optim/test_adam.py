import itertools
import math

import numpy as np
import pytest

from tinydl.optim import Adam, AdamW
from tinydl.tensor import Tensor


def rule(p, gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, maximize=False, decoupled=False):
    m = v = 0.0
    t, path = 0, []
    for g in gradients:
        if g is not None:
            t += 1
            g = -g if maximize else g
            if decoupled:
                p -= lr * weight_decay * p
            else:
                g += weight_decay * p
            m = betas[0] * m + (1 - betas[0]) * g
            v = betas[1] * v + (1 - betas[1]) * g * g
            p -= lr * (m / (1 - betas[0] ** t)) / (math.sqrt(v / (1 - betas[1] ** t)) + eps)
        path.append(p)
    return path


def decoupled_rule(p, gradients, weight_decay=1e-2, **options):
    return rule(p, gradients, weight_decay=weight_decay, decoupled=True, **options)


OPTIONS = [
    {"betas": b, "eps": e, "weight_decay": w}
    for b, e, w in itertools.product(((0.9, 0.999), (0.5, 0.8), (0.0, 0.9)), (1e-8, 1e-3), (0, 0.05))
]


@pytest.mark.parametrize("options", OPTIONS)
def test_trajectory(follows, options):
    follows(Adam, rule, lr=0.01, **options)
    follows(AdamW, decoupled_rule, lr=0.01, **options)


def test_trajectory_with_defaults_and_upwards(follows):
    follows(Adam, rule)
    follows(AdamW, decoupled_rule)
    follows(Adam, rule, lr=0.01, weight_decay=0.1, maximize=True)
    follows(AdamW, decoupled_rule, lr=0.01, weight_decay=0.1, maximize=True)


@pytest.mark.parametrize(
    "optimizer, options, expected",
    [
        (Adam, {"lr": 0.1}, [-1.999999976416932, 0.8511339428322577, -2.750042223051846]),
        (
            Adam,
            {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1},
            [-0.556141521199638, -0.4839867150563601, -1.0854348815336967],
        ),
        (AdamW, {"lr": 0.1}, [-1.9875892479673762, 0.863089020621974, -2.7209581616325123]),
        (
            AdamW,
            {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1},
            [-0.5947758257509963, -0.3133066543335095, -1.0447986507692675],
        ),
    ],
)
def test_pytorch(ends_at, optimizer, options, expected):
    ends_at(optimizer, options, expected)


@pytest.mark.parametrize("optimizer", [Adam, AdamW])
@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"lr": -0.1}, ValueError, "lr"),
        ({"lr": float("nan")}, ValueError, "lr"),
        ({"betas": (1.0, 0.999)}, ValueError, r"betas\[0\]"),
        ({"betas": (0.9, -0.1)}, ValueError, r"betas\[1\]"),
        ({"betas": (0.9, float("nan"))}, ValueError, r"betas\[1\]"),
        ({"betas": 0.9}, ValueError, "betas"),
        ({"betas": (0.9, 0.99, 0.999)}, ValueError, "betas"),
        ({"betas": ("0.9", 0.999)}, TypeError, r"betas\[0\]"),
        ({"eps": -1e-8}, ValueError, "eps"),
        ({"eps": float("nan")}, ValueError, "eps"),
        ({"weight_decay": -0.1}, ValueError, "weight_decay"),
    ],
)
def test_refuses(optimizer, options, error, words):
    with pytest.raises(error, match=words):
        optimizer([Tensor(np.ones(2))], **options)
