"""Quantization-aware training: the network learns weights that rounding does no harm to."""

from __future__ import annotations

from tinydl.compress.quantize.simulate import Simulated
from tinydl.options import whole
from tinydl.train import Callback, Trainer


class QuantizationAware(Callback):
    """Lets a `Simulated` network, or one inside the model, train quantized, and freezes it at the end of `fit`.

    Forward, weights and values are rounded as integers would be; backward, rounding counts as the identity, and what
    was clamped gets no gradient (see `ops.fake_quantize`). The scales of weights follow the weights at every step;
    those of values follow their observer for the first `observe` steps and then stand still.

    Batch norm is folded before, not during training: its statistics are those the trained network had. That suits a
    network that was trained in floating point, with a learning rate of a tenth or less; to train from scratch, do so in
    floating point first.

    What the observers have seen is not part of a checkpoint: a run that is resumed before the ranges of values stand
    still finds them anew.

    Args:
        observe: steps, counted over the whole run, after which the ranges of values stand still; None for never.

    Source: Jacob et al. 2018, arXiv:1712.05877, section 3 (figure 1.1 b); Krishnamoorthi 2018, Quantizing deep
    convolutional networks for efficient inference, arXiv:1806.08342, section 4, for freezing.

    >>> import numpy as np
    >>> from tinydl import Tensor, fit, nn
    >>> from tinydl.compress.quantize import calibrate, prepare
    >>> x, target = Tensor(np.eye(4, dtype=np.float32)), Tensor(np.arange(4))
    >>> network = calibrate(prepare(nn.Sequential(nn.Linear(4, 4)), x, observer="average"), [x])
    >>> history = fit(network, [(x, target)] * 5, epochs=2, callbacks=[QuantizationAware(observe=5)])
    >>> history[1]["train_loss"] < history[0]["train_loss"], network.state
    (True, 'frozen')
    """

    def __init__(self, observe: int | None = None) -> None:
        self.observe = None if observe is None else whole(observe, "observe", 0)

    def on_fit_start(self, trainer: Trainer) -> None:
        """Quantize while training. Raises: TypeError when nothing is `Simulated`, ValueError if uncalibrated."""
        network = _network(trainer)
        network.freeze_values()  # refuses what has no ranges yet
        if self.observe is None or trainer.step < self.observe:
            network.follow()

    def on_step_end(self, trainer: Trainer) -> None:
        """Freeze the ranges of values when their time has come."""
        if trainer.step == self.observe:
            _network(trainer).freeze_values()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Freeze everything, with scales that fit the weights as they are now."""
        _network(trainer).freeze()


def _network(trainer: Trainer) -> Simulated:
    """Return the simulated network that is trained: the model, or one inside it, such as a student of distillation."""
    for module in trainer.model.modules():
        if isinstance(module, Simulated):
            return module
    raise TypeError(f"QuantizationAware trains what prepare() returns, got {type(trainer.model).__name__}")
