import numpy as np
import pytest

from tinydl.gradcheck import gradcheck, gradgradcheck
from tinydl.nn.recurrence import GRU_RULE, LSTM_RULE, RNN_RULES
from tinydl.tensor import Tensor

RULES = {"tanh": RNN_RULES["tanh"], "relu": RNN_RULES["relu"], "lstm": LSTM_RULE, "gru": GRU_RULE}


def operands(rule, n=2, i=3, h=2):
    """Return float64 x, state parts, weights and biases."""
    rng = np.random.default_rng(0)
    rows = rule.gates * h
    shapes = [(n, i), *[(n, h)] * rule.states, (rows, i), (rows, h), (rows,), (rows,)]
    return [rng.standard_normal(shape) for shape in shapes]


def split(rule, values):
    return values[0], tuple(values[1 : 1 + rule.states]), values[1 + rule.states :]


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def by_hand(name, x, state, w_ih, w_hh, b_ih, b_hh):
    """Compute one sample with one matrix a gate, as the equations are printed."""
    size = len(state[0])
    h = state[0]
    gates = range(len(w_ih) // size)
    from_x = [w_ih[k * size : (k + 1) * size] @ x + b_ih[k * size : (k + 1) * size] for k in gates]
    from_h = [w_hh[k * size : (k + 1) * size] @ h + b_hh[k * size : (k + 1) * size] for k in gates]
    if name in ("tanh", "relu"):
        total = from_x[0] + from_h[0]
        return (np.tanh(total) if name == "tanh" else np.maximum(total, 0),)
    if name == "lstm":
        i, f, g, o = (a + b for a, b in zip(from_x, from_h))
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    r, z = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[1] + from_h[1])
    n = np.tanh(from_x[2] + r * from_h[2])
    return ((1 - z) * n + z * h,)


@pytest.mark.parametrize("name", RULES)
def test_values(name):
    rule = RULES[name]
    x, state, parameters = split(rule, operands(rule))
    found = rule.step(x, state, *parameters)
    assert len(found) == rule.states
    for k in range(len(x)):
        expected = by_hand(name, x[k], tuple(part[k] for part in state), *parameters)
        for a, b in zip(found, expected):
            np.testing.assert_allclose(a[k], b, atol=1e-12)
    without_bias = rule.step(x, state, *parameters[:2])
    zeros = [0 * b for b in parameters[2:]]
    np.testing.assert_allclose(without_bias[0], rule.step(x, state, *parameters[:2], *zeros)[0])


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("name", RULES)
def test_gradients_by_every_operand(name, part):
    rule = RULES[name]
    if part >= rule.states:
        return

    def step(*values):
        x, state, parameters = split(rule, list(values))
        return rule.step(x, state, *parameters)[part]

    inputs = [Tensor(v, requires_grad=True) for v in operands(rule, n=2, i=2, h=2)]
    assert gradcheck(step, inputs)
    if part == 0:
        assert gradgradcheck(step, [Tensor(v, requires_grad=True) for v in operands(rule, n=1, i=1, h=1)])
