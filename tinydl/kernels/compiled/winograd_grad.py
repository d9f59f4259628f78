"""The gradients of a 3×3 convolution by Winograd's algorithm: see winograd.py.

The convolution is a trilinear form of x, w and g; each gradient is that form seen from another side:

    gw = Gᵀ [Σ (A g Aᵀ) ⊙ (Bᵀ x B)] G, summed over all squares of 4×4 places of g, and
    gx = Σ B [(G w Gᵀ) ⊙ (A g Aᵀ)] Bᵀ, where the 6×6 places that neighbouring squares see overlap.

Both need g transformed, so where both are wanted they are made together, a block of squares at a time. (The gradient by
x alone is a convolution of g with the weight turned round: winograd.py does it.)
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
from tinydl.kernels.compiled.pool import scatter_quarters
from tinydl.kernels.compiled.sums import add_placed
from tinydl.kernels.compiled.sweep import DENSE, dense_at
from tinydl.kernels.compiled.tile import VECTOR_BYTES
from tinydl.kernels.compiled.winograd import (
    WEIGHT,
    Sizes,
    Tables,
    all_terms,
    multiply,
    plane_size,
    planes,
    products,
    sizes_of,
    spread_block,
    table,
)
from tinydl.kernels.compiled.winograd_tile import PLACES, PLANES, add_function
from tinydl.shapes import Array, Pair, Shape

__all__: list[str] = []

_add = add_function()


class Job(NamedTuple):
    """What all calls on arrays of the same sizes have in common.

    Attributes:
        ranges: the squares of each worker; for both gradients those of whole images.
        x_planes, g_planes: how much a worker needs for the planes of a block.
        by_weight, by_x: the products of planes, for `Sweep`, for each worker; to be copied, as kernels write there.
        weight_tables, x_tables: of these, that of the rows, and that of the steps.
    """

    sizes: Sizes
    ranges: Array
    x_planes: int
    g_planes: int
    by_weight: Array
    by_x: Array
    weight_tables: Tables
    x_tables: Tables


@functools.lru_cache(maxsize=256)
def _job(x: Shape, g: Shape, padding: Pair, dtype: np.dtype[Any], n_threads: int, whole: bool) -> Job:
    """Return the job for x and g of such shapes, in which workers share squares or, `whole`, images."""
    sizes = sizes_of(x, g, padding)
    c, o, block = sizes.channels, sizes.y_channels, sizes.block
    unit = sizes.each if whole else 1
    shares = unit * ranges(x[0] * sizes.each // unit, -(-DENSE.grain // (PLANES * c * o * unit)), n_threads)
    x_plane, g_plane, n = plane_size(block * c, dtype), plane_size(block * o, dtype), len(shares)
    squares = table(block, c), table(block, o)
    return Job(
        sizes,
        shares,
        PLANES * x_plane,
        PLANES * g_plane,
        by_weight=products(n, x_plane, g_plane, c * o, c, 0),
        by_x=products(n, g_plane, c * o, x_plane, 0, o),
        weight_tables=(table(c, 1), table(c, o), *squares),
        x_tables=(*squares[::-1], table(o, 1), table(o, c)),
    )


@njit
def _add_weight_grad(
    worker: int, boss: int, crew: Array, ranges: Array, sums: Address, x: Array, g: Array, totals: Array,
    planes_x: Array, planes_g: Array, terms: Array, share: Array, tables: Tables, sizes: Sizes,
) -> bool:  # fmt: skip
    """Set the worker's planes of the gradient to what its squares give: see `weight_grad`."""
    give(boss, crew)
    h, w, c, y_h, y_w, o, pad_h, pad_w, across, each, block = sizes
    mine_x, mine_g, mine, total = planes_x[worker], planes_g[worker], terms[worker], totals[worker]
    x_plane, g_plane = mine_x.size // PLANES, mine_g.size // PLANES
    total[:] = 0
    for begin in range(ranges[worker, 0], ranges[worker, 1], block):
        end = min(begin + block, ranges[worker, 1])
        mine[:, 7] = end - begin
        spread_block(0, x, 0, h, w, c, -pad_h, -pad_w, mine_x, x_plane, begin, begin, end, across, each)
        spread_block(1, g, 0, y_h, y_w, o, 0, 0, mine_g, g_plane, begin, begin, end, across, each)
        call(
            sums, 0, 0, crew, share, mine_x, mine_g, total, total, *tables, mine, c, o,
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
    worker: int, boss: int, crew: Array, ranges: Array, dense: Address, x: Array, g: Array, indices: Array,
    images: Array, planes_w: Array, gx: Array, totals: Array, sums: Array, planes_x: Array, planes_g: Array,
    by_weight: Array, by_x: Array, nothing: Array, shares: tuple[Array, Array], weight_tables: Tables, x_tables: Tables,
    sizes: Sizes, spoilt: Array,
) -> bool:  # fmt: skip
    """Set the worker's planes of the gradient by the weight, and its images of that by x: see `gradients`."""
    give(boss, crew)
    h, w, c, y_h, y_w, o, pad_h, pad_w, across, each, block = sizes
    mine_x, mine_g, total, image = planes_x[worker], planes_g[worker], totals[worker], images[worker]
    x_plane, g_plane = mine_x.size // PLANES, mine_g.size // PLANES
    pooled = len(indices) > 0
    source = image.reshape(-1) if pooled else g.reshape(-1)
    total[:] = 0
    for begin in range(ranges[worker, 0], ranges[worker, 1], block):
        end = min(begin + block, ranges[worker, 1])
        spread_block(0, x, 0, h, w, c, -pad_h, -pad_w, mine_x, x_plane, begin, begin, end, across, each)
        first = begin
        while first < end:
            n = first // each if pooled else 0
            last = min(end, (n + 1) * each) if pooled else end
            if pooled and first == n * each:
                scatter_quarters(image, g[n], indices[n])
                add_placed(g[n], indices[n], sums[n])
            spread_block(1, source, n, y_h, y_w, o, 0, 0, mine_g, g_plane, begin, first, last, across, each)
            first = last
        by_weight[worker, :, 7] = by_x[worker, :, 5] = end - begin
        call(
            dense, 0, 0, crew, shares[0], mine_x, mine_g, total, total, *weight_tables, by_weight[worker], c, o,
            1, 0, 0, 0, 1, 0, -math.inf, math.inf,
        )  # fmt: skip
        call(  # the planes of x are of no more use
            dense, 0, 0, crew, shares[1], mine_g, planes_w, mine_x, nothing, *x_tables, by_x[worker], 1, c,
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
    working = *planes(n, job.x_planes, job.g_planes, x.dtype), job.by_weight.copy()
    arrays = x.reshape(-1), g.reshape(-1), totals, *working, all_terms(o, PLANES, o, 1)
    threads.share(_add_weight_grad, n, job.ranges, dense_at(x.dtype), *arrays, job.weight_tables, job.sizes)
    return _weight(totals, c, o)


@np.errstate(all="ignore")
def gradients(
    g: Array, indices: Array | None, x: Array, weight: Array, y_shape: Shape, padding: Pair, gx: Array
) -> tuple[Array, Array] | None:
    """Write the gradient by x; return those by the weight, as (9, C, O), and by the bias; None if not all is finite.

    x is (N, H, W, C), weight (9, O, C), and g that of the convolution y (N, H', W', O). Or g and indices (N, h, w, O) are
    those of maxima of 2×2 places of y; only then is that by the bias added up.
    """
    c, o = x.shape[3], g.shape[3]
    planes_w = buffers.scratch("winograd weight", (PLANES, c * o), x.dtype)
    multiply(WEIGHT, weight.reshape(9, -1), planes_w)
    job = _job(x.shape, y_shape, padding, x.dtype, threads.num_threads(), True)
    n = len(job.ranges)
    totals, sums = buffers.empty((n, PLANES * c * o), x.dtype), np.zeros((len(g), o), x.dtype)
    images, spoilt = buffers.scratch("image", (n, *y_shape[1:]), x.dtype), np.zeros(n, np.int64)
    places = np.empty((0, 0, 0, 0), np.int32) if indices is None else indices
    given = x.reshape(-1), g, places, images, planes_w.reshape(-1), gx.reshape(-1), totals, sums
    working = *planes(n, job.x_planes, job.g_planes, x.dtype), job.by_weight.copy(), job.by_x.copy()
    tables = (all_terms(o, PLANES, o, 1), all_terms(c, PLANES, c, 1)), job.weight_tables, job.x_tables, job.sizes
    arrays = *given, *working, filled(c, 0, x.dtype), *tables, spoilt
    threads.share(_gradients, n, job.ranges, dense_at(x.dtype), *arrays)
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
