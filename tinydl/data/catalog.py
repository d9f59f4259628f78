"""Datasets by name, as the command line and the lessons ask for them."""

from __future__ import annotations

import os
from collections.abc import Callable

from numpy.random import Generator

from tinydl.data.images import ImageDataset
from tinydl.data.mnist import MNIST, FashionMNIST
from tinydl.data.synthetic import SyntheticDigits

DATASETS = ("auto", "mnist", "fashion-mnist", "synthetic")
"""The names that `load` knows."""


def load(
    name: str = "auto",
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    generator: Generator | None = None,
    say: Callable[[str], object] = print,
) -> tuple[ImageDataset, ImageDataset]:
    """Return (training set, test set) of a dataset by name.

    Args:
        name: "mnist", "fashion-mnist", "synthetic"; or "auto": MNIST where it can be had (from `root`,
            `TINYDL_DATA`, the cache or a mirror), else `SyntheticDigits`, said in one line.
        root: folder of files, as in `MNIST`.
        download: whether files may be downloaded.
        generator: where random transforms draw from.
        say: called with that line.

    Raises: ValueError for an unknown name or a damaged file; DownloadError when a dataset asked for cannot be had.

    >>> load("digits")
    Traceback (most recent call last):
    ValueError: name must be one of auto, mnist, fashion-mnist, synthetic, got 'digits'
    """
    if name not in DATASETS:
        raise ValueError(f"name must be one of {', '.join(DATASETS)}, got {name!r}")
    if name == "synthetic":
        return SyntheticDigits(generator=generator), SyntheticDigits(train=False, generator=generator)
    kind = FashionMNIST if name == "fashion-mnist" else MNIST
    try:
        train, test = (kind(root, train, None, download, generator) for train in (True, False))
    except OSError as error:
        if name != "auto":
            raise
        say(f"MNIST is not to be had, using SyntheticDigits instead: {getattr(error, 'reason', error)}")
        return load("synthetic", generator=generator)
    return train, test
