"""Early exit: a network that stops thinking about an easy image halfway.

    model = EarlyExit(network, {"3": head}, threshold=0.9)   # a head after the child called "3"
    fit(model, loader, loss=model.loss)                       # all exits learn together
    model.eval()(images)                                      # only the undecided rows go on

The network is a `Sequential` that is cut between its children; they stay what they are, under their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from tinydl import ops
from tinydl.cost import summary
from tinydl.cost.inputs import zeros_for
from tinydl.modes import no_grad
from tinydl.nn import AdaptiveAvgPool2d, Flatten, Linear, Module, Sequential
from tinydl.nn.functional import cross_entropy, log_softmax
from tinydl.options import choice, number
from tinydl.shapes import Array
from tinydl.tensor import Tensor
from tinydl.train import Batches, evaluating

_CONFIDENCE = "probability", "entropy"


def exit_head(channels: int, num_classes: int) -> Sequential:
    """Return the smallest head for a middle map (N, C, H, W): global average, linear.

    >>> exit_head(16, 10)(np.zeros((2, 16, 7, 7), np.float32)).shape
    (2, 10)
    """
    return Sequential(AdaptiveAvgPool2d(1), Flatten(), Linear(channels, num_classes))


def confidence(logits: Any, by: str = "probability") -> Array:
    """Return how sure each row of logits (N, C) is, in [0, 1].

    probability: max_c p_c.   entropy: 1 − H(p) / log C, H = −Σ_c p_c log p_c.   p = softmax(logits)

    Raises: ValueError for another word.

    >>> confidence(Tensor([[0.0, 0.0], [9.0, -9.0]])), confidence(Tensor([[0.0, 0.0]]), "entropy")
    (array([0.5, 1. ], dtype=float32), array([0.], dtype=float32))
    """
    choice(by, "by", _CONFIDENCE)
    with no_grad():
        logp = log_softmax(logits.detach(), 1).data
    p = np.exp(logp)
    if by == "probability":
        return np.asarray(p.max(axis=1))
    return np.asarray(1 + np.sum(p * logp, axis=1) / log(max(2, p.shape[1])))


@dataclass(frozen=True)
class ExitPoint:
    """What one threshold gives on a data set.

    Attributes:
        threshold: the confidence asked for.
        accuracy: the share of right answers.
        macs: mean multiply-adds of an input.
        shares: the share of the inputs that leave at each exit, the last one at the end of the network.
    """

    threshold: float
    accuracy: float
    macs: float
    shares: tuple[float, ...]


class EarlyExit(Module):
    """A network with heads after some of its children, each of which answers when it is sure enough.

    In training, `forward` returns the logits of all exits as one tensor (E, N, C), for `loss`. In evaluation it returns
    (N, C): a row leaves at the first exit whose confidence is at least the threshold, and only the rows that are left
    go on, as a smaller batch. The last exit takes what comes.

    Args:
        network: a Sequential that ends in logits.
        heads: for the names of some of its children, in their order, what makes logits out of their result.
        threshold: in [0, 1], or above 1 for a network that never stops early.
        by: what confidence is: "probability" or "entropy"; see `confidence`.
        weights: of the exits in the loss, the last one of the network's own end; all 1 when None.

    Raises: TypeError or ValueError naming the argument.

    Source: Teerapittayanon, McDanel & Kung 2016, BranchyNet, arXiv:1709.01686, section III (which compares the entropy
    with a threshold of each exit's own); Graves 2016 on adaptive computation, arXiv:1603.08983.

    >>> from tinydl.nn import ReLU
    >>> network = Sequential(Linear(4, 8), ReLU(), Linear(8, 3))
    >>> model = EarlyExit(network, {"1": Linear(8, 3)}, threshold=0.5)
    >>> x = np.ones((5, 4), np.float32)
    >>> model(x).shape, model.eval()(x).shape
    ((2, 5, 3), (5, 3))
    """

    network: Sequential
    heads: Sequential

    def __init__(
        self,
        network: Sequential,
        heads: Mapping[str, Module],
        threshold: float = 0.9,
        by: str = "probability",
        weights: Sequence[float] | None = None,
    ) -> None:
        if not isinstance(network, Sequential) or type(network).forward is not Sequential.forward:
            raise TypeError(f"network must be a Sequential, got {type(network).__name__}")
        names = [name for name, _ in network.named_children()]
        if not heads or [name for name in names[:-1] if name in heads] != list(heads):
            raise ValueError(f"heads must be for some of {', '.join(names[:-1])}, in this order; got {list(heads)}")
        given = [1.0] * (len(heads) + 1) if weights is None else list(weights)
        if len(given) != len(heads) + 1:
            raise ValueError(f"weights must be {len(heads) + 1} numbers, one an exit; got {len(given)}")
        self.weights = tuple(number(w, "weights", "[0, inf)") for w in given)
        self.threshold, self.by = number(threshold, "threshold", "[0, inf)"), choice(by, "by", _CONFIDENCE)
        self.network = network
        self.heads = Sequential({f"after_{name}": head for name, head in heads.items()})
        ends = [names.index(name) + 1 for name in heads]
        self._cuts = tuple(zip([0, *ends], [*ends, len(names)]))

    def stages(self) -> list[tuple[Sequential, Module | None]]:
        """Return each part of the network with the head behind it; behind the last there is none."""
        return [(self.network[a:b], head) for (a, b), head in zip(self._cuts, [*self.heads, None])]

    def forward(self, input: Any) -> Any:
        """Return all exits' logits (E, N, C) in training; the answers (N, C) in evaluation."""
        if self.training:
            return ops.stack(self.every_exit(input))
        return self.route(input)[0]

    def every_exit(self, input: Any) -> list[Any]:
        """Return the logits of each exit for all rows."""
        found, h = [], input
        for stage, head in self.stages():
            h = stage(h)
            found.append(h if head is None else head(h))
        return found

    def route(self, input: Any) -> tuple[Tensor, Array]:
        """Return the logits (N, C), and for each row the number of the exit where it left."""
        h = input if isinstance(input, Tensor) else Tensor(input)
        left, rows = np.zeros(len(h), np.int64), np.arange(len(h))
        parts, order = [], []
        for i, (stage, head) in enumerate(self.stages()):
            h = stage(h)
            y = h if head is None else head(h)
            sure = np.ones(len(rows), bool) if head is None else confidence(y, self.by) >= self.threshold
            left[rows[sure]] = i
            parts.append(y[np.flatnonzero(sure)])
            order.append(rows[sure])
            rows = rows[~sure]
            if head is not None and len(rows) == 0 and len(left):
                break
            h = h if head is None else h[np.flatnonzero(~sure)]
        back = np.argsort(np.concatenate(order), kind="stable")
        answers: Tensor = ops.cat(parts)[back]
        return answers, left

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return Σ_e weights[e] · CE(logits of exit e, target); in evaluation the CE of the answers.

        Source: Teerapittayanon et al. 2016, equation 1.
        """
        if output.ndim == 2:
            answered: Tensor = cross_entropy(output, target)
            return answered
        terms = [w * cross_entropy(output[e], target) for e, w in enumerate(self.weights)]
        total: Tensor = sum(terms[1:], terms[0])
        return total

    def macs(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the multiply-adds of one input that leaves at each exit, the heads it was asked at included."""
        found, spent = [], 0
        with evaluating(self):
            h = zeros_for(self, input_shape, 1)[0]
            for stage, head in self.stages():
                spent += summary(stage, h.shape[1:]).macs
                h = stage(h)
                spent += 0 if head is None else summary(head, h.shape[1:]).macs
                found.append(spent)
        return tuple(found)

    def extra_repr(self) -> str:
        """Return the rule of leaving."""
        return f"threshold={self.threshold}, by={self.by!r}"


def exit_curve(model: EarlyExit, data: Batches, thresholds: Sequence[float]) -> list[ExitPoint]:
    """Return accuracy, mean MACs and shares of the exits on `data` for each threshold.

    Each input goes through the whole network once: what would happen at a threshold follows from the confidences at
    all exits. `tinydl.plots.pareto` draws it: `{"0.9": {"macs": point.macs, "accuracy": 100 * point.accuracy}, …}`.

    Raises: ValueError for no thresholds, one out of range, or data that yields nothing.
    """
    asked = [number(t, "thresholds", "[0, inf)") for t in thresholds]
    if not asked:
        raise ValueError("thresholds must be one or more, got none")
    sure, right, shape = [], [], None
    with evaluating(model):
        for x, target in data:
            exits, shape = model.every_exit(x), x.shape[1:]
            sure.append(np.stack([confidence(y, model.by) for y in exits]))
            right.append(np.stack([y.data.argmax(1) == target.data for y in exits]))
    if shape is None:
        raise ValueError("data must yield at least one batch, got none")
    costs = np.array(model.macs(shape))
    confidences, hits = np.concatenate(sure, 1), np.concatenate(right, 1)
    return [_point(t, confidences, hits, costs) for t in asked]


def _point(threshold: float, confidences: Array, hits: Array, costs: Array) -> ExitPoint:
    """Return the figures of one threshold from (E, N) confidences and hits, and the cost of each exit."""
    leaves = confidences >= threshold
    leaves[-1] = True
    first = leaves.argmax(axis=0)
    accuracy = hits[first, np.arange(hits.shape[1])].mean()
    shares = np.bincount(first, minlength=len(costs)) / len(first)
    return ExitPoint(threshold, float(accuracy), float(costs[first].mean()), tuple(float(s) for s in shares))
