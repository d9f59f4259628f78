"""Activations built on the exponential or the error function, each with kernels for its value and its gradient.

The kernel of a gradient is an array shortcut: where a derivative of it is asked for, its composition of ops takes over,
so that every order of derivative exists.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import kernels
from tinydl.op import composite, fused, op
from tinydl.ops.comparison import gt
from tinydl.ops.elementwise import erf, exp
from tinydl.ops.selection import where


@op("...", kernel=True)
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x where x > 0, else α (eˣ − 1).

    Source: Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289, equation 1.

    >>> elu(np.array([0.0, 2.0]))
    array([0., 2.])
    """
    return kernels.elu(x, float(alpha))


@fused
def elu_grad(g: Any, x: Any, alpha: float) -> Any:
    """Return g · (1 where x > 0, else α eˣ)."""
    return kernels.elu_grad(g, x, float(alpha))


@elu_grad.composition
def elu_grad_composed(g: Any, x: Any, alpha: float) -> Any:
    """The exponential is taken of min(x, 0), so that it cannot overflow on the side not chosen."""
    return g * where(gt(x, 0), 1.0, alpha * exp(where(gt(x, 0), 0.0, x)))


@elu.vjp()
def elu_vjp(g: Any, x: Any, alpha: float) -> Any:
    """∂y/∂x = 1 or α eˣ."""
    return elu_grad(g, x, alpha)


@op("...", kernel=True)
def sigmoid(x: Any) -> Any:
    """Return σ(x) = 1 / (1 + e⁻ˣ), without overflow for any x.

    >>> sigmoid(np.array([0.0, -1e4]))
    array([0.5, 0. ])
    """
    return kernels.sigmoid(x)


@fused
def sigmoid_grad(g: Any, y: Any) -> Any:
    """Return g · y (1 − y)."""
    return kernels.sigmoid_grad(g, y)


@sigmoid_grad.composition
def sigmoid_grad_composed(g: Any, y: Any) -> Any:
    """The same, with ops."""
    return g * (y * (1.0 - y))


@sigmoid.vjp()
def sigmoid_vjp(g: Any, y: Any) -> Any:
    """∂y/∂x = y (1 − y)."""
    return sigmoid_grad(g, y)


@op("...", kernel=True)
def tanh(x: Any) -> Any:
    """Return tanh x.

    >>> tanh(np.zeros(1))
    array([0.])
    """
    return kernels.tanh(x)


@fused
def tanh_grad(g: Any, y: Any) -> Any:
    """Return g · (1 − y²)."""
    return kernels.tanh_grad(g, y)


@tanh_grad.composition
def tanh_grad_composed(g: Any, y: Any) -> Any:
    """The same, with ops."""
    return g * (1.0 - y * y)


@tanh.vjp()
def tanh_vjp(g: Any, y: Any) -> Any:
    """∂y/∂x = 1 − y²."""
    return tanh_grad(g, y)


_SQRT_2_OVER_PI = float(np.sqrt(2 / np.pi))


