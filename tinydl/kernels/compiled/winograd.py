"""3×3 convolutions of stride 1 with 36 multiplications in the place of 144: Winograd's algorithm F(4×4, 3×3).

    y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ x B)] A

for each square of 4×4 places of y and the 6×6 places of x that it sees. Summed over channels, ⊙ is 36 matrix products,
one for each place of the 6×6, which the tiles of tile.py do, for a block of squares at a time that stays in L2.
The gradient by x is such a convolution of g, with the weight turned round. The gradient by w is the same trilinear
form seen from its third side: gw = Gᵀ [(A g Aᵀ) ⊙ (Bᵀ x B)] G, summed over all squares.

Rounding is about twice that of direct sums (see winograd_tile.py), but of the largest numbers of a square: an outlier
costs its neighbours digits, up to three places further than its own sums reach. One Inf or NaN would make NaN of all
of these. So where anything comes out that is not finite, these functions say so, and conv.py has direct sums done.

Source: Lavin & Gray 2016, arXiv:1509.09308, section 4.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.geometry import Geometry, Image
from tinydl.kernels.compiled.jit import njit, splice
from tinydl.kernels.compiled.lowering import EVERY
from tinydl.kernels.compiled.memory import filled, ranges
from tinydl.kernels.compiled.pointers import Address, call
from tinydl.kernels.compiled.sweep import DENSE, dense_at
from tinydl.kernels.compiled.tile import VECTOR_BYTES
from tinydl.kernels.compiled.winograd_tile import (
    GRADIENT,
    INPUT,
    PLACES,
    PLANES,
    POINTS,
    gather_function,
    spread_function,
)
from tinydl.shapes import Array, Pair, Shape

__all__: list[str] = []

N = np.array([np.prod([p - q for q in POINTS if q != p]) for p in POINTS])
G = np.vstack([POINTS[:, None] ** np.arange(3) / N[:, None], [[0, 0, 1]]])
WEIGHT = np.kron(G, G)
"""G w Gᵀ as one product, with w as a vector of nine. G has the powers of the points, over Π (p − q)."""

TURNED = WEIGHT[:, ::-1].copy()
"""The same for the weight turned round."""

IN_CACHE = 4096
"""How many numbers of each plane are worked on at a time: 576 KiB in all in float32."""

ROUND = 18
"""Blocks of so many squares fill tiles of 6 and of 9 rows."""

TRANSFORM, TRANSFORM_WEIGHT, BEGIN = 19, 30, 10_000_000
"""What takes as long as so many multiplications: one number of a plane of x or y, one of a plane of the weight, and all
that has to be done once."""

_spread_x, _spread_g, _gather = spread_function(INPUT), spread_function(GRADIENT), gather_function()


class Sizes(NamedTuple):
    """The sizes of x and y, and how y is cut up: `across` squares in a row, `each` in an image, `block` at a time."""

    height: int
    width: int
    channels: int
    y_height: int
    y_width: int
    y_channels: int
    pad_height: int
    pad_width: int
    across: int
    each: int
    block: int


class Job(NamedTuple):
    """What all calls on arrays of the same sizes have in common.

    Attributes:
        ranges: the squares of each worker.
        space: how much a worker needs for the planes of a block, of x and of y.
        terms: the products of planes, for `Sweep`, for each worker; to be copied, as kernels write there.
        tables: for `Sweep`, from `rows` to `b_steps`; those of x and y have less in them than there is room.
    """

    sizes: Sizes
    ranges: Array
    space: int
    terms: Array
    tables: Array


@functools.lru_cache(maxsize=256)
def _job(x: Shape, y: Shape, padding: Pair, dtype: np.dtype[Any], n_threads: int) -> Job:
    """Return the job for x and y of such shapes."""
    sizes = sizes_of(x, y, padding)
    c, o, block = sizes.channels, sizes.y_channels, sizes.block
    shares = ranges(x[0] * sizes.each, -(-DENSE.grain // (PLANES * c * o)), n_threads)
    x_plane, y_plane = plane_size(block * c, dtype), plane_size(block * o, dtype)
    terms = products(len(shares), x_plane, c * o, y_plane, 0, c)
    tables = np.arange(max(block, c)) * [[c], [o], [1], [o]]
    return Job(sizes, shares, PLANES * (x_plane + y_plane), terms, tables)


def sizes_of(x: Shape, y: Shape, padding: Pair) -> Sizes:
    """Return the sizes for x and y of such shapes."""
    (_, h, w, c), (_, y_h, y_w, o) = x, y
    across, down = -(-y_w // PLACES), -(-y_h // PLACES)
    block = max(36, IN_CACHE // (c + o) // ROUND * ROUND)
    return Sizes(h, w, c, y_h, y_w, o, *padding, across, across * down, block)


def plane_size(n: int, dtype: np.dtype[Any]) -> int:
    """Return how far apart planes of n numbers are: an odd number of cache lines, so that they share no cache sets."""
    line = buffers.ALIGNMENT // dtype.itemsize
    return (-(-n // line) | 1) * line


@functools.lru_cache(maxsize=256)
def pays(n: int, geometry: Geometry, result: Image) -> bool:
    """Tell whether the algorithm fits, and multiplies so much less that its transforms are earned back.

    Direct sums leave out what lies outside of an image, and squares at the rim make places that nobody wants. The costs
    are those of 140 convolutions of 3×3 to 28×28 places, 16 to 256 channels, 1 to 128 images, and of gradients, on two
    threads: where this says yes, the algorithm takes 0.27 to 1.1 times as long as direct sums.
    """
    c, o = geometry.c, geometry.o
    if min(c, o) < 16 or max(geometry.padding) > 2:
        return False
    if (geometry.kernel, geometry.groups, geometry.stride, geometry.dilation) != ((3, 3), 1, (1, 1), (1, 1)):
        return False
    squares = -(-result.height // PLACES) * -(-result.width // PLACES)
    direct = math.prod(map(_pairs, geometry.x[:2], geometry.y[:2], geometry.padding))
    transforms = n * squares * PLANES * TRANSFORM * (c + o) + PLANES * TRANSFORM_WEIGHT * c * o
    return n * c * o * (direct - squares * PLANES) > transforms + BEGIN


def _pairs(n: int, out: int, padding: int) -> int:
    """Return how many pairs of one of `out` places and one of three taps see one of n places."""
    return sum(max(0, min(out, n + padding - tap) - max(0, padding - tap)) for tap in range(3))


@splice
def spread_block(
    spread: int, x: Array, image: int, height: int, width: int, channels: int, offset_row: int, offset_column: int,
    y: Array, plane: int, before: int, first: int, last: int, across: int, each: int,
) -> None:  # fmt: skip
    """Transform the squares first…last to planes of (square, channel), `before` the number of the planes' first one.

    x begins with image number `image`; spread is 0 for x, 1 for g.
    """
    lanes = VECTOR_BYTES // x.itemsize
    pitch = width * channels
    for t in range(first, last):
        n, square = t // each - image, t % each
        row, column = PLACES * (square // across) + offset_row, PLACES * (square % across) + offset_column
        for c in range(0, channels, lanes):
            x_at, y_at, left = n * height * pitch + c, (t - before) * channels + c, channels - c
            if spread == 0:
                _spread_x(x, x_at, row, column, height, width, pitch, channels, y, y_at, plane, left)
            else:
                _spread_g(x, x_at, row, column, height, width, pitch, channels, y, y_at, plane, left)


@splice
def _gather_block(
    planes: Array, plane: int, start: Array, y: Array, height: int, width: int, channels: int,
    first: int, last: int, across: int, each: int, low: float, high: float, spoilt: Array, worker: int,
) -> None:  # fmt: skip
    """Transform planes of (square, channel) to the squares first…last of y."""
    lanes, T = VECTOR_BYTES // y.itemsize, y.dtype.type
    pitch = width * channels
    for t in range(first, last):
        image, square = t // each, t % each
        row, column = PLACES * (square // across), PLACES * (square % across)
        for c in range(0, channels, lanes):
            _gather(
                planes, (t - first) * channels + c, plane, start, c, y, image * height * pitch + c,
                row, column, height, width, pitch, channels, channels - c, T(low), T(high), spoilt, worker,
            )  # fmt: skip


@njit
def _convolve(
    worker: int, boss: int, crew: Array, ranges: Array, sums: Address, x: Array, planes_w: Array, start: Array,
    y: Array, space: Array, terms: Array, nothing: Array, share: Array, tables: Array, sizes: Sizes, low: float,
    high: float, spoilt: Array,
) -> bool:  # fmt: skip
    """Make the worker's squares of y: see `convolve`; say in `spoilt` if not all is finite."""
    give(boss, crew)
    h, w, c, y_h, y_w, o, pad_h, pad_w, across, each, block = sizes
    mine, x_plane, y_plane = terms[worker], terms[worker, 1, 0], terms[worker, 1, 2]
    mine_x, mine_y = space[worker, : PLANES * x_plane], space[worker, PLANES * x_plane :]
    for begin in range(ranges[worker, 0], ranges[worker, 1], block):
        end = min(begin + block, ranges[worker, 1])
        mine[:, 5] = end - begin
        spread_block(0, x, 0, h, w, c, -pad_h, -pad_w, mine_x, x_plane, begin, begin, end, across, each)
        call(
            sums, 0, 0, crew, share, mine_x, planes_w, mine_y, nothing, tables[0], tables[1], tables[2], tables[3],
            mine, 1, o, 0, 0, 0, 0, 1, 0, -math.inf, math.inf,
        )  # fmt: skip
        _gather_block(mine_y, y_plane, start, y, y_h, y_w, o, begin, end, across, each, low, high, spoilt, worker)
    return wait(boss, crew)


