from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tinydl.data.digit import normalize_digit
from tinydl.data.mnist import MNIST
from tinydl.data.synthetic import SyntheticDigits


@pytest.fixture(scope="module")
def seven() -> np.ndarray:
    """A large light-on-dark picture, float 0 … 1: a bar on top and a leg at its right end."""
    image = np.zeros((140, 100))
    image[20:30, 10:70] = 1.0
    image[20:120, 57:70] = 1.0
    return image


def test_fits_the_box_and_centres_the_mass(seven):
    digit = normalize_digit(seven)
    assert (digit.shape, digit.dtype, digit.max()) == ((28, 28), np.uint8, 255)
    rows, columns = np.flatnonzero(digit.any(1)), np.flatnonzero(digit.any(0))
    assert rows[-1] - rows[0] + 1 == 20  # the longer side: 100 pixels high
    assert columns[-1] - columns[0] + 1 == 12  # the shorter one in proportion: 60 wide
    mass = digit.sum()
    assert abs((digit.sum(1) @ np.arange(28)) / mass - 14) <= 0.5
    assert abs((digit.sum(0) @ np.arange(28)) / mass - 14) <= 0.5


def test_every_form_of_the_same_picture_gives_the_same_digit(seven):
    expected = normalize_digit(seven)
    page = 1 - seven
    ink = np.zeros((*seven.shape, 4))
    ink[..., 3] = seven  # black ink on a transparent page
    chalk = ink.copy()
    chalk[..., :3] = 1.0
    forms = {
        "dark on light": page,
        "float32": page.astype(np.float32),
        "uint8": np.rint(255 * page).astype(np.uint8),
        "uint16": np.rint(65535 * page).astype(np.uint16),
        "bool": page > 0.5,
        "one channel": page[..., None],
        "RGB": np.repeat(page[..., None], 3, 2),
        "RGBA": np.dstack([page, page, page, np.ones_like(page)]),
        "grey and alpha": np.dstack([np.zeros_like(page), seven]),
        "black on transparent": ink,
        "white on transparent": chalk,
        "faint": 0.5 + 0.3 * seven,
        "a larger page": np.pad(page, 40, constant_values=1.0),
        "read-only, from the other side": np.asfortranarray(page),
    }
    for name, form in forms.items():
        np.testing.assert_array_equal(normalize_digit(form), expected, err_msg=name)


def test_size_does_not_matter_much(seven):
    expected = normalize_digit(seven).astype(int)
    for factor in (2, 3):
        larger = np.kron(seven, np.ones((factor, factor)))
        assert np.abs(normalize_digit(larger) - expected).max() <= 1
    assert np.abs(normalize_digit(seven[::2, ::2]) - expected).mean() < 3


def test_a_photograph_is_cropped_to_its_digit(seven):
    """Shading from corner to corner and noise: neither may count as ink."""
    rng = np.random.default_rng(0)
    shade = np.linspace(0.7, 0.8, 140)[:, None] * np.linspace(0.95, 1, 100)
    photo = np.clip(shade - 0.6 * seven + 0.01 * rng.standard_normal(seven.shape), 0, 1)
    expected, found = normalize_digit(seven).astype(int), normalize_digit(photo)
    near = [np.abs(np.roll(found, (i, j), (0, 1)) - expected).mean() for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert min(near) < 2, "the same to within a pixel of place"


def test_thin_and_tiny_digits():
    line = np.zeros((200, 9))
    line[:, 4] = 1.0
    digit = normalize_digit(np.pad(line, 5))
    assert digit.max() == 255
    assert (digit[4:24] > 0).any(1).all()
    dot = np.zeros((5, 5), np.uint8)
    dot[2, 2] = 255
    assert normalize_digit(dot).shape == (28, 28)


def test_mass_far_from_the_middle_stays_inside_the_picture():
    image = np.zeros((60, 60))
    image[5:15, 5:55] = 1.0
    image[54, 5] = 1.0
    assert normalize_digit(image).shape == (28, 28)


@pytest.mark.parametrize("image", [np.zeros((30, 30)), np.ones((30, 30)), np.full((30, 30), 128, np.uint8)])
def test_an_empty_picture_is_refused(image):
    with pytest.raises(ValueError, match="no ink"):
        normalize_digit(image)


@pytest.mark.parametrize("shape", [(5,), (2, 2, 5), (1, 28, 28, 1), (0, 5), (5, 0, 3), ()])
def test_a_shape_that_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match="image"):
        normalize_digit(np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1, 255.0])
def test_floats_out_of_range_are_refused(value):
    with pytest.raises(ValueError, match="between 0 and 1"):
        normalize_digit(np.array([[0.0, value], [0.0, 0.0]]))


@pytest.mark.parametrize("dtype", [np.int64, complex, object, "U1"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="dtype"):
        normalize_digit(np.zeros((5, 5), dtype))


def test_a_digit_in_mnists_form_stays_as_it_is():
    folder = os.environ.get("TINYDL_DATA", "nowhere")
    if not Path(folder, "mnist").is_dir():
        pytest.skip("TINYDL_DATA has no mnist folder")
    images = MNIST(folder, train=False).images[:300]
    again = np.stack([normalize_digit(image) for image in images])
    change = np.abs(again - images.astype(int)).mean((1, 2))
    assert np.median(change) < 0.3
    enlarged = np.stack([normalize_digit(np.kron(255 - image, np.ones((8, 8), np.uint8))) for image in images[:50]])
    assert np.median(np.abs(enlarged - images[:50].astype(int)).mean((1, 2))) < 0.3


def test_synthetic_digits_come_out_alike():
    images = SyntheticDigits(40).images
    for image in images:
        digit = normalize_digit(image)
        assert abs(digit.mean() - image.mean()) < 25
