"""One time step of each recurrent network: the equations that cells and layers share.

A step takes an input (N, I), a state (a tuple of arrays (N, H)) and four parameters: `w_ih` (G·H, I) and `w_hh`
(G·H, H), the G gates' weights one below the other, with biases `b_ih` and `b_hh` (G·H,) or None. It returns the next
state, whose first part is also the output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from tinydl.ops import chunk, linear, relu, sigmoid, tanh

State: TypeAlias = tuple[Any, ...]
Step: TypeAlias = Callable[..., State]


class Rule(NamedTuple):
    """A recurrence: how many gates its parameters hold, how many arrays its state has, and its step."""

    gates: int
    states: int
    step: Step


def tanh_step(x: Any, state: State, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> State:
    """Return h′ = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Source: Elman 1990, Finding structure in time.

    >>> import numpy as np
    >>> tanh_step(np.zeros((1, 2)), (np.zeros((1, 3)),), np.ones((3, 2)), np.ones((3, 3)))
    (array([[0., 0., 0.]]),)
    """
    return (tanh(linear(x, w_ih, b_ih) + linear(state[0], w_hh, b_hh)),)


def relu_step(x: Any, state: State, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> State:
    """Return h′ = max(W_ih x + b_ih + W_hh h + b_hh, 0).

    Source: Le, Jaitly & Hinton 2015, arXiv:1504.00941.
    """
    return (relu(linear(x, w_ih, b_ih) + linear(state[0], w_hh, b_hh)),)


def lstm_step(x: Any, state: State, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> State:
    """Return (h′, c′) of the long short-term memory, gates in the order i, f, g, o.

    i, f, o = σ(…), g = tanh(…) of W_ih x + b_ih + W_hh h + b_hh; c′ = f c + i g; h′ = o tanh(c′).

    Source: Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000.
    """
    h, c = state
    i, f, g, o = chunk(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh), 4, dim=1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def gru_step(x: Any, state: State, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> State:
    """Return h′ of the gated recurrent unit, gates in the order r, z, n.

    r, z = σ(W_ih x + b_ih + W_hh h + b_hh); n = tanh(W_in x + b_in + r (W_hn h + b_hn)); h′ = (1 − z) n + z h.

    Source: Cho et al. 2014, arXiv:1406.1078; with r after the matrix product, as in cuDNN and PyTorch.
    """
    (h,) = state
    r_x, z_x, n_x = chunk(linear(x, w_ih, b_ih), 3, dim=1)
    r_h, z_h, n_h = chunk(linear(h, w_hh, b_hh), 3, dim=1)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    n = tanh(n_x + r * n_h)
    return (n + z * (h - n),)


RNN_RULES = {"tanh": Rule(1, 1, tanh_step), "relu": Rule(1, 1, relu_step)}
LSTM_RULE = Rule(4, 2, lstm_step)
GRU_RULE = Rule(3, 1, gru_step)
