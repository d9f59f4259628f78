"""Linear layers in a row as one kernel: each thread takes some rows of x through all of them.

What is between the layers is not seen by Python, which takes 15 to 25 µs for a layer while the caches are full of
weights: 784 → 256 → 128 → 10 takes 128 µs in the place of 144 at batch 32, 295 in the place of 354 at 128.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.dot import GRAIN, ROWS, dot_at
from tinydl.kernels.compiled.jit import njit
from tinydl.kernels.compiled.memory import filled, plain
from tinydl.kernels.compiled.pointers import Address, call
from tinydl.kernels.reference.linear import Layer
from tinydl.shapes import Array, Shape

__all__: list[str] = []

IN_CACHE = 1 << 18
"""Numbers of all weights up to which each core may read all of them: 1 MiB in float32."""


class Job(NamedTuple):
    """What calls for layers of the same sizes have in common.

    Attributes:
        shares: what each worker does of each layer, for `_dot`.
        widths: of x and of all results.
        zeros, ones: to stand for a bias that is not there, and for a scale.
    """

    shares: Array
    widths: Array
    zeros: Array
    ones: Array


def pays(m: int, layers: Sequence[Layer]) -> bool:
    """Tell whether every thread has whole tiles of rows to do, and the weights fit into the cache of each core."""
    enough = m >= ROWS * threads.num_threads()
    return enough and len(layers) > 1 and sum(layer[0].size for layer in layers) <= IN_CACHE


def chain(x: Array, layers: Sequence[Layer]) -> Array:
    """Return what layer after layer makes of x (M, K)."""
    dtype = x.dtype.newbyteorder("=")
    job = _job(len(x), (x.shape[1], *(len(layer[0]) for layer in layers)), dtype, threads.num_threads())
    y = buffers.empty((len(x), len(layers[-1][0])), dtype)
    weights = tuple(plain(layer[0], dtype).reshape(-1) for layer in layers)
    starts = tuple(job.zeros if layer[1] is None else plain(layer[1], dtype) for layer in layers)
    bounds = tuple((float(layer[2]), float(layer[3])) for layer in layers)
    between = buffers.scratch("linear chain", (2, len(x) * len(job.zeros)), dtype)
    arrays = plain(x, dtype).reshape(-1), weights, starts, job.ones, between, y.reshape(-1)
    threads.share(_chain, len(job.shares), job.shares, dot_at(dtype), *arrays, job.widths, bounds)
    return y


@functools.lru_cache(maxsize=256)
def _job(m: int, widths: Shape, dtype: np.dtype[Any], n_threads: int) -> Job:
    work = sum(a * b for a, b in pairwise(widths))
    cut = threads.slices(-(-m // ROWS), GRAIN // (ROWS * work) + 1)
    shares = [[[(first * ROWS, min(last * ROWS, m), 0, width)] for width in widths[1:]] for first, last in cut]
    widest = max(widths[1:])
    return Job(np.array(shares), np.array(widths), filled(widest, 0, dtype), filled(widest, 1, dtype))


@njit
def _chain(
    worker: int, boss: int, crew: Array, shares: Array, dot: Address, x: Array, weights: tuple[Array, ...],
    starts: tuple[Array, ...], ones: Array, between: Array, y: Array, widths: Array,
    bounds: tuple[tuple[float, float], ...],
) -> bool:  # fmt: skip
    """Take the worker's rows through all layers."""
    give(boss, crew)
    last = len(weights) - 1
    for i in range(len(weights)):
        given = x if i == 0 else between[i % 2]
        made = y if i == last else between[1 - i % 2]
        call(
            dot, 0, 0, crew, shares[worker, i], given, weights[i], made, starts[i], ones, widths[i], widths[i + 1],
            bounds[i][0], bounds[i][1],
        )  # fmt: skip
    return wait(boss, crew)
