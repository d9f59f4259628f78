"""Shapes and axes: what moves elements without computing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinydl.methods.in_place import plain
from tinydl.methods.table import FUNCTIONS

if TYPE_CHECKING:
    from tinydl.tensor import Tensor


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Return sizes given one by one or as one sequence."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


class Movement:
    """The part of a Tensor that moves elements."""

    __slots__ = ()

    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in another shape."""
        return FUNCTIONS["reshape"](self, _sizes(shape))

    def view(self, *shape: Any) -> Tensor:
        """Return the elements in another shape (copying where memory order demands it)."""
        return FUNCTIONS["reshape"](self, _sizes(shape))

    def view_as(self, other: Tensor) -> Tensor:
        """Return the elements in `other`'s shape."""
        return FUNCTIONS["reshape"](self, other.shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Return axes start_dim…end_dim made one."""
        return FUNCTIONS["flatten"](self, start_dim, end_dim)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Return two axes exchanged."""
        return FUNCTIONS["transpose"](self, dim0, dim1)

    def permute(self, *dims: Any) -> Tensor:
        """Return the axes in another order."""
        return FUNCTIONS["permute"](self, _sizes(dims))

    def t(self) -> Tensor:
        """Return the transpose of a matrix; a vector or number as it is. Raises: ValueError for more than 2 axes."""
        if plain(self).ndim > 2:
            raise ValueError(f"t: at most 2 axes can be transposed without saying which, got shape {plain(self).shape}")
        return self.T

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return FUNCTIONS["permute"](self, tuple(range(plain(self).ndim))[::-1])

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return FUNCTIONS["transpose"](self, -2, -1)

    def squeeze(self, dim: int | Sequence[int] | None = None) -> Tensor:
        """Return the axes of size 1 dropped."""
        return FUNCTIONS["squeeze"](self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        """Return an axis of size 1 put in at `dim`."""
        return FUNCTIONS["unsqueeze"](self, dim)

    def expand(self, *sizes: Any) -> Tensor:
        """Return axes of size 1 stretched; −1 keeps an axis."""
        return FUNCTIONS["expand"](self, _sizes(sizes))

    def expand_as(self, other: Tensor) -> Tensor:
        """Return self stretched to `other`'s shape."""
        return FUNCTIONS["expand"](self, other.shape)

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        """Return pieces of the given size(s) along `dim`."""
        return tuple(FUNCTIONS["split"](self, split_size, dim))

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """Return about equal pieces along `dim`."""
        return tuple(FUNCTIONS["chunk"](self, chunks, dim))

    def gather(self, dim: int, index: Any) -> Tensor:
        """Return the elements that `index` names along `dim`."""
        return FUNCTIONS["gather"](self, dim, index)

    def index_select(self, dim: int, index: Any) -> Tensor:
        """Return the slices along `dim` that `index` names."""
        return FUNCTIONS["index_select"](self, dim, index)

    def flip(self, dims: int | Sequence[int]) -> Tensor:
        """Return the order along `dims` reversed."""
        return FUNCTIONS["flip"](self, dims)
