"""The gradients of a 3×3 convolution by Winograd's algorithm: see winograd.py.

The convolution is a trilinear form of x, w and g; each gradient is that form seen from another side:

    gw = Gᵀ [Σ (A g Aᵀ) ⊙ (Bᵀ x B)] G, summed over all squares of 4×4 places of g, and
    gx = Σ B [(G w Gᵀ) ⊙ (A g Aᵀ)] Bᵀ, where the 6×6 places that neighbouring squares see overlap.

Both need g transformed, so where both are wanted they are made together, a block of squares at a time. (The gradient by
x alone is a convolution of g with the weight turned round: winograd.py does it.) Behind a max pooling, g is spread out
an image at a time. All gradients of 32 → 64 channels, of 32 images of 13×13, take 560 µs so and took 890 one by one.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import njit, splice
from tinydl.kernels.compiled.memory import filled, ranges
from tinydl.kernels.compiled.pointers import Address, call
from tinydl.kernels.compiled.pool import ONE_IMAGE, scatter_2x2_at
from tinydl.kernels.compiled.sweep import DENSE, dense_at
from tinydl.kernels.compiled.tile import VECTOR_BYTES
from tinydl.kernels.compiled.winograd import (
    WEIGHT,
    Sizes,
    all_terms,
    multiply,
    plane_size,
    products,
    sizes_of,
    spread_block,
)
from tinydl.kernels.compiled.winograd_tile import PLACES, PLANES, add_function
from tinydl.shapes import Array, Pair, Shape

__all__: list[str] = []

_add = add_function()


class Job(NamedTuple):
    """What all calls on arrays of the same sizes have in common.

    Attributes:
        ranges: the squares of each worker; for both gradients those of whole images.
        space: how much a worker needs for the planes of a block, of x and of g.
        terms: the products of planes by the weight, then by x, for `Sweep`, for each worker; to be copied, as kernels
            write there.
        shares: what each worker does of these.
        tables: for `Sweep`: places in a pixel of x and of g; pixels of x and of g; channels of g in the weight.
    """

    sizes: Sizes
    ranges: Array
    space: int
    terms: Array
    shares: Array
    tables: Array


@functools.lru_cache(maxsize=256)
def _job(x: Shape, g: Shape, padding: Pair, dtype: np.dtype[Any], n_threads: int, whole: bool) -> Job:
    """Return the job for x and g of such shapes, in which workers share squares or, `whole`, images."""
    sizes = sizes_of(x, g, padding)
    c, o, block = sizes.channels, sizes.y_channels, sizes.block
    unit = sizes.each if whole else 1
    shares = unit * ranges(x[0] * sizes.each // unit, -(-DENSE.grain // (PLANES * c * o * unit)), n_threads)
    x_plane, g_plane, n = plane_size(block * c, dtype), plane_size(block * o, dtype), len(shares)
    by_weight, by_x = products(n, x_plane, g_plane, c * o, c, 0), products(n, g_plane, c * o, x_plane, 0, o)
    both = np.array([all_terms(o, PLANES, o, 1), all_terms(c, PLANES, c, 1)])
    tables = np.arange(max(block, c, o)) * [[1], [o], [c]]
    return Job(sizes, shares, PLANES * (x_plane + g_plane), np.array([by_weight, by_x]), both, tables)


@njit
def _add_weight_grad(
    worker: int, boss: int, crew: Array, ranges: Array, sums: Address, x: Array, g: Array, totals: Array,
    space: Array, terms: Array, shares: Array, tables: Array, sizes: Sizes,
) -> bool:  # fmt: skip
    """Set the worker's planes of the gradient to what its squares give: see `weight_grad`."""
    give(boss, crew)
    h, w, c, y_h, y_w, o, pad_h, pad_w, across, each, block = sizes
    mine, total, x_plane, g_plane = terms[0, worker], totals[worker], terms[0, worker, 1, 0], terms[0, worker, 1, 1]
    mine_x, mine_g = space[worker, : PLANES * x_plane], space[worker, PLANES * x_plane :]
    channels, by_o, by_c = tables
    total[:] = 0
    for begin in range(ranges[worker, 0], ranges[worker, 1], block):
        end = min(begin + block, ranges[worker, 1])
        mine[:, 7] = end - begin
        spread_block(0, x, 0, h, w, c, -pad_h, -pad_w, mine_x, x_plane, begin, begin, end, across, each)
        spread_block(1, g, 0, y_h, y_w, o, 0, 0, mine_g, g_plane, begin, begin, end, across, each)
        call(
            sums, 0, 0, crew, shares[0], mine_x, mine_g, total, total, channels, by_o, by_c, by_o, mine, c, o,
            1, 0, 0, 0, 1, 0, -math.inf, math.inf,
        )  # fmt: skip
    return wait(boss, crew)


@splice
def _add_block(
    planes: Array, plane: int, x: Array, height: int, width: int, channels: int, offset_row: int, offset_column: int,
    first: int, last: int, across: int, each: int, spoilt: Array, worker: int,
) -> None:  # fmt: skip
    """Add what planes of (square, channel) give to the places of x that the squares first…last see."""
    lanes = VECTOR_BYTES // x.itemsize
    pitch = width * channels
    for t in range(first, last):
        image, square = t // each, t % each
        row, column = square // across, square % across
        for c in range(0, channels, lanes):
            _add(
                planes, (t - first) * channels + c, plane, x, image * height * pitch + c,
                PLACES * row + offset_row, PLACES * column + offset_column, height, width, pitch, channels,
                channels - c, row, column, spoilt, worker,
            )  # fmt: skip


