"""Activations and their gradients, one number at a time: any shape, any layout, NaN and Inf flow through.

Each gradient returns g · f′(x): g is what arrives from above, and the input x or the output y is what the
forward pass kept, whichever gives the shorter formula. At a kink f′ is PyTorch's choice, and said.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly, chebinterpolate
from numpy.polynomial.polynomial import polyval

from tinydl.shapes import Array

__all__ = [
    "relu", "relu_grad", "relu6", "relu6_grad", "leaky_relu", "leaky_relu_grad", "elu", "elu_grad",
    "hard_sigmoid", "hard_sigmoid_grad", "hard_swish", "hard_swish_grad",
    "sigmoid", "sigmoid_grad", "tanh", "tanh_grad", "swish", "swish_grad",
    "softplus", "softplus_grad", "mish", "mish_grad",
    "erf", "gelu", "gelu_grad", "gelu_tanh", "gelu_tanh_grad", "scale_mask",
    "hard_swish_in_place", "swish_in_place",
]  # fmt: skip

P = ParamSpec("P")


def elementwise(formula: Callable[P, Array]) -> Callable[P, Array]:
    """Let a formula overflow in silence, and return an array even for 0-d input (ufuncs return a scalar)."""

    @functools.wraps(formula)
    def kernel(*args: P.args, **options: P.kwargs) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(formula(*args, **options))

    return kernel


# --- pieces of straight lines ---


@elementwise
def relu(x: Array) -> Array:
    """Return max(x, 0).

    Source: Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.maximum(x, 0)


@elementwise
def relu_grad(g: Array, y: Array) -> Array:
    """Return g where y > 0, else 0: relu′(0) = 0."""
    return np.where(y <= 0, 0, g)


