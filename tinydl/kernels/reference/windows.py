"""Sliding windows: the view that convolution and pooling share, and its adjoint."""

from __future__ import annotations

import numpy as np

from tinydl.shapes import Array, Pair, Shape

__all__: list[str] = []


def windows(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, out_size: Pair, fill: float) -> Array:
    """Return what each output sees: v[n, c, h, w, i, j] = x[n, c, h·s + i·d − p, w·s + j·d − p].

    Places outside of x are `fill`, before it as well as behind it. The result is a view of the padded x.

    Shapes: x (N, C, H, W) -> (N, C, H', W', kh, kw) with (H', W') = out_size.

    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> windows(x, (2, 2), (2, 2), (0, 0), (1, 1), (2, 2), 0.0)[0, 0, 1, 1]
    array([[10., 11.],
           [14., 15.]])
    """
    behind = tuple(map(_reach_behind, x.shape[2:], kernel, stride, padding, dilation, out_size))
    around = ((0, 0), (0, 0), (padding[0], behind[0]), (padding[1], behind[1]))
    padded = np.pad(x, around, constant_values=fill)
    (kh, kw), (sh, sw), (dh, dw) = kernel, stride, dilation
    everywhere = np.lib.stride_tricks.sliding_window_view(padded, (dh * (kh - 1) + 1, dw * (kw - 1) + 1), axis=(2, 3))
    return everywhere[:, :, ::sh, ::sw, ::dh, ::dw][:, :, : out_size[0], : out_size[1]]


def add_windows(v: Array, x_shape: Shape, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """Return the adjoint of `windows`: each entry of v added to the place of x that it was read from.

    x[n, c, h·s + i·d − p, w·s + j·d − p] += v[n, c, h, w, i, j]; what falls outside of x is dropped.
    """
    n, c, height, width = x_shape
    h, w, kh, kw = v.shape[2:]
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    behind = [_reach_behind(*sizes) for sizes in zip((height, width), (kh, kw), stride, padding, dilation, (h, w))]
    padded = np.zeros((n, c, height + ph + behind[0], width + pw + behind[1]), v.dtype.newbyteorder("="))
    for i in range(kh):
        for j in range(kw):
            padded[:, :, i * dh : i * dh + h * sh : sh, j * dw : j * dw + w * sw : sw] += v[..., i, j]
    return padded[:, :, ph : ph + height, pw : pw + width]


def _reach_behind(n: int, kernel: int, stride: int, padding: int, dilation: int, out_size: int) -> int:
    """Return how far the last window, or the padding, reaches beyond the end of an axis of n places."""
    return max((out_size - 1) * stride + dilation * (kernel - 1) + 1 - padding - n, padding)