@njit
def _gradients(
    worker: int, boss: int, crew: Array, ranges: Array, dense: Address, scatter: Address, x: Array, g: Array,
    indices: Array, one_image: Array, planes_w: Array, gx: Array, totals: Array, sums: Array, space: Array,
    terms: Array, nothing: Array, shares: Array, tables: Array, sizes: Sizes, spoilt: Array,
) -> bool:  # fmt: skip
    """Set the worker's planes of the gradient by the weight, and its images of that by x: see `gradients`."""
    give(boss, crew)
    h, w, c, y_h, y_w, o, pad_h, pad_w, across, each, block = sizes
    by_weight, by_x, total = terms[0, worker], terms[1, worker], totals[worker]
    x_plane, g_plane = by_weight[1, 0], by_weight[1, 1]
    planes, end_x, end_g = space[worker], PLANES * x_plane, PLANES * (x_plane + g_plane)
    mine_x, mine_g, image = planes[:end_x], planes[end_x:end_g], planes[end_g:]
    channels, by_o, by_c = tables
    pooled = len(indices) > 0
    source = image if pooled else g.reshape(-1)
    total[:] = 0
    for begin in range(ranges[worker, 0], ranges[worker, 1], block):
        end = min(begin + block, ranges[worker, 1])
        spread_block(0, x, 0, h, w, c, -pad_h, -pad_w, mine_x, x_plane, begin, begin, end, across, each)
        first = begin
        while first < end:
            n = first // each if pooled else 0
            last = min(end, (n + 1) * each) if pooled else end
            if pooled and first == n * each:
                one = slice(n, n + 1)
                call(scatter, 0, 0, crew, one_image, image.reshape(1, y_h, y_w, o), g[one], indices[one], sums[one])
            spread_block(1, source, n, y_h, y_w, o, 0, 0, mine_g, g_plane, begin, first, last, across, each)
            first = last
        by_weight[:, 7] = by_x[:, 5] = end - begin
        call(
            dense, 0, 0, crew, shares[0], mine_x, mine_g, total, total, channels, by_o, by_c, by_o, by_weight, c, o,
            1, 0, 0, 0, 1, 0, -math.inf, math.inf,
        )  # fmt: skip
        call(  # the planes of x are of no more use
            dense, 0, 0, crew, shares[1], mine_g, planes_w, mine_x, nothing, by_o, by_c, channels, by_c, by_x, 1, c,
            0, 0, 0, 0, 1, 0, -math.inf, math.inf,
        )  # fmt: skip
        _add_block(mine_x, x_plane, gx, h, w, c, -pad_h, -pad_w, begin, end, across, each, spoilt, worker)
    return wait(boss, crew)


@np.errstate(all="ignore")
def weight_grad(g: Array, x: Array, padding: Pair) -> Array | None:
    """Return the gradient by the weight, as (9, C, O), of g (N, H', W', O) and x (N, H, W, C); None if not finite."""
    c, o = x.shape[3], g.shape[3]
    job = _job(x.shape, g.shape, padding, x.dtype, threads.num_threads(), False)
    n = len(job.ranges)
    totals = buffers.empty((n, PLANES * c * o), x.dtype)
    space = buffers.scratch("winograd", (n, job.space), x.dtype)
    arrays = x.reshape(-1), g.reshape(-1), totals, space, job.terms.copy(), job.shares, job.tables
    threads.share(_add_weight_grad, n, job.ranges, dense_at(x.dtype), *arrays, job.sizes)
    return _weight(totals, c, o)


@np.errstate(all="ignore")
def gradients(
    g: Array, indices: Array | None, x: Array, weight: Array, y_shape: Shape, padding: Pair, gx: Array
) -> tuple[Array, Array] | None:
    """Write the gradient by x; return those by the weight, as (9, C, O), and by the bias; None if not all is finite.

    x is (N, H, W, C), weight (9, O, C), and g that of the convolution y (N, H', W', O). Or g and indices (N, h, w, O)
    are those of maxima of 2×2 places of y; only then is that by the bias added up.
    """
    c, o = x.shape[3], g.shape[3]
    planes_w = buffers.scratch("winograd weight", (PLANES, c * o), x.dtype)
    multiply(WEIGHT, weight.reshape(9, -1), planes_w)
    job = _job(x.shape, y_shape, padding, x.dtype, threads.num_threads(), True)
    n = len(job.ranges)
    places = np.empty((0, 0, 0, 0), np.int32) if indices is None else indices
    totals, sums = buffers.empty((n, PLANES * c * o), x.dtype), np.zeros((len(places), o), x.dtype)
    space = buffers.scratch("winograd", (n, job.space + math.prod(y_shape[1:])), x.dtype)
    given = x.reshape(-1), g, places, ONE_IMAGE, planes_w.reshape(-1), gx.reshape(-1), totals, sums, space
    spoilt = np.zeros(n, np.int64)
    arrays = *given, job.terms.copy(), filled(c, 0, x.dtype), job.shares, job.tables, job.sizes, spoilt
    scatter = 0 if indices is None else scatter_2x2_at(x.dtype)
    threads.share(_gradients, n, job.ranges, dense_at(x.dtype), scatter, *arrays)
    gw = None if spoilt.any() else _weight(totals, c, o)
    return None if gw is None else (gw, sums.sum(0))


def _weight(totals: Array, c: int, o: int) -> Array | None:
    """Return the gradient by the weight, as (9, C, O), from the planes of each worker; None if not all is finite."""
    total = totals[0]
    for more in totals[1:]:
        total += more
    gw = np.empty((9, c, o), total.dtype)
    multiply(WEIGHT.T, total.reshape(PLANES, -1), gw.reshape(9, -1))
    return gw if np.isfinite(gw.sum()) else None
