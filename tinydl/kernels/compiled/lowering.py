"""Convolutions and their gradients, in parallel over the images: dense and depthwise differ only in the loop.

Arrays are channels-last: x (N, H, W, C), y and g (N, H', W', O). Padding is made in working space, for a few
images at a time, so that the inner loops need no bounds checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tinydl.kernels import buffers, threads
from tinydl.kernels.compiled import plan
from tinydl.kernels.compiled.plan import Geometry
from tinydl.shapes import Array, Pair, Shape

__all__: list[str] = []

Loop = Callable[..., None]
"""`sweep` or `depthwise_sweep`."""

CACHE = 1 << 18
"""Bytes of padded images at a time: a quarter of the L2 cache of a core."""

GRAIN = 2_000_000
"""Multiplications that are worth the 7 µs of handing them to another thread."""


def forward(loop: Loop, x: Array, weight: Array, start: Array, y: Array, geometry: Geometry, padding: Pair) -> None:
    """Write y = start + the convolution of x; weight is (groups, kh·kw·c, o)."""

    def task(first: int, last: int, worker: int) -> None:
        for a, z, seen in _padded(x, first, last, padding):
            for sweep in plan.forward(z - a, geometry):
                loop(seen.ravel(), weight.ravel(), y[a:z].ravel(), start, 0, *sweep)

    threads.run(task, len(x), _grain(weight.shape, geometry))


def weight_grad(loop: Loop, g: Array, x: Array, shape: Shape, geometry: Geometry, padding: Pair) -> Array:
    """Return the gradient by the weight, in the shape (groups, kh·kw·c, o).

    Each thread adds up its images; these sums are added in the order of the threads.
    """
    grain = _grain(shape, geometry)
    sums = np.zeros((len(threads.slices(len(x), grain)), *shape), x.dtype)

    def task(first: int, last: int, worker: int) -> None:
        total = sums[worker].ravel()
        for a, z, seen in _padded(x, first, last, padding):
            for sweep in plan.weight_grad(z - a, geometry):
                loop(seen.ravel(), g[a:z].ravel(), total, total, 1, *sweep)

    threads.run(task, len(x), grain)
    total: Array = sums.sum(0) if len(sums) > 1 else sums[0]
    return total


def input_grad(loop: Loop, g: Array, weight: Array, gx: Array, geometry: Geometry, padding: Pair) -> None:
    """Write the gradient by x; weight is (groups, kh·kw, o, c)."""

    def task(first: int, last: int, worker: int) -> None:
        for a, z, room, inside in _rooms(gx, first, last, padding):
            room[...] = 0
            for sweep in plan.input_grad(z - a, geometry):
                loop(g[a:z].ravel(), weight.ravel(), room.ravel(), room.ravel(), 1, *sweep)
            if room.size > inside.size:
                gx[a:z] = inside

    threads.run(task, len(gx), _grain(weight.shape, geometry))


def _padded(x: Array, first: int, last: int, padding: Pair) -> Iterator[tuple[int, int, Array]]:
    """Yield a, z and the images a…z−1 with their border of zeros, for all from `first` to `last`."""
    if padding == (0, 0):
        yield first, last, x[first:last]
        return
    for a, z, room, inside in _rooms(x, first, last, padding):
        room[...] = 0
        inside[...] = x[a:z]
        yield a, z, room


def _rooms(x: Array, first: int, last: int, padding: Pair) -> Iterator[tuple[int, int, Array, Array]]:
    """Yield a, z, room for the images a…z−1 with a border (x itself where there is none), and the room's inside."""
    (ph, pw), (_, h, w, c) = padding, x.shape
    shape = (h + 2 * ph, w + 2 * pw, c)
    images = max(1, CACHE // (x.itemsize * max(1, shape[0] * shape[1] * c)))
    for a in range(first, last, images):
        z = min(a + images, last)
        room = buffers.scratch("padded", (z - a, *shape), x.dtype) if ph or pw else x[a:z]
        yield a, z, room, room[:, ph : ph + h, pw : pw + w]


def _grain(weight_shape: Shape, geometry: Geometry) -> int:
    """Return how many images make a slice worth another thread."""
    multiplications = int(np.prod(weight_shape)) * geometry.y_size[0] * geometry.y_size[1]
    return -(-GRAIN // max(1, multiplications))
