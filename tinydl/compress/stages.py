"""The steps of pipelines: what they are called, and what they do with a model.

| step | does |
|---|---|
| prune(0.9) | zeros for the smallest 90 % of the weights, kept by masks |
| finetune(data, 2) | two epochs of training |
| learn(data, teacher, 2) | two epochs of learning from the network as it came |
| fold() | batch norms into the convolutions before them (so before any of these is factorized) |
| factorize(budget=0.5) | thin pairs in the place of layers |
| fuse() | one layer in the place of two linear ones |
| shrink(0.25, (1, 28, 28)) | fewer channels: a smaller network with a quarter of the multiply-adds |
| share(5) | 2⁵ different weights a layer, found by k-means; they can be trained |
| quantize(data) | int8 weights and activations, calibrated on some batches; nothing is trained after it |
| code() | Huffman or arithmetic coding of all numbers: the packed file |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tinydl.callbacks import Schedule
from tinydl.compress import coding, integer, structured
from tinydl.compress.distill import Distillation, DistillationLoss
from tinydl.compress.factorize import factorize as take_apart
from tinydl.compress.factorize import fuse_linear
from tinydl.compress.fold import fold_batch_norm
from tinydl.compress.pipeline import Step
from tinydl.compress.prune import sparsify
from tinydl.compress.sharing import share_weights
from tinydl.cost import summary
from tinydl.nn import Module
from tinydl.nn.functional import cross_entropy
from tinydl.optim import Adam, lr_scheduler
from tinydl.options import choice, number, whole
from tinydl.shapes import Shape
from tinydl.train import Batches, Callback, Loss, fit


def prune(sparsity: float, scope: str = "global") -> Step:
    """Return the step that prunes by magnitude: `sparsity` in [0, 1), of all weights or of each layer's."""
    share = number(sparsity, "sparsity", "[0, 1)")
    choice(scope, "scope", ("global", "layer"))

    def transform(model: Module) -> Module:
        sparsify(model, share, scope=scope)
        return model

    return Step(f"prune {sparsity:g}", transform)


def finetune(
    data: Batches,
    epochs: int,
    lr: float = 1e-3,
    loss: Loss = cross_entropy,
    callbacks: Callable[[], Sequence[Callback]] = tuple,
) -> Step:
    """Return the step that trains on: Adam, its rate falling from `lr` to 0 along a cosine.

    Args:
        data: yields (inputs, targets).
        epochs: how often to go through it.
        lr: the first learning rate, positive.
        loss: takes (outputs, targets).
        callbacks: makes those of a run, such as a progress bar.
    """
    n, rate = whole(epochs, "epochs", 1), number(lr, "lr", "(0, inf)")

    def transform(model: Module) -> Module:
        _train(model, data, n, rate, loss, callbacks)
        return model

    return Step(f"finetune {n}", transform)


def learn(
    data: Batches,
    teacher: Module,
    epochs: int,
    lr: float = 1e-3,
    temperature: float = 4.0,
    alpha: float = 0.9,
    callbacks: Callable[[], Sequence[Callback]] = tuple,
) -> Step:
    """Return the step that trains on what `teacher` says (see `DistillationLoss`); the rest is as in `finetune`."""
    n, rate = whole(epochs, "epochs", 1), number(lr, "lr", "(0, inf)")
    loss = DistillationLoss(temperature, alpha)

    def transform(model: Module) -> Module:
        taught = Distillation(model, teacher, loss)
        _train(taught, data, n, rate, taught.loss, callbacks)
        return model

    return Step(f"learn {n}", transform)


def _train(
    model: Module, data: Any, epochs: int, lr: float, loss: Loss, callbacks: Callable[[], Sequence[Callback]]
) -> None:
    optimizer = Adam([p for p in model.parameters() if p.requires_grad], lr)
    falling = Schedule(lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(data)), "step")
    fit(model, data, epochs=epochs, optimizer=optimizer, loss=loss, callbacks=[falling, *callbacks()])


def factorize(**settings: Any) -> Step:
    """Return the step that takes layers apart; `settings` are those of `tinydl.compress.factorize`."""
    shown = ", ".join(f"{name} {value}" for name, value in settings.items() if name != "input_shape")
    return Step(f"factorize {shown}", lambda model: take_apart(model, **settings))


def fold() -> Step:
    """Return the step that folds batch norms."""
    return Step("fold", fold_batch_norm)


def fuse() -> Step:
    """Return the step that makes one layer of two linear ones."""
    return Step("fuse", fuse_linear)


def shrink(budget: float, input_shape: Shape, **settings: Any) -> Step:
    """Return the step that takes channels away until `budget`, in (0, 1), of the multiply-adds is left.

    `settings` are those of `tinydl.compress.structured.plan`.
    """
    left = number(budget, "budget", "(0, 1)")

    def transform(model: Module) -> Module:
        return structured.prune_to(model, input_shape, int(left * summary(model, input_shape).macs), **settings)

    return Step(f"shrink {budget:g}", transform)


def quantize(data: Batches, batches: int = 8) -> Step:
    """Return the step that makes a network of integers, its ranges calibrated on the first `batches` of `data`."""
    n = whole(batches, "batches", 1)
    return Step("quantize", lambda model: integer.convert(model.eval(), list(islice(data, n))), write_integer)


def write_integer(model: Module, path: Path) -> None:
    """Write a network of integers as a file that needs nothing else; see `tinydl.compress.integer`."""
    assert isinstance(model, integer.IntegerNetwork)
    integer.save(model, path)


def share(bits: int, start: str = "linear") -> Step:
    """Return the step that lets each layer keep 2^bits different weights (and 0, where it is pruned)."""
    whole(bits, "bits", 1)
    return Step(f"share {bits}", lambda model: share_weights(model, bits, start))


def code() -> Step:
    """Return the step that changes nothing but the file: from here on models are written packed."""
    return Step("code", lambda model: model, write_packed, ".tdl")


def write_packed(model: Module, path: Path) -> None:
    """Write a model as a packed file; a network of integers with its structure. See `tinydl.compress.coding`."""
    if isinstance(model, integer.IntegerNetwork):
        integer.save(model, path, packed=True)
    else:
        coding.save(model, path)
