import numpy as np
import pytest

from tinydl.plots.inputs import class_indices, class_names, image_stack


def test_labels_of_any_integer_type_become_int64():
    for dtype in (np.uint8, np.int16, np.int32, ">i4"):
        assert class_indices(np.array([0, 3], dtype), "labels").dtype == np.int64


def test_no_labels_are_fine():
    assert class_indices([], "labels").tolist() == []


def test_names_may_be_more_than_needed_and_of_any_kind():
    assert class_names((1, "two", 3.0), 2) == ["1", "two", "3.0"]
    assert class_names(4, 2) == ["0", "1", "2", "3"]


def test_colour_comes_last():
    colour = np.random.default_rng(0).random((2, 3, 4, 5))
    np.testing.assert_array_equal(image_stack(colour, "x")[1, 2, 3], colour[1, :, 2, 3])


def test_objects_are_refused():
    with pytest.raises(TypeError, match="pictures has dtype object"):
        image_stack(np.empty((1, 2, 2), object), "pictures")
