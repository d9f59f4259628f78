"""A table of learned vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.kernels.buffers import empty_aligned
from tinydl.nn import functional as F
from tinydl.nn.init import normal_
from tinydl.nn.module import Module
from tinydl.nn.parameter import Parameter
from tinydl.options import whole


class Embedding(Module):
    """Row i of a learned table for each integer i.

    Args:
        num_embeddings: V, the number of rows.
        embedding_dim: D, the size of a row.
        padding_idx: a row that starts as zeros and gets no gradient; negative numbers count from the end.
        generator: draws the start, N(0, 1).

    Shapes: weight (V, D); integers of any shape -> that shape + (D,).

    Raises: TypeError or ValueError naming the argument; IndexError when called with an integer outside 0…V−1.

    >>> Embedding(10, 4, padding_idx=0)(np.array([[0, 3]])).shape
    (1, 2, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.num_embeddings = whole(num_embeddings, "num_embeddings", 1)
        self.embedding_dim = whole(embedding_dim, "embedding_dim", 1)
        self.padding_idx = padding_idx if padding_idx is None else self._row(padding_idx)
        self.weight = Parameter(empty_aligned((self.num_embeddings, self.embedding_dim), np.float32))
        self.reset_parameters(generator)

    def _row(self, index: int) -> int:
        """Return `index` counted from the front."""
        if whole(index, "padding_idx", -self.num_embeddings) >= self.num_embeddings:
            raise ValueError(f"padding_idx must be below num_embeddings {self.num_embeddings}, got {index}")
        return index % self.num_embeddings

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the table anew."""
        normal_(self.weight, generator=generator)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0.0

    def forward(self, input: Any) -> Any:
        """Return the rows."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Return the sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
