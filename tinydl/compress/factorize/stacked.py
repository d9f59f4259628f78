"""A 5×5 convolution as two 3×3 ones: 9 M (C + O) weights instead of 25 C O."""

from __future__ import annotations

import numpy as np

from tinydl.compress.factorize.pairs import check_conv, filled
from tinydl.nn import Conv2d, Sequential
from tinydl.options import whole
from tinydl.shapes import Array


def stacked_pair(layer: Conv2d, channels: int, rounds: int = 30, seed: int = 0) -> tuple[Sequential, float]:
    """Return two 3×3 convolutions with M = `channels` between them, and the share of the kernel's energy they miss.

    W[o, c, u] ≈ Σ_m Σ_{a+b=u} B[o, m, b] A[m, c, a]

    What is exact: two convolutions with nothing between them are one with that kernel, borders included, when the first
    has all the padding and the second all the stride. What is not: a 5×5 kernel is in general no such sum. A and B are
    fitted by alternating least squares from a random start, each step of which brings the missed energy
    ‖W − B∗A‖² / ‖W‖² down or leaves it. With M = 9·min(C, O) nothing would have to be missed (each middle channel could
    hold one shifted delta), but then nothing is saved; with fewer the pair is a start for training, also with an
    activation in between, as in networks that are built like this.

    Args:
        layer: a convolution 5×5, groups 1, dilation 1, with zeros for padding.
        channels: M.
        rounds: of the alternation.
        seed: of the start.

    Raises: TypeError or ValueError naming what does not fit.

    Source: Szegedy et al. 2016, Rethinking the Inception architecture, arXiv:1512.00567, section 3.1.

    >>> pair, missed = stacked_pair(Conv2d(1, 2, 5, padding=2), channels=9)
    >>> pair, round(missed, 6)
    (Sequential(
      (0): Conv2d(1, 9, kernel_size=(3, 3), stride=(1, 1), padding=(2, 2), bias=False)
      (1): Conv2d(9, 2, kernel_size=(3, 3), stride=(1, 1))
    ), 0.0)
    """
    _check(layer)
    middle, w = whole(channels, "channels", 1), np.asarray(layer.weight.data, np.float64)
    outputs, inputs = w.shape[:2]
    a = np.random.default_rng(seed).standard_normal((middle, inputs, 3, 3))
    by_output, by_input = w.reshape(outputs, -1).T, w.swapaxes(0, 1).reshape(inputs, -1).T
    for _ in range(whole(rounds, "rounds", 1)):
        b = _solve(a, by_output).reshape(middle, 3, 3, outputs).transpose(3, 0, 1, 2)
        a = _solve(b.swapaxes(0, 1), by_input).reshape(middle, 3, 3, inputs).transpose(0, 3, 1, 2)
    a, b = _balanced(a, b)
    missed = np.sum((w - compose(a, b)) ** 2) / (np.sum(w**2) or 1.0)
    padding = (2, 2) if layer.padding == "same" else (0, 0) if layer.padding == "valid" else layer.padding
    first = Conv2d(inputs, middle, 3, padding=padding, bias=False)
    second = Conv2d(middle, outputs, 3, layer.stride, bias=layer.bias is not None)
    return filled(layer, first, a, second, b), float(missed)


def _check(layer: Conv2d) -> None:
    check_conv(layer)
    if layer.kernel_size != (5, 5) or layer.dilation != (1, 1) or layer.padding_mode != "zeros":
        raise ValueError(
            f"layer must be 5×5 with dilation 1 and padding_mode 'zeros', got {layer.kernel_size}, {layer.dilation}, "
            f"{layer.padding_mode!r}"
        )


def _solve(known: Array, target: Array) -> Array:
    """Return the unknown kernels X that bring Σ_m X[m, b] known[m, ·, u − b] closest to target (C·25, columns).

    The equations are linear in X: row (c, u), column (m, b) holds known[m, c, u − b]. Result (M·9, columns).
    """
    middle, channels = known.shape[:2]
    rows = np.zeros((channels, 5, 5, middle, 3, 3))
    for i in range(3):
        for j in range(3):
            rows[:, i : i + 3, j : j + 3, :, i, j] = known.transpose(1, 2, 3, 0)
    found: Array = np.linalg.lstsq(rows.reshape(channels * 25, middle * 9), target, rcond=None)[0]
    return found


def _balanced(a: Array, b: Array) -> tuple[Array, Array]:
    """Return both with the same norm in each middle channel: only their product was determined."""
    na, nb = np.sqrt(np.sum(a**2, axis=(1, 2, 3))), np.sqrt(np.sum(b**2, axis=(0, 2, 3)))
    ratio = np.sqrt(np.divide(nb, na, out=np.ones_like(na), where=(na > 0) & (nb > 0)))
    return a * ratio[:, None, None, None], b / ratio[:, None, None]


def compose(a: Array, b: Array) -> Array:
    """Return the kernel of the convolution by `a` (M, C, …), then by `b` (O, M, …), nothing in between.

    K[o, c, u] = Σ_m Σ_{i+j=u} b[o, m, i] a[m, c, j]; sizes k₁ and k₂ give k₁ + k₂ − 1.

    >>> compose(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 2)))
    array([[[[1., 2., 1.]]]])
    """
    (_, inputs, ah, aw), (outputs, _, bh, bw) = a.shape, b.shape
    k = np.zeros((outputs, inputs, ah + bh - 1, aw + bw - 1))
    for i in range(bh):
        for j in range(bw):
            k[:, :, i : i + ah, j : j + aw] += np.einsum("om,mcij->ocij", b[:, :, i, j], a)
    return k
