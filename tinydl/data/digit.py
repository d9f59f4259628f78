"""Any picture of a digit, brought into the form of MNIST."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.data.resample import resize
from tinydl.shapes import Array

_SIDE, _BOX, _CENTRE = 28, 20, 14
_FAINT = 0.05
"""Contrast that is never ink: the ringing of JPEG, dust. A picture with less than twice this in all is empty."""


def normalize_digit(image: Any) -> Array:
    """Return `image` as MNIST was made: the ink fitted into 20×20, its centre of mass at the centre of 28×28.

    The ink is what differs from the border of the picture, so dark on light and light on dark both come out as light
    on dark. It is cropped, resized with its aspect ratio kept (antialiased), stretched to full contrast, and moved by
    whole pixels until its centre of mass is at row 14, column 14 (to within half a pixel, and within the picture).

    Args:
        image: (H, W), (H, W, 1), or (H, W, 2 … 4) with alpha, RGB or RGBA; unsigned integers over their whole range,
            booleans, or floats from 0 to 1. Transparent parts count as paper.

    Returns: uint8 (28, 28), as `MNIST.images[i]`.

    Raises: TypeError or ValueError for another dtype, shape or range; ValueError for a picture without ink.

    Source: LeCun, Cortes & Burges 1998, "The MNIST database of handwritten digits".

    >>> page = np.full((90, 60), 255, np.uint8)
    >>> page[20:80, 25:35] = 0
    >>> digit = normalize_digit(page)
    >>> digit.shape, int(digit[14, 14]), int((digit.max(1) > 0).sum())
    ((28, 28), 255, 20)
    """
    ink = _crop(_ink(_grey(_unit_range(np.asarray(image)))))
    scale = _BOX / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    fitted = resize(ink, height, width)
    mass = fitted.sum()
    top = _start(fitted.sum(1) @ np.arange(height) / mass, height)
    left = _start(fitted.sum(0) @ np.arange(width) / mass, width)
    digit = np.zeros((_SIDE, _SIDE), np.uint8)
    digit[top : top + height, left : left + width] = np.rint(fitted * (255 / fitted.max()))
    return digit


def _start(centre_of_mass: float, length: int) -> int:
    """Return where a side of `length` starts so that its centre of mass is at the centre, kept inside the picture."""
    return int(np.clip(np.rint(_CENTRE - centre_of_mass), 0, _SIDE - length))


def _unit_range(image: Array) -> Array:
    """Return `image` as float64 from 0 to 1."""
    if image.dtype.kind in "ub":
        full = 1 if image.dtype.kind == "b" else np.iinfo(image.dtype).max
        return image / full
    if image.dtype.kind != "f":
        raise TypeError(f"image must hold unsigned integers, booleans or floats, got dtype {image.dtype}")
    if image.size and not (image.min() >= 0 and image.max() <= 1):  # written so that NaN is refused too
        raise ValueError(f"a float image must lie between 0 and 1, got {image.min()} … {image.max()}")
    return image.astype(np.float64)


def _grey(image: Array) -> Array:
    """Return the luminance (Rec. 601), with transparent parts blended into paper opposite to the ink."""
    if image.ndim == 2:
        return image
    if image.ndim != 3 or image.shape[2] not in (1, 2, 3, 4) or 0 in image.shape:
        raise ValueError(f"image must be (H, W) or (H, W, 1 … 4) and not empty, got shape {image.shape}")
    channels = image.shape[2]
    grey: Array = image[..., 0] if channels < 3 else image[..., :3] @ np.array([0.299, 0.587, 0.114])
    if channels % 2:
        return grey
    alpha = image[..., -1]
    paper = 1.0 if (alpha * grey).sum() <= 0.5 * alpha.sum() else 0.0
    return alpha * grey + (1 - alpha) * paper


def _ink(grey: Array) -> Array:
    """Return how far each pixel is from the paper, from 0 to 1. Raises: ValueError when no pixel is.

    The border is taken for paper. Nine tenths of it differ from their median by some shading or noise: what differs
    by no more than twice as much is paper too, so that a photograph is cropped to its digit.
    """
    if 0 in grey.shape:
        raise ValueError(f"image has no pixels: shape {grey.shape}")
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = np.median(border)
    noise = max(_FAINT, 2 * float(np.quantile(np.abs(border - paper), 0.9)))
    ink = np.abs(grey - paper)
    if ink.max() < 2 * noise:
        raise ValueError(f"image has no ink: its contrast is {ink.max():.3f}, needed is {2 * noise:.3f}")
    return np.where(ink < noise, 0.0, ink / ink.max())


def _crop(ink: Array) -> Array:
    """Return the smallest part of the picture that holds all ink."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
