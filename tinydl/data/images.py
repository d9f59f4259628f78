"""A dataset of labelled grey images held in memory: the base of MNIST, Fashion-MNIST and the synthetic digits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator

from tinydl.data.dataset import Dataset, row_index, row_indices
from tinydl.data.transforms import Compose, Normalize, ToTensor, Transform
from tinydl.random import default_generator
from tinydl.shapes import Array


class ImageDataset(Dataset):
    """Grey images with a class each; `dataset[i]` is `(transform(images[i]), label)`.

    Args:
        images: uint8 (N, H, W).
        labels: integers (N,) from 0 to `len(classes)` − 1.
        transform: called with an image, uint8 (H, W), as in torchvision. Without one, images come as float32
            (1, H, W), scaled to 0 … 1 and then normalised with `mean` and `std` of the class (`standard()`).
        generator: where random transforms draw from; the default generator when omitted.

    Raises: TypeError or ValueError for arrays of another dtype or shape, or a label that is no class.

    >>> dots = ImageDataset(np.zeros((3, 2, 2), np.uint8), np.array([0, 1, 9]))
    >>> dots[2][0].shape, dots[2][1], dots.__getitems__([0, 1])[0].shape
    ((1, 2, 2), 9, (2, 1, 2, 2))
    """

    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    mean: ClassVar[float] = 0.1307
    std: ClassVar[float] = 0.3081

    def __init__(
        self,
        images: Array,
        labels: Array,
        transform: Callable[..., Any] | None = None,
        generator: Generator | None = None,
    ) -> None:
        if images.dtype != np.uint8 or images.ndim != 3:
            raise ValueError(f"images must be uint8 (N, H, W), got {images.dtype} of shape {images.shape}")
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise ValueError(f"labels must be {len(images)} integers, got {labels.dtype} of shape {labels.shape}")
        if labels.size and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise ValueError(f"labels reach {labels.min()} … {labels.max()}, allowed are 0 … {len(self.classes) - 1}")
        self.images, self.labels = images, labels.astype(np.int64)
        self.transform = _checked(transform)
        self._generator = generator

    @classmethod
    def standard(cls) -> Compose:
        """Return the transform used when none is given: `Compose([ToTensor(), Normalize(mean, std)])`."""
        return Compose([ToTensor(), Normalize(cls.mean, cls.std)])

    def with_transform(self, transform: Callable[..., Any] | None) -> Self:
        """Return a dataset of the same images (shared, not copied) seen through another transform.

        That is how a training set is augmented while a validation set cut from the same images is not.
        """
        other = copy.copy(self)
        other.transform = _checked(transform)
        return other

    @property
    def generator(self) -> Generator:
        """Where random transforms draw from."""
        return default_generator() if self._generator is None else self._generator

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> tuple[Any, int]:
        row = row_index(index, len(self), type(self).__name__)
        return self._see(self.images[row]), int(self.labels[row])

    def __getitems__(self, indices: Sequence[int] | Array) -> tuple[Array, Array]:
        """Return `(images, labels)` of many rows at once: (n, 1, H, W) and int64 (n,) with the standard transform."""
        rows = row_indices(indices, len(self), type(self).__name__)
        images = self.images[rows]
        if self.transform is None or getattr(self.transform, "batched", False):
            return self._see(images[..., None]), self.labels[rows]
        return np.stack([self._see(image) for image in images]), self.labels[rows]

    def _see(self, images: Array) -> Any:
        transform = self.standard() if self.transform is None else self.transform
        return transform(images, self.generator) if isinstance(transform, Transform) else transform(images)


def _checked(transform: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Return `transform`. Raises: TypeError when it cannot be called."""
    if transform is not None and not callable(transform):
        raise TypeError(f"transform must be a callable or None, got {transform!r}")
    return transform
