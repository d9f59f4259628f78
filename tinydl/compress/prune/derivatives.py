"""First and second derivatives of a loss over data: what criteria know about the loss.

Networks are differentiated in evaluation mode: running statistics and `grad` stay as they are, dropout drops nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tinydl import ops
from tinydl.autograd import grad
from tinydl.modes import enable_grad
from tinydl.nn import Module
from tinydl.options import whole
from tinydl.random import default_generator
from tinydl.shapes import Array
from tinydl.tensor import Tensor
from tinydl.train import Batches, Loss, evaluating


def losses(model: Module, batches: Batches, loss: Loss) -> Iterator[tuple[Tensor, int]]:
    """Yield the loss of each batch, to be differentiated, and the number of its samples.

    Raises: ValueError when there is no batch.
    """
    found = False
    for x, target in batches:
        found = True
        with evaluating(model), enable_grad():
            value = loss(model(x), target)
        yield value, len(target)
    if not found:
        raise ValueError("batches must yield at least one (inputs, targets), got none")


def gradients(value: Tensor, parameters: Sequence[Tensor]) -> list[Array]:
    """Return d value / d p for each parameter; zeros for one that does not matter."""
    found = grad(value, parameters, allow_unused=True)
    return [np.zeros_like(p.data) if g is None else g.data for p, g in zip(parameters, found)]


def hessian_diagonal(
    value: Tensor,
    parameters: Sequence[Tensor],
    probes: int | None = None,
    generator: np.random.Generator | None = None,
) -> list[Array]:
    """Return ∂²value / ∂wᵢ² for every element of every parameter.

    Exactly, from one more backward pass for each element: for small networks. Or estimated by Hutchinson's method,
    from one more pass for each of m `probes`:

    hᵢ = mean over probes of vᵢ · (H v)ᵢ,  vᵢ = ±1 at random

    which is right on average, with the variance (Σ over j ≠ i of Hᵢⱼ²) / m: exact where H is diagonal.

    Args:
        value: a scalar with its graph, which is used up.
        parameters: of which the elements are meant; H is that of all of them together.
        probes: m, at least 1; None is exact.
        generator: draws v; by default `tinydl.random.default_generator()`.

    Raises: TypeError, ValueError for probes that are no number of at least 1.

    Source: Hutchinson 1990, A stochastic estimator of the trace of the influence matrix; Bekas, Kokiopoulou & Saad
    2007, An estimator for the diagonal of a matrix.

    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> hessian_diagonal((w * w * w).sum(), [w])
    [array([ 6., 12.], dtype=float32)]
    """
    rounds = None if probes is None else whole(probes, "probes", 1)
    firsts = grad(value, parameters, create_graph=True, allow_unused=True)
    curved = [(p, g) for p, g in zip(parameters, firsts) if g is not None and g.requires_grad]
    with enable_grad():
        if rounds is None:
            found = [_exact(p, g) for p, g in curved]
        else:
            found = _hutchinson(curved, rounds, generator or default_generator())
    by_place = {id(p): h for (p, _), h in zip(curved, found)}
    return [by_place.get(id(p), np.zeros_like(p.data)) for p in parameters]


def _exact(p: Tensor, g: Tensor) -> Array:
    """Return the diagonal, an element a pass."""
    flat, diagonal = ops.reshape(g, (-1,)), np.zeros(p.numel(), p.dtype)
    for i in range(len(diagonal)):
        (row,) = grad(flat[i], p, retain_graph=True, allow_unused=True)
        diagonal[i] = 0 if row is None else row.data.reshape(-1)[i]
    return diagonal.reshape(p.shape)


def _hutchinson(curved: Sequence[tuple[Tensor, Tensor]], probes: int, generator: np.random.Generator) -> list[Array]:
    """Return the mean of v · H v over the probes."""
    parameters = [p for p, _ in curved]
    means = [np.zeros_like(p.data) for p in parameters]
    for _ in range(probes if curved else 0):
        v = [generator.choice(np.array([-1, 1], p.dtype), p.shape) for p in parameters]
        slope = _total([(g * Tensor(s)).sum() for (_, g), s in zip(curved, v)])
        products = grad(slope, parameters, retain_graph=True, allow_unused=True)
        for mean, s, product in zip(means, v, products):
            mean += 0 if product is None else s * product.data / probes
    return means


def _total(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def batch_mean(
    model: Module, batches: Batches, loss: Loss, measure: Callable[[Tensor], Sequence[Array]]
) -> list[Array]:
    """Return the mean over all samples of what `measure` makes of each batch's loss, float64."""
    total: list[Array] = []
    samples = 0
    for value, n in losses(model, batches, loss):
        weighted = [n * np.asarray(array, np.float64) for array in measure(value)]
        total = [a + b for a, b in zip(total, weighted)] if total else weighted
        samples += n
    return [array / samples for array in total]
