"""The one memory layout that compiled convolution and pooling know: channels-last, native, aligned, writable."""

from __future__ import annotations

import numpy as np

from tinydl.kernels import buffers
from tinydl.shapes import Array

__all__: list[str] = []


def channels_last(x: Array) -> Array:
    """Return x (N, C, H, W) as a C-contiguous array (N, H, W, C): a view if it is stored like that, else a copy.

    Numba compiles anew for read-only and for misaligned arrays, so those are copied as well.
    """
    view = x.transpose(0, 2, 3, 1)
    if view.flags.carray and view.dtype.isnative:
        return view
    copy = buffers.empty(view.shape, view.dtype.newbyteorder("="))
    np.copyto(copy, view)
    return copy
