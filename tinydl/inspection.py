"""What `tinydl summary`, `profile` and `zoo` do: look at networks, without training any."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl import zoo
from tinydl.commands import set_engine
from tinydl.cost import profile as measure
from tinydl.cost import summary as count
from tinydl.cost import training_memory
from tinydl.cost.inputs import zeros_for
from tinydl.cost.table import by, in_bytes
from tinydl.cost.trace import trace
from tinydl.nn import Module
from tinydl.options import whole
from tinydl.plots import profile as picture
from tinydl.plots import save
from tinydl.shapes import Shape

DIGITS: Shape = (1, 28, 28)


def summary(args: Namespace) -> int:
    """Print layers, parameters, multiply-adds and memory of a network; with --batch what a training step keeps."""
    set_engine(args)
    model, sizes = _network(args)
    print(count(model, sizes))
    if args.batch is not None:
        kept = training_memory(model, sizes, whole(args.batch, "--batch", 1))
        print(f"training: a step on a batch of {kept.batch} keeps {in_bytes(kept.bytes)} of activations for backward")
    return 0


def profile(args: Namespace) -> int:
    """Print how long each layer of a network takes, and perhaps draw it."""
    set_engine(args)
    batch, rounds = whole(args.batch, "--batch", 1), whole(args.rounds, "--rounds", 1)
    model, sizes = _network(args)
    x = np.random.default_rng(0).random((batch, *sizes), np.float32)
    found = measure(model, x, rounds, training=not args.inference)
    print(found)
    if args.picture:
        save(args.picture, picture, found, training=not args.inference)
        print(f"the longest layers: {args.picture}")
    return 0


def networks(args: Namespace) -> int:
    """Print a line for each network of the zoo: what is counted here, and what its paper reports."""
    names = [name for name in zoo.names() if name.startswith(args.start)]
    if not names:
        raise ValueError(f"no network's name begins with {args.start!r}; there are {', '.join(zoo.names())}")
    widths = (max(map(len, names)), 9, 10, 14, 8, 8, 6)
    head = "network", "input", "parameters", "MACs", "paper's", "MACs", "top-1"
    print(_line(head, widths))
    for name in names:
        paper = zoo.paper(name)
        model = zoo.build(name)
        macs = sum(call.macs for call in trace(model, zeros_for(model, paper.input, 1)))
        accuracy = "" if paper.top1 is None else f"{paper.top1:.1f} %"
        counted = f"{sum(p.numel() for p in model.parameters()):,}", f"{macs:,}"
        print(_line((name, by(paper.input), *counted, _short(paper.params), _short(paper.macs), accuracy), widths))
    print("MACs: of one image; the paper's: parameters, MACs, and ImageNet top-1 (for 1 channel: MNIST accuracy)")
    return 0


def _network(args: Namespace) -> tuple[Module, Shape]:
    """Return the network that a command names, and the shape of one input."""
    usual = DIGITS if args.small else zoo.paper(args.model).input
    sizes = usual if args.input is None else _input_shape(args.input)
    settings: dict[str, Any] = {"in_channels": sizes[0], "num_classes": args.classes, "width": args.width}
    given = {name: value for name, value in settings.items() if value is not None}
    return zoo.build(args.model, **given, **({"small": True} if args.small else {})), sizes


def _input_shape(text: str) -> Shape:
    """Return (1, 28, 28) for "1x28x28"."""
    try:
        sizes = tuple(int(n) for n in text.split("x"))
    except ValueError:
        sizes = ()
    if len(sizes) != 3 or min(sizes) < 1:
        raise ValueError(f"--input must look like 1x28x28 (channels, height, width), got {text!r}")
    return sizes


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return cells side by side, the first two flush left."""
    return "  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))).rstrip()


def _short(n: float | None) -> str:
    """Return a number as papers print it.

    >>> _short(266_610), _short(4.2e6), _short(569e6), _short(1.8e9), _short(None)
    ('267 k', '4.2 M', '569 M', '1.8 G', '')
    """
    if n is None:
        return ""
    unit, size = next((unit, size) for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)) if n >= size)
    return f"{n / size:.3g} {unit}"


INSPECTION: dict[str, Any] = {"summary": summary, "profile": profile, "zoo": networks}
