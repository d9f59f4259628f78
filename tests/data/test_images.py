from __future__ import annotations

import numpy as np
import pytest

from tinydl.data.images import ImageDataset
from tinydl.data.transforms import Compose, Lambda, RandomAffine, ToTensor
from tinydl.random import default_generator, manual_seed


@pytest.fixture
def digits() -> ImageDataset:
    rng = np.random.default_rng(0)
    return ImageDataset(rng.integers(0, 256, (12, 6, 5), np.uint8), np.arange(12, dtype=np.uint8) % 10)


def test_rows_and_batches_are_normalised_alike(digits):
    expected = (digits.images / 255 - 0.1307) / 0.3081
    image, label = digits[3]
    assert (image.shape, image.dtype, type(label), label) == ((1, 6, 5), np.float32, int, 3)
    np.testing.assert_allclose(image[0], expected[3], atol=1e-6)
    images, labels = digits.__getitems__([3, 11, 3])
    assert (images.shape, images.dtype, labels.dtype) == ((3, 1, 6, 5), np.float32, np.int64)
    np.testing.assert_allclose(images[:, 0], expected[[3, 11, 3]], atol=1e-6)
    np.testing.assert_array_equal(images[0], image)
    assert labels.tolist() == [3, 1, 3]


def test_a_transform_of_ours_sees_whole_batches_and_any_other_single_images(digits):
    seen = []

    def plain(image):
        seen.append(image.shape)
        return image.sum()

    batch = digits.with_transform(plain).__getitems__([0, 1])[0]
    assert seen == [(6, 5), (6, 5)]
    np.testing.assert_array_equal(batch, digits.images[:2].sum((1, 2)))
    assert digits.with_transform(ToTensor()).__getitems__([0, 1])[0].shape == (2, 1, 6, 5)
    flat = digits.with_transform(Compose([ToTensor(), Lambda(np.ravel)]))
    assert flat.__getitems__([0, 1])[0].shape == (2, 30)
    np.testing.assert_array_equal(flat.__getitems__([0, 1])[0][1], flat[1][0])


def test_with_transform_shares_the_images_and_leaves_the_original(digits):
    other = digits.with_transform(ToTensor())
    assert other.images is digits.images
    assert digits.transform is None
    assert type(other) is ImageDataset


def test_random_transforms_draw_from_the_datasets_generator(digits):
    def augmented(seed):
        transform = Compose([RandomAffine(30), ToTensor()])
        return ImageDataset(digits.images, digits.labels, transform, np.random.default_rng(seed))[0][0]

    np.testing.assert_array_equal(augmented(1), augmented(1))
    assert (augmented(1) != augmented(2)).any()
    manual_seed(5)
    assert digits.generator is default_generator()
    by_default = digits.with_transform(Compose([RandomAffine(30), ToTensor()]))
    first = by_default[0][0]
    manual_seed(5)
    np.testing.assert_array_equal(by_default[0][0], first)


def test_iterates_like_a_sequence(digits):
    assert [label for _, label in digits] == digits.labels.tolist()
    assert digits[-1][1] == digits[11][1]


@pytest.mark.parametrize("index", [12, -13, 10**20])
def test_an_index_out_of_range(digits, index):
    with pytest.raises(IndexError, match="ImageDataset"):
        digits[index]


@pytest.mark.parametrize("index", [1.0, slice(0, 2), "1", None])
def test_an_index_that_is_none(digits, index):
    with pytest.raises(TypeError, match="ImageDataset is indexed by an integer"):
        digits[index]


@pytest.mark.parametrize("labels", [[0, 10], [-1, 0], [0], [0, 1, 2], [[0, 1]], [0.0, 1.0]])
def test_labels_that_do_not_fit(labels):
    with pytest.raises(ValueError, match="labels"):
        ImageDataset(np.zeros((2, 4, 4), np.uint8), np.array(labels))


def test_images_that_do_not_fit():
    for images in (np.zeros((2, 4, 4)), np.zeros((2, 16), np.uint8), np.zeros((2, 1, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="images must be uint8"):
            ImageDataset(images, np.array([0, 1]))


def test_a_transform_that_is_none(digits):
    with pytest.raises(TypeError, match="transform"):
        digits.with_transform(3)