@op("...", kernel=True)
def gelu(x: Any, approximate: str = "none") -> Any:
    """Return x Φ(x), Φ the standard normal distribution function; or its tanh approximation.

    approximate="tanh": ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))).

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.

    Raises: ValueError for another `approximate`.

    >>> gelu(np.zeros(1))
    array([0.])
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate must be "none" or "tanh", got {approximate!r}')
    return kernels.gelu(x) if approximate == "none" else kernels.gelu_tanh(x)


@fused
def gelu_grad(g: Any, x: Any, approximate: str) -> Any:
    """Return g · (Φ(x) + x φ(x)), or the slope of the tanh approximation."""
    return kernels.gelu_grad(g, x) if approximate == "none" else kernels.gelu_tanh_grad(g, x)


@gelu_grad.composition
def gelu_grad_composed(g: Any, x: Any, approximate: str) -> Any:
    """The same, with ops."""
    if approximate == "none":
        density = exp(-0.5 * (x * x)) * (1 / np.sqrt(2 * np.pi))
        return g * (0.5 * (1.0 + erf(x * (1 / np.sqrt(2)))) + x * density)
    t = tanh(_SQRT_2_OVER_PI * (x + 0.044715 * (x * x * x)))
    inner_slope = _SQRT_2_OVER_PI * (1.0 + 3 * 0.044715 * (x * x))
    return g * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner_slope)


@gelu.vjp()
def gelu_vjp(g: Any, x: Any, approximate: str) -> Any:
    """∂y/∂x = Φ(x) + x φ(x)."""
    return gelu_grad(g, x, approximate)


@op("...", kernel=True)
def swish(x: Any, beta: float = 1.0) -> Any:
    """Return x σ(βx); swish(−2) ≈ −0.2384.

    Source: Ramachandran, Zoph & Le 2017, arXiv:1710.05941, section 4; β = 1 is SiLU.

    >>> round(float(swish(np.array(-2.0))), 4)
    -0.2384
    """
    return kernels.swish(x, float(beta))


@fused
def swish_grad(g: Any, x: Any, beta: float) -> Any:
    """Return g · (s + βx s (1 − s)), s = σ(βx)."""
    return kernels.swish_grad(g, x, float(beta))


@swish_grad.composition
def swish_grad_composed(g: Any, x: Any, beta: float) -> Any:
    """The same, with ops."""
    s = sigmoid(beta * x)
    return g * (s + beta * x * s * (1.0 - s))


@swish.vjp()
def swish_vjp(g: Any, x: Any, beta: float) -> Any:
    """∂y/∂x = s + βx s (1 − s)."""
    return swish_grad(g, x, beta)


@composite
def silu(x: Any) -> Any:
    """Return x σ(x): `swish` with β = 1.

    >>> silu(np.zeros(1))
    array([0.])
    """
    return swish(x, 1.0)


@op("...", kernel=True)
def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """Return log(1 + e^(βx)) / β, and x itself where βx > threshold (where they agree to rounding).

    Source: Dugas et al. 2001, Incorporating second-order functional knowledge for better option pricing.

    >>> round(float(softplus(np.array(0.0))), 4)
    0.6931
    """
    return kernels.softplus(x, float(beta), float(threshold))


@fused
def softplus_grad(g: Any, x: Any, beta: float, threshold: float) -> Any:
    """Return g · σ(βx), and g where βx > threshold."""
    return kernels.softplus_grad(g, x, float(beta), float(threshold))


@softplus_grad.composition
def softplus_grad_composed(g: Any, x: Any, beta: float, threshold: float) -> Any:
    """The same, with ops."""
    return where(gt(beta * x, threshold), g, g * sigmoid(beta * x))


@softplus.vjp()
def softplus_vjp(g: Any, x: Any, beta: float, threshold: float) -> Any:
    """∂y/∂x = σ(βx)."""
    return softplus_grad(g, x, beta, threshold)


@op("...", kernel=True)
def mish(x: Any) -> Any:
    """Return x tanh(softplus(x)).

    Source: Misra 2020, arXiv:1908.08681, equation 1.

    >>> mish(np.zeros(1))
    array([0.])
    """
    return kernels.mish(x)


@fused
def mish_grad(g: Any, x: Any) -> Any:
    """Return g · (t + x (1 − t²) σ(x)), t = tanh(softplus(x))."""
    return kernels.mish_grad(g, x)


@mish_grad.composition
def mish_grad_composed(g: Any, x: Any) -> Any:
    """The same, with ops."""
    t = tanh(softplus(x))
    return g * (t + x * (1.0 - t * t) * sigmoid(x))


@mish.vjp()
def mish_vjp(g: Any, x: Any) -> Any:
    """∂y/∂x = t + x (1 − t²) σ(x)."""
    return mish_grad(g, x)
