"""Lesson 9, convolution three ways: its exercises and how they are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinydl import kernels
from tinydl.lessons.exercise import Arguments, compare, exercise
from tinydl.lessons.search import Pick
from tinydl.shapes import Array, Pair, Shape, conv_output_size

_TRIES = 80


def _whole(pick: Pick, *shapes: Shape) -> list[Array]:
    """Return arrays of the whole numbers 1 to 9: none of them hides a mistake as a 0 would."""
    rng = pick.generator()
    return [rng.integers(1, 10, shape).astype(np.float64) for shape in shapes]


def _im2col(x: Array, kernel: Pair, s: int, d: int) -> Array:
    return kernels.im2col(x, kernel, (s, s), (0, 0), (d, d))


def _patches(x: Array, kernel: Pair, s: int, d: int) -> Array:
    """Return the patches with the axes still apart: (N, H', W', C, kh, kw)."""
    h, w = (conv_output_size(n, k, s, 0, d) for n, k in zip(x.shape[2:], kernel))
    return _im2col(x, kernel, s, d).reshape(len(x), h, w, x.shape[1], *kernel)


def _one_image(pick: Pick) -> Arguments:
    kernel = pick.integer(1, 3), pick.integer(1, 3)
    s, d = pick.integer(1, 2), pick.integer(1, 2)
    height, width = (d * (k - 1) + pick.integer(1, 4) for k in kernel)
    (x,) = _whole(pick, (pick.integer(1, 2), pick.integer(1, 2), height, width))
    return {"x": x, "kernel": kernel, "s": s, "d": d}


def _reordered(*axes: int) -> Callable[[Array, Pair, int, int], Array]:
    """Return an im2col whose matrix is filled from (N, H', W', C, kh, kw) with the axes in another order."""

    def im2col(x: Array, kernel: Pair, s: int, d: int) -> Array:
        patches = _patches(x, kernel, s, d)
        return patches.transpose(axes).reshape(_im2col(x, kernel, s, d).shape)

    return im2col


_IM2COL_MISTAKES: dict[str, Callable[..., Any]] = {
    "the axes are (n, c, h, w, i, j) when you reshape: the shape is right but the numbers are shuffled; transpose to "
    "(n, h, w, c, i, j) first": _reordered(0, 3, 1, 2, 4, 5),
    "inside a row the channel comes last; the order is c, i, j": _reordered(0, 1, 2, 4, 5, 3),
    "inside a row j runs slower than i; the order is c, i, j": _reordered(0, 1, 2, 3, 5, 4),
    "the rows go w before h; places are read line by line": _reordered(0, 2, 1, 3, 4, 5),
    "each of your columns is a patch; here each row is one": lambda x, k, s, d: _im2col(x, k, s, d).T,
    "the patches are right, but still a block of six axes: reshape to (N·H'·W', C·kh·kw)": _patches,
    "the stride is left out: the kernel moves by s": lambda x, k, s, d: _im2col(x, k, 1, d),
    "the dilation is left out: neighbours in the kernel are d pixels apart": lambda x, k, s, d: _im2col(x, k, s, 1),
}


@exercise(
    "09.1",
    "each patch is a row of the matrix, for every stride and dilation",
    solution="im2col",
    hints=[
        "seen(x, i, j, (h, w), s, d) is what one place of the kernel sees. There are kh·kw of these; collect them.",
        "Make patches = np.empty((N, C, h, w, kh, kw)) and set patches[..., i, j] to what place (i, j) sees.",
        "A row is a place (n, h, w), and in it lie (c, i, j): patches.transpose(0, 2, 3, 1, 4, 5), then reshape.",
    ],
)
def im2col(answer: Any) -> None:
    """Hold the answer against the reference kernel."""
    compare(answer, _im2col, _one_image, _IM2COL_MISTAKES, tries=_TRIES)


def _terms(
    y_shape: Shape, x_shape: Shape, weight_shape: Shape, stride: int, padding: int, dilation: int, groups: int
) -> Iterator[tuple[Shape, Shape, Shape]]:
    """Go through every product of the convolution: its place in y, in x and in the weight."""
    channels, per_group = weight_shape[1], weight_shape[0] // groups
    for n, o, h, w in np.ndindex(*y_shape):
        for c, i, j in np.ndindex(*weight_shape[1:]):
            row, column = h * stride + i * dilation - padding, w * stride + j * dilation - padding
            if 0 <= row < x_shape[2] and 0 <= column < x_shape[3]:
                yield (n, o, h, w), (n, o // per_group * channels + c, row, column), (o, c, i, j)


def _weight_grad(g: Array, x: Array, weight_shape: Shape, *geometry: int) -> Array:
    gw = np.zeros(weight_shape)
    for in_y, in_x, in_weight in _terms(g.shape, x.shape, weight_shape, *geometry):
        gw[in_weight] += g[in_y] * x[in_x]
    return gw


def _input_grad(g: Array, weight: Array, x_shape: Shape, *geometry: int) -> Array:
    gx = np.zeros(x_shape)
    for in_y, in_x, in_weight in _terms(g.shape, x_shape, weight.shape, *geometry):
        gx[in_x] += g[in_y] * weight[in_weight]
    return gx


def _shapes(pick: Pick) -> tuple[Shape, Shape, Shape, dict[str, int]]:
    """Return the shapes of x, of the weight and of y, and the geometry."""
    kernel = pick.integer(1, 3), pick.integer(1, 3)
    s, p, d, groups = pick.integer(1, 2), pick.integer(0, 2), pick.integer(1, 2), pick.integer(1, 2)
    size = [max(1, d * (k - 1) + pick.integer(1, 4) - 2 * p) for k in kernel]
    n, c, o = pick.integer(1, 2), pick.integer(1, 2), groups * pick.integer(1, 2)
    places = [conv_output_size(length, k, s, p, d) for length, k in zip(size, kernel)]
    geometry = {"stride": s, "padding": p, "dilation": d, "groups": groups}
    return (n, c * groups, *size), (o, c, *kernel), (n, o, *places), geometry


def _by_weight(pick: Pick) -> Arguments:
    x_shape, weight_shape, y_shape, geometry = _shapes(pick)
    g, x = _whole(pick, y_shape, x_shape)
    return {"g": g, "x": x, "weight_shape": weight_shape, **geometry}


def _by_input(pick: Pick) -> Arguments:
    x_shape, weight_shape, y_shape, geometry = _shapes(pick)
    g, weight = _whole(pick, y_shape, weight_shape)
    return {"g": g, "weight": weight, "x_shape": x_shape, **geometry}


def _first_channels(g: Array, x: Array, shape: Shape, s: int, p: int, d: int, groups: int) -> Array:
    return _weight_grad(g, np.tile(x[:, : shape[1]], (1, groups, 1, 1)), shape, s, p, d, groups)


def _last_image(g: Array, x: Array, shape: Shape, *geometry: int) -> Array:
    return _weight_grad(g[-1:], x[-1:], shape, *geometry)


def _last_place(g: Array, x: Array, shape: Shape, *geometry: int) -> Array:
    return _weight_grad(np.pad(g[..., -1:, -1:], ((0, 0), (0, 0), (g.shape[2] - 1, 0), (g.shape[3] - 1, 0))), x, shape,
                        *geometry)  # fmt: skip


_WEIGHT_MISTAKES: dict[str, Callable[..., Any]] = {
    "the kernel is turned round: place (i, j) of the weight met the pixels seen through (i, j), not through the "
    "opposite place": lambda *a: _weight_grad(*a)[:, :, ::-1, ::-1],
    "you take the mean over the images; the slopes are summed": lambda g, *a: _weight_grad(g, *a) / len(g),
    "only the last image counts in yours: sum over n": _last_image,
    "only the last place counts in yours: sum over h and w, add where you overwrite": _last_place,
    "every group of yours sees the channels of the first group: x[:, c], with the group's own c": _first_channels,
    "the channels come first in yours; the weight is (O, C/groups, kh, kw)": lambda *a: _weight_grad(*a).swapaxes(0, 1),
}


@exercise(
    "09.2",
    "the slopes by the weight equal the loops', over stride, padding, dilation and groups",
    solution="weight_grad",
    hints=[
        "weight[o, c, i, j] is multiplied by every pixel that place (i, j) sees in channel c; each product went into "
        "one place of y[:, o], whose slope is in g. So gw is the sum of g times the pixel.",
        "Pad x. For each o, c in blocks(weight_shape, groups) and each i, j: seen(x[:, c], i, j, g.shape[2:], stride, "
        "dilation) lies place by place under g[:, o].",
        'gw[o, :, i, j] = np.einsum("nohw,nchw->oc", g[:, o], …): letters that are missing on the right are summed.',
    ],
)
def weight_grad(answer: Any) -> None:
    """Hold the answer against one loop over all products."""
    compare(answer, _weight_grad, _by_weight, _WEIGHT_MISTAKES, tries=_TRIES)


def _overwritten(g: Array, weight: Array, x_shape: Shape, *geometry: int) -> Array:
    """Scatter with `=`, kernel place by kernel place: of patches that overlap the last one stays."""
    gx = np.zeros(x_shape)
    for i, j in np.ndindex(*weight.shape[2:]):
        one = np.zeros_like(weight)
        one[:, :, i, j] = weight[:, :, i, j]
        part = _input_grad(g, one, x_shape, *geometry)
        gx = np.where(part != 0, part, gx)
    return gx


def _not_cropped(g: Array, weight: Array, x_shape: Shape, s: int, p: int, d: int, groups: int) -> Array:
    n, c, height, width = x_shape
    return _input_grad(g, weight, (n, c, height + 2 * p, width + 2 * p), s, 0, d, groups)


def _cropped_from_behind(g: Array, weight: Array, x_shape: Shape, s: int, p: int, d: int, groups: int) -> Array:
    return _not_cropped(g, weight, x_shape, s, p, d, groups)[:, :, p:-p, p:-p]


def _first_weights(g: Array, weight: Array, x_shape: Shape, s: int, p: int, d: int, groups: int) -> Array:
    first = np.tile(weight[: len(weight) // groups], (groups, 1, 1, 1))
    return _input_grad(g, first, x_shape, s, p, d, groups)


def _turned(g: Array, weight: Array, *a: Any) -> Array:
    return _input_grad(g, weight[:, :, ::-1, ::-1], *a)


_INPUT_MISTAKES: dict[str, Callable[..., Any]] = {
    "you overwrite where you should add: patches overlap, so a pixel gets slopes from several of them; write +=": (
        _overwritten
    ),
    "[p:-p] is empty when p is 0; crop with [p : p + height]": _cropped_from_behind,
    "yours is the gradient of the padded input; cut the padding off at the end": _not_cropped,
    "the kernel is turned round: what went forward through (i, j) comes back through (i, j)": _turned,
    "every group of yours uses the weights of the first group: weight[o], with the group's own o": _first_weights,
}


@exercise(
    "09.3",
    "the slopes by the input equal the loops', over stride, padding, dilation and groups",
    solution="input_grad",
    hints=[
        "A pixel went into every output whose patch holds it, each time multiplied by a weight. Going back, each of "
        "these outputs adds its slope times that weight to the pixel.",
        "Make gx of zeros, of the padded size. seen(gx[:, c], i, j, …) is a view: what you add to it with += is added "
        "to gx itself.",
        'Add np.einsum("nohw,oc->nchw", g[:, o], weight[o, :, i, j]) to it, for each group and each (i, j). At last '
        "cut the padding off: gx[:, :, p : p + height, p : p + width].",
    ],
)
def input_grad(answer: Any) -> None:
    """Hold the answer against one loop over all products."""
    compare(answer, _input_grad, _by_input, _INPUT_MISTAKES, tries=_TRIES)
