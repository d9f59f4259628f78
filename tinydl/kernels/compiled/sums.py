"""Sums over all pixels of an image: what global pooling and the gradient by a bias have in common."""

from __future__ import annotations

import numpy as np

from tinydl.kernels import threads
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import njit
from tinydl.kernels.compiled.memory import ranges_of
from tinydl.shapes import Array

__all__: list[str] = []


def image_sums(x: Array) -> Array:
    """Return the sum of each image's pixels: x (N, H, W, C), contiguous -> (N, C)."""
    n, h, w, c = x.shape
    sums = np.zeros((n, c), x.dtype)
    shares = ranges_of(n, x.size)
    threads.share(_add_pixels, len(shares), shares, x.reshape(n, h * w, c), sums)
    return sums


@njit
def _add_pixels(worker: int, boss: int, crew: Array, shares: Array, x: Array, sums: Array) -> bool:
    """Add the worker's images of x (N, M, C) to sums (N, C), four pixels at a time.

    So the sums are read and written less often. Measured on (128, 676, 32): 107 instead of 38 GB/s.
    """
    give(boss, crew)
    fours = x.shape[1] // 4 * 4
    for n in range(shares[worker, 0], shares[worker, 1]):
        for m in range(0, fours, 4):
            for c in range(x.shape[2]):
                sums[n, c] += (x[n, m, c] + x[n, m + 1, c]) + (x[n, m + 2, c] + x[n, m + 3, c])
        for m in range(fours, x.shape[1]):
            for c in range(x.shape[2]):
                sums[n, c] += x[n, m, c]
    return wait(boss, crew)
