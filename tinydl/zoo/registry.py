"""Networks by name, with what their papers report: `names`, `build`, `paper`, `options`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from tinydl.nn import Module
from tinydl.shapes import Shape

Constructor = TypeVar("Constructor", bound=Callable[..., Module])


@dataclass(frozen=True)
class Paper:
    """What is published of a network, to be set beside what is counted and measured here.

    Attributes:
        source: paper and table, or where else the network comes from.
        input: channels, height, width of the images it was made for.
        params: parameters, as the paper rounds them; None where it does not say.
        macs: multiply-adds for one image, as the paper rounds them; None where it does not say.
        top1: accuracy in % (on ImageNet's validation images for inputs of 3 channels, on MNIST's test images for 1).
    """

    source: str
    input: Shape
    params: float | None = None
    macs: float | None = None
    top1: float | None = None


_NETWORKS: dict[str, tuple[Callable[..., Module], Paper]] = {}


def network(paper: Paper) -> Callable[[Constructor], Constructor]:
    """Register the function below under its own name."""

    def register(constructor: Constructor) -> Constructor:
        assert constructor.__name__ not in _NETWORKS, f"{constructor.__name__} is registered twice"
        _NETWORKS[constructor.__name__] = constructor, paper
        return constructor

    return register


def names() -> tuple[str, ...]:
    """Return the names of all networks, in the order of their files.

    >>> "mobilenet_v2" in names()
    True
    """
    return tuple(_NETWORKS)


def build(name: str, **settings: Any) -> Module:
    """Return the network called `name`, freshly initialised: `build("resnet18", small=True)` is `resnet18(small=True)`.

    Raises: ValueError for a name that does not exist; TypeError for a setting that the network does not take; whatever
        the network raises for a setting's value.

    >>> import numpy as np
    >>> build("mlp", num_classes=3)(np.zeros((1, 784), np.float32)).shape
    (1, 3)
    """
    constructor, _ = _find(name)
    unknown = sorted(set(settings) - options(name))
    if unknown:
        raise TypeError(f"{name} takes {', '.join(sorted(options(name)))}; got {', '.join(unknown)}")
    return constructor(**settings)


def paper(name: str) -> Paper:
    """Return what is published of the network called `name`. Raises: ValueError for a name that does not exist.

    >>> paper("mobilenet_v2").top1
    72.0
    """
    return _find(name)[1]


def options(name: str) -> frozenset[str]:
    """Return the settings that the network called `name` takes. Raises: ValueError for a name that does not exist.

    >>> sorted(options("lenet5"))
    ['dropout', 'in_channels', 'num_classes', 'weights']
    """
    return frozenset(inspect.signature(_find(name)[0]).parameters)


def _find(name: str) -> tuple[Callable[..., Module], Paper]:
    if name not in _NETWORKS:
        close = get_close_matches(str(name), _NETWORKS)
        hint = f"did you mean {' or '.join(close)}" if close else f"there are {', '.join(_NETWORKS)}"
        raise ValueError(f"no network is called {name!r}; {hint}")
    return _NETWORKS[name]
