"""The command line as a user meets it."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from tinydl.checkpoint import load_weights
from tinydl.cli import build_parser, main
from tinydl.commands import COMMANDS
from tinydl.compression import COMPRESSION
from tinydl.config import RunConfig
from tinydl.data import SyntheticDigits
from tinydl.inspection import INSPECTION

SMALL = ["--data", "synthetic", "--limit", "500", "--epochs", "2", "--batch-size", "50", "--model", "lenetish"]


def run(*argv, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "tinydl", *argv], capture_output=True, text=True, timeout=300, **kwargs
    )


def same_weights(one, other):
    """Tell whether two runs' best weights are the same bits."""
    a, b = (load_weights(folder / "best.safetensors") for folder in (one, other))
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


@pytest.fixture
def few_digits(monkeypatch):
    """Draw a fortieth of the digits: all of them take 3 s each time."""
    monkeypatch.setattr("tinydl.data.catalog.SyntheticDigits", partial(SyntheticDigits, n=1500))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    assert main(["train", "--quiet", *SMALL, "--out", str(out), "--name", "one"]) == 0
    return out / "one"


def test_a_run_leaves_everything_it_promises(trained):
    assert {p.name for p in trained.iterdir()} == {
        "best.safetensors", "last.safetensors", "config.json", "history.csv",
        "curves.png", "confusion.png", "mistakes.png",
    }  # fmt: skip
    assert json.loads((trained / "config.json").read_text())["model"] == "lenetish"
    rows = list(csv.DictReader((trained / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for name in ("curves", "confusion", "mistakes"):
        assert (trained / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("few_digits")
def test_train_prints_the_test_accuracy_and_the_place(tmp_path, capsys):
    assert main(["train", "--quiet", *SMALL, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^test accuracy \d\d?\.\d\d %$", out, re.M)
    assert str(tmp_path / "lenetish-synthetic-seed0") in out
    assert main(["train", "--quiet", *SMALL, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "lenetish-synthetic-seed0-2" / "config.json").exists()


@pytest.mark.usefixtures("few_digits")
def test_train_takes_the_networks_of_the_literature(tmp_path):
    settings = ["--data", "synthetic", "--limit", "120", "--epochs", "1", "--model", "shufflenet_v2_x0_5"]
    assert main(["train", "--quiet", *settings, "--out", str(tmp_path), "--name", "run"]) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model"] == "shufflenet_v2_x0_5"


def test_same_seed_same_bits(trained, tmp_path):
    assert main(["train", "--quiet", *SMALL, "--out", str(tmp_path), "--name", "again"]) == 0
    assert same_weights(tmp_path / "again", trained)


def test_evaluate_agrees_with_train(trained, capsys):
    assert main(["evaluate", str(trained)]) == 0
    first = capsys.readouterr().out
    assert main(["evaluate", str(trained / "last.safetensors")]) == 0
    assert re.search(r"^test accuracy \d\d?\.\d\d %$", first, re.M)


def test_predict_reads_pictures(trained, tmp_path, capsys):
    from matplotlib.image import imsave

    digits = SyntheticDigits(n=20, train=False)
    names = []
    for i in range(3):
        names.append(str(tmp_path / f"{i}.png"))
        imsave(names[-1], 255 - np.kron(digits.images[i], np.ones((4, 4), np.uint8)), cmap="gray")
    assert main(["predict", "--run", str(trained), *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == names
    assert all(re.search(r"\.png: \d  \(\d: \d+\.\d%, ", line) for line in lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_resume_gives_the_same_bits(trained, tmp_path, number):
    """Stopped by a signal in another process, resumed in a third: the weights equal the uninterrupted run's."""
    argv = [sys.executable, "-m", "tinydl", "train", "--quiet", *SMALL, "--out", str(tmp_path), "--name", "cut"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as process:
        for line in process.stdout:
            if line.startswith("epoch 1/2"):
                process.send_signal(number)
                break
        out = process.stdout.read()
    assert process.returncode == 128 + number
    assert "tinydl train --resume" in out
    done = run("train", "--quiet", "--resume", str(tmp_path / "cut"))
    assert done.returncode == 0, done.stderr
    assert same_weights(tmp_path / "cut", trained)


@pytest.mark.parametrize(
    "options",
    [
        ["--optimizer", "sgd", "--schedule", "step", "--weight-decay", "5e-4", "--l1", "1e-6", "--momentum", "0.8"],
        ["--optimizer", "adamw", "--schedule", "warmup-cosine", "--dropout", "0.2", "--label-smoothing", "0.1"],
        ["--optimizer", "rmsprop", "--schedule", "plateau", "--clip", "1", "--accumulate", "2"],
        ["--schedule", "multi-step", "--augment", "all", "--ema", "0.9"],
        ["--schedule", "exponential", "--model", "mlp", "--lr", "0.001", "--patience", "1", "--threads", "1"],
        ["--schedule", "cosine", "--augment", "affine", "--seed", "7", "--validation", "50"],
        ["--schedule", "constant", "--augment", "cutout", "--kernels", "reference"],
    ],
)
@pytest.mark.usefixtures("few_digits")
def test_options(options, tmp_path, capsys):
    from tinydl import kernels
    from tinydl.kernels.threads import num_threads, set_num_threads

    threads = num_threads()
    argv = ["train", "--quiet", *SMALL, "--limit", "200", "--epochs", "1", *options, "--out", str(tmp_path)]
    try:
        with kernels.use(kernels.active()):
            assert main(argv) == 0, capsys.readouterr().err
    finally:
        set_num_threads(threads)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "--epochs", "0"], "epochs must be at least 1, got 0"),
        (["train", "--lr", "nan"], "lr must be positive, got nan"),
        (["train", "--dropout", "1.5"], "dropout must be in [0, 1], got 1.5"),
        (["train", "--model", "resnet18", "--width", "0"], "width must be positive, got 0.0"),
        (["train", "--width", "0.5"], "width does not apply to convnet, got 0.5; its channels are fixed"),
        (["train", "--resume", "nowhere"], "nowhere"),
        (["train", "--threads", "0"], "got 0"),
        (["evaluate", "nowhere"], "nowhere"),
        (["predict", "nowhere.png"], "nowhere.png"),
    ],
)
def test_errors_are_one_line(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 1
    err = capsys.readouterr().err
    assert err.startswith("tinydl: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.rglob("*.safetensors"))


def test_debug_shows_the_traceback(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="epochs"):
        main(["train", "--epochs", "0", "--debug"])


def test_usage_errors_and_help():
    assert run("train", "--model", "resnet99").returncode == 2
    assert run().returncode == 2
    help_text = run("--help").stdout
    assert "examples:" in help_text
    assert all(name in help_text for name in COMMANDS | COMPRESSION | INSPECTION)
    assert re.fullmatch(r"tinydl \d+\.\d+\.\d+\n", run("--version").stdout)


def test_offline_auto_falls_back_in_one_line(tmp_path):
    """Without data, cache or network: one line says so, and SyntheticDigits are trained on."""
    env = {k: v for k, v in os.environ.items() if k != "TINYDL_DATA"}
    dead = "http://127.0.0.1:9"
    env |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "http_proxy": dead, "https_proxy": dead}
    env.pop("TINYDL_CACHE", None)
    env["TINYDL_KERNELS"] = "reference"  # compiled ones are not in that cache either
    started = time.perf_counter()
    done = run("train", "--quiet", "--limit", "200", "--epochs", "1", "--out", str(tmp_path / "runs"), env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("MNIST is not to be had, using SyntheticDigits instead")
    assert done.stderr == ""
    assert time.perf_counter() - started < 120


def test_resume_refuses_other_settings(trained, capsys):
    assert main(["train", "--resume", str(trained), "--lr", "0.1"]) == 1
    assert "--resume takes its settings from the run; leave out lr" in capsys.readouterr().err


def test_data_picture(tmp_path, capsys):
    picture = tmp_path / "sheet.png"
    assert main(["data", "synthetic", "--picture", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "60,000 images" in capsys.readouterr().out


def test_every_setting_is_an_option():
    options = build_parser()._subparsers._group_actions[0].choices["train"]._option_string_actions
    assert {f"--{name.replace('_', '-')}" for name in RunConfig.__dataclass_fields__} <= options.keys()


@pytest.fixture
def started(monkeypatch):
    """The command lines that would have been run."""
    calls = []

    def run_it(command, cwd):
        calls.append((command[1:], str(cwd)))
        return 7

    monkeypatch.setattr("tinydl.commands.run_in_front", run_it)
    return calls


def test_lessons_are_copied_and_opened(tmp_path, monkeypatch, capsys, started):
    monkeypatch.setattr("tinydl.commands.find_spec", lambda name: name)
    folder = tmp_path / "mine"
    assert main(["lessons", str(folder), "--", "--no-browser"]) == 7
    assert started == [(["-m", "jupyterlab", "--no-browser", "01_a_derivative_by_hand.ipynb"], str(folder))]
    first = folder / "01_a_derivative_by_hand.ipynb"
    first.write_text("mine")
    assert main(["lessons", str(folder), "--copy-only"]) == 0
    assert len(started) == 1
    assert first.read_text() == "mine"
    assert "kept as you left them: 01_a_derivative_by_hand.ipynb" in capsys.readouterr().out


def test_lessons_without_jupyterlab_say_how_to_get_it(tmp_path, monkeypatch, capsys, started):
    monkeypatch.setattr("tinydl.commands.find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    assert main(["lessons"]) == 0
    assert started == []
    assert (tmp_path / "tinydl-lessons" / "01_a_derivative_by_hand.ipynb").exists()
    assert "-m pip install jupyterlab, then once more: tinydl lessons tinydl-lessons" in capsys.readouterr().out
