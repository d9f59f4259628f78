"""How weights start: filling a Tensor in place with random numbers of the right size.

A layer y = W x with independent weights multiplies the variance of a signal by fan_in · var W on the way forward, and
that of a gradient by fan_out · var W on the way back. They stay near 1 for

- Xavier (Glorot): var W = gain² · 2 / (fan_in + fan_out), for tanh, sigmoid and linear layers;
- Kaiming (He): var W = gain² / fan, for ReLU, which halves the variance, so that gain² = 2.

The other way round signals die out: after 20 ReLU layers of 512, the activations' standard deviation is about 0.8 with
Kaiming and 0.0006 with Xavier. Without a `generator` every function draws from `tinydl.random.default_generator()`.
"""

from __future__ import annotations

import math

import numpy as np

from tinydl.modes import no_grad
from tinydl.options import choice, number
from tinydl.random import default_generator
from tinydl.shapes import Array, Pair
from tinydl.tensor import Tensor

_GAINS = {"linear": 1.0, "conv2d": 1.0, "conv_transpose2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "selu": 3 / 4}
_REACH = 6.0  # deviations beyond which trunc_normal_ draws nothing: the normal has 2e-9 of its mass there


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor by which weights must be larger because of the activation that follows.

    1 for linear layers and sigmoid, 5/3 for tanh, √2 for relu, √(2 / (1 + param²)) for leaky_relu with negative slope
    `param` (default 0.01), 3/4 for selu.

    Raises: ValueError for any other name.

    Source: He et al. 2015, arXiv:1502.01852, equations 10 and 15; the 5/3 of tanh is a custom (it keeps the variance of
    deep tanh networks near a fixed point).

    >>> calculate_gain("relu") == 2**0.5
    True
    """
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + number(0.01 if param is None else param, "param") ** 2))
    return _GAINS[choice(nonlinearity, "nonlinearity", (*_GAINS, "relu", "leaky_relu"))]


def fans(tensor: Tensor) -> Pair:
    """Return (fan_in, fan_out) of a weight (O, I) or (O, I, kh, kw): the inputs of a result, the results of an input.

    Raises: ValueError for fewer than 2 axes.

    >>> fans(Tensor(np.zeros((8, 3, 5, 5))))
    (75, 200)
    """
    if tensor.ndim < 2:
        raise ValueError(f"fans need a weight with at least 2 axes, got shape {tensor.shape}")
    area = math.prod(tensor.shape[2:])
    return tensor.shape[1] * area, tensor.shape[0] * area


def _fill(tensor: Tensor, values: Array | float) -> Tensor:
    """Write `values` into the tensor; initialising is no step that a gradient should see."""
    with no_grad():
        return tensor.copy_(values)


def _source(generator: np.random.Generator | None) -> np.random.Generator:
    return default_generator() if generator is None else generator


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set every element to `val`.

    >>> constant_(Tensor([1.0, 2.0]), 7)
    tensor([7., 7.])
    """
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Set every element to 0."""
    return _fill(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every element to 1."""
    return _fill(tensor, 1.0)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: np.random.Generator | None = None) -> Tensor:
    """Draw from the uniform distribution on [a, b). Raises: ValueError when b < a, or for NaN.

    >>> bool((uniform_(Tensor(np.zeros(9)), 2, 3) >= 2).all())
    True
    """
    if not a <= b:
        raise ValueError(f"uniform_: a must not be above b, got {a} and {b}")
    return _fill(tensor, _source(generator).uniform(a, b, tensor.shape))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Draw from the normal distribution N(mean, std²). Raises: ValueError for a negative std, or NaN."""
    return _fill(tensor, _source(generator).normal(number(mean, "mean"), number(std, "std", "[0, inf)"), tensor.shape))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Draw from N(mean, std²) conditioned on [a, b].

    Drawn by rejection: uniform proposals on [a, b], each kept with probability density / largest density. Proposals
    stay within 6 deviations of the mean, beyond which there is a mass of 2e-9.

    Raises: ValueError when std is not positive, or [a, b] is empty or lies beyond those 6 deviations.

    >>> drawn = trunc_normal_(Tensor(np.zeros(1000)), std=0.5, a=0.0, b=1.0)
    >>> bool((drawn >= 0).all()), bool((drawn <= 1).all())
    (True, True)
    """
    mean, std = number(mean, "mean"), number(std, "std", "(0, inf)")
    low, high = max(a, mean - _REACH * std), min(b, mean + _REACH * std)
    if not low < high:
        raise ValueError(
            f"trunc_normal_: [a, b] must overlap mean ± {_REACH:g}·std, got a={a}, b={b}, mean={mean}, std={std}"
        )
    draw, peak = _source(generator), min(max(mean, low), high)
    values = np.empty(tensor.numel())
    todo = np.arange(values.size)
    while todo.size:
        proposed = draw.uniform(low, high, todo.size)
        log_ratio = ((peak - mean) ** 2 - (proposed - mean) ** 2) / (2 * std**2)
        kept = draw.random(todo.size) < np.exp(log_ratio)
        values[todo[kept]] = proposed[kept]
        todo = todo[~kept]
    return _fill(tensor, values.reshape(tensor.shape))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None) -> Tensor:
    """Draw from ±gain · √(6 / (fan_in + fan_out)): for layers followed by tanh, sigmoid or nothing.

    Source: Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward networks, equation 16.

    >>> bool((abs(xavier_uniform_(Tensor(np.zeros((2, 4))))) <= 1).all())
    True
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None) -> Tensor:
    """Draw from N(0, gain² · 2 / (fan_in + fan_out)): for layers followed by tanh, sigmoid or nothing.

    Source: Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward networks, equation 12.
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def _xavier_std(tensor: Tensor, gain: float) -> float:
    return number(gain, "gain", "[0, inf)") * math.sqrt(2.0 / max(1, sum(fans(tensor))))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Draw from ±gain · √(3 / fan): for layers followed by ReLU and its kin.

    Args:
        tensor: the weight, (O, I) or (O, I, kh, kw).
        a: the negative slope, for leaky_relu.
        mode: "fan_in" keeps the variance of signals, "fan_out" that of gradients.
        nonlinearity: a name of `calculate_gain`.
        generator: where the numbers come from.

    Source: He et al. 2015, Delving deep into rectifiers, arXiv:1502.01852, equations 10 and 14.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Draw from N(0, gain² / fan), for layers followed by ReLU and its kin; arguments as `kaiming_uniform_`.

    Source: He et al. 2015, Delving deep into rectifiers, arXiv:1502.01852, equations 10 and 14.
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan = fans(tensor)[("fan_in", "fan_out").index(choice(mode, "mode", ("fan_in", "fan_out")))]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(1, fan))


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None) -> Tensor:
    """Draw a matrix (axes after the first made one) with orthonormal rows, or columns if those are fewer, times gain.

    The Q of a Gaussian matrix, with signs such that every orthogonal matrix is equally likely.

    Source: Saxe, McClelland & Ganguli 2014, arXiv:1312.6120, section 3; signs: Mezzadri 2007, arXiv:math-ph/0609050.

    Raises: ValueError for fewer than 2 axes.

    >>> w = orthogonal_(Tensor(np.zeros((2, 3))))
    >>> (w @ w.T).data.round(6) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ needs at least 2 axes, got shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    q, r = np.linalg.qr(_source(generator).standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return _fill(tensor, (number(gain, "gain") * (q if rows >= columns else q.T)).reshape(tensor.shape))


def default_(weight: Tensor, bias: Tensor | None = None, generator: np.random.Generator | None = None) -> None:
    """Fill the parameters of a linear or convolutional layer as PyTorch does: both from ±1 / √fan_in.

    For the weight that is `kaiming_uniform_` with a = √5, a third of the variance that Xavier gives a square layer.

    Source: LeCun et al. 1998, Efficient BackProp, section 4.6, but for the factor of a third.
    """
    bound = 1.0 / math.sqrt(max(1, fans(weight)[0]))
    uniform_(weight, -bound, bound, generator)
    if bias is not None:
        uniform_(bias, -bound, bound, generator)


glorot_uniform_, glorot_normal_ = xavier_uniform_, xavier_normal_
he_uniform_, he_normal_ = kaiming_uniform_, kaiming_normal_
