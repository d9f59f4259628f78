from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.data import resample
from tinydl.data.resample import bilinear, resize


def read(image: np.ndarray, row: float, column: float, fill: float) -> float:
    """The value of one image at one place: four pixels weighted by their nearness, spelled out."""
    total = 0.0
    for i in (int(np.floor(row)), int(np.floor(row)) + 1):
        for j in (int(np.floor(column)), int(np.floor(column)) + 1):
            inside = 0 <= i < image.shape[0] and 0 <= j < image.shape[1]
            weight = (1 - abs(row - i)) * (1 - abs(column - j))
            total += weight * (image[i, j] if inside else fill)
    return total


@given(
    n=st.integers(1, 3), c=st.integers(1, 3), h=st.integers(1, 5), w=st.integers(1, 5), seed=st.integers(0, 99),
    fill=st.sampled_from([0.0, -0.5]), dtype=st.sampled_from([np.float32, np.float64]), block=st.sampled_from([1, 40]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_bilinear_is_the_loop(n, c, h, w, seed, fill, dtype, block):
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((n, c, h, w)).astype(dtype)
    rows, columns = rng.uniform(-3, 8, (2, n, 4, 3))
    rows[0, 0], columns[0, 0] = (0.0, h - 1.0, 2.0), (w - 1.0, 0.0, 1.0)  # exactly on pixels and edges too
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resample, "_BLOCK", block)
        result = bilinear(images, rows, columns, fill)
    assert (result.dtype, result.shape) == (dtype, (n, c, 4, 3))
    expected = [
        [[[read(images[a, b], rows[a, i, j], columns[a, i, j], fill) for j in range(3)] for i in range(4)]
         for b in range(c)] for a in range(n)
    ]  # fmt: skip
    np.testing.assert_allclose(result, expected, atol=1e-5 if dtype == np.float32 else 1e-12)


def test_far_outside_is_fill_and_the_input_is_left_alone():
    images = np.ones((1, 1, 3, 3))
    images.flags.writeable = False
    far = np.full((1, 2, 2), 1e6)
    assert (bilinear(images, far, -far, 7.0) == 7.0).all()


def test_any_layout():
    image = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype(np.float32)
    places = np.random.default_rng(1).uniform(0, 3, (2, 2, 4, 5))
    view = image.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(bilinear(view, *places), bilinear(np.ascontiguousarray(view), *places))
    np.testing.assert_array_equal(bilinear(view[::-1], *places[:, ::-1]), bilinear(view, *places)[::-1])


def test_no_images():
    assert bilinear(np.zeros((0, 1, 3, 3)), *np.zeros((2, 0, 3, 3))).shape == (0, 1, 3, 3)


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_shrinking_by_a_whole_factor_is_the_mean_of_blocks(factor):
    small = np.random.default_rng(0).random((5, 4))
    noise = np.random.default_rng(1).random((5 * factor, 4 * factor))
    blocks = noise.reshape(5, factor, 4, factor).mean((1, 3))
    np.testing.assert_allclose(resize(noise, 5, 4), blocks, atol=1e-12)
    np.testing.assert_allclose(resize(np.kron(small, np.ones((factor, factor))), 5, 4), small, atol=1e-12)


def test_resize_keeps_what_it_must():
    image = np.random.default_rng(0).random((9, 7))
    np.testing.assert_allclose(resize(image, 9, 7), image, atol=1e-15)
    np.testing.assert_allclose(resize(np.ones((9, 7)), 20, 3), 1.0, atol=1e-12)
    ramp = np.arange(5.0)[None]
    np.testing.assert_allclose(resize(ramp, 1, 10)[0, 1:-1], np.arange(0.25, 4, 0.5), atol=1e-12)  # linear inside
    shrunk = resize(np.random.default_rng(0).random((50, 50)), 7, 13)
    assert shrunk.min() > 0.3
    assert shrunk.max() < 0.7  # antialiased: noise averages out
