"""What each command of `tinydl` does, given its parsed arguments; those that look at networks: `tinydl.inspection`."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tinydl import checkpoint, kernels
from tinydl.config import MODELS, RunConfig
from tinydl.data import ImageDataset, cache_folder, load, normalize_digit
from tinydl.experiment import Experiment, make_model, make_optimizer, test_loader
from tinydl.interrupts import run_in_front
from tinydl.kernels.threads import set_num_threads
from tinydl.lessons.shelf import copy_to, notebooks
from tinydl.nn import Module
from tinydl.nn.functional import cross_entropy
from tinydl.ops import softmax
from tinydl.plots import images as image_grid
from tinydl.plots import save
from tinydl.random import manual_seed
from tinydl.tensor import Tensor
from tinydl.train import Interrupted, evaluate, evaluating

SETTINGS = tuple(RunConfig.__dataclass_fields__)
BEST = "best.safetensors"


def set_engine(args: Namespace) -> None:
    """Apply --threads and --kernels."""
    if args.threads is not None:
        set_num_threads(args.threads)
    if args.kernels is not None:
        kernels.use(args.kernels)


def train(args: Namespace) -> int:
    """Train, test, and say where the results are; 128 + signal when interrupted."""
    set_engine(args)
    given = {name: value for name, value in vars(args).items() if name in SETTINGS}
    if args.resume is not None:
        if given:
            raise ValueError(f"--resume takes its settings from the run; leave out {', '.join(sorted(given))}")
        folder = Path(args.resume)
        config = RunConfig.load(folder / "config.json")
    else:
        config = RunConfig.of(given)
        folder = _new_folder(Path(args.out), args.name or f"{config.model}-{config.data}-seed{config.seed}")
    experiment = Experiment(config, folder, show=False if args.quiet else None)
    if args.resume is not None:
        experiment.resume()
    return _run(experiment)


def _new_folder(out: Path, name: str) -> Path:
    """Return out/name, or out/name-2, … where a run stands already."""
    folder, n = out / name, 2
    while (folder / "config.json").exists():
        folder, n = out / f"{name}-{n}", n + 1
    return folder


def _run(experiment: Experiment) -> int:
    started = time.perf_counter()
    folder = experiment.folder
    try:
        tested = experiment.run()
    except Interrupted as interruption:
        print(f"interrupted; go on with: tinydl train --resume {folder}")
        return 128 + interruption.signal
    print(f"test accuracy {100 * tested.accuracy:.2f} %")
    files = ", ".join(sorted(p.name for p in folder.iterdir()))
    print(f"{time.perf_counter() - started:.1f} s; results in {folder}/: {files}")
    return 0


def load_run(path: Path) -> tuple[RunConfig, Module]:
    """Return the config and the best model of a run, from its folder or a checkpoint in it."""
    file = path if path.suffix == ".safetensors" else path / BEST
    config = RunConfig.load(file.parent / "config.json")
    model = make_model(config)
    if file.name == BEST:
        checkpoint.load_weights(file, model)
    else:
        model.load_state_dict(checkpoint.load(file)["model"])
    return config, model


def latest_run(path: str | None) -> Path:
    """Return `path`, or the folder under runs/ that was written last. Raises: FileNotFoundError when there is none."""
    if path is not None:
        return Path(path)
    found = sorted(Path("runs").glob(f"*/{BEST}"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise FileNotFoundError(f"no trained run: runs/*/{BEST} does not exist; name one, or run `tinydl train` first")
    return found[-1].parent


def evaluate_run(args: Namespace) -> int:
    """Test a trained run again and print loss and accuracy."""
    set_engine(args)
    path = latest_run(args.run)
    config, model = load_run(path)
    config = replace(config, data=args.data or config.data)
    _, test = load(config.data)
    tested = evaluate(model, test_loader(test, config), cross_entropy)
    print(f"{path}: {len(tested.targets):,} images of {type(test).__name__}, loss {tested.loss:.4f}")
    print(f"test accuracy {100 * tested.accuracy:.2f} %")
    return 0


def predict(args: Namespace) -> int:
    """Print the digit in each picture, with the probability of the best three."""
    set_engine(args)
    from matplotlib.image import imread

    pictures = [normalize_digit(imread(name)) for name in args.images]
    _, model = load_run(latest_run(args.run))
    batch = np.stack([ImageDataset.standard()(picture) for picture in pictures])
    with evaluating(model):
        shares = softmax(model(Tensor(batch)), 1).data
    for name, share in zip(args.images, shares):
        best = np.argsort(-share)[:3]
        print(f"{name}: {best[0]}  ({', '.join(f'{digit}: {share[digit]:.1%}' for digit in best)})")
    return 0


def warmup(args: Namespace) -> int:
    """Compile every kernel that training the models needs, so that later runs start at once."""
    set_engine(args)
    for name in MODELS:
        started = time.perf_counter()
        _one_step(RunConfig(model=name))
        print(f"{name}: {time.perf_counter() - started:.2f} s")
    print(f"kernels: {kernels.active()}")
    return 0


def _one_step(config: RunConfig) -> None:
    """Train one batch of noise."""
    draw = manual_seed(config.seed)
    model = make_model(config)
    optimizer = make_optimizer(config, model)
    x = Tensor(draw.random((config.batch_size, 1, 28, 28), np.float32))
    cross_entropy(model(x), Tensor(draw.integers(0, 10, config.batch_size))).backward()
    optimizer.step()


def data(args: Namespace) -> int:
    """Fetch a data set if need be and say what it holds."""
    train_set, test_set = load(args.name)
    for name, part in (("train", train_set), ("test", test_set)):
        counts = np.bincount(part.labels, minlength=len(part.classes))
        print(f"{type(part).__name__} {name}: {len(part):,} images, {counts.min():,}–{counts.max():,} a class")
    print(f"cache folder: {cache_folder()}")
    if args.picture:
        save(args.picture, image_grid, train_set.images[:100], train_set.labels[:100])
        print(f"the first 100 images: {args.picture}")
    return 0


def lessons(args: Namespace) -> int:
    """Copy the notebooks to a folder of the reader's and open the first in JupyterLab, or say how to get that."""
    folder = Path(args.folder)
    copied = copy_to(folder)
    print(f"{folder}/: {len(copied.new)} files new, {len(copied.same)} there already")
    if copied.kept:
        print(f"kept as you left them: {', '.join(copied.kept)} (for clean copies, name another folder)")
    if args.copy_only:
        return 0
    if find_spec("jupyterlab") is None:
        print(f"to open them: {sys.executable} -m pip install jupyterlab, then once more: tinydl lessons {folder}")
        return 0
    command = [sys.executable, "-m", "jupyterlab", *args.jupyter, notebooks()[0].name]
    return run_in_front(command, folder)


COMMANDS: dict[str, Any] = {
    "train": train,
    "evaluate": evaluate_run,
    "predict": predict,
    "warmup": warmup,
    "data": data,
    "lessons": lessons,
}
