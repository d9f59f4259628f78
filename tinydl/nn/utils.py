"""PyTorch's `torch.nn.utils`: clipping gradients, and parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinydl import ops
from tinydl.nn.parameter import kept
from tinydl.options import number
from tinydl.tensor import Tensor


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return (parameter, gradient) for each that has one."""
    listed = [parameters] if isinstance(parameters, Tensor) else parameters
    return [(p, p.grad) for p in listed if p.grad is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by one factor, in place, such that their common norm is at most `max_norm`; return that norm.

    ‖g‖ = (Σ |gᵢ|ᵖ)^(1/p) over all elements of all gradients; g ← g · min(1, max_norm / (‖g‖ + 10⁻⁶)).

    Args:
        parameters: Tensors, or one; those without a gradient do not count, nor do elements that a mask prunes.
        max_norm: at least 0.
        norm_type: p > 0, or infinity for the largest element.
        error_if_nonfinite: refuse a norm that is NaN or infinite. Without it, as in PyTorch, NaN spreads to every
            gradient, and infinity turns infinite elements into NaN and the others into 0.

    Raises: ValueError naming the argument; RuntimeError for a norm that is not finite, with nothing changed.

    Source: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1.

    >>> p = Tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = Tensor([3.0, 4.0])
    >>> clip_grad_norm_([p], max_norm=1.0), p.grad
    (tensor(5.), tensor([0.6, 0.8]))
    """
    max_norm = number(max_norm, "max_norm", "[0, inf]")
    p = number(norm_type, "norm_type", "(0, inf]")
    gradients = _gradients(parameters)
    norms = [float(np.linalg.norm(kept(owner, g.data).ravel(order="K"), p)) for owner, g in gradients]
    total = float(np.linalg.norm(norms, p)) if norms else 0.0
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(f"clip_grad_norm_: the gradients' norm is {total}, and error_if_nonfinite is set")
    factor = max_norm / (total + 1e-6)
    if not factor >= 1.0:
        with np.errstate(invalid="ignore"):
            for _, g in gradients:
                g.mul_(factor)
    return Tensor(np.asarray(total, gradients[0][1].dtype if gradients else np.float32))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit every element of every gradient to ±clip_value, in place; NaN stays.

    Raises: ValueError unless clip_value is at least 0.

    >>> p = Tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = Tensor([3.0, -0.5])
    >>> clip_grad_value_([p], 1.0)
    >>> p.grad
    tensor([ 1. , -0.5])
    """
    limit = number(clip_value, "clip_value", "[0, inf]")
    for _, g in _gradients(parameters):
        g.copy_(np.clip(g.data, -limit, limit))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return all elements of all parameters in one row, through which gradients flow.

    Raises: ValueError when there is none.

    >>> parameters_to_vector([Tensor([[1.0, 2.0]]), Tensor([3.0])])
    tensor([1., 2., 3.])
    """
    vector: Tensor = ops.cat([ops.reshape(p, (-1,)) for p in parameters])
    return vector


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the elements of `vec` into the parameters: the inverse of `parameters_to_vector`.

    Raises: ValueError unless vec has one axis and exactly as many elements, with nothing changed.

    >>> p = Tensor([[0.0, 0.0]])
    >>> vector_to_parameters(Tensor([1.0, 2.0]), [p])
    >>> p
    tensor([[1., 2.]])
    """
    listed = list(parameters)
    stops = np.cumsum([p.numel() for p in listed])
    if vec.shape != (sum(p.numel() for p in listed),):
        raise ValueError(f"vector_to_parameters: vec must have shape ({stops[-1] if listed else 0},), got {vec.shape}")
    for p, part in zip(listed, np.split(vec.data, stops[:-1])):
        p.detach().copy_(part.reshape(p.shape))
        p.mark_changed()
