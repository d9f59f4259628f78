"""Sums, extremes, and other functions that reduce axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from tinydl.methods.table import FUNCTIONS

if TYPE_CHECKING:
    from tinydl.tensor import Tensor

Dims: TypeAlias = int | Sequence[int] | None


class Reduction:
    """The part of a Tensor that reduces axes."""

    __slots__ = ()

    def sum(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the sum over `dim`."""
        return FUNCTIONS["sum"](self, dim, keepdim)

    def mean(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the mean over `dim`."""
        return FUNCTIONS["mean"](self, dim, keepdim)

    def amax(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the maximum over `dim`, ties sharing the gradient."""
        return FUNCTIONS["amax"](self, dim, keepdim)

    def amin(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the minimum over `dim`, ties sharing the gradient."""
        return FUNCTIONS["amin"](self, dim, keepdim)

    def logsumexp(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return log Σ eˣ over `dim`."""
        return FUNCTIONS["logsumexp"](self, dim, keepdim)

    def var(self, dim: Dims = None, correction: int = 1, keepdim: bool = False, unbiased: bool | None = None) -> Tensor:
        """Return the variance over `dim` (divisor n − correction)."""
        return FUNCTIONS["var"](self, dim, correction, keepdim, unbiased)

    def std(self, dim: Dims = None, correction: int = 1, keepdim: bool = False, unbiased: bool | None = None) -> Tensor:
        """Return the standard deviation over `dim` (divisor n − correction)."""
        return FUNCTIONS["std"](self, dim, correction, keepdim, unbiased)

    def max(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Return the maximum; with `dim`, (values, indices)."""
        return FUNCTIONS["max"](self, dim, keepdim)

    def min(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Return the minimum; with `dim`, (values, indices)."""
        return FUNCTIONS["min"](self, dim, keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return where the maximum stands."""
        return FUNCTIONS["argmax"](self, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return where the minimum stands."""
        return FUNCTIONS["argmin"](self, dim, keepdim)

    def any(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return whether any element is true."""
        return FUNCTIONS["any"](self, dim, keepdim)

    def all(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return whether all elements are true."""
        return FUNCTIONS["all"](self, dim, keepdim)

    def norm(self, p: float = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return (Σ |x|ᵖ)^(1/p) over `dim`."""
        return FUNCTIONS["norm"](self, p, dim, keepdim)

    # ---- along an axis, without reducing it

    def softmax(self, dim: int) -> Tensor:
        """Return eˣ / Σ eˣ over `dim`."""
        return FUNCTIONS["softmax"](self, dim)

    def log_softmax(self, dim: int) -> Tensor:
        """Return x − log Σ eˣ over `dim`."""
        return FUNCTIONS["log_softmax"](self, dim)
