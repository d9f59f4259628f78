"""Pruning while training: a callback of `fit` that follows a schedule."""

from __future__ import annotations

from tinydl.compress.prune.pruner import Pruner
from tinydl.compress.prune.schedules import Schedule
from tinydl.options import choice, whole
from tinydl.train import Callback, Trainer


class Pruning(Callback):
    """Prunes to what a schedule asks for, at every so manieth step or epoch.

    With "step" t counts batches (`trainer.step`), and the masks of t are in place when batch t + 1 is learned from.
    With "epoch" t counts epochs, and the masks come after the epoch's last step, before it is validated. The
    schedule's end counts even where `frequency` would step over it, so that its final sparsity is reached. Since t is
    the trainer's and masks are part of the model's state, a run that is resumed goes on as if it had not stopped (for
    a criterion that remembers, capture the criterion as well).

    Args:
        pruner: what is pruned, and how.
        schedule: how much, when.
        every: "step" or "epoch".
        frequency: prune at begin, begin + frequency, ….

    Raises: ValueError for another `every` or a frequency below 1.

    >>> from tinydl import fit, nn
    >>> from tinydl.compress.prune import PolynomialDecay
    >>> from tinydl.tensor import Tensor
    >>> model = nn.Linear(10, 2)
    >>> pruner = Pruner(model)
    >>> data = [(Tensor([[1.0] * 10]), Tensor([1]))] * 10
    >>> row = fit(model, data, epochs=1, callbacks=[Pruning(pruner, PolynomialDecay(0.0, 0.8, begin=0, end=9))])
    >>> pruner.sparsity
    0.8
    """

    def __init__(self, pruner: Pruner, schedule: Schedule, every: str = "step", frequency: int = 1) -> None:
        self.pruner, self.schedule = pruner, schedule
        self.every = choice(every, "every", ("step", "epoch"))
        self.frequency = whole(frequency, "frequency", 1)
        self.reached: float | None = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Prune what is due before the first step."""
        self.reached = None
        self._prune(trainer.step if self.every == "step" else trainer.epoch)

    def on_gradients(self, trainer: Trainer) -> None:
        """Show the gradients to the criterion."""
        self.pruner.criterion.observe(self.pruner.targets)

    def on_step_end(self, trainer: Trainer) -> None:
        """Prune what is due after this step."""
        epochs, rest = divmod(trainer.step, len(trainer.loader))
        if self.every == "step":
            self._prune(trainer.step)
        elif rest == 0:
            self._prune(epochs)

    def _prune(self, t: int) -> None:
        begin, end = self.schedule.begin, self.schedule.end
        if begin <= t <= end and ((t - begin) % self.frequency == 0 or t == end):
            sparsity = self.schedule(t)
            if self.pruner.criterion.regrows or sparsity != self.reached:  # else the masks would come out the same
                self.pruner.prune(sparsity)
                self.reached = sparsity
