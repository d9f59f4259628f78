"""A model that is run in training mode only to be looked at: afterwards it is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tinydl import random
from tinydl.nn import Module


@contextmanager
def undisturbed(model: Module) -> Iterator[None]:
    """Put back, at the end of the block, what training steps change: modes, buffers, gradients, random generators.

    Generators are the default one and those that modules hold as attributes. Inside, all gradients are None.

    >>> from tinydl.nn import BatchNorm1d
    >>> norm = BatchNorm1d(1)
    >>> with undisturbed(norm):
    ...     y = norm(np.array([[1.0], [3.0]], np.float32))
    >>> norm.running_mean.item(), norm.num_batches_tracked.item()
    (0.0, 0)
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(tensor, tensor.data, tensor.data.copy()) for tensor in model.buffers()]
    gradients = [(p, p.grad) for p in model.parameters()]
    generators = _generators(model)
    states = [generator.bit_generator.state for generator in generators]
    default = random.get_state()
    model.zero_grad()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for tensor, array, values in buffers:
            array[...] = values
            tensor.data = array
        for p, g in gradients:
            p.grad = g
        for generator, state in zip(generators, states):
            generator.bit_generator.state = state
        random.set_state(default)


def _generators(model: Module) -> list[np.random.Generator]:
    return [value for m in model.modules() for value in vars(m).values() if isinstance(value, np.random.Generator)]
