import numpy as np
import pytest

from tinydl import Tensor, plots

rng = np.random.default_rng(0)


def pixels(ax):
    return np.stack([image.get_array() for image in ax.images])


def test_kernels_of_one_channel_are_drawn_as_they_are():
    weight = rng.normal(size=(8, 1, 3, 5))
    ax = plots.filters(Tensor(weight))
    np.testing.assert_array_equal(pixels(ax), weight[:, 0])
    assert ax.get_title(loc="left") == "8 kernels"


def test_kernels_share_one_scale_with_zero_in_the_middle():
    weight = rng.normal(size=(4, 1, 3, 3))
    weight[2, 0, 1, 1] = -7.0
    for image in plots.filters(weight).images:
        assert image.get_clim() == (-7.0, 7.0)
        assert image.norm(0.0) == 0.5


def test_the_scale_is_that_of_all_weights_even_of_those_not_shown():
    weight = np.ones((9, 1, 2, 2))
    weight[8] = 5.0
    ax = plots.filters(weight, n=4)
    assert len(ax.images) == 4
    assert ax.images[0].get_clim() == (-5.0, 5.0)
    assert ax.get_title(loc="left") == "4 of 9 kernels"


def test_a_row_is_an_output_channel():
    weight = rng.normal(size=(4, 3, 2, 2))
    ax = plots.filters(weight, n=7)
    np.testing.assert_array_equal(pixels(ax), weight[:2].reshape(6, 2, 2))
    bottoms = [image.get_extent()[2] for image in ax.images]
    assert bottoms[0] == bottoms[2] > bottoms[3] == bottoms[5]
    assert ax.get_title(loc="left") == "6 of 12 kernels, a row an output channel"


def test_of_many_input_channels_the_first_sixteen_are_drawn():
    weight = rng.normal(size=(2, 40, 2, 2))
    np.testing.assert_array_equal(pixels(plots.filters(weight)), weight[:, :16].reshape(32, 2, 2))


def test_a_linear_layers_weights_are_images():
    weight = rng.normal(size=(3, 16))
    np.testing.assert_array_equal(pixels(plots.filters(weight)), weight.reshape(3, 4, 4))
    np.testing.assert_array_equal(pixels(plots.filters(weight, (2, 8))), weight.reshape(3, 2, 8))


def test_zero_weights_are_drawn():
    assert len(plots.filters(np.zeros((2, 1, 3, 3))).images) == 2


def test_feature_maps_are_numbered_on_one_scale():
    maps = rng.normal(size=(5, 4, 6))
    for activations in (maps, maps[None]):
        ax = plots.feature_maps(activations)
        np.testing.assert_array_equal(pixels(ax), maps)
        assert [text.get_text() for text in ax.texts] == list("01234")
        assert {image.get_clim() for image in ax.images} == {(maps.min(), maps.max())}
    assert plots.feature_maps(maps, n=2).get_title(loc="left") == "2 of 5 channels"


def test_the_colour_scale_is_labelled():
    assert [ax.get_ylabel() for ax in plots.filters(np.ones((2, 1, 3, 3))).figure.axes[1:]] == ["weight"]
    assert [ax.get_ylabel() for ax in plots.feature_maps(np.ones((2, 3, 3))).figure.axes[1:]] == ["activation"]


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: plots.filters(np.zeros(9)), r"weight must be \(O, I, kh, kw\) or \(O, H·W\) .* got shape \(9,\)"),
        (lambda: plots.filters(np.zeros((0, 1, 3, 3))), "weight must be .* not empty"),
        (lambda: plots.filters(np.zeros((2, 10))), "shape must have 10 pixels, as weight has inputs; got 3 × 3"),
        (lambda: plots.filters(np.zeros((2, 9)), n=0), "n must be at least 1, got 0"),
        (
            lambda: plots.feature_maps(np.zeros((2, 3, 4, 4))),
            r"activations must be one sample's \(C, H, W\), got shape",
        ),
        (lambda: plots.feature_maps(np.zeros((4, 4))), "activations must be one sample's"),
        (lambda: plots.feature_maps(np.zeros((4, 4, 4)), n=-1), "n must be at least 1, got -1"),
    ],
)
def test_refuses_by_name(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
