"""Layers that drop things at random in training, and do nothing in evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import ops
from tinydl.nn import functional as F
from tinydl.nn.module import Module
from tinydl.options import number


class _Drop(Module):
    """A probability, and the generator that decides (None: the default one of `tinydl.random`)."""

    def __init__(self, p: float, generator: np.random.Generator | None) -> None:
        self.p = number(p, "p", "[0, 1]")
        self.generator = generator

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"p={self.p}"


class Dropout(_Drop):
    """Drop each element with probability p and scale the others by 1/(1 − p), in training.

    Args:
        p: in [0, 1].
        inplace: for PyTorch's sake; has no effect.
        generator: decides what is dropped.

    Raises: TypeError or ValueError naming `p`.

    Source: Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting.

    >>> Dropout(1.0)(np.ones(2)), Dropout(1.0).eval()(np.ones(2))
    (array([0., 0.]), array([1., 1.]))
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: np.random.Generator | None = None) -> None:
        super().__init__(p, generator)

    def forward(self, input: Any) -> Any:
        """Return x with elements dropped."""
        return ops.dropout(input, self.p, self.training, self.generator)


class Dropout2d(Dropout):
    """Drop whole channels of x (N, C, …): neighbouring places are alike, so that single ones would give the rest away.

    Arguments as `Dropout`.

    Source: Tompson et al. 2015, arXiv:1411.4280, section 3.2 (SpatialDropout).

    >>> y = Dropout2d(generator=np.random.default_rng(0))(np.ones((1, 4, 2, 2)))
    >>> y[0, :, 0, 0], bool((y == y[:, :, :1, :1]).all())
    (array([2., 2., 2., 0.]), True)
    """

    def forward(self, input: Any) -> Any:
        """Return x with channels dropped."""
        return F.dropout2d(input, self.p, self.training, generator=self.generator)


class DropPath(_Drop):
    """Drop whole samples with probability p and scale the others by 1/(1 − p): for the block of a residual.

    Source: Huang et al. 2016, Deep networks with stochastic depth, arXiv:1603.09382.

    >>> DropPath(1.0)(np.ones((1, 2)))
    array([[0., 0.]])
    """

    def __init__(self, p: float = 0.0, *, generator: np.random.Generator | None = None) -> None:
        super().__init__(p, generator)

    def forward(self, input: Any) -> Any:
        """Return x with samples dropped."""
        return ops.drop_path(input, self.p, self.training, self.generator)
