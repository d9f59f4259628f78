"""Convolutions and their gradients, in parallel: dense and depthwise ones differ only in the loop.

Images are channels-last: x (N, H, W, C), y and g (N, H', W', O).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled import plan
from tinydl.kernels.compiled.geometry import Geometry
from tinydl.kernels.compiled.memory import filled
from tinydl.kernels.compiled.plan import Sweep
from tinydl.kernels.compiled.sweep import Loop
from tinydl.shapes import Array, Pair, Shape

__all__: list[str] = []

LANES = 16
"""Threads that share channels get whole vectors of them, in float32 (in float64 two)."""

FEW_PIXELS = 256
"""Where one image is smaller, threads share its channels: bands of rows would leave tiles half empty.

MobileNetV1's last layer, 7×7 pixels and 1024 channels, took 1.65 ms on one thread and on two, and takes 1.2.
"""

EVERY = 1 << 40
"""More rows than there are."""

Planner: TypeAlias = Callable[..., tuple[Sweep, ...]]


class Job(NamedTuple):
    """Sweeps over some images, one after another, and what each of the workers does of them: see `sweep`."""

    sweeps: tuple[Sweep, ...]
    shares: tuple[Array, ...]
    workers: int


class Sizes(NamedTuple):
    """The sizes of a sweep's arrays.

    Attributes:
        x, b, y: how far apart images are in each.
        total: how far apart the results of workers are that add up each its own.
        columns: of a result.
        pixels: of a result of which workers may share the columns, else 0.
    """

    x: int
    b: int
    y: int
    total: int
    columns: int
    pixels: int


def convolve(
    loop: Loop, x: Array, weight: Array, bias: Array, y: Array, geometry: Geometry, low: float, high: float
) -> None:
    """Write y = bias + the convolution of x with the weight, given as (groups, kh·kw·c, o), clamped to low…high.

    Its last axis may be longer than o: what is there is not read.
    """
    jobs = _jobs_for_y(loop, len(x), geometry, weight.shape[-1], threads.num_threads())
    _gather(jobs, loop, x, weight, bias, y, low, high)


def input_grad(loop: Loop, g: Array, weight: Array, gx: Array, geometry: Geometry) -> None:
    """Write the gradient by x; the weight is given as (groups, kh·kw·o, c), or with a longer last axis."""
    zeros = filled(gx.shape[-1], 0, gx.dtype)
    jobs = _jobs_for_gx(loop, len(g), geometry, weight.shape[-1], threads.num_threads())
    _gather(jobs, loop, g, weight, zeros, gx)


def _gather(
    jobs: tuple[Job, ...],
    loop: Loop,
    source: Array,
    weight: Array,
    bias: Array,
    result: Array,
    low: float = -math.inf,
    high: float = math.inf,
) -> None:
    x, b, y = source.reshape(-1), weight.reshape(-1), result.reshape(-1)
    for job in jobs:
        for sweep, shares in zip(job.sweeps, job.shares):
            start = y if sweep.accumulate else bias
            threads.share(loop.sweep, job.workers, shares, x, b, y, start, *sweep, low, high)


@functools.lru_cache(maxsize=256)
def _jobs_for_y(loop: Loop, n: int, geometry: Geometry, weight_row: int, n_threads: int) -> tuple[Job, ...]:
    x, y, geometry = geometry.x, geometry.y, geometry._replace(weight_row=weight_row)
    return _jobs(plan.for_y, Sizes(x.size, 0, y.size, 0, geometry.o, y.height * y.width), loop, n, geometry, n_threads)


@functools.lru_cache(maxsize=256)
def _jobs_for_gx(loop: Loop, n: int, geometry: Geometry, weight_row: int, n_threads: int) -> tuple[Job, ...]:
    x, y, geometry = geometry.x, geometry.y, geometry._replace(weight_row=weight_row)
    sizes = Sizes(y.size, 0, x.size, 0, x.channels // geometry.groups, x.height * x.width)
    return _jobs(plan.for_gx, sizes, loop, n, geometry, n_threads)


@functools.lru_cache(maxsize=256)
def _jobs_for_gw(loop: Loop, n: int, geometry: Geometry, total: int, n_threads: int) -> tuple[Job, ...]:
    sizes = Sizes(geometry.x.size, geometry.y.size, 0, total, geometry.o, 0)
    return _jobs(plan.for_gw, sizes, loop, n, geometry, n_threads)


@np.errstate(all="ignore")
def weight_grad(loop: Loop, g: Array, x: Array, shape: Shape, geometry: Geometry) -> Array:
    """Return the gradient by the weight, in the shape (groups, kh·kw·c, o).

    Each thread adds up its images; these sums are added in the order of the threads. Of a weight that is larger than
    the images are, each thread makes some rows instead: 5408 × 128 at batch 128 takes 1.1 ms, where adding up took 2.5.
    """
    total = math.prod(shape)
    plain = (geometry.kernel, geometry.padding, geometry.groups) == ((1, 1), (0, 0), 1)
    if plain and 2 * geometry.c * geometry.o >= g.size + x.size:
        return _weight_grad_by_rows(loop, g, x, shape, geometry)
    jobs = _jobs_for_gw(loop, len(x), geometry, total, threads.num_threads())
    totals = np.zeros((max(job.workers for job in jobs), *shape), x.dtype)
    flat = x.reshape(-1), g.reshape(-1), totals.reshape(-1)
    for job in jobs:
        for sweep, shares in zip(job.sweeps, job.shares):
            threads.share(loop.sweep, job.workers, shares, *flat, flat[2], *sweep, -math.inf, math.inf)
    result: Array = totals[0] if len(totals) == 1 else totals.sum(0)  # no view, which would keep all of them
    return result


def _weight_grad_by_rows(loop: Loop, g: Array, x: Array, shape: Shape, geometry: Geometry) -> Array:
    """Return it where each thread makes some rows.

    The first sweep does not add, so nothing is set to zero before: 784 × 256 at batch 32 takes 98 instead of 146 µs.
    """
    sweeps = plan.for_whole_gw(len(x), geometry)
    from_nothing = any(not sweep.accumulate for sweep in sweeps)  # of no images there are no sweeps
    total = buffers.empty(shape, x.dtype) if from_nothing else np.zeros(shape, x.dtype)
    flat, zeros = (x.reshape(-1), g.reshape(-1), total.reshape(-1)), filled(geometry.o, 0, x.dtype)
    least = -(-loop.grain // max(1, len(x) * geometry.multiplications // geometry.c))
    shares = _rows(geometry.c, geometry.o, least, threads.num_threads())
    for sweep in sweeps:
        start = flat[2] if sweep.accumulate else zeros
        threads.share(loop.sweep, len(shares), shares, *flat, start, *sweep, -math.inf, math.inf)
    return total


@functools.lru_cache(maxsize=256)
def _rows(n: int, columns: int, least: int, n_threads: int) -> Array:
    """Return the shares of workers that do some of the n rows of the one term of a sweep, at least so many."""
    return np.array([(0, 0, 0, 0, columns, 0, 1, first, last) for first, last in threads.slices(n, least)])


def _jobs(planner: Planner, sizes: Sizes, loop: Loop, n: int, geometry: Geometry, n_threads: int) -> tuple[Job, ...]:
    """Return what makes up the work on n images, shared among the threads as far as `loop.grain` makes it worth while.

    Each thread takes as many images as the others. Of images that are fewer than threads, or left over, threads share
    the channels if these are small ones, else bands of rows.
    """
    made: list[Job] = []
    first = 0
    while first < n or not made:
        rest = n - first
        if rest < n_threads and rest * geometry.work > 2 * loop.grain:
            made.append(_inside_images(planner, sizes, loop, first, rest, geometry, n_threads))
            break
        workers = max(1, min(n_threads, rest // -(-loop.grain // max(1, geometry.work))))
        each = rest // workers
        sweeps = planner(each, geometry)
        places = [(first + worker * each, worker) for worker in range(workers)]
        made.append(Job(sweeps, tuple(_shares(sizes, places, len(sweep.terms)) for sweep in sweeps), workers))
        first += each * workers
    return tuple(made)


def _inside_images(
    planner: Planner, sizes: Sizes, loop: Loop, first: int, n: int, geometry: Geometry, n_threads: int
) -> Job:
    """Return the work on n images, in which threads share channels or bands of rows of all of them."""
    units = sizes.columns // LANES
    places = [(first, worker) for worker in range(n_threads)]
    if geometry.groups == 1 and n_threads <= units and 0 < sizes.pixels < FEW_PIXELS:
        sweeps = planner(n, geometry)
        shares = tuple(_shares(sizes, places, len(sweep.terms)) for sweep in sweeps)
        bounds = LANES * np.array(threads.slices(units, 1))
        bounds[-1, 1] = sizes.columns
        for some in shares:
            some[:, :4] += bounds[:, :1] * (loop.x_lane, 1, 1, 1)
            some[:, 4] = bounds[:, 1] - bounds[:, 0]
    else:
        sweeps = planner(n, geometry, 4 * n_threads)
        shares = tuple(_shares(sizes, places, len(sweep.terms)) for sweep in sweeps)
        for some, sweep in zip(shares, sweeps):
            some[:, 5:7] = [
                (len(sweep.terms) * i // n_threads, len(sweep.terms) * (i + 1) // n_threads) for i in range(n_threads)
            ]
    return Job(sweeps, shares, n_threads)


def _shares(sizes: Sizes, places: list[Pair], n_terms: int) -> Array:
    """Return the shares of workers that do all terms and columns; `places` has each one's first image and total."""
    rows = [
        (
            image * sizes.x,
            image * sizes.b,
            image * sizes.y + worker * sizes.total,
            0,
            sizes.columns,
            0,
            n_terms,
            0,
            EVERY,
        )
        for image, worker in places
    ]
    return np.array(rows, np.int64)
