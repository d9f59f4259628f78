"""A small network, something of one's own with a state, and what makes two states the same."""

import numpy as np

from tinydl import random
from tinydl.nn.module import Module, Parameter
from tinydl.tensor import Tensor


class Net(Module):
    def __init__(self, out=2):
        super().__init__()
        rng = random.default_generator()
        self.weight = Parameter(rng.standard_normal((out, 3)).astype(np.float32))
        self.bias = Parameter(np.zeros(out, np.float32))
        self.register_buffer("count", Tensor(np.array(0)))


class Position:
    """Something of one's own with a state."""

    def __init__(self, value=0):
        self.value = value

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def state_of(model):
    return {name: value.data for name, value in model.state_dict().items()}
