"""`tinydl compress` as a user meets it."""

import csv
import re

import numpy as np
import pytest

from tinydl import kernels
from tinydl.checkpoint import load_weights
from tinydl.cli import main
from tinydl.compress import coding
from tinydl.kernels.threads import num_threads, set_num_threads

SMALL = ["--data", "synthetic", "--limit", "400", "--epochs", "1", "--batch-size", "50", "--model", "lenetish"]


@pytest.fixture(autouse=True)
def engine_as_before():
    threads = num_threads()
    with kernels.use(kernels.active()):
        yield
    set_num_threads(threads)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    assert main(["train", "--quiet", *SMALL, "--out", str(out), "--name", "one"]) == 0
    return out / "one"


def test_a_recipe_gives_a_smaller_network_and_a_ledger(run, tmp_path, capsys):
    before = load_weights(run / "best.safetensors")
    out = tmp_path / "small"
    recipe = "prune 0.9, finetune 1, share 4, code"
    assert main(["compress", str(run), "--recipe", recipe, "--out", str(out), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert {p.name for p in out.iterdir()} == {
        "model.tdl", "recipe.txt", "config.json", "ledger.csv", "ledger.md", "pareto.png",
    }  # fmt: skip
    rows = list(csv.DictReader((out / "ledger.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["as it came", "prune 0.9", "finetune 1", "share 4", "code"]
    assert all(re.search(rf"^{row['name']}: .*of held-out images$", printed, re.M) for row in rows)
    assert re.search(r"^test accuracy \d+\.\d\d % as it came, \d+\.\d\d % now$", printed, re.M)
    assert "first / last" in printed
    assert int(rows[-1]["bytes"]) == (out / "model.tdl").stat().st_size < int(rows[0]["bytes"]) / 10
    weights = coding.load(out / "model.tdl")
    assert 0.85 < np.mean(weights["7.weight_index"] == 0) < 0.95
    assert (out / "recipe.txt").read_text() == recipe + "\n"
    after = load_weights(run / "best.safetensors")
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_recipe_file_and_the_default_folder(run, tmp_path, capsys):
    file = tmp_path / "recipe.txt"
    file.write_text("fold   # nothing to fold here\nfactorize budget=0.5\n")
    for name in ("compressed", "compressed-2"):
        assert main(["compress", str(run / "best.safetensors"), "--recipe", str(file), "--quiet"]) == 0
        assert (run / name / "model.safetensors").exists()
    assert "factorize budget 0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("prunes 0.9", "no step is called 'prunes'; did you mean prune?"),
        ("prune 2", "sparsity must be in [0, 1), got 2"),
        ("", "recipe must have a step"),
        ("x" * 300, "no step is called"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(run, tmp_path, recipe, message, capsys):
    assert main(["compress", str(run), "--recipe", recipe, "--out", str(tmp_path / "new")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("tinydl: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "new").exists()


def test_there_must_be_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compress", "--recipe", "fold"]) == 1
    assert "no trained run" in capsys.readouterr().err


def test_help_lists_the_steps(capsys):
    with pytest.raises(SystemExit):
        main(["compress", "--help"])
    text = capsys.readouterr().out
    for word in ("prune", "finetune", "share", "code"):
        assert re.search(rf"^  {word} ", text, re.M)
