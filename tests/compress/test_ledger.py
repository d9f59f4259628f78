import csv
import io
from statistics import stdev

import numpy as np
import pytest

from tinydl import nn
from tinydl.checkpoint import save_weights
from tinydl.compress import Ledger
from tinydl.compress.ledger import size_on_disk
from tinydl.data import DataLoader
from tinydl.data.dataset import TensorDataset
from tinydl.random import manual_seed
from tinydl.tensor import Tensor

SIZES = (1, 6, 6)


def network(seed=0):
    manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def data(model):
    """Return 20 images whose labels the model gets right, but for five."""
    x = np.random.default_rng(3).standard_normal((20, *SIZES)).astype(np.float32)
    labels = model(Tensor(x)).data.argmax(1)
    labels[:5] = (labels[:5] + 1) % 3
    return DataLoader(TensorDataset(x, labels), 8)


def test_a_row_holds_what_was_counted_written_and_measured(backend, tmp_path):
    model = network()
    model[3].weight.data[...] = np.where(np.arange(192).reshape(3, 64) < 100, 0, 1)
    row = Ledger(SIZES, data(model), rounds=2).record("dense", model)
    assert (row.name, row.params, row.nonzero) == ("dense", 4 * 9 + 4 + 64 * 3 + 3, 4 * 9 + 4 + 92 + 3)
    assert row.macs == 16 * 36 + 192
    save_weights(model, tmp_path / "file")
    assert row.bytes == (tmp_path / "file").stat().st_size
    assert row.activation >= 4 * (64 + 64)
    assert row.ms > 0
    assert (row.accuracies, row.accuracy, row.sd) == ((0.75,), 0.75, None)


def test_the_model_stays_as_it_was():
    model = network().train()
    before = {name: value.data.copy() for name, value in model.state_dict().items()}
    Ledger(SIZES, data(model), rounds=1).record("dense", model)
    assert model.training
    assert all(np.array_equal(before[name], value.data) for name, value in model.state_dict().items())


def test_several_seeds_give_mean_and_standard_deviation():
    models = [network(seed) for seed in range(3)]
    row = Ledger(SIZES, data(models[0]), rounds=1).record("dense", models)
    assert len(row.accuracies) == 3
    assert row.accuracies[0] == 0.75
    assert row.accuracy == pytest.approx(np.mean(row.accuracies))
    assert row.sd == pytest.approx(stdev(row.accuracies))


def test_the_file_is_the_one_that_the_writer_wrote():
    ledger = Ledger(SIZES, write=lambda model, path: path.write_bytes(b"12345"), rounds=1)
    assert ledger.record("all", network()).bytes == 5

    def two_files(model, path):
        path.with_suffix(".a").write_bytes(b"12")
        path.with_suffix(".b").write_bytes(b"3")

    assert ledger.record("two", network(), write=two_files).bytes == 3
    with pytest.raises(ValueError, match="write must leave a file"):
        size_on_disk(network(), lambda model, path: None)


def filled():
    ledger = Ledger(SIZES, rounds=1)
    ledger.record("dense|wide", network(), accuracy=[0.99, 0.98])
    ledger.record("small", nn.Sequential(nn.Flatten(), nn.Linear(36, 3, bias=False)), accuracy=0.95)
    ledger.record("unknown", nn.Sequential(nn.Flatten(), nn.Linear(36, 3)))
    return ledger


def test_printed_it_is_a_table_that_compares_the_last_row_with_the_first():
    ledger = filled()
    lines = str(ledger).splitlines()
    assert lines[0].split() == "network parameters non-zero MACs on disk activations ms accuracy (%)".split()
    assert lines[2].split()[:4] == ["dense|wide", "235", "235", "768"]
    assert lines[2].endswith("98.50 ± 0.71")
    assert lines[3].endswith("95.00")
    assert lines[6].split()[:5] == ["first", "/", "last", "2.12×", "2.12×"]
    ledger.rows.pop()
    assert str(ledger).splitlines()[5].endswith("-3.50")
    assert "<table>" in ledger._repr_html_()
    assert "98.50 ± 0.71" in ledger._repr_html_()


def test_an_empty_ledger_prints_as_well():
    assert "no rows" in str(Ledger(SIZES))


def test_markdown_and_csv(tmp_path):
    ledger = filled()
    ledger.save(tmp_path / "ledger.md")
    lines = (tmp_path / "ledger.md").read_text().splitlines()
    assert lines[0].startswith("| network | parameters |")
    assert lines[1] == "| --- " + "| --: " * 7 + "|"
    assert lines[2].startswith(r"| dense\|wide | 235 | 235 | 768 |")
    ledger.save(tmp_path / "ledger.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "ledger.csv").read_text())))
    assert [row["name"] for row in rows] == ["dense|wide", "small", "unknown"]
    assert [int(row["bytes"]) for row in rows] == [row.bytes for row in ledger.rows]
    assert float(rows[0]["ms"]) == ledger.rows[0].ms
    assert (rows[0]["accuracies"], rows[2]["accuracy"], rows[1]["sd"]) == ("0.99 0.98", "", "")
    with pytest.raises(ValueError, match=r"path must end in \.csv or \.md"):
        ledger.save(tmp_path / "ledger.txt")


def test_the_pareto_front_leaves_out_what_is_not_known():
    left, right = filled().pareto(x=("bytes", "nonzero"))
    assert left.get_title(loc="left") == "on the front: small, dense|wide"
    assert right.get_xlabel() == "non-zero parameters"
    assert filled().points()["small"]["accuracy"] == 95


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"name": "here"}, ValueError, "name must be new, the ledger has a row 'here'"),
        ({"model": []}, TypeError, "model must be one Module or several"),
        ({"model": [3]}, TypeError, "model must be one Module or several"),
        ({"accuracy": 99.2}, ValueError, r"accuracy must be shares in \[0, 1\], got 99.2"),
        ({"accuracy": [0.5, float("nan")]}, ValueError, "accuracy must be shares"),
        ({"model": nn.Linear(2, 2)}, ValueError, "axis I is 6"),
    ],
)
def test_refuses_and_adds_no_row(change, error, message):
    ledger = Ledger(SIZES, rounds=1)
    ledger.record("here", network())
    with pytest.raises(error, match=message):
        ledger.record(**{"name": "new", "model": network(), **change})
    assert len(ledger.rows) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": 28}, "input_shape must be sizes"),
        ({"input_shape": (1, 0, 3)}, "input_shape must be at least 1"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Ledger(**{"input_shape": SIZES, **arguments})
