"""The truncated singular value decomposition of a matrix, and the rank that an energy asks for."""

from __future__ import annotations

import numpy as np

from tinydl.options import number, whole
from tinydl.shapes import Array


class SVD:
    """M = U S Vᵀ, computed in float64; the first r terms are the best approximation of rank r.

    ‖M − U_r S_r V_rᵀ‖² = Σ_{i>r} σᵢ²  in the Frobenius norm; no other matrix of rank r is closer.

    Attributes:
        sigma: the singular values, falling.

    Source: Eckart & Young 1936, The approximation of one matrix by another of lower rank.

    >>> svd = SVD(np.diag([3.0, 4.0, 0.0]))
    >>> svd.sigma, svd.rank_for(0.6), svd.energy(1)
    (array([4., 3., 0.]), 1, 0.64)
    """

    def __init__(self, matrix: Array) -> None:
        self._u, sigma, self._vt = np.linalg.svd(np.asarray(matrix, np.float64), full_matrices=False)
        self.sigma: Array = sigma

    @property
    def full(self) -> int:
        """The number of singular values: at this rank the product is the matrix, to rounding."""
        return len(self.sigma)

    def energy(self, rank: int) -> float:
        """Return Σ_{i≤r} σᵢ² / Σ σᵢ²; 1 for a matrix of zeros."""
        total = float(np.sum(self.sigma**2))
        return min(1.0, float(np.sum(self.sigma[:rank] ** 2)) / total) if total else 1.0

    def rank_for(self, energy: float) -> int:
        """Return the smallest rank (at least 1) that keeps this share of the energy, in (0, 1].

        Raises: ValueError for an energy out of range.
        """
        number(energy, "energy", "(0, 1]")
        kept = np.cumsum(self.sigma**2)
        return min(self.full, int(np.searchsorted(kept, energy * kept[-1])) + 1)

    def factors(self, rank: int) -> tuple[Array, Array]:
        """Return U_r √S_r and √S_r V_rᵀ: both get the same share of the scale, which suits training them further.

        Raises: ValueError for a rank below 1 or above the full one.
        """
        r = whole(rank, "rank", 1)
        if r > self.full:
            raise ValueError(f"rank must be at most {self.full} here, got {rank}")
        root = np.sqrt(self.sigma[:r])
        return self._u[:, :r] * root, root[:, None] * self._vt[:r]
