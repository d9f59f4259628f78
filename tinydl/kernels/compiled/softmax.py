"""Softmax, its logarithm and the losses of the right class, row by row: a row stays in the cache for all passes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels.buffers import empty
from tinydl.kernels.compiled import scalar
from tinydl.kernels.compiled.jit import inline, njit
from tinydl.kernels.compiled.memory import filled, from_rows, plain, share_out, to_rows
from tinydl.kernels.reference import softmax as reference
from tinydl.shapes import Array

__all__ = reference.__all__


@inline
def _top(x: Array, i: int) -> Any:
    """Return the largest number of row i; NaN is passed over, and makes the sum NaN instead."""
    top = x.dtype.type(-math.inf)
    for j in range(x.shape[1]):
        top = x[i, j] if x[i, j] > top else top
    return top


@njit
def _softmax(y: Array, x: Array) -> None:
    T = y.dtype.type
    for i in range(y.shape[0]):
        top, total = _top(x, i), T(0)
        for j in range(y.shape[1]):
            y[i, j] = scalar.exp_negative(T, x[i, j] - top)
            total += y[i, j]
        scale = T(1) / total
        for j in range(y.shape[1]):
            y[i, j] *= scale


@njit
def _softmax_grad(gx: Array, g: Array, y: Array) -> None:
    T = gx.dtype.type
    for i in range(gx.shape[0]):
        total = T(0)
        for j in range(gx.shape[1]):
            total += g[i, j] * y[i, j]
        for j in range(gx.shape[1]):
            gx[i, j] = y[i, j] * (g[i, j] - total)


@njit
def _log_softmax(y: Array, x: Array) -> None:
    T = y.dtype.type
    for i in range(y.shape[0]):
        top, total = _top(x, i), T(0)
        for j in range(y.shape[1]):
            y[i, j] = x[i, j] - top
            total += scalar.exp_negative(T, y[i, j])
        # Subtracted in a pass of its own: x − (top + log total) would lose the digits that top does not share.
        log_total = np.log(total)
        for j in range(y.shape[1]):
            y[i, j] -= log_total


@njit
def _log_softmax_grad(gx: Array, g: Array, y: Array) -> None:
    T = gx.dtype.type
    for i in range(gx.shape[0]):
        total = T(0)
        for j in range(gx.shape[1]):
            total += g[i, j]
        for j in range(gx.shape[1]):
            gx[i, j] = g[i, j] - scalar.exp_negative(T, y[i, j]) * total


@njit
def _nll(loss: Array, logp: Array, target: Array, weight: Array, ignore_index: int) -> None:
    for n in range(loss.size):
        label = target[n]
        if label == ignore_index:
            loss[n] = 0
        elif 0 <= label < logp.shape[1]:
            loss[n] = -logp[n, label] * weight[label]
        else:
            raise IndexError("nll: a target is not the number of a class")


@njit
def _nll_grad(gx: Array, g: Array, target: Array, weight: Array, ignore_index: int) -> None:
    gx[:] = 0
    for n in range(g.size):
        label = target[n]
        if 0 <= label < gx.shape[1] and label != ignore_index:
            gx[n, label] = -g[n] * weight[label]


@njit
def _cross_entropy(x: Array, loss: Array, target: Array, weight: Array, ignore_index: int, smoothing: float) -> None:
    T = loss.dtype.type
    for n in range(loss.size):
        label, loss[n] = target[n], 0
        if label == ignore_index:
            continue
        if not 0 <= label < x.shape[1]:
            raise IndexError("cross_entropy: a target is not the number of a class")
        top, total = _top(x, n), T(0)
        for j in range(x.shape[1]):
            total += scalar.exp_negative(T, x[n, j] - top)
        log_total = np.log(total)
        # top is subtracted first: top + log total would lose the digits of the logarithm that top does not share
        loss[n] = T(1 - smoothing) * weight[label] * (log_total - (x[n, label] - top))
        if smoothing:
            even = T(0)
            for j in range(x.shape[1]):
                even += weight[j] * (log_total - (x[n, j] - top))
            loss[n] += T(smoothing / x.shape[1]) * even


@njit
def _cross_entropy_grad(
    gx: Array, x: Array, g: Array, target: Array, weight: Array, ignore_index: int, smoothing: float
) -> None:
    """The softmax is computed anew, with the one exponential a number that to read log softmax would take as well."""
    T = gx.dtype.type
    even = T(smoothing / x.shape[1])
    all_weights = T(0)
    for j in range(x.shape[1]):
        all_weights += weight[j]
    for n in range(g.size):
        label = target[n]
        if label == ignore_index or not 0 <= label < x.shape[1]:
            gx[n, :] = 0
            continue
        top, total = _top(x, n), T(0)
        for j in range(x.shape[1]):
            gx[n, j] = scalar.exp_negative(T, x[n, j] - top)
            total += gx[n, j]
        right = T(1 - smoothing) * weight[label]
        scale = g[n] * (right + even * all_weights) / total
        for j in range(x.shape[1]):
            gx[n, j] = scale * gx[n, j] - g[n] * even * weight[j]
        gx[n, label] -= g[n] * right


def _along(axis: int, loop: Callable[..., None], *args: Array) -> Array:
    """Run `loop` on the arguments as rows along `axis`; the result has the dtype and shape of the last."""
    last = args[-1]
    dtype = last.dtype.newbyteorder("=")
    axis = axis % max(last.ndim, 1)
    matrices = [to_rows(a, axis, dtype) for a in args]
    y = empty(matrices[-1].shape, dtype)
    share_out(loop, (y, *matrices))
    return from_rows(y, last.shape, axis)


@functools.wraps(reference.softmax)
def softmax(x: Array, axis: int) -> Array:
    return _along(axis, _softmax, x)


@functools.wraps(reference.softmax_grad)
def softmax_grad(g: Array, y: Array, axis: int) -> Array:
    return _along(axis, _softmax_grad, g, y)


@functools.wraps(reference.log_softmax)
def log_softmax(x: Array, axis: int) -> Array:
    return _along(axis, _log_softmax, x)


@functools.wraps(reference.log_softmax_grad)
def log_softmax_grad(g: Array, y: Array, axis: int) -> Array:
    return _along(axis, _log_softmax_grad, g, y)


@functools.wraps(reference.nll)
def nll(logp: Array, target: Array, weight: Array | None, ignore_index: int) -> Array:
    dtype = logp.dtype.newbyteorder("=")
    logp = to_rows(logp, 1, dtype)
    loss = np.empty(len(logp), dtype)
    _nll(loss, logp, plain(target, np.int64), _weights(weight, logp), ignore_index)
    return loss


@functools.wraps(reference.nll_grad)
def nll_grad(g: Array, target: Array, weight: Array | None, ignore_index: int, C: int) -> Array:
    dtype = g.dtype.newbyteorder("=")
    gx = empty((len(g), C), dtype)
    _nll_grad(gx, plain(g, dtype), plain(target, np.int64), _weights(weight, gx), ignore_index)
    return gx


@functools.wraps(reference.cross_entropy)
def cross_entropy(x: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float) -> Array:
    rows = to_rows(x, 1, x.dtype.newbyteorder("="))
    loss = np.empty(len(rows), rows.dtype)
    arrays = rows, loss, plain(target, np.int64)
    share_out(_cross_entropy, arrays, _weights(weight, rows), ignore_index, float(smoothing))
    return loss


@functools.wraps(reference.cross_entropy_grad)
def cross_entropy_grad(
    g: Array, x: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float
) -> Array:
    rows = to_rows(x, 1, x.dtype.newbyteorder("="))
    gx = empty(rows.shape, rows.dtype)
    arrays = gx, rows, plain(g, rows.dtype), plain(target, np.int64)
    share_out(_cross_entropy_grad, arrays, _weights(weight, rows), ignore_index, float(smoothing))
    return gx


def _weights(weight: Array | None, rows: Array) -> Array:
    """Return the weight of each class."""
    return filled(rows.shape[1], 1, rows.dtype) if weight is None else plain(weight, rows.dtype)
