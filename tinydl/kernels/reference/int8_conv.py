"""Convolution and the linear layer of int8 numbers, summed in int32."""

# mypy: disable-error-code="no-any-return"
# (NumPy declares the result of arithmetic as Any.)
from __future__ import annotations

import numpy as np

from tinydl.kernels.integer import Filter
from tinydl.kernels.reference.conv import out_size
from tinydl.kernels.reference.requantize import requantize
from tinydl.kernels.reference.windows import windows
from tinydl.shapes import Array, Pair

__all__ = ["int8_conv2d", "int8_linear"]


def int8_conv2d(x: Array, filter: Filter, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """Slide a filter over x, which is padded with its zero point, and requantize the sums.

    y[n, o, h, w] = requantize(start[o] + Σ_{c,i,j} x[n, c, h·s + i·d − p, w·s + j·d − p] · weight[o, c, i, j])

    Shapes: x int8 (N, C, H, W), filter.weight (O, C/groups, kh, kw) -> int8 (N, O, H', W').
    Source: Jacob et al. 2018, arXiv:1712.05877, equations 4 and 7, and section 2.4.

    >>> from tinydl.kernels.integer import Requantizer
    >>> ones = Filter(np.ones((1, 1, 2, 2), np.int8), np.zeros(1, np.int32), 0, Requantizer.between(0.5, 1.0, zero=1))
    >>> int8_conv2d(np.full((1, 1, 2, 3), 10, np.int8), ones, (1, 1), (0, 0), (1, 1), 1)
    array([[[[21, 21]]]], dtype=int8)
    """
    o, c, kh, kw = filter.weight.shape
    h, w = out_size(x.shape, (kh, kw), stride, padding, dilation)
    v = windows(x, (kh, kw), stride, padding, dilation, (h, w), filter.zero).astype(np.int32)
    columns = v.reshape(len(x), groups, c, h, w, kh, kw).transpose(1, 0, 3, 4, 2, 5, 6)
    matrices = filter.weight.reshape(groups, o // groups, c * kh * kw).transpose(0, 2, 1).astype(np.int32)
    sums = columns.reshape(groups, len(x) * h * w, c * kh * kw) @ matrices
    rows = sums.transpose(1, 0, 2).reshape(len(x) * h * w, o) + filter.start
    return requantize(rows, filter.output).reshape(len(x), h, w, o).transpose(0, 3, 1, 2)


def int8_linear(x: Array, filter: Filter) -> Array:
    """Return requantize(start + x Wᵀ) for int8 x (M, I), filter.weight (O, I) -> int8 (M, O).

    >>> from tinydl.kernels.integer import Requantizer
    >>> sum = Filter(np.ones((1, 3), np.int8), np.zeros(1, np.int32), 0, Requantizer.between(0.5, 1.0, zero=0))
    >>> int8_linear(np.array([[1, 2, 4]], np.int8), sum)
    array([[4]], dtype=int8)
    """
    return requantize(x.astype(np.int32) @ filter.weight.astype(np.int32).T + filter.start, filter.output)
