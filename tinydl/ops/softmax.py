"""Softmax and its logarithm: scores made probabilities along one axis, shifted so that nothing overflows."""

from __future__ import annotations

from typing import Any

from tinydl import kernels
from tinydl.op import fused, op
from tinydl.ops.elementwise import exp
from tinydl.ops.reduce import sum
from tinydl.shapes import normalize_dim


@op("... D", kernel=True)
def softmax(x: Any, dim: int) -> Any:
    """Return e^(x − m) / Σ e^(x − m) over `dim`, m = max x, so that nothing overflows.

    >>> import numpy as np
    >>> softmax(np.array([1e4, 1e4]), 0)
    array([0.5, 0.5])
    """
    return kernels.softmax(x, normalize_dim(dim, x.ndim, "softmax"))


@softmax.vjp()
def softmax_vjp(g: Any, y: Any, dim: int) -> Any:
    """∂yᵢ/∂xⱼ = yᵢ (δᵢⱼ − yⱼ)."""
    return softmax_grad(g, y, dim)


@fused
def softmax_grad(g: Any, y: Any, dim: int) -> Any:
    """Return y · (g − Σ g y)."""
    return kernels.softmax_grad(g, y, normalize_dim(dim, g.ndim))


@softmax_grad.composition
def softmax_grad_composed(g: Any, y: Any, dim: int) -> Any:
    """The same, with ops."""
    return y * (g - sum(g * y, dim, True))


@op("... D", kernel=True)
def log_softmax(x: Any, dim: int) -> Any:
    """Return x − m − log Σ e^(x − m) over `dim`, m = max x: finite for any finite x.

    >>> import numpy as np
    >>> log_softmax(np.array([1e4, -1e4]), 0)
    array([     0., -20000.])
    """
    return kernels.log_softmax(x, normalize_dim(dim, x.ndim, "log_softmax"))


@log_softmax.vjp()
def log_softmax_vjp(g: Any, y: Any, dim: int) -> Any:
    """∂yᵢ/∂xⱼ = δᵢⱼ − e^(yⱼ)."""
    return log_softmax_grad(g, y, dim)


@fused
def log_softmax_grad(g: Any, y: Any, dim: int) -> Any:
    """Return g − e^y Σ g."""
    return kernels.log_softmax_grad(g, y, normalize_dim(dim, g.ndim))


@log_softmax_grad.composition
def log_softmax_grad_composed(g: Any, y: Any, dim: int) -> Any:
    """The same, with ops."""
    return g - exp(y) * sum(g, dim, True)
