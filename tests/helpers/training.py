"""Parameters, steps on made-up gradients, and all that an optimizer could change."""

import copy

import numpy as np

from tinydl.optim import SGD, Adam, AdamW, RMSprop
from tinydl.tensor import Tensor

KINDS = [
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (Adam, {"lr": 0.1}),
    (AdamW, {"lr": 0.1}),
    (RMSprop, {"lr": 0.1, "momentum": 0.5, "centered": True}),
]


def parameters(dtype=np.float32):
    rng = np.random.default_rng(1)
    return [Tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True) for shape in ((2, 3), (4,), ())]


def train(optimizer, steps, seed):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = Tensor(np.asarray(rng.standard_normal(p.shape), p.dtype))
        optimizer.step()


def frozen(optimizer):
    """Everything an optimizer could change, as comparable values."""
    state = optimizer.state_dict()
    entries = {
        i: {k: v if k == "step" else (v.tolist(), v.dtype) for k, v in e.items()} for i, e in state["state"].items()
    }
    return entries, copy.deepcopy(state["param_groups"])
