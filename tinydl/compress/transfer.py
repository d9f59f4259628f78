"""Transfer: what a network has learned on one task serves another; its head is replaced, the rest frozen at first.

head = replace_head(model, num_classes=5)
freeze(model, "features*")
fit(model, loader, optimizer=Adam(head.parameters()))   # then perhaps unfreeze(model), and a lower rate for all
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from tinydl.nn import Conv2d, Linear, Module
from tinydl.options import whole


def freeze(model: Module, layers: str | Sequence[str] = "*") -> list[str]:
    """Stop the modules called `layers`, and all inside them, from learning; return the names of their parameters.

    Their parameters get no gradient, and they stay in evaluation mode, also after `model.train()`: a frozen batch norm
    normalises with the running statistics it has and leaves them alone, a frozen dropout drops nothing. (Otherwise the
    statistics would follow the new data, and with them the results of layers that are said to be frozen.)

    Args:
        model: any module; it is changed in place.
        layers: names, or patterns of names as in a shell ("features.*"); "*" is everything.

    Raises: ValueError for a pattern that fits no module, with nothing frozen.

    Source: Yosinski et al. 2014, How transferable are features in deep neural networks?, arXiv:1411.1792.

    >>> from tinydl.nn import BatchNorm1d, Sequential
    >>> model = Sequential(Linear(4, 3), BatchNorm1d(3), Linear(3, 2))
    >>> freeze(model, ["0", "1"])
    ['0.weight', '0.bias', '1.weight', '1.bias']
    >>> model.train()[1].training, [p.requires_grad for p in model.parameters()]
    (False, [False, False, False, False, True, True])
    """
    return _set(model, layers, frozen=True)


def unfreeze(model: Module, layers: str | Sequence[str] = "*") -> list[str]:
    """Let the modules called `layers` learn again; the contrary of `freeze`, with its arguments.

    They take the mode of `model`. An optimizer that was made for the other parameters does not know these: make a new
    one.
    """
    return _set(model, layers, frozen=False)


def _set(model: Module, layers: str | Sequence[str], frozen: bool) -> list[str]:
    inside: dict[int, Module] = {}
    for pattern in [layers] if isinstance(layers, str) else layers:
        found = [module for name, module in model.named_modules() if fnmatchcase(name, pattern)]
        if not found:
            raise ValueError(f"layers: no module has a name like {pattern!r}")
        inside |= {id(one): one for module in found for one in module.modules()}
    for module in inside.values():
        module._frozen = frozen
        module.training = model.training and not frozen
    own = {id(p) for module in inside.values() for p in module.parameters(recurse=False)}
    named = [(name, p) for name, p in model.named_parameters() if id(p) in own]
    for _, p in named:
        p.requires_grad_(not frozen)
    return [name for name, _ in named]


def replace_head(
    model: Module, num_classes: int, name: str | None = None, generator: np.random.Generator | None = None
) -> Module:
    """Put a fresh classifier for `num_classes` in the place of the old one, in place, and return it.

    Args:
        model: a network whose last layer is linear or a 1×1 convolution, as those of the zoo.
        num_classes: how many classes there are now.
        name: dotted name of the old head; the layer with weights that was registered last when None.
        generator: draws the start.

    Raises: TypeError or ValueError naming the argument, when there is no such layer or it is of another kind;
        AttributeError for a name that is not there.

    >>> from tinydl.nn import ReLU, Sequential
    >>> model = Sequential(Linear(4, 8), ReLU(), Linear(8, 10))
    >>> replace_head(model, 3) is model[2], model[2].out_features
    (True, 3)
    """
    outputs = whole(num_classes, "num_classes", 1)
    kinds = Linear | Conv2d
    if name is None:
        names = [place for place, module in model.named_modules() if isinstance(module, kinds)]
        if not names or not names[-1]:
            raise ValueError(f"model has no layer inside it that could be a head: {type(model).__name__}")
        name = names[-1]
    if not name:
        raise ValueError("name must be of a layer inside the model, got ''")
    old = model.get_submodule(name)
    new = _like(old, outputs, name, generator)
    owner, _, last = name.rpartition(".")
    setattr(model.get_submodule(owner), last, new.train(model.training))
    return new


def _like(old: Module, outputs: int, name: str, generator: np.random.Generator | None) -> Module:
    """Return a fresh layer of the old one's kind, inputs and dtype."""
    new: Linear | Conv2d
    if isinstance(old, Linear):
        new = Linear(old.in_features, outputs, old.bias is not None, generator=generator)
    elif isinstance(old, Conv2d) and old.kernel_size == (1, 1) and old.groups == 1:
        new = Conv2d(old.in_channels, outputs, 1, bias=old.bias is not None, generator=generator)
    else:
        raise TypeError(f"the head {name!r} must be a Linear or a 1×1 convolution, got {type(old).__name__}")
    new.to(old.weight.dtype)
    return new
