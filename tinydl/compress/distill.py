"""Distillation: a small network learns from what a large one says, not from the labels alone.

    history = distill(student, teacher, loader, epochs=5)

A teacher that is 90 % sure of a 7 and gives 9 % to the 1 says more about the image than its label does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import log
from typing import Any, TypeAlias

from tinydl import ops
from tinydl.nn import Linear, Module, ModuleList, PointwiseConv2d
from tinydl.nn.functional import cross_entropy, kl_div, log_softmax, mse_loss
from tinydl.optim import Adam, Optimizer
from tinydl.options import number
from tinydl.tensor import Tensor
from tinydl.train import Batches, Callback, Row, evaluating, fit

Teachers: TypeAlias = Module | Sequence[Module]


class DistillationLoss(Module):
    """How far the student's logits z are from the teacher's v and from the labels t.

    L = α T² KL(q ‖ p) + (1 − α) CE(z, t),  p = softmax(z / T),  q = softmax(v / T),  KL = Σ_c q_c (log q_c − log p_c)

    as a mean over the batch. Of several teachers q is the mean of their probabilities. A high temperature T shows
    the small ones among them. The gradient of the first term shrinks as 1/T²; the factor T² keeps the balance when T
    is changed. Both logarithms come from `log_softmax`, so that nothing is divided by, or taken the logarithm of, a
    probability that rounds to 0.

    Args:
        temperature: T, positive.
        alpha: α in [0, 1]; 1 leaves the labels out.

    Shapes: z (N, C); v (N, C), or a sequence of such; t (N,) class indices -> a scalar. The teachers get no gradient.

    Raises: TypeError or ValueError naming the argument.

    Source: Hinton, Vinyals & Dean 2015, Distilling the knowledge in a neural network, arXiv:1503.02531, section 2.

    >>> z = Tensor([[2.0, 0.0]])
    >>> DistillationLoss(alpha=1.0)(z, z, Tensor([0]))
    tensor(0.)
    """

    def __init__(self, temperature: float = 4.0, alpha: float = 0.9) -> None:
        self.temperature = number(temperature, "temperature", "(0, inf)")
        self.alpha = number(alpha, "alpha", "[0, 1]")

    def forward(self, input: Any, teacher: Any, target: Any) -> Any:
        """Return the loss of the student's logits `input`."""
        teachers = [teacher] if isinstance(teacher, Tensor) else list(teacher)
        if not teachers or any(tuple(v.shape) != tuple(input.shape) or len(v.shape) != 2 for v in teachers):
            shapes = [tuple(v.shape) for v in teachers]
            raise ValueError(f"teacher must be logits of the shape (N, C) of input {tuple(input.shape)}, got {shapes}")
        hard = cross_entropy(input, target)
        if self.alpha == 0:
            return hard
        logq = mean_log_probabilities([v.detach() / self.temperature for v in teachers])
        logp = log_softmax(input / self.temperature, 1)
        soft = kl_div(logp, logq, "batchmean", log_target=True)
        return self.alpha * self.temperature**2 * soft + (1 - self.alpha) * hard

    def extra_repr(self) -> str:
        """Return T and α."""
        return f"temperature={self.temperature}, alpha={self.alpha}"


def mean_log_probabilities(logits: Sequence[Any]) -> Any:
    """Return log (1/K Σ_k softmax(v_k)), the logarithm of what K networks say together, as logsumexp over k.

    Source: Hinton et al. 2015, section 1: the arithmetic mean of an ensemble's distributions.

    >>> import numpy as np
    >>> both = mean_log_probabilities([Tensor([[800.0, 0.0]]), Tensor([[0.0, 0.0]])])
    >>> np.exp(both.data)
    array([[0.75, 0.25]], dtype=float32)
    """
    each = [log_softmax(v, 1) for v in logits]
    return each[0] if len(each) == 1 else ops.logsumexp(ops.stack(each), 0) - log(len(each))


@dataclass(frozen=True)
class Hint:
    """A layer of the student that shall learn to say what a layer of the teacher says.

    Attributes:
        student: dotted name of the guided layer.
        teacher: dotted name of the hint layer, of which teacher number 0 is asked.
        weight: the factor of this term in the loss, positive.

    Raises: TypeError or ValueError for a weight that is not positive.
    """

    student: str
    teacher: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        number(self.weight, "weight", "(0, inf)")


