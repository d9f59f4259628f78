from __future__ import annotations

import time

import numpy as np
import pytest

from tinydl.data.transforms import (
    Compose,
    Cutout,
    ElasticDeformation,
    Lambda,
    Normalize,
    RandomAffine,
    RandomTransform,
    ToTensor,
    Transform,
)
from tinydl.random import manual_seed

RANDOM = [
    RandomAffine(25, (0.2, 0.1), (0.7, 1.2), 20),
    ElasticDeformation(8.0, 3.0),
    Cutout(4),
]
by_name = {"ids": lambda t: type(t).__name__}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def batch(n: int = 6, c: int = 2, dtype: type = np.float32) -> np.ndarray:
    return rng().random((n, c, 12, 10)).astype(dtype)


def test_to_tensor():
    picture = rng().integers(0, 256, (2, 5, 4, 3), np.uint8)
    result = ToTensor()(picture)
    assert (result.shape, result.dtype) == ((2, 3, 5, 4), np.float32)
    np.testing.assert_allclose(result, picture.transpose(0, 3, 1, 2) / 255, atol=1e-7)
    np.testing.assert_array_equal(ToTensor()(picture[0]), result[0])
    np.testing.assert_array_equal(ToTensor()(picture[0, :, :, 0]), result[0, :1])
    assert ToTensor()(np.array([[255]], np.uint8)) == 1.0
    assert ToTensor()(np.full((2, 2), 0.5)).dtype == np.float64
    for bad in (np.zeros((2, 2), np.int64), np.zeros((2, 2), bool), np.array([["a"]])):
        with pytest.raises(TypeError, match="uint8, float32 or float64"):
            ToTensor()(bad)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        ToTensor()(np.zeros(3, np.uint8))


def test_normalize():
    images = batch(c=3)
    mean, std = (0.1, 0.2, 0.3), (1.0, 2.0, 0.5)
    expected = (images - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    result = Normalize(mean, std)(images)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-6)
    np.testing.assert_array_equal(Normalize(mean, std)(images[1]), result[1])
    np.testing.assert_array_equal(Normalize(0.5, 2)(images), Normalize([0.5] * 3, [2] * 3)(images))


@pytest.mark.parametrize("std", [0, -1, float("nan"), float("inf"), (1.0, 0.0), [[1.0]]])
def test_normalize_refuses_std(std):
    with pytest.raises(ValueError, match="std"):
        Normalize(0.0, std)


def test_normalize_refuses():
    with pytest.raises(ValueError, match="mean"):
        Normalize(float("nan"), 1)
    with pytest.raises(ValueError, match="2 channels, mean has 3"):
        Normalize((0, 0, 0), 1)(batch())
    with pytest.raises(TypeError, match="ToTensor"):
        Normalize(0, 1)(np.zeros((1, 4, 4), np.uint8))


def test_compose_hands_the_generator_on_and_knows_what_takes_batches():
    chain = Compose([RandomAffine(30), Compose([Cutout(3)]), Normalize(0.5, 0.5)])
    np.testing.assert_array_equal(chain(batch(), rng(3)), chain(batch(), rng(3)))
    assert chain.batched
    assert not Compose([ToTensor(), np.ravel]).batched
    assert not Compose([ToTensor(), Lambda(np.ravel)]).batched
    assert Compose([])(3) == 3
    with pytest.raises(TypeError, match="callables"):
        Compose([ToTensor(), 3])
    with pytest.raises(TypeError, match="function"):
        Lambda(None)
    with pytest.raises(NotImplementedError, match="Transform must define"):
        Transform()(batch())
    with pytest.raises(NotImplementedError, match="RandomTransform must define"):
        RandomTransform()(batch())


