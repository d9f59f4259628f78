"""Recipes: a pipeline as a line of text, or as a file with a step a line.

    prune 0.5, finetune 1, prune 0.9, finetune 2 lr=0.0005, share 5, finetune 1, code

Each step is a word, perhaps a number or two, and perhaps settings like `lr=0.0005`. Steps are separated by commas or
line ends; what stands behind a # is not read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tinydl.compress import stages
from tinydl.compress.pipeline import Pipeline, Step, pipeline
from tinydl.nn import Module
from tinydl.shapes import Shape
from tinydl.train import Batches, Callback


@dataclass(frozen=True)
class Materials:
    """What steps may need beside their settings.

    Attributes:
        data: batches to train on.
        teacher: the network as it came.
        input_shape: of one input, without the batch axis.
        callbacks: makes the callbacks of a training run, such as a progress bar.
    """

    data: Batches
    teacher: Module
    input_shape: Shape
    callbacks: Callable[[], Sequence[Callback]] = tuple


def _prune(_: Materials, sparsity: float, scope: str = "global") -> Step:
    return stages.prune(sparsity, scope)


def _finetune(given: Materials, epochs: int = 1, lr: float = 1e-3) -> Step:
    return stages.finetune(given.data, epochs, lr, callbacks=given.callbacks)


def _learn(given: Materials, epochs: int = 1, lr: float = 1e-3, temperature: float = 4.0, alpha: float = 0.9) -> Step:
    return stages.learn(given.data, given.teacher, epochs, lr, temperature, alpha, given.callbacks)


def _factorize(given: Materials, budget: float = 0.5, of: str = "params", conv: str = "spatial") -> Step:
    return stages.factorize(budget=budget, of=of, conv=conv, input_shape=given.input_shape)


def _shrink(given: Materials, budget: float = 0.5) -> Step:
    return stages.shrink(budget, given.input_shape)


def _quantize(given: Materials, batches: int = 8) -> Step:
    return stages.quantize(given.data, batches)


STEPS: Mapping[str, tuple[Callable[..., Step], str]] = {
    "prune": (_prune, "zeros for this share of the weights"),
    "finetune": (_finetune, "train for so many epochs"),
    "learn": (_learn, "train for so many epochs on what the network as it came says"),
    "factorize": (_factorize, "thin pairs of layers, down to this share of the parameters"),
    "fold": (lambda _: stages.fold(), "batch norms into convolutions"),
    "fuse": (lambda _: stages.fuse(), "one layer for two linear ones"),
    "shrink": (_shrink, "fewer channels, down to this share of the multiply-adds"),
    "quantize": (_quantize, "a network of integers, int8, calibrated on so many batches"),
    "share": (lambda _, bits=5, start="linear": stages.share(bits, start), "2^bits different weights a layer"),
    "code": (lambda _: stages.code(), "entropy coding: a packed file"),
}
"""What each word of a recipe makes, of the materials and its settings; and what that is, for people."""


def read_recipe(text: str, materials: Materials) -> Pipeline:
    """Return the pipeline that a recipe describes.

    Raises: ValueError naming the step, for a word that is no step, a setting that it does not take, or a value out of
        range; for a recipe without steps.

    >>> from tinydl.nn import Linear
    >>> print(read_recipe("prune 0.9, finetune 2 lr=0.01  # two epochs", Materials([], Linear(2, 2), (2,))))
    prune 0.9, finetune 2
    """
    lines = [line.split("#")[0] for line in text.splitlines()]
    parts = [part.split() for line in lines for part in line.split(",")]
    found = [_step(words, materials) for words in parts if words]
    if not found:
        raise ValueError(f"recipe must have a step, like 'prune 0.9, finetune 2, code'; got {text!r}")
    return pipeline(found)


def _step(words: Sequence[str], materials: Materials) -> Step:
    verb, *rest = words
    if verb not in STEPS:
        close = get_close_matches(verb, STEPS, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(STEPS)}"
        raise ValueError(f"recipe: no step is called {verb!r}; {hint}")
    make = STEPS[verb][0]
    values = [_value(word) for word in rest if "=" not in word]
    settings = {name: _value(text) for name, _, text in (word.partition("=") for word in rest if "=" in word)}
    try:
        inspect.signature(make).bind(materials, *values, **settings)
    except TypeError as error:
        takes = ", ".join(list(inspect.signature(make).parameters)[1:]) or "nothing"
        raise ValueError(f"recipe: {' '.join(words)!r}: {error}; {verb} takes {takes}") from None
    try:
        return make(materials, *values, **settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"recipe: {' '.join(words)!r}: {error}") from None


def _value(text: str) -> Any:
    """Return a number where the text is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
