import itertools

import numpy as np
import pytest

from tinydl.optim import SGD
from tinydl.tensor import Tensor


def rule(p, gradients, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False):
    velocity, path = None, []
    for g in gradients:
        if g is not None:
            g = -g if maximize else g
            g += weight_decay * p
            if momentum:
                velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
                g = g + momentum * velocity if nesterov else velocity
            p -= lr * g
        path.append(p)
    return path


OPTIONS = [
    {"momentum": m, "dampening": d, "weight_decay": w, "nesterov": n}
    for m, d, w, n in itertools.product((0, 0.9), (0, 0.3), (0, 0.05), (False, True))
    if not n or (m and not d)
]


@pytest.mark.parametrize("options", OPTIONS)
def test_trajectory(follows, options):
    follows(SGD, rule, lr=0.1, **options)


def test_trajectory_with_defaults_and_upwards(follows):
    follows(SGD, rule)
    follows(SGD, rule, lr=0.05, momentum=0.5, weight_decay=0.1, maximize=True)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"lr": 0.1}, [-2.0000000000000004, 1.7777377078394834, -10.638581793991571]),
        ({"lr": 0.05, "momentum": 0.9}, [-2.605340424555731, 1.642464716603518, -26.555895476970328]),
        (
            {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
            [-2.3913941366167752, 2.178427620230901, -18.302922684897645],
        ),
        (
            {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
            [-2.386635220232608, 1.8485268094399188, -16.95848968265267],
        ),
    ],
)
def test_pytorch(ends_at, options, expected):
    ends_at(SGD, options, expected)


def test_positional_arguments_stand_in_pytorchs_order():
    group = SGD([Tensor(np.ones(2))], 0.1, 0.2, 0.0, 0.4, True).param_groups[0]
    assert [group[k] for k in ("lr", "momentum", "dampening", "weight_decay", "nesterov")] == [0.1, 0.2, 0.0, 0.4, True]


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"lr": -0.1}, ValueError, "lr"),
        ({"lr": float("nan")}, ValueError, "lr"),
        ({"lr": float("inf")}, ValueError, "lr"),
        ({"lr": "0.1"}, TypeError, "lr"),
        ({"lr": True}, TypeError, "lr"),
        ({"momentum": 1.0}, ValueError, "momentum"),
        ({"momentum": -0.1}, ValueError, "momentum"),
        ({"momentum": float("nan")}, ValueError, "momentum"),
        ({"momentum": 0.9, "dampening": 1.1}, ValueError, "dampening"),
        ({"weight_decay": -1e-4}, ValueError, "weight_decay"),
        ({"weight_decay": float("nan")}, ValueError, "weight_decay"),
        ({"nesterov": True}, ValueError, "nesterov"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, ValueError, "nesterov"),
    ],
)
def test_refuses(options, error, words):
    with pytest.raises(error, match=words):
        SGD([Tensor(np.ones(2))], **options)


def test_nothing_is_remembered_without_momentum():
    p = Tensor(np.ones(2, np.float32), requires_grad=True)
    optimizer = SGD([p], lr=0.1)
    p.grad = Tensor(np.ones(2, np.float32))
    optimizer.step()
    assert optimizer.state_dict()["state"] == {}