@pytest.mark.parametrize("transform", RANDOM, **by_name)
def test_random_transforms(transform):
    images = batch()
    images.flags.writeable = False
    result = transform(images, rng(1))
    assert (result.shape, result.dtype) == (images.shape, np.float32)
    np.testing.assert_array_equal(transform(images, rng(1)), result)
    assert (transform(images, rng(2)) != result).any()
    manual_seed(4)
    first = transform(images)
    manual_seed(4)
    np.testing.assert_array_equal(transform(images), first)
    same = np.repeat(images[:1], 6, 0)
    assert len({image.tobytes() for image in transform(same, rng(1))}) > 3, "each image has its own chance"
    np.testing.assert_array_equal(transform(images[0], rng(1)).shape, images[0].shape)
    np.testing.assert_allclose(transform(images.astype(np.float64), rng(1)), result, atol=1e-4)
    assert transform(images[:0], rng(1)).shape == (0, 2, 12, 10)


@pytest.mark.parametrize("transform", RANDOM, **by_name)
def test_channels_move_together(transform):
    images = np.repeat(batch(c=1), 3, 1)
    result = transform(images, rng(1))
    np.testing.assert_array_equal(result[:, 0], result[:, 1])
    np.testing.assert_array_equal(result[:, 0], result[:, 2])


@pytest.mark.parametrize("transform", RANDOM, **by_name)
@pytest.mark.parametrize("shape", [(12, 10), (12, 10, 3), (5, 12, 10, 1)])
def test_pictures_from_files(transform, shape):
    picture = rng().integers(0, 256, shape, np.uint8)
    result = transform(picture, rng(1))
    assert (result.shape, result.dtype) == (shape, np.uint8)
    planes = ToTensor()(picture) * 255
    expected = transform(planes, rng(1))
    expected = np.moveaxis(expected, -3, -1).reshape(shape)
    assert np.abs(result - expected).max() <= 0.51


@pytest.mark.parametrize("transform", RANDOM, **by_name)
def test_random_transforms_refuse(transform):
    with pytest.raises(ValueError, match=r"\(C, H, W\)"):
        transform(np.zeros((4, 4), np.float32))
    with pytest.raises(TypeError, match="float32 or float64"):
        transform(np.zeros((1, 4, 4), np.int64))


@pytest.mark.parametrize("kind", [RandomAffine, ElasticDeformation, Cutout])
def test_fill(kind):
    with pytest.raises(ValueError, match="fill"):
        kind(fill=float("nan"))
    options = {RandomAffine: {"translate": (0.3, 0.3)}, ElasticDeformation: {"alpha": 60.0}, Cutout: {"size": 5}}
    result = kind(**options[kind], fill=-3.0)(np.ones((8, 1, 9, 9), np.float32), rng())
    assert result.min() < 0
    assert result.min() >= -3.0
    assert result.max() <= 1.0


@pytest.mark.parametrize("degrees", [0, 30, -75])
@pytest.mark.parametrize("scale", [1.0, 0.8, 1.3])
@pytest.mark.parametrize("shear", [0, 20])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.1, -0.05)])
def test_affine_moves_a_dot_to_where_the_equation_says(degrees, scale, shear, shift):
    rows, columns = np.indices((61, 81))
    blob = np.exp(-((rows - 24) ** 2 + (columns - 49) ** 2) / 8)
    angle, slant = np.radians(degrees), np.radians(shear)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = scale * rotation @ [[1, -np.tan(slant)], [0, 1]]
    x, y = matrix @ [49 - 40, 24 - 30] + [40 + 81 * shift[0], 30 + 61 * shift[1]]
    move = RandomAffine((degrees, degrees), None, (scale, scale), (shear, shear))
    move.translate = tuple((s, s) for s in shift)  # the constructor only takes ranges around 0
    result = move(blob[None], rng())[0]
    assert (columns * result).sum() / result.sum() == pytest.approx(x, abs=0.05)
    assert (rows * result).sum() / result.sum() == pytest.approx(y, abs=0.05)


