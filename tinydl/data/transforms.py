"""What happens to images on their way to a network: conversion, normalisation, and chance deformations.

The names and arguments are torchvision's. Every transform here takes one image or a whole batch: a picture as it comes
from a file, uint8 with channels last, (H, W), (H, W, C) or (N, H, W, C); or floats with channels first, (C, H, W) or
(N, C, H, W). A batch is transformed in one go, each of its images with its own random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from tinydl.data.resample import bilinear
from tinydl.random import default_generator
from tinydl.shapes import Array, Pair, pair


class Transform:
    """A transform that takes a batch as well as an image (`batched`), and the generator its chances come from.

    Any callable that takes one image will do as a transform too; it is then called image by image.
    """

    batched = True

    def __call__(self, images: Array, generator: Generator | None = None) -> Array:
        """Return `images` transformed; `generator` supplies the random numbers, where any are needed."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(images, generator)")


class Compose(Transform):
    """Apply transforms one after the other.

    Raises: TypeError for one that cannot be called.

    >>> to_input = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    >>> to_input(np.zeros((28, 28), np.uint8))[0, 0, 0].round(4)
    np.float32(-0.4242)
    """

    def __init__(self, transforms: Sequence[Callable[..., Array]]) -> None:
        for transform in transforms:
            if not callable(transform):
                raise TypeError(f"transforms must be callables, got {transform!r}")
        self.transforms = list(transforms)
        self.batched = all(getattr(transform, "batched", False) for transform in transforms)

    def __call__(self, images: Array, generator: Generator | None = None) -> Array:
        """Return `images` after all transforms."""
        for transform in self.transforms:
            images = transform(images, generator) if isinstance(transform, Transform) else transform(images)
        return images


class Lambda(Transform):
    """Apply a function of one image; a batch is handed to it image by image.

    >>> Compose([ToTensor(), Lambda(np.ravel)])(np.zeros((28, 28), np.uint8)).shape
    (784,)
    """

    batched = False

    def __init__(self, function: Callable[[Array], Array]) -> None:
        if not callable(function):
            raise TypeError(f"Lambda needs a function, got {function!r}")
        self.function = function

    def __call__(self, images: Array, generator: Generator | None = None) -> Array:
        """Return the function's value."""
        return self.function(images)


class ToTensor(Transform):
    """Turn pictures into network input: channels first, uint8 0 … 255 into float32 0 … 1; floats keep their values.

    Shapes: (H, W) -> (1, H, W); (H, W, C) -> (C, H, W); (N, H, W, C) -> (N, C, H, W). The memory stays channels-last.

    Raises: TypeError unless uint8, float32 or float64; ValueError for another number of axes.

    >>> ToTensor()(np.full((5, 4, 3), 255, np.uint8)).shape
    (3, 5, 4)
    """

    def __call__(self, images: Array, generator: Generator | None = None) -> Array:
        """Return the picture or pictures as network input."""
        images = np.asarray(images)
        if images.dtype not in (np.uint8, np.float32, np.float64):
            raise TypeError(f"ToTensor: images must be uint8, float32 or float64, got {images.dtype}")
        planes = _channels_first(images)
        return planes * np.float32(1 / 255) if images.dtype == np.uint8 else planes


