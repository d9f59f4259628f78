"""The exponential moving average of a model's weights, often better than the last weights themselves."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinydl import kernels
from tinydl.nn.module import Module
from tinydl.nn.parameter import Parameter, mask_name, zero_pruned
from tinydl.optim.optimizer import split_names
from tinydl.optim.state import differences, refuse, spec
from tinydl.options import number
from tinydl.shapes import Array
from tinydl.tensor import Tensor


class EMA:
    """Keep a slowly following copy of parameters; call `update` after every `optimizer.step`.

    a₁ = p₁,  aₜ = d·aₜ₋₁ + (1 − d)·pₜ  with d = decay, or min(decay, (1 + t) / (10 + t)) while warming up

    Buffers (running statistics) are copied, not averaged. Everything keeps its dtype. What a parameter's mask prunes is
    zero in the average, too, and has forgotten what it was when it comes back.

    Args:
        model: a Module, or Tensors, or (name, Tensor) pairs.
        decay: in [0, 1); the average reaches back about 1 / (1 − decay) updates.
        warmup: follow faster at first, for trainings not much longer than that.

    Raises: ValueError for a decay out of range or a model without parameters; TypeError for what is no Tensor.
    Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the warm-up is
        TensorFlow's, the first update (a copy) PyTorch's.

    >>> p = Tensor([0.0])
    >>> ema = EMA([p], decay=0.5)
    >>> ema.update()
    >>> p.data = np.ones(1, np.float32)
    >>> ema.update()
    >>> with ema.applied():
    ...     p.tolist()
    [0.5]
    >>> p.tolist()
    [1.0]
    """

    def __init__(
        self,
        model: Module | Iterable[Tensor] | Iterable[tuple[str, Tensor]],
        decay: float = 0.999,
        warmup: bool = False,
    ) -> None:
        self.decay = number(decay, "decay", "[0, 1)")
        self.warmup = warmup
        self.updates = 0
        self._applied = False
        self._source: Module | dict[str, Tensor] = model if isinstance(model, Module) else _by_name(model)
        self.average: dict[str, Array] = {name: np.array(t.data) for name, t in self._tensors().items()}
        if not self.average:
            raise ValueError("model has no parameters to average")

    def update(self) -> None:
        """Move the averages towards the present parameters and copy the buffers.

        Raises: RuntimeError inside `applied`, where the averages themselves are the parameters.
        """
        if self._applied:
            raise RuntimeError("update() inside applied(): the model holds the averages now")
        self.updates += 1
        t = self.updates
        decay = 0.0 if t == 1 else min(self.decay, (1 + t) / (10 + t)) if self.warmup else self.decay
        averaged = self._parameters()
        for name, tensor in self._tensors().items():
            if name in averaged and decay:
                kernels.ema_step(self.average[name], tensor.data, decay)
            else:
                self.average[name][...] = tensor.data
        self._prune()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model hold the averages inside the block; what it held before returns even after an exception.

        Changes made to the model inside the block are lost.
        """
        tensors = self._tensors()
        before = {name: np.array(tensor.data) for name, tensor in tensors.items()}
        nested, self._applied = self._applied, True
        try:
            _write(tensors, self.average)
            yield
        finally:
            _write(tensors, before)
            self._applied = nested

    def state_dict(self) -> dict[str, Any]:
        """Return a snapshot: settings, the number of updates, and `average` by name (a model's `state_dict`).

        The masks of the parameters are in it; on the way back they come with the model, not with the average.
        """
        self._prune()
        average = {name: array.copy() for name, array in self.average.items()}
        average |= {mask_name(name): mask.copy() for name, mask in self._masks().items()}
        return {"decay": self.decay, "warmup": self.warmup, "updates": self.updates, "average": average}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the averages and the number of updates of a `state_dict`.

        Raises: ValueError listing every difference in settings, names, shapes and dtypes, with nothing changed.
        """
        masks = {mask_name(name) for name in self._parameters()} - self.average.keys()
        here, saved = (_outline(state, masks) for state in (self.state_dict(), state_dict))
        refuse("EMA", differences(here, saved))
        self.updates = int(state_dict["updates"])
        for name, array in self.average.items():
            array[...] = state_dict["average"][name]

    def _parameters(self) -> dict[str, Tensor]:
        return dict(self._source.named_parameters()) if isinstance(self._source, Module) else self._source

    def _prune(self) -> None:
        for name, mask in self._masks().items():
            zero_pruned(self.average[name], mask)

    def _masks(self) -> dict[str, Array]:
        """Return the masks of the parameters that have one, by the parameter's name."""
        return {
            name: p.mask.data
            for name, p in self._parameters().items()
            if isinstance(p, Parameter) and p.mask is not None
        }

    def _tensors(self) -> dict[str, Tensor]:
        """Return parameters and buffers by name, asked anew each time: a layer may put another Tensor in place."""
        buffers = self._source.named_buffers() if isinstance(self._source, Module) else ()
        return self._parameters() | dict(buffers)


def _by_name(params: Iterable[Any]) -> dict[str, Tensor]:
    """Return the Tensors by their names, or by their places where they have none."""
    names, tensors = split_names(params)
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"model must be a Module or a list of Tensors, got {type(tensor).__name__} at place {i}")
    return dict(zip(names or map(str, range(len(tensors))), tensors))


def _write(tensors: Mapping[str, Tensor], arrays: Mapping[str, Array]) -> None:
    """Copy the arrays into the Tensors of the same names."""
    for name, tensor in tensors.items():
        tensor.data[...] = arrays[name]
        tensor.mark_changed()


def _outline(state_dict: Mapping[str, Any], masks: Container[str]) -> dict[str, Any]:
    """Return what must agree: all but the number of updates, the averages' values, and the masks."""
    settings = {name: value for name, value in state_dict.items() if name not in ("updates", "average")}
    averages = {name: array for name, array in state_dict.get("average", {}).items() if name not in masks}
    arrays = {f"average[{name!r}]": spec(np.asarray(a)) for name, a in averages.items()}
    return settings | arrays | {"updates": "updates" in state_dict}
