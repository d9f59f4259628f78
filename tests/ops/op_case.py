"""What a row of the op table is, and how it is written down.

A case is a call and its float64 operands. Operands are drawn from a generator seeded by the case's name, away from the
places where the op has a kink. `order` says how often the op is differentiated: 2, or 0 for what has no gradient.
`exact` is False for the few rules that are estimates by design: finite differences know nothing of them, and tests of
their own say what they are.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydl import ops
from tinydl.methods import FUNCTIONS
from tinydl.op import FUSED
from tinydl.tensor import Tensor

Array = np.ndarray
Draw = Callable[[np.random.Generator], Array]


@dataclass(frozen=True)
class Case:
    op: str
    label: str
    call: Callable[..., Any]
    inputs: tuple[Array, ...]
    order: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.op}-{self.label}"


def normal(*shape: int) -> Draw:
    return lambda rng: np.asarray(rng.standard_normal(shape))


def positive(*shape: int) -> Draw:
    return lambda rng: np.asarray(rng.uniform(0.4, 2.0, shape))


def off(kinks: list[float], *shape: int) -> Draw:
    """Return numbers around the kinks, none of them closer than 0.05."""

    def draw(rng: np.random.Generator) -> Array:
        x = np.asarray(rng.uniform(min(kinks) - 2, max(kinks) + 2, shape))
        for kink in kinks:
            x = np.where(np.abs(x - kink) < 0.05, kink + 0.1, x)
        return x

    return draw


def distinct(*shape: int) -> Draw:
    """Return numbers no two of which are closer than 0.1: maxima do not change places under a small step."""

    def draw(rng: np.random.Generator) -> Array:
        n = int(np.prod(shape))
        return (rng.permutation(n).reshape(shape) - n / 2) * 0.1 + 0.03

    return draw


def probabilities(axis: int, *shape: int) -> Draw:
    def draw(rng: np.random.Generator) -> Array:
        p = rng.uniform(0.2, 1.0, shape)
        return p / p.sum(axis, keepdims=True)

    return draw


class Rows(list[Case]):
    """The cases of some ops."""

    def add(
        self,
        op: str,
        label: str,
        *draws: Draw,
        call: Callable[..., Any] | None = None,
        order: int = 2,
        exact: bool = True,
    ) -> None:
        rng = np.random.default_rng(zlib.crc32(f"{op}-{label}".encode()))
        self.append(Case(op, label, call or function(op), tuple(draw(rng) for draw in draws), order, exact))


def function(op: str) -> Callable[..., Any]:
    return FUNCTIONS[op] if op in FUNCTIONS else FUSED[op]


def with_options(op: str, *args: Any, **options: Any) -> Callable[..., Any]:
    """Return the op with its options fixed: positional ones follow the operands."""
    return lambda *operands: function(op)(*operands, *args, **options)


def of_list(op: str, *args: Any) -> Callable[..., Any]:
    """Return an op of a sequence as a function of its elements."""
    return lambda *operands: FUNCTIONS[op](operands, *args)


def flat(result: Any) -> Any:
    """Return all the floating results of a call as one vector: an array, or a Tensor in the graph."""
    results = result if isinstance(result, (tuple, list)) else (result,)
    return ops.cat([ops.reshape(ops.clone(y), (-1,)) for y in results if np.dtype(y.dtype).kind == "f"])


def seed(n: int, dtype: Any = np.float64) -> Array:
    """Return an upstream gradient without zeros, symmetries or equal entries."""
    return (np.cos(np.arange(n)) + 0.1).astype(dtype)


def gradients(case: Case, inputs: list[Array]) -> tuple[Array, list[Array]]:
    """Return the results as one vector, and the gradient of each input."""
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    y = flat(case.call(*leaves))
    if y.requires_grad:
        y.backward(seed(y.numel(), y.dtype))
    return y.data, [np.zeros_like(x.data) if x.grad is None else x.grad.data for x in leaves]