@elementwise
def relu6(x: Array) -> Array:
    """Return min(max(x, 0), 6).

    Source: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".

    >>> relu6(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    return np.minimum(np.maximum(x, 0), 6)


@elementwise
def relu6_grad(g: Array, x: Array) -> Array:
    """Return g where 0 < x < 6, else 0: relu6′(0) = relu6′(6) = 0."""
    return np.where((x <= 0) | (x >= 6), 0, g)


@elementwise
def leaky_relu(x: Array, slope: float) -> Array:
    """Return x where x > 0, else slope · x.

    Source: Maas, Hannun & Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".

    >>> leaky_relu(np.array([-1.0, 2.0]), 0.25)
    array([-0.25,  2.  ])
    """
    return np.where(x > 0, x, slope * x)


@elementwise
def leaky_relu_grad(g: Array, x: Array, slope: float) -> Array:
    """Return g where x > 0, else slope · g: leaky_relu′(0) = slope."""
    return np.where(x > 0, g, slope * g)


@elementwise
def hard_sigmoid(x: Array) -> Array:
    """Return relu6(x + 3) / 6, a sigmoid of three straight lines.

    Source: Howard et al. 2019, arXiv:1905.02244 (MobileNetV3), section 5.2.

    >>> hard_sigmoid(np.array([-4.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75])
    """
    return np.minimum(np.maximum(x + 3, 0), 6) / 6


@elementwise
def hard_sigmoid_grad(g: Array, x: Array) -> Array:
    """Return g/6 where −3 < x < 3, else 0."""
    return np.where((x <= -3) | (x >= 3), 0, g / 6)


@elementwise
def hard_swish(x: Array) -> Array:
    """Return x · relu6(x + 3) / 6.

    Source: Howard et al. 2019, arXiv:1905.02244 (MobileNetV3), section 5.2.

    >>> hard_swish(np.array([-4.0, 1.5, 4.0]))
    array([-0.   ,  1.125,  4.   ])
    """
    return x * (np.minimum(np.maximum(x + 3, 0), 6) / 6)


@elementwise
def hard_swish_grad(g: Array, x: Array) -> Array:
    """Return 0 where x ≤ −3, g where x ≥ 3, and g·(2x + 3)/6 between."""
    return np.where(x <= -3, 0, np.where(x >= 3, g, g * ((2 * x + 3) / 6)))


# --- built on the exponential ---


@elementwise
def elu(x: Array, alpha: float) -> Array:
    """Return x where x > 0, else alpha · (eˣ − 1).

    Source: Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289, equation 15.

    >>> elu(np.array([-np.log(2), 2.0]), 1.0)
    array([-0.5,  2. ])
    """
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


@elementwise
def elu_grad(g: Array, x: Array, alpha: float) -> Array:
    """Return g where x > 0, else g · alpha · eˣ."""
    return np.where(x > 0, g, g * alpha * np.exp(np.minimum(x, 0)))


@elementwise
def sigmoid(x: Array) -> Array:
    """Return σ(x) = 1 / (1 + e⁻ˣ), written with e^−|x| so that nothing overflows.

    >>> sigmoid(np.array([0.0, np.log(3)]))
    array([0.5 , 0.75])
    """
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


@elementwise
def sigmoid_grad(g: Array, y: Array) -> Array:
    """Return g · y · (1 − y)."""
    return g * (y * (1 - y))


@elementwise
def tanh(x: Array) -> Array:
    """Return (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ).

    >>> tanh(np.array([0.0, np.log(3)]))
    array([0. , 0.8])
    """
    return np.tanh(x)


@elementwise
def tanh_grad(g: Array, y: Array) -> Array:
    """Return g · (1 − y²)."""
    return g * (1 - y * y)


@elementwise
def swish(x: Array, beta: float) -> Array:
    """Return x · σ(beta · x); beta = 1 is SiLU.

    Source: Ramachandran, Zoph & Le 2017, arXiv:1710.05941, section 4.

    >>> swish(np.array([0.0, np.log(3)]), 1.0) / np.log(3)
    array([0.  , 0.75])
    """
    return x * sigmoid(beta * x)


@elementwise
def swish_grad(g: Array, x: Array, beta: float) -> Array:
    """Return g · (s + beta·x·s·(1 − s)) with s = σ(beta · x)."""
    s = sigmoid(beta * x)
    return g * (s + beta * x * s * (1 - s))


@elementwise
def softplus(x: Array, beta: float, threshold: float) -> Array:
    """Return log(1 + e^(beta·x)) / beta, and x itself where beta·x > threshold.

    Source: Dugas et al. 2001, "Incorporating second-order functional knowledge for better option pricing".

    >>> softplus(np.array([np.log(3), 30.0]), 1.0, 20.0)
    array([ 1.38629436, 30.        ])
    """
    z = beta * x
    return np.where(z > threshold, x, (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / beta)


@elementwise
def softplus_grad(g: Array, x: Array, beta: float, threshold: float) -> Array:
    """Return g · σ(beta · x), and g itself where beta·x > threshold."""
    z = beta * x
    return np.where(z > threshold, g, g * sigmoid(z))


@elementwise
def mish(x: Array) -> Array:
    """Return x · tanh(softplus(x)).

    Source: Misra 2019, arXiv:1908.08681, equation 1.

    >>> mish(np.array([0.0, np.log(2)])) / np.log(2)
    array([0. , 0.8])
    """
    return x * np.tanh(np.logaddexp(x, 0))


@elementwise
def mish_grad(g: Array, x: Array) -> Array:
    """Return g · (t + x·(1 − t²)·σ(x)) with t = tanh(softplus(x))."""
    t = np.tanh(np.logaddexp(x, 0))
    return g * (t + x * (1 - t * t) * sigmoid(x))


# --- built on the error function ---


@elementwise
def erf(x: Array) -> Array:
    """Return 2/√π ∫₀ˣ e^(−t²) dt, in double precision to within 4e-16 (relatively, where |x| < 1).

    Source: where |x| < 1 the Maclaurin series 7.6.1 of the NIST Digital Library of Mathematical Functions;
    beyond, 1 − e^(−x²)·p(t) with the polynomial p below. |x| is cut at 6, where erf is 1 to 17 digits.

    >>> erf(np.array([-np.inf, 0.0, 0.5]))
    array([-1.        ,  0.        ,  0.52049988])
    """
    size = np.minimum(np.abs(x).astype(np.float64), 6)
    near = size * polyval(np.minimum(size, 1) ** 2, ERF_SERIES)
    far = 1 - np.exp(-size * size) * polyval((72 / (size + 3) - 13) / 5, ERFC_POLYNOMIAL)
    return np.copysign(np.where(size < 1, near, far), x).astype(x.dtype.newbyteorder("="))


def _scaled_erfc(t: Array) -> Any:
    """Return e^(x²)·erfc(x), smooth in t = (72/(x + 3) − 13)/5, which maps x = 6…1 to −1…1."""
    return np.array([math.exp(x * x) * math.erfc(x) for x in 72 / (5 * t + 13) - 3])


ERF_SERIES = [2 / math.sqrt(math.pi) * (-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in range(18)]
ERFC_POLYNOMIAL = cheb2poly(chebinterpolate(_scaled_erfc, 12)).tolist()


def _normal(x: Array) -> tuple[Array, Array]:
    """Return the standard normal distribution Φ(x) = (1 + erf(x/√2))/2 and its density φ(x)."""
    return (1 + erf(x / math.sqrt(2))) / 2, np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@elementwise
def gelu(x: Array) -> Array:
    """Return x · Φ(x), where Φ is the standard normal distribution function.

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.

    >>> gelu(np.array([0.0, 1.0]))
    array([0.        , 0.84134475])
    """
    return x * _normal(x)[0]


@elementwise
def gelu_grad(g: Array, x: Array) -> Array:
    """Return g · (Φ(x) + x·φ(x))."""
    distribution, density = _normal(x)
    return g * (distribution + x * density)


@elementwise
def gelu_tanh(x: Array) -> Array:
    """Return x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), the approximation of GELU without erf.

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.

    >>> gelu_tanh(np.array([0.0, 1.0]))
    array([0.        , 0.84119199])
    """
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


@elementwise
def gelu_tanh_grad(g: Array, x: Array) -> Array:
    """Return g · ((1 + t)/2 + x/2·(1 − t²)·u′), where t = tanh(u) is the forward's."""
    slope = math.sqrt(2 / math.pi)
    t = np.tanh(slope * (x + 0.044715 * x * x * x))
    return g * ((1 + t) / 2 + x / 2 * (1 - t * t) * slope * (1 + 3 * 0.044715 * x * x))


@elementwise
def scale_mask(x: Array, mask: Array, scale: float) -> Array:
    """Return x · scale where mask is 1 and 0 where it is 0, even for an infinite x; mask is uint8 or bool.

    >>> scale_mask(np.array([1.0, np.inf]), np.array([1, 0], np.uint8), 2.0)
    array([2., 0.])
    """
    return np.where(mask, x * scale, 0)


# --- instead of their argument, for results that nobody else has seen ---


def hard_swish_in_place(x: Array) -> Array:
    """Write hard_swish(x) to x and return it."""
    x[...] = hard_swish(x)
    return x


def swish_in_place(x: Array, beta: float) -> Array:
    """Write swish(x, beta) to x and return it."""
    x[...] = swish(x, beta)
    return x
