"""PyTorch's side of the zoo: tinydl's own text, run on `torch.nn`.

The networks of `tinydl.zoo` are PyTorch programs but for their imports. Here these imports find PyTorch: `tinydl.nn` is
`torch.nn` (with the layer and the function that it lacks), `tinydl.ops` is `torch`, weights are read by safetensors'
own loader. So structure, names and order of the operations are the same by construction, and nothing of tinydl's engine
is loaded.

Activations work in place, as in torchvision's networks; not in Xception, whose blocks need what a ReLU would overwrite.
"""

import importlib
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file

PACKAGE = Path(__file__).parents[1] / "tinydl"

IN_PLACE = "ReLU", "ReLU6", "SiLU", "Hardswish", "Hardsigmoid"


class DropPath(torch.nn.Module):
    """Stochastic depth, as torchvision's."""

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.p = p

    def forward(self, input: Any) -> Any:
        """Return x with samples dropped."""
        if not self.training or self.p == 0.0:
            return input
        kept = torch.empty((len(input), *(1,) * (input.ndim - 1))).bernoulli_(1.0 - self.p)
        return input * kept.div_(1.0 - self.p)


def in_turn(input: Any, *modules: torch.nn.Module) -> Any:
    """Return what the modules make of x, one called after the other."""
    for module in modules:
        input = module(input)
    return input


def after_sum(a: Any, b: Any, activation: torch.nn.Module) -> Any:
    """Return activation(a + b)."""
    return activation(a + b)


def after_cat(a: Any, b: Any, shuffle: torch.nn.Module) -> Any:
    """Return shuffle(cat((a, b), 1))."""
    return shuffle(torch.cat((a, b), 1))


def stand_in(name: str, contents: dict[str, Any]) -> ModuleType:
    """Make a module of `contents` that `import name` finds."""
    module = ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module
    return module


def zoo(in_place: bool) -> Any:
    """Return `tinydl.zoo` with PyTorch for its engine; only in a process that has not imported tinydl."""
    assert "tinydl" not in sys.modules, "the twins need a process of their own"
    layers = {name: partial(getattr(torch.nn, name), inplace=True) for name in IN_PLACE} if in_place else {}
    helpers = {"DropPath": DropPath, "in_turn": in_turn, "after_cat": after_cat, "after_sum": after_sum}
    nn = stand_in("tinydl.nn", {**vars(torch.nn), **layers, **helpers})
    stand_in("tinydl", {"__path__": [str(PACKAGE)], "nn": nn, "ops": torch})
    stand_in("tinydl.checkpoint", {"load_weights": load_file})
    return importlib.import_module("tinydl.zoo")


def build(name: str, **settings: Any) -> torch.nn.Module:
    """Return the network called `name`."""
    return zoo(in_place=name != "xception").build(name, **settings)
