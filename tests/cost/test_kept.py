"""What the graph keeps, counted by hand and against what Python really keeps alive."""

from xml.etree import ElementTree

import numpy as np
import pytest

from tinydl import nn, ops, random, zoo
from tinydl.cost import training_memory
from tinydl.cost.inputs import zeros_for
from tinydl.cost.live import Live
from tinydl.modes import observe


def rows_of(model, shape, batch=2):
    return [row.bytes for row in training_memory(model, shape, batch).rows]


def test_what_each_derivative_names_is_kept_once(backend):
    """Convolution: its input. ReLU: its output, which is the next one's input. Flatten may copy. Linear: its input."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.Sigmoid())
    x, y, z = 2 * 3 * 36 * 4, 2 * 4 * 36 * 4, 2 * 8 * 16 * 4
    assert rows_of(model, (3, 6, 6)) == [x, y, 0, z]
    assert rows_of(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)), (5,)) == [40, 32, 0]


def test_layers_of_one_kernel_keep_nothing_between_them(backend):
    """Batch norm keeps its input and two numbers a channel, and the ReLU it runs with its output; none is between."""
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    rows = training_memory(model, (8,), 10).rows
    assert [row.name for row in rows] == ["0", "1", "3"]
    assert (rows[0].bytes, rows[2].bytes) == (320, 0)
    assert rows[1].bytes - 2 * 160 in (2 * 16, 3 * 16), "a view keeps all of its memory"


def test_views_share_and_parameters_do_not_count():
    class Net(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(np.ones((4, 4), np.float32))

        def forward(self, x):
            wide = ops.reshape(x, (-1, 2, 4))
            return wide @ self.w + x[:, :4].unsqueeze(1) * self.w[0] * self.w[1]

    (row,) = training_memory(Net(), (8,), 3).rows
    assert row.bytes == 3 * 8 * 4 + 3 * 4 * 4, "x by two views, and x · w[0]"


def test_max_pooling_keeps_places_only_and_dropout_keeps_bits(backend):
    pool = nn.Sequential(nn.Conv2d(1, 2, 1), nn.MaxPool2d(3, 2))
    kept = rows_of(pool, (1, 8, 8), 1)
    assert kept[0] == 256
    assert 0 < kept[1] <= 2 * 9 * 4
    pool[1] = nn.MaxPool2d(2)
    assert rows_of(pool, (1, 8, 8), 1) == [256 + 2 * 16 * 4], "the places that both keep together"
    assert rows_of(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), (8,), 4) == [128, 32]


def test_a_frozen_model_keeps_nothing():
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh()).requires_grad_(False)
    assert training_memory(model, (5,)).bytes == 0
    model[0].bias.requires_grad_(True)
    assert rows_of(model, (5,), 1) == [0, 16], "a bias needs nothing, and nothing needs x"


@pytest.mark.parametrize("name", ["mlp", "cnn3", "lenetish", "mobile", "convnet"])
def test_it_is_all_that_stays_alive(name, backend):
    """After the forward pass nothing else is alive than what is counted, the input and the output."""
    model = getattr(zoo, name)(dropout=0.2)
    (x,) = zeros_for(model, (1, 28, 28), 2)
    live = Live(tensor.data for tensor in (*model.parameters(), *model.buffers()))

    def see(op, arrays, options, y, kept):
        if any(isinstance(a, np.ndarray) and live.holds(a) for a in arrays):
            for array in (y.data, *kept, *(v for v in options.values() if isinstance(v, np.ndarray))):
                live.add(array)

    live.add(x.data)
    with observe(see):
        y = model(x)
    alive = live.n_bytes
    assert y.shape == (2, 10)
    output = 2 * 10 * 4
    assert training_memory(model, (1, 28, 28), 2).bytes == alive - output


def test_several_inputs_and_outputs():
    class Two(nn.Module):
        def __init__(self):
            self.a, self.b, self.unused = nn.Linear(3, 2), nn.Linear(5, 2), nn.Linear(3, 4)

        def forward(self, x, y):
            self.unused(x * 1.0)
            return self.a(x), [self.b(y)]

    found = training_memory(Two(), [(3,), (5,)], 2)
    assert [(row.name, row.bytes) for row in found.rows] == [("unused", 0), ("a", 24), ("b", 40)]


def test_the_model_is_as_it_was():
    model = zoo.mobile(dropout=0.5)
    before, draws = {k: v.data.tobytes() for k, v in model.state_dict().items()}, random.get_state()
    model.eval()
    training_memory(model, (1, 28, 28))
    assert {k: v.data.tobytes() for k, v in model.state_dict().items()} == before
    assert random.get_state() == draws
    assert not any(m.training for m in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_text_html_and_refusals():
    found = training_memory(nn.Sequential(nn.Linear(5, 4), nn.Tanh()), (5,), 100)
    assert str(found).splitlines()[2:6] == [
        "0      Linear  2.0 kB", "1      Tanh    1.6 kB", "---------------------", "total          3.6 kB"
    ]  # fmt: skip
    root = ElementTree.fromstring(found._repr_html_().replace("details open", "details"))
    assert root.find("summary/b").text == "Sequential: 3.6 kB kept for backward, batch 100"
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        training_memory(nn.Linear(2, 2), (2,), 0)
    with pytest.raises(ValueError, match="training needs more than 1 value a channel"):
        training_memory(nn.BatchNorm1d(2), (2,), 1)
