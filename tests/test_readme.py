"""README keeps its word: its example runs, the places it names exist, its commands are those that CI runs."""

import re
from pathlib import Path

from tinydl import data
from tinydl.data import Subset, SyntheticDigits

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs(monkeypatch, capsys):
    (program,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len([line for line in program.splitlines() if line.strip()]) <= 10
    sets = [SyntheticDigits(n=n, train=train) for n, train in ((1500, True), (200, False))]
    monkeypatch.setattr(data, "load", lambda name: tuple(Subset(part, range(len(part))) for part in sets))
    exec(program, {})
    accuracy = float(re.fullmatch(r"test accuracy (\d+\.\d\d)%\n", capsys.readouterr().out)[1])
    assert accuracy > 30


def test_the_places_exist():
    table = README[README.index("## Where to read next") :]
    package = "tinydl/", "tests/", "benchmarks/", "notebooks/"
    named = [name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`([^`]+)`", row)]
    assert len(named) > 8
    for name in named:
        path = ROOT / (name if name.startswith(package) else f"tinydl/{name}")
        assert path.exists(), name
    (picture,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert (ROOT / picture).exists()


def test_ci_installs_and_tests_as_readme_says():
    install, test = re.findall(r"```sh\n(.*?)\n```", README, re.S)
    assert install.endswith("tinydl train")
    assert "pip install -q '.[test]'" in test
    assert test.endswith("python -m pytest")
    assert "python -m pytest" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
