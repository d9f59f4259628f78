"""The L1 penalty: weights that are not worth their magnitude go to zero while the network trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl import ops
from tinydl.compress.prune.targets import PRUNABLE, Types, targets
from tinydl.modes import no_grad
from tinydl.nn import Module
from tinydl.options import number
from tinydl.tensor import Tensor
from tinydl.train import Callback, Trainer


class L1Penalty:
    """factor · Σ |w|, to add to the loss: the `penalty` of `fit`.

    Its gradient pulls every weight towards 0 with the same force, however small the weight is; that of L2 fades. Steps
    along it jump about 0 and seldom hit it, so prune what has become small by `Magnitude`, or use `ProximalL1`, which
    hits.

    Args:
        factor: at least 0.
        layers: patterns of names, None for all; see `targets`.
        types: the layers whose weights are meant.

    Raises: TypeError or ValueError for a factor out of range; when called, ValueError for names that fit nothing.

    Source: Tibshirani 1996, Regression shrinkage and selection via the lasso.

    >>> from tinydl.nn import Linear
    >>> layer = Linear(2, 1)
    >>> layer.weight.data = np.array([[3.0, -1.0]], np.float32)
    >>> L1Penalty(0.5)(layer).item()
    2.0
    """

    def __init__(self, factor: float, layers: str | Sequence[str] | None = None, types: Types = PRUNABLE) -> None:
        self.factor = number(factor, "factor", "[0, inf)")
        self.layers, self.types = layers, types

    def __call__(self, model: Module) -> Tensor:
        """Return the penalty of `model`."""
        total: Any = 0.0
        for target in targets(model, self.layers, self.types):
            total = total + ops.abs(target.parameter).sum()
        penalty: Tensor = total * self.factor
        return penalty


class ProximalL1(Callback):
    """The L1 penalty as a step of its own: w ← sign(w) · max(|w| − lr · factor, 0) after every optimizer step.

    Weights that the loss does not hold become exactly 0 (and may leave it again: there are no masks). Behind SGD this
    is the proximal gradient method; behind Adam the shrinking is decoupled from the gradient's scale, as AdamW's decay.

    Args:
        factor: at least 0; lr is that of the optimizer's group.
        layers: patterns of names, None for all; see `targets`.
        types: the layers whose weights are meant.

    Raises: TypeError or ValueError for a factor out of range; in `fit`, ValueError for names that fit nothing.

    Source: Daubechies, Defrise & De Mol 2004, An iterative thresholding algorithm for linear inverse problems.
    """

    def __init__(self, factor: float, layers: str | Sequence[str] | None = None, types: Types = PRUNABLE) -> None:
        self.factor = number(factor, "factor", "[0, inf)")
        self.layers, self.types = layers, types

    def on_step_end(self, trainer: Trainer) -> None:
        """Shrink the weights if the optimizer has just been stepped."""
        if not trainer.stepped:
            return
        rates = {id(p): group["lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
        with no_grad():
            for target in targets(trainer.model, self.layers, self.types):
                w = target.parameter.data
                reach = np.asarray(rates.get(id(target.parameter), 0.0) * self.factor, w.dtype)
                target.parameter.copy_(w - np.clip(w, -reach, reach))
