"""Finite differences: whole Jacobians in float64, compared entry by entry with what `backward` says.

No random projections: every entry of every Jacobian is checked, and the worst one is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinydl.autograd import grad
from tinydl.ops import mul, sum
from tinydl.shapes import Array
from tinydl.tensor import Tensor


class GradcheckError(AssertionError):
    """Analytic and numeric derivatives disagree; the message holds the worst entry."""


def numeric_jacobian(f: Callable[[Array], Array], x: Array, eps: float = 1e-6) -> Array:
    """Return J[i, j] = (f(x + h eⱼ)ᵢ − f(x − h eⱼ)ᵢ) / 2h of flattened f by flattened x.

    The step h is `eps` times max(1, |xⱼ|): near the cube root of float64's precision for values around 1.

    >>> numeric_jacobian(lambda x: x * x, np.array([1.0, 3.0])).round(6)
    array([[2., 0.],
           [0., 6.]])
    """
    x = np.array(x, np.float64)
    columns = []
    for j in range(x.size):
        h = eps * max(1.0, abs(x.flat[j]))
        sides = []
        for step in (h, -h):
            moved = x.copy()
            moved.flat[j] += step
            sides.append(np.asarray(f(moved), np.float64).ravel())
        columns.append((sides[0] - sides[1]) / (2 * h))
    return np.stack(columns, axis=1) if columns else np.zeros((np.size(f(x)), 0))


def analytic_jacobian(y: Tensor, x: Tensor) -> Array:
    """Return J[i, j] = ∂yᵢ/∂xⱼ by one backward pass for each element of y.

    >>> x = Tensor(np.array([1.0, 3.0]), requires_grad=True)
    >>> analytic_jacobian(x * x, x)
    array([[2., 0.],
           [0., 6.]])
    """
    rows = np.zeros((y.numel(), x.numel()))
    for i in range(y.numel()):
        seed = np.zeros(y.shape)
        seed.flat[i] = 1.0
        (g,) = grad(y, x, seed, retain_graph=True, allow_unused=True)
        if g is not None:
            rows[i] = g.data.ravel()
    return rows


def _compare(analytic: Array, numeric: Array, atol: float, rtol: float, what: str) -> None:
    """Raise with the worst entry unless |analytic − numeric| ≤ atol + rtol |numeric| everywhere (NaN never passes)."""
    excess = np.abs(analytic - numeric) - (atol + rtol * np.abs(numeric))
    if excess.size and not np.all(excess <= 0):
        i, j = np.unravel_index(int(np.argmax(np.where(np.isnan(excess), np.inf, excess))), excess.shape)
        raise GradcheckError(
            f"{what}: worst entry ∂y[{i}]/∂x[{j}]: analytic {analytic[i, j]:.9g}, numeric {numeric[i, j]:.9g}, "
            f"difference {abs(analytic[i, j] - numeric[i, j]):.3g}; {int(np.sum(~(excess <= 0)))} of {excess.size} "
            f"entries are off by more than {atol:g} + {rtol:g}·|numeric|"
        )


def _leaves(inputs: Sequence[Any] | Tensor, name: str) -> tuple[list[Any], list[int]]:
    """Return the inputs, those that require a gradient as fresh float64 leaves, and the numbers of these."""
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError(f"{name}: at least one input must be a Tensor that requires a gradient")
    for i in checked:
        given[i] = Tensor(given[i].data.astype(np.float64), requires_grad=True)
    return given, checked


def _one_tensor(y: Any, name: str) -> Tensor:
    if not isinstance(y, Tensor):
        raise TypeError(f"{name}: f must return one Tensor, got {type(y).__name__}")
    return y


def gradcheck(
    f: Callable[..., Tensor],
    inputs: Sequence[Any] | Tensor,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
) -> bool:
    """Check ∂f/∂x against central differences for every input that requires a gradient.

    Args:
        f: takes the inputs, returns one Tensor; must be deterministic, and smooth within `eps` of the inputs.
        inputs: Tensors (those that require a gradient are converted to float64) and anything else `f` takes.
        eps: the step, relative to max(1, |x|).
        atol: absolute tolerance.
        rtol: tolerance relative to the numeric value.

    Returns: True.

    Raises: GradcheckError with the worst entry; ValueError when no input requires a gradient.

    >>> gradcheck(lambda x: x.exp(), [Tensor([0.0, 1.0], requires_grad=True)])
    True
    """
    leaves, checked = _leaves(inputs, "gradcheck")
    y = _one_tensor(f(*leaves), "gradcheck")
    for i in checked:

        def of_input(values: Array, i: int = i) -> Array:
            return f(*leaves[:i], Tensor(values), *leaves[i + 1 :]).data

        numeric = numeric_jacobian(of_input, leaves[i].data, eps)
        analytic = analytic_jacobian(y, leaves[i]) if y.requires_grad else np.zeros_like(numeric)
        _compare(analytic, numeric, atol, rtol, f"gradcheck by input {i}")
    return True


def gradgradcheck(
    f: Callable[..., Tensor],
    inputs: Sequence[Any] | Tensor,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-4,
) -> bool:
    """Check second derivatives: `gradcheck` of (g, x) ↦ the gradient of Σ g · f(x) by each x in turn, by g and every x.

    Arguments and errors as `gradcheck`; g is a fixed pattern without zeros, so that no entry hides. In a message input
    0 is g, and input 1 the first x.

    >>> gradgradcheck(lambda x: x * x * x, [Tensor([0.5, 1.0], requires_grad=True)])
    True
    """
    leaves, checked = _leaves(inputs, "gradgradcheck")
    y = _one_tensor(f(*leaves), "gradgradcheck")
    pattern = Tensor(np.cos(np.arange(float(y.numel()))).reshape(y.shape) + 0.1, requires_grad=True)
    for which in checked:

        def gradient(g: Any, *xs: Any, which: int = which) -> Tensor:
            xs = tuple(x if i not in checked or x.requires_grad else Tensor(x.data, True) for i, x in enumerate(xs))
            result = sum(mul(f(*xs), g))
            found = grad(result, xs[which], create_graph=True, allow_unused=True)[0] if result.requires_grad else None
            return Tensor(np.zeros(xs[which].shape)) if found is None else found

        gradcheck(gradient, [pattern, *leaves], eps, atol, rtol)
    return True
