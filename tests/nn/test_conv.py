import numpy as np
import pytest

from tinydl import nn
from tinydl.tensor import Tensor

rng = np.random.default_rng(0)
X = rng.standard_normal((2, 4, 7, 6))


def correlate(x, weight, bias, stride, dilation, groups):
    """Slide the weight over an x that is padded already, one number at a time."""
    outputs, channels, kh, kw = weight.shape
    h = (x.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    w = (x.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((len(x), outputs, h, w))
    for n, o, i, j in np.ndindex(*y.shape):
        first = o // (outputs // groups) * channels
        for c, a, b in np.ndindex(channels, kh, kw):
            y[n, o, i, j] += (
                x[n, first + c, i * stride[0] + a * dilation[0], j * stride[1] + b * dilation[1]] * weight[o, c, a, b]
            )
        y[n, o, i, j] += 0 if bias is None else bias[o]
    return y


def expected(layer, padded):
    bias = None if layer.bias is None else layer.bias.data
    return correlate(padded, layer.weight.data, bias, layer.stride, layer.dilation, layer.groups)


def padded(borders, mode="constant"):
    return np.pad(X, ((0, 0), (0, 0), *borders), mode=mode)


@pytest.mark.parametrize(
    "settings, borders, mode",
    [
        ({"kernel_size": (3, 2)}, ((0, 0), (0, 0)), "constant"),
        ({"kernel_size": 3, "stride": (2, 1), "padding": (1, 2)}, ((1, 1), (2, 2)), "constant"),
        ({"kernel_size": (2, 3), "dilation": (1, 2), "groups": 2, "bias": False}, ((0, 0), (0, 0)), "constant"),
        ({"kernel_size": (4, 3), "padding": "same"}, ((1, 2), (1, 1)), "constant"),
        ({"kernel_size": 2, "padding": "valid", "stride": 3}, ((0, 0), (0, 0)), "constant"),
        ({"kernel_size": 3, "padding": (1, 2), "padding_mode": "reflect"}, ((1, 1), (2, 2)), "reflect"),
        ({"kernel_size": (4, 3), "padding": "same", "padding_mode": "replicate"}, ((1, 2), (1, 1)), "edge"),
    ],
)
def test_conv2d(settings, borders, mode):
    layer = nn.Conv2d(4, 6, **settings).double()
    np.testing.assert_allclose(layer(X).data, expected(layer, padded(borders, mode)), atol=1e-12)


def test_one_image_without_a_batch():
    layer = nn.Conv2d(4, 3, 3).double()
    np.testing.assert_allclose(layer(X[0]).data, layer(X).data[0], atol=1e-12)


def test_depthwise_and_pointwise():
    depthwise = nn.DepthwiseConv2d(4, 3, padding=1, multiplier=2).double()
    assert depthwise.weight.shape == (8, 1, 3, 3)
    assert depthwise.groups == 4
    np.testing.assert_allclose(depthwise(X).data, expected(depthwise, padded(((1, 1), (1, 1)))), atol=1e-12)
    pointwise = nn.PointwiseConv2d(4, 5, bias=False).double()
    assert pointwise.bias is None
    np.testing.assert_allclose(
        pointwise(X).data, np.einsum("nchw,oc->nohw", X, pointwise.weight.data[:, :, 0, 0]), atol=1e-12
    )
    parameters = sum(
        p.numel()
        for m in (nn.DepthwiseConv2d(3, 3, bias=False), nn.PointwiseConv2d(3, 64, False))
        for p in m.parameters()
    )
    assert (nn.Conv2d(3, 64, 3, bias=False).weight.numel(), parameters) == (1728, 219)


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": (3, 2)},
        {"kernel_size": 3, "stride": (2, 3), "padding": 1, "output_padding": (1, 2)},
        {"kernel_size": 2, "dilation": (2, 1), "groups": 2, "bias": False},
    ],
)
def test_conv_transpose2d_is_the_transpose(settings):
    """⟨g, conv(x)⟩ = ⟨transposed(g), x⟩ for every g and x, with one weight."""
    up = nn.ConvTranspose2d(4, 6, **settings).double()
    y = up(X).data
    back = {k: v for k, v in settings.items() if k not in ("output_padding", "bias")}
    down = nn.Conv2d(6, 4, bias=False, **back).double()
    down.weight.data[...] = up.weight.data
    x = rng.standard_normal(y.shape)
    without_bias = y - (0 if up.bias is None else up.bias.data[:, None, None])
    np.testing.assert_allclose((down(x).data * X).sum(), (without_bias * x).sum(), rtol=1e-10)


