"""From int32 sums to int8 numbers, in loops that LLVM makes vector instructions of.

The commonest way of all, "single" with a factor from 2⁻²⁴ to ¼, has a shorter form (see `constants_of`), which the
tiles of int8_tile.py apply while the sums are still in registers.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from tinydl.kernels import buffers
from tinydl.kernels.compiled.jit import exact, njit
from tinydl.kernels.compiled.memory import plain, share_out
from tinydl.kernels.integer import LARGEST, Requantizer
from tinydl.kernels.reference import requantize as reference
from tinydl.shapes import Array

__all__ = ["requantize"]

IN_REGISTERS, SINGLE, DOUBLE, FLOAT32, QDQ = range(5)
_KINDS = {"single": SINGLE, "double": DOUBLE, "float32": FLOAT32, "qdq": QDQ}


class Constants(NamedTuple):
    """A requantizer as kernels take it, with one entry a channel; only what its kind needs is meaningful."""

    kind: int
    multiplier: Array
    offset: Array
    shift: Array
    factor: Array
    scale: np.float32
    zero: int
    low: int
    high: int


_known: weakref.WeakKeyDictionary[Requantizer, dict[int, Constants]] = weakref.WeakKeyDictionary()


def constants_of(output: Requantizer, channels: int) -> Constants:
    """Return the constants for this many channels; they are made once.

    With b = 31 − shift ≥ 33 bits to shift, and ⌊·⌋ as >> gives it, the single rounding is

        ⌊(sum·m + 2^(b−1)) / 2^b⌋ + zero = ⌊(⌊sum·m / 2³²⌋ + offset) / 2^(b−32)⌋,  offset = 2^(b−33) + zero·2^(b−32)

    since all that is added is a multiple of 2³²: only the high half of the product is needed, and int32 holds the
    rest as long as b ≤ 54.
    """
    per_count = _known.setdefault(output, {})
    if channels not in per_count:
        per_count[channels] = _make(output, channels)
    return per_count[channels]


def _make(output: Requantizer, channels: int) -> Constants:
    def every(a: Array, dtype: Any) -> Array:
        return np.array(np.broadcast_to(a.ravel(), channels), dtype)

    multiplier, shift = every(output.multiplier, np.float32), every(output.shift, np.int32)
    rest = output.scale, output.zero, output.low, output.high
    offset = np.zeros(channels, np.int32)
    if output.rounding in ("float32", "qdq"):
        return Constants(_KINDS[output.rounding], offset, offset, shift, multiplier, *rest)
    mantissa = every(output.multiplier, np.int32)
    bits = np.where(mantissa == 0, 33, 31 - shift)
    if output.rounding == "single" and np.all((bits >= 33) & (bits <= 54)):
        down = (bits - 32).astype(np.int32)
        offset = (1 << (down - 1)) + output.zero * (1 << down)
        return Constants(IN_REGISTERS, mantissa, offset.astype(np.int32), down, multiplier, *rest)
    return Constants(_KINDS[output.rounding], mantissa, offset, shift, multiplier, *rest)


def requantize(sums: Array, output: Requantizer) -> Array:
    """Return round(sums · factor) + zero, clamped: as in the reference twin, which also serves uncommon shapes."""
    channels_only = output.multiplier.ndim == 3 and output.multiplier.shape[1:] == (1, 1) and sums.ndim == 4
    if output.multiplier.size == 1 and sums.ndim in (2, 4):
        channels_only = True
    if not channels_only or not sums.size:
        return reference.requantize(sums, output)
    last = sums.transpose(0, 2, 3, 1) if sums.ndim == 4 else sums
    rows = plain(last, np.int32).reshape(-1, sums.shape[1])
    y = buffers.empty(last.shape, np.int8)
    share_out(_requantize_rows, (rows, y.reshape(rows.shape)), constants_of(output, sums.shape[1]))
    return y.transpose(0, 3, 1, 2) if sums.ndim == 4 else y


@njit
def _requantize_rows(sums: Array, y: Array, constants: Constants) -> None:
    n = sums.shape[1]
    for row in range(sums.shape[0]):
        finish(sums[row], 0, y[row], 0, n, 0, constants)


@exact
def finish(sums: Array, at: int, y: Array, y_at: int, n: int, channel: int, constants: Constants) -> None:
    """Requantize n sums from `at` on, which are those of the channels from `channel` on, to y from `y_at` on.

    The loops run over slices: an index that Numba cannot prove to be at least 0 keeps them from being vectorised.
    """
    low, high = np.int32(constants.low), np.int32(constants.high)
    totals, result, last = sums[at : at + n], y[y_at : y_at + n], channel + n
    multiplier, shift = constants.multiplier[channel:last], constants.shift[channel:last]
    if constants.kind == IN_REGISTERS:
        offset = constants.offset[channel:last]
        for c in range(n):
            upper = np.int32((np.int64(totals[c]) * np.int64(multiplier[c])) >> np.int64(32))
            value = np.int32(upper + offset[c]) >> shift[c]
            result[c] = np.int8(min(max(value, low), high))
    elif constants.kind == SINGLE:
        for c in range(n):
            bits = np.int64(31) - np.int64(shift[c])
            product = np.int64(totals[c]) * np.int64(multiplier[c])
            value = ((product + (np.int64(1) << (bits - np.int64(1)))) >> bits) + np.int64(constants.zero)
            result[c] = np.int8(min(max(value, np.int64(low)), np.int64(high)))
    elif constants.kind == DOUBLE:
        for c in range(n):
            value = _twice_rounded(totals[c], multiplier[c], shift[c]) + np.int64(constants.zero)
            result[c] = np.int8(min(max(value, np.int64(low)), np.int64(high)))
    else:
        factor, least, most = constants.factor[channel:last], low - constants.zero, high - constants.zero
        for c in range(n):
            real = np.float32(totals[c]) * factor[c] / constants.scale
            value = np.int32(np.rint(min(max(real, np.float32(least)), np.float32(most))))
            result[c] = np.int8(value + np.int32(constants.zero))


@exact
def _twice_rounded(total: Any, multiplier: Any, shift: Any) -> Any:
    """Return gemmlowp's rounding: to the high half of the doubled product, then by the rest of the shift."""
    zero, one, half = np.int64(0), np.int64(1), np.int64(1 << 30)
    left, right = np.int64(max(shift, 0)), np.int64(max(-shift, 0))
    saturated = min(max(np.int64(total) << left, np.int64(-LARGEST - 1)), np.int64(LARGEST))
    product = saturated * np.int64(multiplier)
    nudged = product + (half if product >= zero else one - half)
    high = nudged >> np.int64(31) if nudged >= zero else -(-nudged >> np.int64(31))
    mask = (one << right) - one
    threshold = (mask >> one) + (one if high < zero else zero)
    return (high >> right) + (one if (high & mask) > threshold else zero)