@functools.lru_cache(maxsize=256)
def _table(n: int, step: int) -> Array:
    return np.arange(n) * step


@functools.lru_cache(maxsize=256)
def all_terms(columns: int, n_terms: int, grain: int, n_threads: int) -> Array:
    """Return the shares of workers that do all terms, each for at least `grain` of the columns, for a sweep."""
    cut = ranges(columns, grain, n_threads)
    return np.array([[0, first, first, first, last - first, 0, n_terms, 0, EVERY] for first, last in cut])


def products(workers: int, a: int, b: int, y: int, rows: int, steps: int) -> Array:
    """Return the products of planes, so far apart in each of the three arrays, for `Sweep`."""
    terms = np.zeros((workers, PLANES, 11), np.int64)
    terms[:, :, :3] = np.arange(PLANES)[:, None] * [a, b, y]
    terms[:, :, 5], terms[:, :, 7], terms[:, :, 8] = rows, steps, EVERY
    return terms


@functools.lru_cache(maxsize=16)
def _product(m: int, k: int) -> Array:
    """Return the one term of a product of m rows and k columns by k rows, for `Sweep`."""
    return np.array([[0, 0, 0, 0, 0, m, 0, k, k, 0, 0]])


def multiply(a: Array, b: Array, y: Array) -> None:
    """Set y = a b for a small matrix a and a wide one b."""
    (m, k), columns = a.shape, b.shape[1]
    tables = _table(m, k), _table(m, columns), _table(k, 1), _table(k, columns)
    inputs = a.astype(y.dtype).reshape(-1), b.reshape(-1), y.reshape(-1), filled(columns, 0, y.dtype)
    shares = all_terms(columns, 1, -(-DENSE.grain // (m * k)), threads.num_threads())
    numbers = _product(m, k), 1, columns, 0, 0, 0, 0, 1, 0, -math.inf, math.inf
    threads.share(DENSE.sweep, len(shares), shares, *inputs, *tables, *numbers)


def convolve(
    x: Array,
    weight: Array,
    start: Array,
    y: Array,
    padding: Pair,
    low: float = -math.inf,
    high: float = math.inf,
    transform: Array = WEIGHT,
) -> bool:
    """Write y (N, H', W', O) = start + the convolution of x (N, H, W, C) with a weight (9, C, O), clamped.

    Its transform is `WEIGHT`, or `TURNED` to turn the weight round. Return False if something is not finite: then y is
    of no use.
    """
    c, o = weight.shape[1:]
    planes_w = buffers.scratch("winograd weight", (PLANES, c * o), x.dtype)
    multiply(transform, weight.reshape(9, -1), planes_w)
    job = _job(x.shape, y.shape, padding, x.dtype, threads.num_threads())
    n = len(job.ranges)
    space = buffers.scratch("winograd", (n, job.space), x.dtype)
    arrays = x.reshape(-1), planes_w.reshape(-1), start, y.reshape(-1), space, job.terms.copy(), filled(o, 0, y.dtype)
    tables = all_terms(o, PLANES, o, 1), job.tables
    spoilt = np.zeros(n, np.int64)
    threads.share(_convolve, n, job.ranges, dense_at(x.dtype), *arrays, *tables, job.sizes, low, high, spoilt)
    return not spoilt.any()
