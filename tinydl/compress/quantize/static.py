"""Quantization after training, of weights and values: calibrate on a few batches, and nothing is learned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinydl.compress.quantize.equalize import equalize
from tinydl.compress.quantize.plan import WEIGHTED
from tinydl.compress.quantize.simulate import Simulated, prepare
from tinydl.compress.steps import Step, Stored
from tinydl.modes import no_grad, observe
from tinydl.nn import Module
from tinydl.shapes import Array
from tinydl.tensor import Tensor
from tinydl.train import evaluating


def quantize_static(
    model: Module,
    batches: Iterable[Any],
    *,
    equalized: bool = False,
    corrected: bool = False,
    **options: Any,
) -> Simulated:
    """Return `model` quantized after training, frozen and in evaluation mode; its `plan()` is for integer networks.

    Batch norm is folded; then, if asked, weights are equalized across layers; the ranges of values are calibrated, and
    biases corrected.

    Args:
        model: any module whose steps do not depend on the data; it stays as it was.
        batches: what it takes, batch by batch, alone or as (input, target): some hundred samples are usual.
        equalized: see `equalize`; of use where weights have one scale a tensor, or very few bits.
        corrected: see `correct_bias`.
        options: those of `prepare`: schemes, observer, weight_range.

    Raises: ValueError when there are no batches; see `prepare` for others.

    >>> from tinydl.nn import Linear, ReLU, Sequential
    >>> batches = [np.linspace(0, 1, 8, dtype=np.float32).reshape(2, 4)]
    >>> quantized = quantize_static(Sequential(Linear(4, 3), ReLU()), batches)
    >>> quantized.state, float(quantized.sites["input 0"].quantizer.real_range[1])
    ('frozen', 1.0)
    """
    inputs = [_input(batch) for batch in batches]
    if not inputs:
        raise ValueError("batches: calibration needs at least one batch, got none")
    if equalized:
        model = equalize(model, inputs[0])
    network = prepare(model, inputs[0], **options)
    if corrected:
        correct_bias(network, inputs)
    return calibrate(network, inputs)


def calibrate(network: Simulated, batches: Iterable[Any]) -> Simulated:
    """Show batches to a network that is "calibrating", then freeze it; it is returned in evaluation mode.

    Raises: ValueError when there are no batches, or when it was calibrated before.
    """
    if network.state != "calibrating":
        raise ValueError(f"calibrate: the network is {network.state!r} already; prepare a new one")
    with evaluating(network):
        for batch in batches:
            network(_input(batch))
    return network.freeze().eval()


def _input(batch: Any) -> Tensor:
    """Return a batch without its targets, as a Tensor."""
    x = batch[0] if isinstance(batch, tuple | list) else batch
    return x if isinstance(x, Tensor) else Tensor(x)


def correct_bias(network: Simulated, batches: Iterable[Any]) -> None:
    """Take from each bias what rounding the weights adds to it on average, in place.

    b'[o] = b[o] − Σ_{c,i,j} ε[o, c, i, j] · E[x[c]],  ε = quantized weight − weight

    with the means of each layer's input over the batches, in floating point. Zeros of the padding are left out of
    account. A layer without a bias stays as it is.

    Args:
        network: one that is still "calibrating".
        batches: as for `quantize_static`.

    Raises: ValueError when there are no batches, or when the network is not calibrating.

    Source: Nagel et al. 2019, Data-free quantization through weight equalization and bias correction, arXiv:1906.04721,
    section 4.2 and appendix D.
    """
    if network.state != "calibrating":
        raise ValueError(f"correct_bias: the network must be calibrating, it is {network.state!r}")
    steps = [step for step in network.flow.steps if step.op in WEIGHTED]
    means = _input_means(network, batches, len(steps))
    with no_grad():
        for step, mean in zip(steps, means):
            _correct(network, step, mean)


def _input_means(network: Simulated, batches: Iterable[Any], layers: int) -> list[Array]:
    """Return the mean of each input channel of each layer with weights, in their order."""
    sums: list[list[Array]] = [[] for _ in range(layers)]
    turn = 0

    def see(op: Any, arrays: Any, *_: Any) -> None:
        nonlocal turn
        if op.name in WEIGHTED:
            x = arrays[0]
            channels = x.ndim - 1 if op.name == "linear" else 1
            sums[turn % layers].append(x.mean(axis=tuple(i for i in range(x.ndim) if i != channels), dtype=np.float64))
            turn += 1

    with evaluating(network), observe(see):
        for batch in batches:
            network(_input(batch))
    if layers and not sums[0]:
        raise ValueError("batches: correcting biases needs at least one batch, got none")
    return [np.mean(found, axis=0) for found in sums]


def _correct(network: Simulated, step: Step, mean: Array) -> None:
    """Correct one layer's bias."""
    weight, bias = step.operands["weight"], step.operands.get("bias")
    if not isinstance(weight, Stored) or not isinstance(bias, Stored):
        return
    w = network.flow.stored[weight.name].data.astype(np.float64)
    error = network.quantizer(weight.name).fake(w) - w
    by_channel = error.reshape(*error.shape[:2], -1).sum(-1)
    groups = step.options.get("groups", 1)
    inputs = np.repeat(mean.reshape(groups, -1), len(w) // groups, axis=0)  # (O, C/groups): what each output sees
    target = network.flow.stored[bias.name]
    target.copy_((target.data - (by_channel * inputs).sum(1)).astype(target.dtype))
