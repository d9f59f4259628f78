"""Convolution and pooling against loops that follow their equations, one element at a time."""

import itertools

import numpy as np
import pytest

from tinydl import ops
from tinydl.shapes import pair


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((2, 4, 6, 7))


def read(image, h, w):
    """Return an element of an image (H, W); beyond its borders there are zeros."""
    return image[h, w] if 0 <= h < image.shape[0] and 0 <= w < image.shape[1] else 0.0


def conv2d_loops(x, weight, bias, stride=1, padding=0, dilation=1, groups=1):
    """y[n, o, h, w] = b[o] + Σ_{c,i,j} x[n, c, h·s + i·d − p, w·s + j·d − p] · weight[o, c, i, j]."""
    (sh, sw), (ph, pw), (dh, dw) = pair(stride, "s"), pair(padding, "p"), pair(dilation, "d")
    outputs, channels, kh, kw = weight.shape
    height = (x.shape[2] + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    width = (x.shape[3] + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    y = np.zeros((len(x), outputs, height, width))
    for n, o, h, w in np.ndindex(y.shape):
        first = o // (outputs // groups) * channels
        for c, i, j in np.ndindex(channels, kh, kw):
            y[n, o, h, w] += weight[o, c, i, j] * read(x[n, first + c], h * sh + i * dh - ph, w * sw + j * dw - pw)
        y[n, o, h, w] += bias[o]
    return y


@pytest.mark.parametrize(
    "weight_shape, stride, padding, dilation, groups",
    [
        ((3, 4, 3, 2), 1, 0, 1, 1),
        ((3, 4, 3, 2), 2, 1, 1, 1),
        ((2, 4, 2, 3), (1, 2), (2, 0), (2, 1), 1),
        ((6, 2, 3, 3), 2, 1, 1, 2),
        ((4, 1, 3, 2), 1, 1, 1, 4),
        ((8, 1, 2, 2), (2, 1), (0, 1), 2, 4),
        ((5, 4, 1, 1), 1, 0, 1, 1),
        ((6, 2, 1, 1), 2, 1, 1, 2),
    ],
)
def test_conv2d(x, weight_shape, stride, padding, dilation, groups):
    rng = np.random.default_rng(1)
    weight, bias = rng.standard_normal(weight_shape), rng.standard_normal(weight_shape[0])
    wanted = conv2d_loops(x, weight, bias, stride, padding, dilation, groups)
    found = ops.conv2d(x, weight, bias, stride, padding, dilation, groups)
    assert np.allclose(found, wanted, rtol=1e-12, atol=1e-12)
    without = ops.conv2d(x, weight, None, stride, padding, dilation, groups)
    assert np.allclose(without, wanted - bias[:, None, None], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel, dilation", [((3, 3), 1), ((2, 4), 1), ((2, 3), 2), ((1, 5), 1)])
def test_same_padding_keeps_the_size_and_pads_more_behind(x, kernel, dilation):
    weight = np.random.default_rng(1).standard_normal((2, 4, *kernel))
    totals = [dilation * (k - 1) for k in kernel]
    padded = np.pad(x, [(0, 0), (0, 0), *[(total // 2, total - total // 2) for total in totals]])
    found = ops.conv2d(x, weight, padding="same", dilation=dilation)
    assert found.shape[2:] == x.shape[2:]
    assert np.allclose(found, conv2d_loops(padded, weight, np.zeros(2), dilation=dilation), rtol=1e-12, atol=1e-12)


def test_valid_padding_is_none(x):
    weight = np.ones((1, 4, 2, 2))
    assert np.array_equal(ops.conv2d(x, weight, padding="valid"), ops.conv2d(x, weight))


@pytest.mark.parametrize(
    "stride, padding, output_padding, dilation, groups",
    [(1, 0, 0, 1, 1), (2, 1, 1, 1, 1), ((1, 3), (0, 1), (0, 2), (2, 1), 2), (1, 0, (0, 1), 2, 1)],
)
def test_conv_transpose2d(x, stride, padding, output_padding, dilation, groups):
    """Every element of x stamps the kernel, scaled by it, on the output; `padding` cuts the border off."""
    (sh, sw), (ph, pw), (eh, ew), (dh, dw) = (pair(v, "") for v in (stride, padding, output_padding, dilation))
    weight = np.random.default_rng(1).standard_normal((4, 3, 3, 2))
    height = (x.shape[2] - 1) * sh + dh * 2 + 1 + eh
    width = (x.shape[3] - 1) * sw + dw * 1 + 1 + ew
    whole = np.zeros((2, 3 * groups, height, width))
    for n, c, h, w in np.ndindex(x.shape):
        first = c // (4 // groups) * 3
        for o, i, j in np.ndindex(3, 3, 2):
            whole[n, first + o, h * sh + i * dh, w * sw + j * dw] += x[n, c, h, w] * weight[c, o, i, j]
    wanted = whole[:, :, ph : height - ph, pw : width - pw]
    bias = np.arange(3.0 * groups)
    found = ops.conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)
    assert np.allclose(found, wanted + bias[:, None, None], rtol=1e-12, atol=1e-12)


def pooled_size(n, kernel, stride, padding, dilation, ceil_mode):
    """Return how many windows there are, by trying: one more must start inside of x or its padding on the left."""
    reach = dilation * (kernel - 1) + 1
    count = 0
    while True:
        start = count * stride - padding
        fits = start + reach <= n + padding
        hangs_over = ceil_mode and start < n and (count - 1) * stride - padding + reach < n + padding
        if not fits and not hangs_over:
            return count
        count += 1


WINDOWS = [
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": (2, 3), "padding": 1},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 2, "stride": 3},
    {"kernel_size": (4, 3), "stride": 2, "padding": (2, 1)},
    {"kernel_size": 1, "stride": 4},
]


def windows(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Yield (output place, the window's rows, its columns), also where they lie outside of x."""
    kernel = pair(kernel_size, "k")
    strides, pads, dilations = pair(stride or kernel, "s"), pair(padding, "p"), pair(dilation, "d")
    sizes = [pooled_size(*v, ceil_mode) for v in zip(x.shape[2:], kernel, strides, pads, dilations)]
    for h, w in np.ndindex(*sizes):
        rows, columns = (
            [place * s - p + i * d for i in range(k)]
            for place, s, p, d, k in zip((h, w), strides, pads, dilations, kernel)
        )
        yield (h, w), rows, columns


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("dilation", [1, (2, 1)])
@pytest.mark.parametrize("options", WINDOWS, ids=str)
def test_max_pool2d(x, options, dilation, ceil_mode):
    found, places = ops.max_pool2d(x, **options, dilation=dilation, ceil_mode=ceil_mode, return_indices=True)
    count = 0
    for (h, w), rows, columns in windows(x, **options, dilation=dilation, ceil_mode=ceil_mode):
        count += 1
        inside = [(r, c) for r, c in itertools.product(rows, columns) if 0 <= r < 6 and 0 <= c < 7]
        for n, channel in np.ndindex(2, 4):
            image = x[n, channel]
            best = max(inside, key=lambda place, image=image: image[place])
            assert found[n, channel, h, w] == image[best]
            assert places[n, channel, h, w] == best[0] * 7 + best[1]
    assert found.shape[2] * found.shape[3] == count


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("options", WINDOWS, ids=str)
def test_avg_pool2d(x, options, counted, ceil_mode):
    """Places beyond even the padding, where ceil_mode lets a window hang over, count in no case."""
    ph, pw = pair(options.get("padding", 0), "p")
    found = ops.avg_pool2d(x, **options, ceil_mode=ceil_mode, count_include_pad=counted)
    count = 0
    for (h, w), rows, columns in windows(x, **options, ceil_mode=ceil_mode):
        count += 1
        padded = sum(r < 6 + ph and c < 7 + pw for r, c in itertools.product(rows, columns))
        inside = [(r, c) for r, c in itertools.product(rows, columns) if 0 <= r < 6 and 0 <= c < 7]
        for n, channel in np.ndindex(2, 4):
            total = sum(x[n, channel][place] for place in inside)
            wanted = total / (padded if counted else len(inside))
            assert found[n, channel, h, w] == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    assert found.shape[2] * found.shape[3] == count


@pytest.mark.parametrize("size", [1, 3, (2, 5), (None, 1), (6, 7), (8, 9)])
def test_adaptive_pooling(x, size):
    h, w = (size, size) if isinstance(size, int) else (size[0] or 6, size[1] or 7)
    average = ops.adaptive_avg_pool2d(x, size)
    largest, places = ops.adaptive_max_pool2d(x, size, return_indices=True)
    assert average.shape == largest.shape == (2, 4, h, w)
    for n, c, i, j in np.ndindex(2, 4, h, w):
        top, bottom = int(np.floor(i * 6 / h)), int(np.ceil((i + 1) * 6 / h))
        left, right = int(np.floor(j * 7 / w)), int(np.ceil((j + 1) * 7 / w))
        part = x[n, c, top:bottom, left:right]
        assert average[n, c, i, j] == pytest.approx(part.mean(), rel=1e-12)
        assert largest[n, c, i, j] == part.max() == x[n, c].flat[places[n, c, i, j]]


def test_global_average(x):
    assert np.allclose(ops.global_avg_pool2d(x), [[image.mean() for image in images] for images in x])


def test_the_first_of_equal_maxima_gets_the_gradient():
    x = ops.clone(np.array([[[[1.0, 2.0], [2.0, 2.0]]]]))
    _, places = ops.max_pool2d(x, 2, return_indices=True)
    assert places.item() == 1


def test_max_pooling_lets_nan_and_infinity_through():
    x = np.zeros((1, 1, 4, 6))
    x[0, 0, 1, 1], x[0, 0, 1, 2], x[0, 0, 2, 4] = np.nan, np.inf, -np.inf
    y = ops.max_pool2d(x, 2)[0, 0]
    assert np.isnan(y[0, 0])
    assert y[0, 1] == np.inf
    assert y[1, 2] == 0
    x[0, 0, 2:, 4:] = -np.inf
    assert ops.max_pool2d(x, 2)[0, 0, 1, 2] == -np.inf


def test_one_image_needs_no_batch_axis(x):
    weight = np.ones((3, 4, 2, 3))
    for function in (
        lambda x: ops.conv2d(x, weight, np.ones(3), stride=2, padding=1),
        lambda x: ops.conv_transpose2d(x, np.ones((4, 2, 2, 2)), np.ones(2), stride=2),
        lambda x: ops.max_pool2d(x, 2),
        lambda x: ops.avg_pool2d(x, 2),
        lambda x: ops.adaptive_avg_pool2d(x, 2),
        lambda x: ops.adaptive_max_pool2d(x, 2),
    ):
        assert np.array_equal(function(x[0]), function(x[:1])[0])