def test_names_shapes_and_start():
    layer = nn.Conv2d(8, 6, (3, 5), groups=2)
    assert {name: t.shape for name, t in layer.state_dict().items()} == {"weight": (6, 4, 3, 5), "bias": (6,)}
    assert np.abs(layer.weight.data).max() <= 60**-0.5
    assert np.abs(layer.weight.data).max() > 0.95 * 60**-0.5
    assert nn.ConvTranspose2d(8, 6, (3, 5), groups=2).weight.shape == (8, 3, 3, 5)


def test_float32_stays_and_every_parameter_learns():
    for layer in (nn.Conv2d(4, 2, 3), nn.DepthwiseConv2d(4, 3), nn.PointwiseConv2d(4, 2), nn.ConvTranspose2d(4, 2, 3)):
        x = Tensor(X.astype(np.float32), requires_grad=True)
        y = layer(x)
        assert y.dtype == np.float32
        (y * y).sum().backward()
        for t in (x, layer.weight, layer.bias):
            assert t.grad.dtype == np.float32
            assert t.grad.data.any()


NAN = float("nan")


@pytest.mark.parametrize(
    "settings, error, name",
    [
        ({"in_channels": 0}, ValueError, "in_channels"),
        ({"out_channels": 2.5}, TypeError, "out_channels"),
        ({"kernel_size": 0}, ValueError, "kernel_size"),
        ({"kernel_size": (3, 3, 3)}, ValueError, "kernel_size"),
        ({"stride": 0}, ValueError, "stride"),
        ({"stride": (1, -1)}, ValueError, "stride"),
        ({"stride": NAN}, TypeError, "stride"),
        ({"padding": -1}, ValueError, "padding"),
        ({"padding": "full"}, ValueError, "padding"),
        ({"padding": "same", "stride": 2}, ValueError, "stride 1"),
        ({"dilation": 0}, ValueError, "dilation"),
        ({"groups": 0}, ValueError, "groups"),
        ({"groups": 3}, ValueError, "groups must divide in_channels"),
        ({"groups": 4}, ValueError, "groups must divide out_channels"),
        ({"padding_mode": "circular"}, ValueError, "padding_mode"),
    ],
)
def test_bad_settings_are_named(settings, error, name):
    good = {"in_channels": 4, "out_channels": 6, "kernel_size": 3}
    with pytest.raises(error, match=name):
        nn.Conv2d(**{**good, **settings})


def test_bad_settings_of_the_others_are_named():
    with pytest.raises(ValueError, match="output_padding must be below"):
        nn.ConvTranspose2d(1, 1, 3, stride=2, output_padding=2)
    with pytest.raises(ValueError, match="output_padding"):
        nn.ConvTranspose2d(1, 1, 3, output_padding=-1)
    with pytest.raises(TypeError, match="padding"):
        nn.ConvTranspose2d(1, 1, 3, padding=1.5)
    with pytest.raises(ValueError, match="multiplier"):
        nn.DepthwiseConv2d(3, 3, multiplier=0)
    with pytest.raises(ValueError, match=r"^channels"):
        nn.DepthwiseConv2d(0, 3)


def test_a_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"axis C is 3 in x \(1, 3, 5, 5\)"):
        nn.Conv2d(4, 6, 3)(np.zeros((1, 3, 5, 5), np.float32))
