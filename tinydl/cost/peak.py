"""The most memory that activations take at one time in inference, as the engine really runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tinydl.cost.calls import Call, Calls
from tinydl.cost.fused import possible_fusions
from tinydl.cost.live import Live
from tinydl.modes import observe
from tinydl.nn import Module
from tinydl.tensor import Tensor
from tinydl.train import evaluating


class Peak(NamedTuple):
    """How many bytes, and the name of the layer that was running."""

    bytes: int
    at: str


def inference_peak(model: Module, inputs: Sequence[Tensor]) -> Peak:
    """Run `model(*inputs)` in evaluation mode and return the most bytes of activations that were alive at one time.

    Activations are the inputs, and the results of ops on activations with what the op hands on beside them (like the
    places of maxima). Each memory counts once, however many views there are, from the op that makes it until Python
    frees it. What layers in one kernel would hand on to each other is never made. Not counted: parameters, buffers and
    what is computed from these alone; working space inside a kernel.

    >>> import numpy as np
    >>> from tinydl.nn import Sigmoid
    >>> inference_peak(Sigmoid(), [Tensor(np.ones(10, np.float32))])
    Peak(bytes=80, at='Sigmoid')
    """
    live = Live(tensor.data for tensor in (*model.parameters(), *model.buffers()))
    at = type(model).__name__
    calls = Calls(Call)

    def see(op: Any, arrays: Sequence[Any], options: Any, y: Tensor, kept: Sequence[Any]) -> None:
        nonlocal at
        before = live.peak
        live.follow(arrays, y.data, kept)
        if live.peak > before:
            fusion = fused.of(op, arrays)
            at = calls.current.name if fusion is None else fusion.name

    for x in inputs:
        live.add(x.data)
    with evaluating(model):
        fused = possible_fusions(model)
        with calls.of(model, but=fused.members), observe(see):
            model(*inputs)
    return Peak(live.peak, at)
