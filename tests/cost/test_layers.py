"""Costs against counts by hand."""

from xml.etree import ElementTree

import numpy as np
import pytest

from tinydl import Tensor, nn, ops, zoo
from tinydl.checkpoint import save_weights
from tinydl.cost import file_size, summary


@pytest.mark.parametrize(
    ("model", "params", "macs"),
    [
        (zoo.mlp, 235_146, 784 * 256 + 256 * 128 + 128 * 10),
        (zoo.cnn3, 93_322, 32 * 9 * 26**2 + 64 * 32 * 9 * 11**2 + 64 * 64 * 9 * 3**2 + 576 * 64 + 640),
        (zoo.cnn1, 693_962, 32 * 9 * 26**2 + 32 * 13 * 13 * 128 + 1280),
        (zoo.lenetish, 21_840, 10 * 25 * 24**2 + 20 * 10 * 25 * 8**2 + 320 * 50 + 500),
        (
            zoo.mobile,
            36_874,
            16 * 9 * 14**2
            + (16 * 9 + 16 * 32) * 14**2
            + (32 * 9 + 32 * 64) * 7**2
            + (64 * 9 + 64 * 64) * 7**2
            + (64 * 9 + 64 * 128) * 4**2
            + (128 * 9 + 128 * 128) * 4**2
            + 1280,
        ),
    ],
)
def test_small_networks(model, params, macs, backend):
    network = model()
    found = summary(network, (1, 28, 28))
    assert found.params == params == sum(p.numel() for p in network.parameters())
    assert found.macs == macs
    assert found.bytes == sum(t.data.nbytes for t in (*network.parameters(), *network.buffers()))


def test_rows():
    found = summary(nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)), (2, 4, 4))
    assert [row.name for row in found.rows] == ["0", "1", "2", "3"]
    assert [row.kind for row in found.rows] == ["Conv2d", "ReLU", "Flatten", "Linear"]
    assert [row.shape for row in found.rows] == [(4, 4, 4), (4, 4, 4), (64,), (3,)]
    assert [row.params for row in found.rows] == [76, 0, 0, 195]
    assert [row.macs for row in found.rows] == [4 * 2 * 9 * 16, 0, 0, 192]
    assert [row.bytes for row in found.rows] == [304, 0, 0, 780]
    assert [row.activation for row in found.rows][:2] == [256, 256]
    assert found.rows[3].activation == 12


def test_text_and_html():
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Flatten(), nn.Linear(80, 3))
    found = summary(model, (2, 4, 5))
    lines = str(found).splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "sees", "parameters", "MACs", "activations", "bytes"]
    assert lines[2].split() == ["0", "Conv2d", "4×4×5", "3", "76", "1,440", "320", "B", "304", "B"]
    assert lines[4].split()[:6] == ["2", "Linear", "3", "all", "243", "240"]
    assert lines[6].split()[:3] == ["total", "319", "1,680"]
    assert lines[7].endswith("nothing else; one input 2×4×5")
    assert f"({found.file_bytes:,} bytes)" in lines[-1]
    assert max(map(len, str(summary(zoo.mobile(), (1, 28, 28))).splitlines())) <= 140
    root = ElementTree.fromstring(found._repr_html_().replace("details open", "details"))
    assert root.find("summary/b").text == "Sequential: 319 parameters, 1,680 MACs"
    assert [[cell.text or "" for cell in row][:5] for row in root.iter("tr")][1] == ["0", "Conv2d", "4×4×5", "3", "76"]


def test_transposed_convolution_groups_and_modes():
    model = nn.Sequential(nn.ConvTranspose2d(4, 2, 2, stride=2), nn.Dropout())
    assert summary(model, (4, 3, 3)).macs == 9 * 4 * 2 * 4
    assert model.training
    assert model[0]._hooks is None
    assert summary(nn.Conv2d(4, 8, 3, groups=2), (4, 5, 5)).macs == 8 * 2 * 9 * 9
    with pytest.raises(ValueError):
        summary(model, (3, 3, 3))
    assert model[0]._hooks is None
    assert model.training


