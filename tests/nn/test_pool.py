import numpy as np
import pytest

from tinydl import nn
from tinydl.tensor import Tensor

X = np.random.default_rng(0).standard_normal((2, 3, 7, 6))


def windows(kernel, stride):
    """Return the windows of X, one by one."""
    h, w = ((n - k) // s + 1 for n, k, s in zip(X.shape[2:], kernel, stride))
    parts = [
        [X[:, :, i * stride[0] :, j * stride[1] :][:, :, : kernel[0], : kernel[1]] for j in range(w)] for i in range(h)
    ]
    return h, w, parts


@pytest.mark.parametrize("kernel, stride", [((2, 3), (2, 3)), ((3, 2), (1, 2))])
def test_windows(kernel, stride):
    h, w, parts = windows(kernel, stride)
    for layer, reduce in ((nn.MaxPool2d(kernel, stride), np.max), (nn.AvgPool2d(kernel, stride), np.mean)):
        y = layer(X)
        assert y.shape == (2, 3, h, w)
        for i, j in np.ndindex(h, w):
            np.testing.assert_allclose(y[:, :, i, j], reduce(parts[i][j], axis=(2, 3)))


def test_every_setting_reaches_the_op():
    assert nn.MaxPool2d(3, 2, 1, 1, True, True)(X)[1].shape == (2, 3, 4, 4)
    assert nn.MaxPool2d(2)(X).shape == (2, 3, 3, 3)
    assert nn.MaxPool2d(2, ceil_mode=True)(X).shape == (2, 3, 4, 3)
    assert nn.MaxPool2d(2, 1, dilation=2)(X).shape == (2, 3, 5, 4)
    ones = np.ones((1, 1, 4, 4))
    assert nn.AvgPool2d(2, 2, 1)(ones)[0, 0, 0, 0] == 0.25
    assert nn.AvgPool2d(2, 2, 1, count_include_pad=False)(ones)[0, 0, 0, 0] == 1
    assert nn.AvgPool2d(3, 2, ceil_mode=True)(ones).shape == (1, 1, 2, 2)


def test_indices_point_at_the_maxima():
    y, indices = nn.MaxPool2d(2, return_indices=True)(X)
    np.testing.assert_array_equal(
        np.take_along_axis(X.reshape(2, 3, -1), indices.reshape(2, 3, -1), 2), y.reshape(2, 3, -1)
    )


@pytest.mark.parametrize("size, expected", [(1, (1, 1)), ((2, None), (2, 6)), ([3, 4], (3, 4))])
def test_adaptive(size, expected):
    h, w = expected
    for layer, reduce in ((nn.AdaptiveAvgPool2d(size), np.mean), (nn.AdaptiveMaxPool2d(size), np.max)):
        y = layer(X)
        assert y.shape == (2, 3, h, w)
        for i, j in np.ndindex(h, w):
            rows, columns = slice(i * 7 // h, -(-(i + 1) * 7 // h)), slice(j * 6 // w, -(-(j + 1) * 6 // w))
            np.testing.assert_allclose(y[:, :, i, j], reduce(X[:, :, rows, columns], axis=(2, 3)))


def test_global_average():
    np.testing.assert_allclose(nn.GlobalAvgPool2d()(X), X.mean((2, 3)))


@pytest.mark.parametrize(
    "layer", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2), nn.AdaptiveMaxPool2d(2), nn.GlobalAvgPool2d()]
)
def test_gradients_flow_and_float32_stays(layer):
    x = Tensor(X.astype(np.float32), requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad.data.sum(), y.numel(), rtol=1e-5)
    assert not layer.state_dict()


@pytest.mark.parametrize(
    "make, error, name",
    [
        (lambda: nn.MaxPool2d(0), ValueError, "kernel_size"),
        (lambda: nn.MaxPool2d(2, 0), ValueError, "stride"),
        (lambda: nn.MaxPool2d(2, padding=2), ValueError, "padding must be at most half"),
        (lambda: nn.MaxPool2d(2, dilation=0), ValueError, "dilation"),
        (lambda: nn.AvgPool2d(float("nan")), TypeError, "kernel_size"),
        (lambda: nn.AvgPool2d(2, padding=-1), ValueError, "padding"),
        (lambda: nn.AdaptiveAvgPool2d(0), ValueError, "output_size"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), ValueError, "output_size"),
        (lambda: nn.AdaptiveMaxPool2d(2.5), TypeError, "output_size"),
    ],
)
def test_bad_settings_are_named(make, error, name):
    with pytest.raises(error, match=name):
        make()
