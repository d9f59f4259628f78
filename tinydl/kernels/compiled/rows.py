"""Pixels as rows of channels: copied where they lie apart, and put together from images that have one plane a channel.

NumPy does the same by one thread and number by number where rows are short.
"""

from __future__ import annotations

from numpy.lib.stride_tricks import as_strided

from tinydl.kernels import threads
from tinydl.kernels.compiled.crew import give, wait
from tinydl.kernels.compiled.jit import njit
from tinydl.kernels.compiled.memory import ranges_of
from tinydl.shapes import Array

__all__: list[str] = []


def rows_of(x: Array) -> tuple[Array, int] | None:
    """Return the memory of an image (N, C, H, W) as 1-d, and how many numbers there are from one pixel to the next.

    None unless the channels of each pixel lie side by side and all pixels equally far apart.
    """
    seen = x.transpose(0, 2, 3, 1)
    if not seen.size or not seen.flags.behaved or not seen.dtype.isnative:
        return None
    n, h, w, c = seen.shape
    item = seen.itemsize
    distance = next((s for s, size in zip(seen.strides[2::-1], (w, h, n), strict=True) if size > 1), c * item)
    strides = (h * w * distance, w * distance, distance, item)
    regular = all(a == b or size == 1 for a, b, size in zip(seen.strides, strides, seen.shape, strict=True))
    if not regular or distance < c * item or distance % item:
        return None
    stride = distance // item
    return as_strided(seen, ((n * h * w - 1) * stride + c,), (item,)), stride


def copy_pixels(y: Array, y_at: int, y_stride: int, x: Array, x_stride: int, n: int, width: int) -> None:
    """Copy n rows of `width` numbers from x to y, where they lie so many numbers apart, the first of y at y_at."""
    shares = ranges_of(n, n * width)
    threads.share(_copy, len(shares), shares, y, y_at, y_stride, x, x_stride, width)


@njit
def _copy(
    worker: int, boss: int, crew: Array, shares: Array, y: Array, y_at: int, y_stride: int, x: Array, x_stride: int,
    width: int,
) -> bool:  # fmt: skip
    give(boss, crew)
    for row in range(shares[worker, 0], shares[worker, 1]):
        y_row, x_row = y[y_at + row * y_stride :][:width], x[row * x_stride :][:width]
        for i in range(width):
            y_row[i] = x_row[i]
    return wait(boss, crew)


def interleave(y: Array, x: Array) -> None:
    """Write the three planes of each image x (N, 3, H, W), C-contiguous, to the pixels of y (N, H, W, 3)."""
    n, _, h, w = x.shape
    shares = ranges_of(n * h * w, x.size)
    threads.share(_interleave, len(shares), shares, y.reshape(-1), x.reshape(-1), h * w)


@njit
def _interleave(worker: int, boss: int, crew: Array, shares: Array, y: Array, x: Array, size: int) -> bool:
    """Deal three planes out, by vectors since LLVM knows that there are three.

    Eight images of 3×224×224 take 70 µs; squares of transpose.py, most of them empty here, took 830.
    """
    give(boss, crew)
    pixel, last = shares[worker]
    while pixel < last:
        image, start = divmod(pixel, size)
        count = min(size - start, last - pixel)
        at = 3 * image * size + start
        red, green, blue = x[at:], x[at + size :], x[at + 2 * size :]
        out = y[3 * pixel : 3 * (pixel + count)]
        for i in range(count):
            out[3 * i] = red[i]
            out[3 * i + 1] = green[i]
            out[3 * i + 2] = blue[i]
        pixel += count
    return wait(boss, crew)