class Distillation(Module):
    """A student with its teachers, as a model for `fit`: it answers with the student's logits, and has a `loss`.

    L = DistillationLoss + Σ_hints weight · mean (u − r(v))²

    v is the result of the student's layer, u that of the teacher's, r a linear regressor of the channels where their
    numbers differ, else v itself. Its parameters are the student's and the regressors'; the teachers are no part of it,
    run in evaluation mode without recording, and stay as they are. (FitNets trains on the hints first and on the
    logits afterwards; here both terms are one loss, as it is mostly done since.)

    Args:
        student: what learns.
        teacher: a network with the same classes, or several.
        loss: the measure on logits.
        hints: pairs of layers whose results have the same shape but for the channels (axis 1).
        example: a batch of inputs, needed for hints only: to see those shapes.

    Raises: TypeError or ValueError naming the argument; AttributeError for a layer that is not there.

    Source: Romero et al. 2015, FitNets: hints for thin deep nets, arXiv:1412.6550, equation 3.

    >>> import numpy as np
    >>> from tinydl.nn import ReLU, Sequential
    >>> wide, thin = (Sequential(Linear(4, n), ReLU(), Linear(n, 3)) for n in (8, 2))
    >>> x, t = Tensor(np.ones((5, 4), np.float32)), Tensor(np.zeros(5, np.int64))
    >>> both = Distillation(thin, wide, hints=[Hint("1", "1")], example=x)
    >>> both.loss(both(x), t).shape, both.regressors
    ((), ModuleList(
      (0): Linear(in_features=2, out_features=8, bias=True)
    ))
    """

    regressors: ModuleList

    def __init__(
        self,
        student: Module,
        teacher: Teachers,
        loss: DistillationLoss | None = None,
        hints: Sequence[Hint] = (),
        example: Tensor | None = None,
    ) -> None:
        self.teachers = (teacher,) if isinstance(teacher, Module) else tuple(teacher)
        if not self.teachers or any(module is student for module in self.teachers):
            raise ValueError(f"teacher must be one or more networks other than the student, got {len(self.teachers)}")
        self.measure = (loss or DistillationLoss(),)  # in tuples, where they are no parts of this module
        self.hints = tuple(hints)
        self._said: list[Tensor] = []
        self._features: list[tuple[Tensor, Tensor]] = []
        if hints and example is None:
            raise ValueError("example must be a batch of inputs when there are hints, got None")
        self.student = student
        self.regressors = ModuleList()
        if hints:
            with evaluating(student):
                self(example)
            self.regressors.extend([_regressor(hint, *pair) for hint, pair in zip(hints, self._features)])

    def forward(self, input: Any) -> Any:
        """Return the student's logits, and remember for `loss` what the teachers say."""
        first = self.teachers[0]
        with ExitStack() as stack:
            for teacher in self.teachers:
                stack.enter_context(evaluating(teacher))
            with _listening(first, [hint.teacher for hint in self.hints]) as heard:
                self._said = [teacher(input) for teacher in self.teachers]
        with _listening(self.student, [hint.student for hint in self.hints]) as own:
            y = self.student(input)
        self._features = [(own[hint.student], heard[hint.teacher]) for hint in self.hints]
        return y

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of the last `forward`'s logits."""
        total: Tensor = self.measure[0](output, self._said, target)
        for hint, regressor, (v, u) in zip(self.hints, self.regressors, self._features):
            total = total + hint.weight * mse_loss(regressor(v), u)
        return total


@contextmanager
def _listening(model: Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Collect, inside the block, the (last) result of each layer named."""
    heard: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for name in names:
            keep = _keeper(heard, name)
            stack.enter_context(model.get_submodule(name).register_forward_hook(keep))
        yield heard


def _keeper(heard: dict[str, Tensor], name: str) -> Any:
    def keep(module: Module, args: Any, output: Tensor) -> None:
        heard[name] = output

    return keep


def _regressor(hint: Hint, v: Tensor, u: Tensor) -> Module:
    """Return what maps the student's channels to the teacher's."""
    if v.ndim not in (2, 4) or v.shape[:1] + v.shape[2:] != u.shape[:1] + u.shape[2:]:
        raise ValueError(
            f"hints: {hint.student!r} has the shape {v.shape} and {hint.teacher!r} the shape {u.shape}; they must be "
            "(N, C) or (N, C, H, W) and agree but for C"
        )
    inputs, outputs = v.shape[1], u.shape[1]
    return Linear(inputs, outputs) if v.ndim == 2 else PointwiseConv2d(inputs, outputs)


def distill(
    student: Module,
    teacher: Teachers,
    data: Batches,
    *,
    loss: DistillationLoss | None = None,
    hints: Sequence[Hint] = (),
    epochs: int = 5,
    validation: Batches | None = None,
    optimizer: Optimizer | None = None,
    callbacks: Sequence[Callback] = (),
) -> list[Row]:
    """Train `student` in place on what `teacher` says about `data`; return a row of figures for each epoch.

    Args:
        student: what learns.
        teacher: a trained network, or several whose probabilities are averaged.
        data: yields (inputs, class indices).
        loss: T and α; `DistillationLoss()` when None.
        hints: pairs of layers to match as well; see `Distillation`.
        epochs: how often to go through the data.
        validation: data to evaluate the student on after each epoch.
        optimizer: of the student's parameters; Adam with its defaults when None. With hints that need regressors it
            has to hold theirs as well: make a `Distillation` then, and hand that to `fit`.
        callbacks: see `tinydl.callbacks`.

    Raises: as `Distillation` and `tinydl.train.fit`; ValueError for an optimizer that leaves parameters out.
    """
    example = next(iter(data))[0] if hints else None
    taught = Distillation(student, teacher, loss, hints, example)
    optimizer = optimizer or Adam(taught.parameters())
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if any(id(p) not in held for p in taught.regressors.parameters()):
        raise ValueError("optimizer must hold the regressors' parameters too: optimize Distillation(…).parameters()")
    return fit(
        taught,
        data,
        epochs=epochs,
        validation=validation,
        optimizer=optimizer,
        loss=taught.loss,
        callbacks=callbacks,
    )
