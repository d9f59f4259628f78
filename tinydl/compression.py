"""What `tinydl compress` does: a recipe, step by step, on a trained run, with the ledger at the end."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from tinydl.callbacks import Progress
from tinydl.commands import latest_run, load_run, set_engine
from tinydl.compress import Entry, Ledger, Materials, Pipeline, read_recipe
from tinydl.config import RunConfig
from tinydl.cost.table import in_bytes
from tinydl.data import load
from tinydl.experiment import split, test_loader
from tinydl.nn import Module
from tinydl.plots import save
from tinydl.random import manual_seed
from tinydl.storage import write_atomically
from tinydl.train import Interrupted, evaluate

DIGITS = (1, 28, 28)


def compress(args: Namespace) -> int:
    """Run a recipe on a trained network; print the ledger, then both test accuracies; keep everything in a folder.

    Training sees the images that the run trained on, the ledger those that it held out; the test images are looked at
    once, at the end.
    """
    set_engine(args)
    path = latest_run(args.run)
    config, model = load_run(path)
    manual_seed(config.seed)
    text = _recipe_text(args.recipe)
    train, test = load(config.data)
    data, held_out = split(train, config)
    show = False if args.quiet else None
    recipe = read_recipe(text, Materials(data, model, DIGITS, lambda: [Progress(show)]))
    folder = _new_folder(Path(args.out) if args.out else _folder_of(path) / "compressed")
    ledger = Ledger(DIGITS, held_out)
    try:
        smaller = recipe(model, ledger, _say)
    except Interrupted as interruption:
        print("interrupted; nothing was saved")
        return 128 + interruption.signal
    print(ledger)
    before, after = (100 * evaluate(net, test_loader(test, config)).accuracy for net in (model, smaller))
    print(f"test accuracy {before:.2f} % as it came, {after:.2f} % now")
    _save(folder, text, recipe, smaller, ledger, config)
    print(f"results in {folder}/: {', '.join(sorted(p.name for p in folder.iterdir()))}")
    return 0


def _recipe_text(given: str) -> str:
    """Return what a recipe file says, if `given` is the name of one; else `given` itself."""
    file = Path(given)
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else given
    except OSError:  # too long for a file's name
        return given


def _folder_of(path: Path) -> Path:
    return path.parent if path.suffix == ".safetensors" else path


def _new_folder(wanted: Path) -> Path:
    """Make and return the folder `wanted`, or wanted-2, … where there is one already."""
    folder, n = wanted, 2
    while folder.exists():
        folder, n = wanted.with_name(f"{wanted.name}-{n}"), n + 1
    folder.mkdir(parents=True)
    return folder


def _say(row: Entry) -> None:
    """Print what a step has led to, as soon as it is known."""
    accuracy = "" if row.accuracy is None else f", {100 * row.accuracy:.2f} % of held-out images"
    print(f"{row.name}: {in_bytes(row.bytes)}{accuracy}", flush=True)


def _save(folder: Path, text: str, recipe: Pipeline, model: Module, ledger: Ledger, config: RunConfig) -> None:
    """Write the network, the recipe, the run's settings and the ledger."""
    recipe.save(model, folder / "model")
    write_atomically(folder / "recipe.txt", (text.strip() + "\n").encode())
    config.save(folder / "config.json")
    ledger.save(folder / "ledger.csv")
    ledger.save(folder / "ledger.md")
    save(folder / "pareto.png", ledger.pareto)


COMPRESSION: dict[str, Any] = {"compress": compress}