class Shared(nn.Module):
    """One layer called twice, one parameter in two layers, one layer that never runs, one parameter of its own."""

    def __init__(self):
        self.twice, self.tied, self.idle = nn.Linear(6, 6), nn.Linear(6, 6, bias=False), nn.Linear(2, 2)
        self.tied.weight = self.twice.weight
        self.scale = nn.Parameter([2.0])

    def forward(self, x):
        return self.tied(self.twice(self.twice(x))) * self.scale


def test_what_is_shared_counts_once_and_every_call_has_a_row():
    model = Shared()
    found = summary(model, (6,))
    rows = [(row.name, row.shape, row.params, row.macs) for row in found.rows]
    assert rows == [
        ("twice", (6,), 42, 36),
        ("twice", (6,), 0, 36),
        ("tied", (6,), 0, 36),
        ("Shared", (6,), 1, 0),
        ("idle", None, 6, 0),
    ]
    assert found.params == 49 == sum(p.numel() for p in model.parameters())
    assert found.bytes == 4 * 49
    assert "does not run" in str(found)


class Functional(nn.Module):
    """Everything is done by functions on parameters that layers do not own, or own and do not run."""

    def __init__(self):
        self.kernel, self.fc = nn.Parameter(np.ones((4, 1, 3, 3), np.float32)), nn.Linear(8, 5)

    def forward(self, x, y):
        x = nn.functional.relu(nn.functional.conv2d(x, self.kernel, padding=1))
        x = ops.cat([ops.mean(x, (2, 3)), y @ self.fc.weight[:4, :4].transpose(0, 1)], 1)
        return {"logits": nn.functional.linear(x, self.fc.weight, self.fc.bias), "aux": None}


def test_functions_count_for_the_module_that_runs_them():
    found = summary(Functional(), [(1, 6, 7), (4,)])
    assert [(r.name, r.shape, r.params, r.macs) for r in found.rows] == [
        ("Functional", (5,), 36, 4 * 9 * 42 + 16 + 40),
        ("fc", None, 45, 0),
    ]
    assert found.input_shapes == ((1, 6, 7), (4,))
    assert "one input 1×6×7 and 4" in str(found)
    assert found.rows[0].activation >= 4 * (2 * 4 * 42 + 4 + 4 + 8 + 5)


def test_recurrent_layers_count_their_steps():
    layer = nn.LSTM(3, 5, batch_first=True)
    assert summary(layer, (7, 3)).macs == 7 * 4 * 5 * (3 + 5)


def test_activations_are_results_of_ops_on_the_input():
    """Batch norm computes its scale from buffers alone: only its output is an activation; views make none."""
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(24), nn.Identity(), nn.Dropout())
    assert [row.activation for row in summary(model, (3, 8)).rows] == [0, 96, 0, 0]


def test_file_size_is_that_of_the_file(tmp_path):
    for i, model in enumerate((zoo.mobile(), Shared(), nn.Linear(3, 2).double(), nn.ReLU())):
        save_weights(model, tmp_path / str(i))
        assert file_size(model) == (tmp_path / str(i)).stat().st_size
    assert summary(zoo.mlp(), (1, 28, 28)).file_bytes == file_size(zoo.mlp())


def test_nothing_is_changed():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    before = {name: value.data.tobytes() for name, value in model.state_dict().items()}
    model[1].eval()
    summary(model, (1, 5, 5))
    assert {name: value.data.tobytes() for name, value in model.state_dict().items()} == before
    assert [m.training for m in model.modules()] == [True, True, False, True]
    assert all(p.grad is None for p in model.parameters())
    assert model(Tensor(np.zeros((1, 1, 5, 5), np.float32))).requires_grad


def test_refuses_shapes_by_name():
    with pytest.raises(ValueError, match="input_shape must be at least 1, got 0"):
        summary(nn.ReLU(), (0,))
