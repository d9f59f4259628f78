import copy

import numpy as np
import pytest

from tinydl import nn
from tinydl.gradcheck import gradcheck
from tinydl.tensor import Tensor

rng = np.random.default_rng(0)
KINDS = [(nn.RNN, nn.RNNCell, 1, 1), (nn.LSTM, nn.LSTMCell, 4, 2), (nn.GRU, nn.GRUCell, 3, 1)]
kinds = pytest.mark.parametrize("kind, cell, gates, states", KINDS, ids=["RNN", "LSTM", "GRU"])
X = rng.standard_normal((5, 2, 3))


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def cell_of(layer, cell, suffix, inputs):
    """Return a cell with one layer's and direction's parameters."""
    one = cell(inputs, layer.hidden_size, bias=layer.bias).double()
    for name, p in one.named_parameters():
        p.data[...] = getattr(layer, name + suffix).data
    return one


def by_cells(layer, cell, x, state=None):
    """Run the layer's own parameters cell by cell: (outputs, the last state of each layer and direction)."""
    finals, suffixes = [], ["", "_reverse"] if layer.bidirectional else [""]
    for number in range(layer.num_layers):
        sides = []
        for suffix in suffixes:
            one = cell_of(layer, cell, f"_l{number}{suffix}", x.shape[-1])
            hx = None if state is None else tuple(part[len(finals)] for part in parts(state))
            hx = hx[0] if hx is not None and len(hx) == 1 else hx
            outputs = []
            for step in x[::-1] if suffix else x:
                hx = one(step, hx)
                outputs.append(parts(hx)[0].data)
            sides.append(outputs[::-1] if suffix else outputs)
            finals.append([part.data for part in parts(hx)])
        x = np.concatenate(sides, axis=2)
    return x, [np.stack([final[k] for final in finals]) for k in range(len(finals[0]))]


SETTINGS = [
    {},
    {"bias": False},
    {"num_layers": 2},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
]


@kinds
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("given", [False, True])
def test_layers_are_cells_in_a_row(kind, cell, gates, states, settings, given):
    layer = kind(3, 4, **settings).double()
    depth = layer.num_layers * (2 if layer.bidirectional else 1)
    hx = tuple(rng.standard_normal((depth, 2, 4)) for _ in range(states)) if given else None
    hx = hx[0] if given and states == 1 else hx
    y, state = layer(X.swapaxes(0, 1) if layer.batch_first else X, hx)
    expected, finals = by_cells(layer, cell, X, hx)
    np.testing.assert_allclose(y.data.swapaxes(0, 1) if layer.batch_first else y.data, expected, atol=1e-12)
    for found, final in zip(parts(state), finals):
        np.testing.assert_allclose(found.data, final, atol=1e-12)
    assert len(parts(state)) == states
    alone, last = layer(X[:, 1], hx if hx is None else (hx[:, 1] if states == 1 else tuple(part[:, 1] for part in hx)))
    np.testing.assert_allclose(alone.data, expected[:, 1], atol=1e-12)
    np.testing.assert_allclose(parts(last)[0].data, finals[0][:, 1], atol=1e-12)


@kinds
def test_names_shapes_and_start(kind, cell, gates, states):
    layer = kind(3, 4, num_layers=2, bidirectional=True)
    rows = 4 * gates
    expected = {}
    for suffix, inputs in (("_l0", 3), ("_l0_reverse", 3), ("_l1", 8), ("_l1_reverse", 8)):
        expected[f"weight_ih{suffix}"], expected[f"weight_hh{suffix}"] = (rows, inputs), (rows, 4)
        expected[f"bias_ih{suffix}"] = expected[f"bias_hh{suffix}"] = (rows,)
    assert {name: p.shape for name, p in layer.state_dict().items()} == expected
    assert list(layer.state_dict()) == list(expected)
    assert list(cell(3, 4).state_dict()) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    values = np.concatenate([p.data.ravel() for p in kind(30, 16, generator=np.random.default_rng(0)).parameters()])
    assert values.dtype == np.float32
    assert 0.24 < np.abs(values).max() <= 0.25
    assert repr(layer) == f"{kind.__name__}(3, 4, num_layers=2, bidirectional=True)"
    assert repr(cell(3, 4, bias=False)) == f"{cell.__name__}(3, 4, bias=False)"


@kinds
def test_gradients_through_time(kind, cell, gates, states):
    layer = kind(2, 2, num_layers=2, bidirectional=True).double()
    parameters = dict(layer.named_parameters())

    def run(x, h, *values):
        other = copy.deepcopy(layer)
        for name, value in zip(parameters, values):
            vars(other)[name] = value
        y, state = other(x, h if states == 1 else (h, h * 0.5))
        return y.sum(2) + parts(state)[-1].sum()

    inputs = [rng.standard_normal((3, 1, 2)), rng.standard_normal((4, 1, 2)), *(p.data for p in parameters.values())]
    assert gradcheck(run, [Tensor(v, requires_grad=True) for v in inputs])


