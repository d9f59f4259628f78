"""Convolutions and their gradients, in parallel: dense and depthwise ones differ only in the loop.

Images are channels-last: x (N, H, W, C), y and g (N, H', W', O).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled import plan
from tinydl.kernels.compiled.geometry import Geometry
from tinydl.kernels.compiled.plan import Sweep
from tinydl.kernels.compiled.sweep import Loop
from tinydl.shapes import Array, Shape

__all__: list[str] = []

LANES = 16
"""Threads that share channels get whole vectors of them, in float32 (in float64 two)."""

FEW_PIXELS = 256
"""Where one image is smaller, threads share its channels: bands of rows would leave tiles half empty.

MobileNetV1's last layer, 7×7 pixels and 1024 channels, took 1.65 ms on one thread and on two, and takes 1.2.
"""

Planner: TypeAlias = Callable[..., tuple[Sweep, ...]]


def convolve(
    loop: Loop, x: Array, weight: Array, bias: Array, y: Array, geometry: Geometry, low: float, high: float
) -> None:
    """Write y = bias + the convolution of x with the weight, given as (groups, kh·kw·c, o), clamped to low…high."""
    _gather(plan.for_y, loop, x, weight, bias, y, geometry, low, high)


def input_grad(loop: Loop, g: Array, weight: Array, gx: Array, geometry: Geometry) -> None:
    """Write the gradient by x; the weight is given as (groups, kh·kw·o, c)."""
    _gather(plan.for_gx, loop, g, weight, np.zeros(gx.shape[-1], gx.dtype), gx, geometry)


def _gather(
    planner: Planner,
    loop: Loop,
    source: Array,
    weight: Array,
    bias: Array,
    result: Array,
    geometry: Geometry,
    low: float = -math.inf,
    high: float = math.inf,
) -> None:
    def do(sweep: Sweep, first: int, last: int, worker: int) -> None:
        some = result[first:last].ravel()
        loop.sweep(
            source[first:last].ravel(), weight.ravel(), some, some if sweep.accumulate else bias, *sweep, low, high
        )

    n, pixels = len(source), result.shape[1] * result.shape[2]
    units = result.shape[3] // LANES
    few_images = n < threads.num_threads() <= units and n * geometry.work > 2 * loop.grain
    if few_images and pixels < FEW_PIXELS and geometry.groups == 1:

        def some_channels(first: int, last: int, worker: int) -> None:
            for sweep in planner(n, geometry):
                do(_columns(loop, sweep, first * LANES, last * LANES if last < units else None), 0, n, worker)

        threads.run(some_channels, units, 1)
    else:
        _share_out(do, planner, n, geometry, loop.grain)


def _columns(loop: Loop, sweep: Sweep, first: int, last: int | None) -> Sweep:
    """Return the part of a sweep that makes the channels from `first` to `last`; there is one group."""
    terms = sweep.terms.copy()
    terms[:, 0] += first * loop.x_lane
    terms[:, 1:4] += first
    return sweep._replace(terms=terms, n_columns=(sweep.n_columns if last is None else last) - first)


@np.errstate(all="ignore")
def weight_grad(loop: Loop, g: Array, x: Array, shape: Shape, geometry: Geometry) -> Array:
    """Return the gradient by the weight, in the shape (groups, kh·kw·c, o).

    Each thread adds up its images; these sums are added in the order of the threads. Of a weight that is larger than
    the images are, each thread makes some rows instead: 5408 × 128 at batch 128 takes 1.1 ms, where adding up took 2.5.
    """
    plain = (geometry.kernel, geometry.padding, geometry.groups) == ((1, 1), (0, 0), 1)
    if plain and 2 * geometry.c * geometry.o >= g.size + x.size:
        return _weight_grad_by_rows(loop, g, x, shape, geometry)
    sums: dict[int, Array] = {}

    def do(sweep: Sweep, first: int, last: int, worker: int) -> None:
        if worker not in sums:
            sums[worker] = np.zeros(shape, x.dtype)
        total = sums[worker].ravel()
        loop.sweep(x[first:last].ravel(), g[first:last].ravel(), total, total, *sweep, -math.inf, math.inf)

    _share_out(do, plan.for_gw, len(x), geometry, loop.grain)
    total = sums.pop(0) if sums else np.zeros(shape, x.dtype)
    for worker in sorted(sums):
        total += sums[worker]
    return total


def _weight_grad_by_rows(loop: Loop, g: Array, x: Array, shape: Shape, geometry: Geometry) -> Array:
    total = buffers.empty(shape, x.dtype)
    flat, n = total.ravel(), len(x)

    def do(first: int, last: int, worker: int) -> None:
        flat[first * geometry.o : last * geometry.o] = 0
        for sweep in plan.for_gw(n, geometry):
            terms = sweep.terms.copy()
            terms[:, 4:6] = terms[:, 4:5] + (first, last)
            some = sweep._replace(terms=terms)
            loop.sweep(x.ravel(), g.ravel(), flat, flat, *some, -math.inf, math.inf)

    work = max(1, n * geometry.multiplications // geometry.c)
    threads.run(do, geometry.c, -(-loop.grain // work))
    return total


def _share_out(
    do: Callable[[Sweep, int, int, int], None], planner: Planner, n: int, geometry: Geometry, grain: int
) -> None:
    """Call `do(sweep, first image, end, worker)` for what makes up the work, a share of it on each thread.

    Threads share the images; when these are fewer, each thread takes some bands of rows of all of them.
    """
    work, n_threads = geometry.work, threads.num_threads()
    if n < n_threads and n * work > 2 * grain:
        banded = planner(n, geometry, 4 * n_threads)

        def some_bands(first: int, last: int, worker: int) -> None:
            for sweep in banded:
                do(sweep._replace(terms=sweep.terms[first:last]), 0, n, worker)

        threads.run(some_bands, len(banded[0].terms), 1)
        return

    def some_images(first: int, last: int, worker: int) -> None:
        for sweep in planner(last - first, geometry):
            do(sweep, first, last, worker)

    threads.run(some_images, n, -(-grain // max(1, work)))
