"""Activation functions as layers. Their equations, sources and edge conventions stand at the ops of the same name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from tinydl import ops
from tinydl.nn.module import Module
from tinydl.options import choice, number


class Activation(Module):
    """An op of one operand as a layer. Subclasses name the op, and the attributes that are its further arguments.

    `inplace` is accepted for PyTorch's sake and has no effect.
    """

    function: ClassVar[Callable[..., Any]]
    settings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, input: Any) -> Any:
        """Return the op of x."""
        return self.function(input, *[getattr(self, name) for name in self.settings])

    def extra_repr(self) -> str:
        """Return the settings."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)


class ReLU(Activation):
    """max(x, 0).

    >>> import numpy as np
    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    function = staticmethod(ops.relu)


class ReLU6(Activation):
    """min(max(x, 0), 6)."""

    function = staticmethod(ops.relu6)


class Sigmoid(Activation):
    """1 / (1 + e⁻ˣ)."""

    function = staticmethod(ops.sigmoid)


class Tanh(Activation):
    """tanh x."""

    function = staticmethod(ops.tanh)


class SiLU(Activation):
    """x σ(x): `Swish` with β = 1."""

    function = staticmethod(ops.silu)


class Hardsigmoid(Activation):
    """relu6(x + 3) / 6."""

    function = staticmethod(ops.hardsigmoid)


class Hardswish(Activation):
    """x · relu6(x + 3) / 6."""

    function = staticmethod(ops.hardswish)


class Mish(Activation):
    """x tanh(softplus(x))."""

    function = staticmethod(ops.mish)


class Swish(Activation):
    """x σ(βx).

    Raises: TypeError or ValueError when beta is no finite number.

    >>> import numpy as np
    >>> Swish(beta=1.0)(np.array([-2.0])).round(4)
    array([-0.2384])
    """

    function = staticmethod(ops.swish)
    settings = ("beta",)

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = number(beta, "beta")


class LeakyReLU(Activation):
    """x where x > 0, else negative_slope · x."""

    function = staticmethod(ops.leaky_relu)
    settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = number(negative_slope, "negative_slope")


class ELU(Activation):
    """x where x > 0, else α (eˣ − 1)."""

    function = staticmethod(ops.elu)
    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = number(alpha, "alpha")


class GELU(Activation):
    """x Φ(x), exactly ("none") or by its tanh approximation ("tanh")."""

    function = staticmethod(ops.gelu)
    settings = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = choice(approximate, "approximate", ("none", "tanh"))


class Softplus(Activation):
    """log(1 + e^(βx)) / β, and x itself where βx > threshold."""

    function = staticmethod(ops.softplus)
    settings = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = number(beta, "beta", "(0, inf)")
        self.threshold = number(threshold, "threshold")


class Softmax(Activation):
    """e^(x − m) / Σ e^(x − m) over `dim`, m = max x. PyTorch guesses a missing `dim`; here it must be given."""

    function = staticmethod(ops.softmax)
    settings = ("dim",)

    def __init__(self, dim: int) -> None:
        self.dim = dim


class LogSoftmax(Softmax):
    """x − m − log Σ e^(x − m) over `dim`, m = max x: finite for any finite x."""

    function = staticmethod(ops.log_softmax)