def test_affine_identity_and_quarter_turns():
    images = batch(c=1)[:, :, :10]
    np.testing.assert_allclose(RandomAffine()(images), images, atol=1e-6)
    turned = RandomAffine((90, 90))(images)
    np.testing.assert_allclose(turned, np.rot90(images, -1, (2, 3)), atol=1e-4)  # −1: clockwise


def test_affine_draws_over_its_whole_range():
    move = RandomAffine(translate=(0.25, 0.0))
    dot = np.zeros((400, 1, 1, 41), np.float32)
    dot[..., 20] = 1
    places = (move(dot, rng()) * np.arange(41)).sum((1, 2, 3)) - 20
    assert -10.3 < places.min() < -9.5
    assert 9.5 < places.max() < 10.3
    assert abs(places.mean()) < 1
    np.testing.assert_array_equal(
        RandomAffine(translate=0.2)(dot, rng()), RandomAffine(translate=(0.2, 0.2))(dot, rng())
    )


@pytest.mark.parametrize(
    "options",
    [
        {"degrees": (10, -10)}, {"degrees": float("nan")}, {"degrees": (0, float("inf"))}, {"degrees": (1, 2, 3)},
        {"scale": (0, 1)}, {"scale": (-1, 1)}, {"scale": (2, 1)}, {"shear": 90}, {"translate": (1.5, 0)},
        {"translate": 2}, {"translate": (0.1, 0.1, 0.1)}, {"translate": float("nan")},
    ],
)  # fmt: skip
def test_affine_refuses(options):
    with pytest.raises(ValueError, match="RandomAffine: " + next(iter(options))):
        RandomAffine(**options)


def test_elastic_field_is_smooth_and_as_strong_as_documented():
    """Read a ramp through the warp: its change is the displacement itself."""
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32), (200, 1, 64, 64))
    moved = ElasticDeformation(34.0, 4.0)(ramp, rng()) - ramp
    inside = moved[:, 0, 20:44, 20:44]
    assert inside.std() == pytest.approx(1.4, abs=0.1)
    assert abs(inside.mean()) < 0.15
    neighbours = np.diff(inside, axis=2).std() / inside.std()
    assert neighbours == pytest.approx(1 / (np.sqrt(2) * 4), rel=0.1)  # of Gaussian-smoothed noise: 1/(√2 σ)


def test_elastic_of_no_strength_changes_nothing():
    images = batch()
    np.testing.assert_allclose(ElasticDeformation(0.0)(images), images, atol=1e-6)
    for options in ({"alpha": -1}, {"alpha": float("nan")}, {"sigma": 0}, {"sigma": float("nan")}, {"sigma": 1e9}):
        with pytest.raises(ValueError, match="alpha"):
            ElasticDeformation(**options)


def test_cutout_paints_one_square_with_its_centre_inside():
    images = np.ones((500, 1, 12, 10), np.float32)
    holes = Cutout((5, 3))(images, rng())[:, 0] == 0
    rows, columns = holes.any(2).sum(1), holes.any(1).sum(1)
    np.testing.assert_array_equal(holes.sum((1, 2)), rows * columns)  # a rectangle
    assert (rows.max(), columns.max(), rows.min(), columns.min()) == (5, 3, 3, 2)  # cut off at the edges
    assert holes.any(0).all(), "every pixel is hit sooner or later"
    for size in (0, -1, (3, 0)):
        with pytest.raises(ValueError, match="size"):
            Cutout(size)


@pytest.mark.parametrize(("transform", "limit"), [(RandomAffine(10, (0.1, 0.1), (0.9, 1.1)), 3), (Cutout(8), 1)])
def test_speed(transform, limit):
    """60,000 images within `limit` seconds, extrapolated from 40 batches; measured 0.4 s and 0.1 s."""
    images, generator = np.zeros((128, 1, 28, 28), np.float32), rng()
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(40):
            transform(images, generator)
        best = min(best, time.perf_counter() - start)
    assert best * 60_000 / (40 * 128) < limit