@kinds
def test_float32_stays_and_every_parameter_learns(kind, cell, gates, states):
    layer = kind(3, 4, num_layers=2, bidirectional=True)
    x = Tensor(X.astype(np.float32), requires_grad=True)
    y, state = layer(x)
    (y * y).sum().backward()
    assert {y.dtype, *(part.dtype for part in parts(state))} == {np.dtype(np.float32)}
    for t in (x, *layer.parameters()):
        assert t.grad.dtype == np.float32
        assert t.grad.data.any()


@kinds
def test_dropout_between_layers_in_training_only(kind, cell, gates, states):
    layer = kind(3, 4, num_layers=2, dropout=1.0).double()
    expected, _ = by_cells(layer, cell, X)
    np.testing.assert_allclose(layer.eval()(X)[0].data, expected, atol=1e-12)
    y, state = layer.train()(X)
    second = cell_of(layer, cell, "_l1", 4)
    np.testing.assert_allclose(y.data[0], parts(second(np.zeros((2, 4))))[0].data, atol=1e-12)
    assert parts(state)[0].data[0].any()
    single = kind(3, 4, dropout=1.0).double()
    np.testing.assert_allclose(single(X)[0].data, by_cells(single, cell, X)[0], atol=1e-12)


@kinds
def test_a_cell_takes_one_sample_alone(kind, cell, gates, states):
    one = cell(3, 4).double()
    whole = parts(one(X[0]))
    for a, b in zip(parts(one(X[0, 1])), whole):
        assert a.shape == (4,)
        np.testing.assert_allclose(a.data, b.data[1], atol=1e-12)
    again = one(X[1, 1], one(X[0, 1]))
    np.testing.assert_allclose(parts(again)[0].data, parts(one(X[1], one(X[0])))[0].data[1], atol=1e-12)


def test_relu_networks():
    layer = nn.RNN(3, 4, nonlinearity="relu").double()
    y, h = layer(X)
    assert (y.data >= 0).all()
    assert y.data.max() > 1 or h.data.any()
    assert "nonlinearity=relu" in repr(layer)
    np.testing.assert_allclose(y.data[0], np.maximum(y.data[0], 0))
    cell = nn.RNNCell(3, 4, nonlinearity="relu").double()
    expected = np.maximum(X[0] @ cell.weight_ih.data.T + cell.bias_ih.data + cell.bias_hh.data, 0)
    np.testing.assert_allclose(cell(X[0]).data, expected, atol=1e-12)


@kinds
def test_a_step_remembers(kind, cell, gates, states):
    """The last output depends on the first input, and with `bidirectional` the first on the last."""
    layer = kind(3, 4, bidirectional=True).double()
    other = X.copy()
    other[0] += 1
    assert (layer(X)[0].data[-1, :, :4] != layer(other)[0].data[-1, :, :4]).all()
    np.testing.assert_array_equal(layer(X)[0].data[1:, :, 4:], layer(other)[0].data[1:, :, 4:])


@kinds
def test_wrong_inputs_are_named(kind, cell, gates, states):
    layer, one = kind(3, 4), cell(3, 4)
    for shape in ((5, 2, 2), (3,), (1, 5, 2, 3), (0, 2, 3)):
        with pytest.raises(ValueError, match=rf"{kind.__name__}: input needs axes \(L, N, I\).* I = 3; got shape"):
            layer(np.zeros(shape))
    with pytest.raises(ValueError, match=rf"{cell.__name__}: input needs axes \(N, I\)"):
        one(np.zeros((2, 4)))
    bad = np.zeros((2, 2, 4))
    with pytest.raises(ValueError, match=rf"{kind.__name__}: hx must be {states} of shape \(1, 2, 4\)"):
        layer(X, bad if states == 1 else (bad, bad))
    with pytest.raises(ValueError, match=rf"{cell.__name__}: hx must be {states} of shape \(2, 4\)"):
        one(X[0], bad if states == 1 else (bad, bad))


NAN = float("nan")


@pytest.mark.parametrize(
    "make, error, name",
    [
        (lambda: nn.RNN(0, 4), ValueError, "input_size"),
        (lambda: nn.LSTM(3, -1), ValueError, "hidden_size"),
        (lambda: nn.GRU(3, 2.0), TypeError, "hidden_size"),
        (lambda: nn.GRU(3, 4, num_layers=0), ValueError, "num_layers"),
        (lambda: nn.LSTM(3, 4, dropout=NAN), ValueError, "dropout"),
        (lambda: nn.LSTM(3, 4, dropout=1.5), ValueError, "dropout"),
        (lambda: nn.RNN(3, 4, nonlinearity="sigmoid"), ValueError, "nonlinearity"),
        (lambda: nn.RNNCell(3, 4, nonlinearity="sigmoid"), ValueError, "nonlinearity"),
        (lambda: nn.LSTMCell(NAN, 4), TypeError, "input_size"),
    ],
)
def test_bad_settings_are_named(make, error, name):
    with pytest.raises(error, match=name):
        make()
