"""Lesson 9, answered: patches as rows of a matrix, and the two gradients of a convolution."""

import numpy as np


def pad(x, p):
    """Return x with p rows and columns of zeros all around."""
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))


def out_size(size, kernel, s=1, d=1):
    """Return how many places the kernel has along both axes."""
    return tuple((n - d * (k - 1) - 1) // s + 1 for n, k in zip(size, kernel))


def seen(x, i, j, places, s=1, d=1):
    """Return the view of x that place (i, j) of the kernel sees while the kernel goes through its places."""
    h, w = places
    return x[:, :, i * d : i * d + h * s : s, j * d : j * d + w * s : s]


def blocks(weight_shape, groups):
    """Return for each group which output and which input channels belong to it."""
    o, c = weight_shape[0] // groups, weight_shape[1]
    return [(slice(k * o, (k + 1) * o), slice(k * c, (k + 1) * c)) for k in range(groups)]


def im2col(x, kernel, s=1, d=1):
    """Return the patches of x (N, C, H, W), one a row: (N·H'·W', C·kh·kw)."""
    h, w = out_size(x.shape[2:], kernel, s, d)
    patches = np.empty((*x.shape[:2], h, w, *kernel))
    for i, j in np.ndindex(*kernel):
        patches[..., i, j] = seen(x, i, j, (h, w), s, d)
    return patches.transpose(0, 2, 3, 1, 4, 5).reshape(len(x) * h * w, -1)


def weight_grad(g, x, weight_shape, stride, padding, dilation, groups):
    """Return the slopes by the weight, given the slopes g by the output."""
    x, gw = pad(x, padding), np.zeros(weight_shape)
    for o, c in blocks(weight_shape, groups):
        for i, j in np.ndindex(*weight_shape[2:]):
            patch = seen(x[:, c], i, j, g.shape[2:], stride, dilation)
            gw[o, :, i, j] = np.einsum("nohw,nchw->oc", g[:, o], patch)
    return gw


def input_grad(g, weight, x_shape, stride, padding, dilation, groups):
    """Return the slopes by the input, given the slopes g by the output."""
    n, c_all, height, width = x_shape
    p = padding
    gx = np.zeros((n, c_all, height + 2 * p, width + 2 * p))
    for o, c in blocks(weight.shape, groups):
        for i, j in np.ndindex(*weight.shape[2:]):
            patch = seen(gx[:, c], i, j, g.shape[2:], stride, dilation)
            patch += np.einsum("nohw,oc->nchw", g[:, o], weight[o, :, i, j])
    return gx[:, :, p : p + height, p : p + width]