class Normalize(Transform):
    """Shift and scale each channel: y[c] = (x[c] − mean[c]) / std[c].

    Args:
        mean: one number a channel, or one for all.
        std: likewise, greater than 0.

    Raises: ValueError for std that is not a positive number, or when the channels do not fit; TypeError unless float.

    >>> Normalize((0.5,), (0.25,))(np.ones((1, 2, 2), np.float32)).max()
    np.float32(2.0)
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean, self.std = np.atleast_1d(np.array(mean, np.float64)), np.atleast_1d(np.array(std, np.float64))
        if self.mean.ndim != 1 or not np.isfinite(self.mean).all():
            raise ValueError(f"Normalize: mean must be finite numbers, got {mean}")
        if self.std.ndim != 1 or not ((self.std > 0) & np.isfinite(self.std)).all():
            raise ValueError(f"Normalize: std must be positive numbers, got {std}")

    def __call__(self, images: Array, generator: Generator | None = None) -> Array:
        """Return `images` normalised, of the same dtype."""
        images = _float_planes(images, "Normalize")
        channels = images.shape[-3]
        if {len(self.mean), len(self.std)} - {1, channels}:
            raise ValueError(
                f"Normalize: images of shape {images.shape} have {channels} channels, "
                f"mean has {len(self.mean)} and std {len(self.std)}"
            )
        mean, std = (v.astype(images.dtype)[:, None, None] for v in (self.mean, self.std))
        result: Array = images - mean
        result /= std
        return result


class RandomTransform(Transform):
    """Base of the transforms that draw random numbers: subclasses define `deform` for a float batch (N, C, H, W).

    Args:
        fill: what comes in from outside the image, in the units of the images: 0 is the background before
            `Normalize`, −mean/std after it.
    """

    def __init__(self, fill: float = 0.0) -> None:
        self.fill = _finite(fill, "fill", type(self).__name__)

    def __call__(self, images: Array, generator: Generator | None = None) -> Array:
        """Return `images` deformed, of the same dtype and shape; random numbers from `generator` or the default."""
        generator = default_generator() if generator is None else generator
        images = np.asarray(images)
        if images.dtype == np.uint8:  # a picture from a file: (…, H, W, C) there and back
            planes = self(_channels_first(images).astype(np.float32), generator)
            return np.rint(np.moveaxis(planes, -3, -1)).astype(np.uint8).reshape(images.shape)
        images = _float_planes(images, type(self).__name__)
        return self.deform(images.reshape(-1, *images.shape[-3:]), generator).reshape(images.shape)

    def deform(self, images: Array, generator: Generator) -> Array:
        """Return the batch `images` (N, C, H, W) deformed, each image by its own chance."""
        raise NotImplementedError(f"{type(self).__name__} must define deform(images, generator)")


class RandomAffine(RandomTransform):
    """Rotate, scale, shear and shift each image about its centre, by amounts drawn uniformly.

    An output pixel p reads the input at A⁻¹(p − centre − shift) + centre, A = s·R(angle)·[[1, −tan shear], [0, 1]].

    Args:
        degrees: rotation from −degrees to degrees, or a (low, high) pair; positive turns clockwise.
        translate: the largest shift (across, down) as fractions of width and height, or one number for both.
        scale: (low, high) factors of size.
        shear: slant from −shear to shear degrees, or a (low, high) pair; positive leans to the right.
        fill: the value of what comes in from outside.

    Raises: ValueError for a range that is empty, not finite, or out of bounds.

    >>> turn = RandomAffine(degrees=(90, 90))
    >>> turn(np.array([[[1, 2], [3, 4]]], np.float32)).round().astype(int).tolist()
    [[[3, 1], [4, 2]]]
    """

    def __init__(
        self,
        degrees: float | tuple[float, float] = 0.0,
        translate: float | tuple[float, float] | None = None,
        scale: tuple[float, float] | None = None,
        shear: float | tuple[float, float] | None = None,
        fill: float = 0.0,
    ) -> None:
        super().__init__(fill)
        self.degrees = _range(degrees, "degrees", -np.inf, np.inf)
        self.shear = _range(shear or 0.0, "shear", -89.0, 89.0)
        self.scale = _range((1.0, 1.0) if scale is None else scale, "scale", 1e-3, 1e3)
        shifts = translate if isinstance(translate, Sequence) else [translate or 0.0] * 2
        if len(shifts) != 2:
            raise ValueError(f"RandomAffine: translate must be a number or two, got {translate}")
        self.translate = tuple(_range(shift, "translate", -1.0, 1.0) for shift in shifts)

    def deform(self, images: Array, generator: Generator) -> Array:
        """Return the batch deformed; see the class."""
        n, _, height, width = images.shape
        angle, slant = (np.radians(generator.uniform(*r, (n, 1, 1))) for r in (self.degrees, self.shear))
        scale = generator.uniform(*self.scale, (n, 1, 1))
        right, down = (generator.uniform(*t, (n, 1, 1)) for t in self.translate)
        cos, sin, tan = np.cos(angle) / scale, np.sin(angle) / scale, np.tan(slant)
        x = np.arange(width) - (width - 1) / 2 - right * width  # (N, 1, W)
        y = np.arange(height)[:, None] - (height - 1) / 2 - down * height  # (N, H, 1)
        dtype = np.float32  # exact to 1e-5 pixels, and half the memory traffic on the (N, H, W) grids
        rows = (-sin * x).astype(dtype) + (cos * y + (height - 1) / 2).astype(dtype)
        columns = ((cos - tan * sin) * x).astype(dtype) + ((sin + tan * cos) * y + (width - 1) / 2).astype(dtype)
        return bilinear(images, rows, columns, self.fill)


class ElasticDeformation(RandomTransform):
    """Warp each image by a smooth random displacement field, as a hand's unsteadiness would.

    Δ = α · (G_σ ∗ U), U uniform on [−1, 1] for every pixel and both directions, G_σ a Gaussian that sums to 1; the
    output at p is the input read at p + Δ(p).

    Args:
        alpha: strength; σ = 4 and α = 34 shift the strokes of 28×28 digits by about 1.4 pixels (standard deviation).
        sigma: standard deviation of the Gaussian, in pixels: how smooth the field is.
        fill: the value of what comes in from outside.

    Raises: ValueError unless alpha is finite and ≥ 0, and sigma above 0 and at most 1,000.

    Source: Simard, Steinkraus & Platt 2003, "Best practices for convolutional neural networks applied to visual
    document analysis", section 2.

    >>> ElasticDeformation()(np.zeros((5, 1, 28, 28), np.float32), np.random.default_rng(0)).shape
    (5, 1, 28, 28)
    """

    def __init__(self, alpha: float = 34.0, sigma: float = 4.0, fill: float = 0.0) -> None:
        super().__init__(fill)
        self.alpha, self.sigma = _finite(alpha, "alpha", "ElasticDeformation"), float(sigma)
        if self.alpha < 0 or not 0 < self.sigma <= 1000:
            raise ValueError(f"ElasticDeformation: needs alpha ≥ 0 and 0 < sigma ≤ 1000, got {alpha} and {sigma}")

    def deform(self, images: Array, generator: Generator) -> Array:
        """Return the batch deformed; see the class."""
        n, _, height, width = images.shape
        field = generator.random((2, n, height, width), np.float32) * 2 - 1
        field = _gaussian(height, self.sigma) @ field @ _gaussian(width, self.sigma)
        field *= np.float32(self.alpha)
        rows, columns = field
        rows += np.arange(height, dtype=np.float32)[:, None]
        columns += np.arange(width, dtype=np.float32)
        return bilinear(images, rows, columns, self.fill)


class Cutout(RandomTransform):
    """Paint a square of each image over with `fill`; its centre is any pixel, what hangs over the edge is cut off.

    Args:
        size: the side in pixels, one number or (height, width).
        fill: the value painted.

    Raises: ValueError when size is below 1.

    Source: DeVries & Taylor 2017, arXiv:1708.04552, section 3.2.

    >>> int((Cutout(3)(np.ones((1, 9, 9), np.float32), np.random.default_rng(1)) == 0).sum())
    9
    """

    def __init__(self, size: int | Pair = 8, fill: float = 0.0) -> None:
        super().__init__(fill)
        self.size = pair(size, "size")
        if min(self.size) < 1:
            raise ValueError(f"Cutout: size must be at least 1, got {size}")

    def deform(self, images: Array, generator: Generator) -> Array:
        """Return the batch with its squares painted over; see the class."""
        n, _, height, width = images.shape
        inside = []
        for side, extent in zip(self.size, (height, width)):
            first = generator.integers(extent, size=(n, 1)) - side // 2
            inside.append((np.arange(extent) >= first) & (np.arange(extent) < first + side))
        square = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return np.where(square, images.dtype.type(self.fill), images)


def _channels_first(images: Array) -> Array:
    """Return (H, W), (H, W, C) or (N, H, W, C) as a view with channels before rows."""
    if images.ndim not in (2, 3, 4):
        raise ValueError(f"pictures must be (H, W), (H, W, C) or (N, H, W, C), got shape {images.shape}")
    return images[None] if images.ndim == 2 else np.moveaxis(images, -1, -3)


def _float_planes(images: Array, name: str) -> Array:
    """Return `images` once it is known to be float (C, H, W) or (N, C, H, W)."""
    images = np.asarray(images)
    if images.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name}: images must be float32 or float64 (ToTensor makes them), got {images.dtype}")
    if images.ndim not in (3, 4):
        raise ValueError(f"{name}: images must be (C, H, W) or (N, C, H, W), got shape {images.shape}")
    return images


def _finite(value: float, name: str, owner: str) -> float:
    """Return `value` as a float. Raises: ValueError unless it is finite."""
    if not np.isfinite(value):
        raise ValueError(f"{owner}: {name} must be a finite number, got {value}")
    return float(value)


def _range(value: Any, name: str, low: float, high: float) -> tuple[float, float]:
    """Return `value` as (from, to); one number v means (−v, v)."""
    ends = (-abs(value), abs(value)) if isinstance(value, (int, float)) else tuple(value)
    if len(ends) != 2 or not np.isfinite(ends).all() or not low <= ends[0] <= ends[1] <= high:
        raise ValueError(f"RandomAffine: {name} must be a range within {low} … {high}, got {value}")
    return float(ends[0]), float(ends[1])


def _gaussian(n: int, sigma: float) -> Array:
    """Return the symmetric (n, n) matrix that blurs a vector of n; beyond its ends are zeros."""
    reach = int(6 * sigma) + 1
    total = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).sum()
    distance = np.arange(n)[:, None] - np.arange(n)
    result: Array = (np.exp(-0.5 * (distance / sigma) ** 2) / total).astype(np.float32)
    return result
