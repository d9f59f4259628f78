"""MNIST and Fashion-MNIST: where their files are, and what is in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from numpy.random import Generator

from tinydl.data.download import Archive, DownloadError, Fingerprint, cache_folder, fetch
from tinydl.data.idx import read_idx
from tinydl.data.images import ImageDataset

_TRAIN = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
_TEST = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")

_DIGITS = Archive(
    "mnist",
    "MNIST",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
        "https://azureopendatastorage.blob.core.windows.net/mnist/",
    ),
    {
        _TRAIN[0]: Fingerprint(9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        _TRAIN[1]: Fingerprint(28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        _TEST[0]: Fingerprint(1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        _TEST[1]: Fingerprint(4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    },
)

# The fingerprints of Fashion-MNIST are those that TensorFlow Datasets publishes (url_checksums/fashion_mnist.txt).
_FASHION = Archive(
    "fashion-mnist",
    "FashionMNIST",
    (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    {
        _TRAIN[0]: Fingerprint(26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        _TRAIN[1]: Fingerprint(29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        _TEST[0]: Fingerprint(4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        _TEST[1]: Fingerprint(5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    },
)


class MNIST(ImageDataset):
    """70,000 handwritten digits: 60,000 to train on, 10,000 to test with.

    The files are taken from `root`, else from the folder that `TINYDL_DATA` names (both may hold them directly, in
    `mnist/`, or in torchvision's `MNIST/raw/`; gzipped or not), else from the cache (`TINYDL_CACHE`), where they are
    downloaded from mirrors and verified by SHA-256 when they are not there yet. With a `root`, it is the cache.

    Args:
        root: folder of the files.
        train: the training set rather than the test set.
        transform: as in `ImageDataset`; without one images come normalised, float32 (1, 28, 28).
        download: whether files may be downloaded.
        generator: where random transforms draw from.

    Raises: DownloadError (an OSError and a ValueError) when the files cannot be had; ValueError naming the file for
        one that is damaged, or that does not hold 28×28 images or labels 0 … 9.

    Source: LeCun, Cortes & Burges 1998, "The MNIST database of handwritten digits".

    >>> MNIST.classes[3], MNIST.mean, MNIST.std
    ('3', 0.1307, 0.3081)
    """

    archive: ClassVar[Archive] = _DIGITS

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[..., Any] | None = None,
        download: bool = True,
        generator: Generator | None = None,
    ) -> None:
        names = _TRAIN if train else _TEST
        images, labels = (read_idx(path) for path in _locate(self.archive, names, root, download))
        if images.shape[1:] != (28, 28):
            raise ValueError(f"{names[0]}: images must be 28×28, got an array of shape {images.shape}")
        try:
            super().__init__(images, labels, transform, generator)
        except ValueError as error:
            raise ValueError(f"{' and '.join(names)}: {error}") from None


class FashionMNIST(MNIST):
    """70,000 pictures of clothes in MNIST's format, harder than digits; arguments and errors as `MNIST`.

    Source: Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747.

    >>> FashionMNIST.classes[9], FashionMNIST.mean, FashionMNIST.std
    ('Ankle boot', 0.286, 0.353)
    """

    archive = _FASHION
    mean, std = 0.2860, 0.3530
    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip


def _locate(
    archive: Archive, names: tuple[str, ...], root: str | os.PathLike[str] | None, download: bool
) -> list[Path]:
    """Return the paths of the files `names`, downloading them when they are nowhere.

    Raises: DownloadError when they cannot be had.
    """
    ready = root if root is not None else os.environ.get("TINYDL_DATA")
    if ready:
        for folder in (Path(ready, archive.name), Path(ready, archive.torchvision, "raw"), Path(ready)):
            paths = [_plain_or_gzipped(folder / name) for name in names]
            if all(path.is_file() for path in paths) and not _is_other(paths, archive):
                return paths
    folder = (cache_folder() if root is None else Path(root)) / archive.name
    if download:
        fetch(archive, names, folder)
    elif not all((folder / name).is_file() for name in names):
        raise DownloadError(
            f"{archive.name}: {' and '.join(names)} are not in {folder}",
            "allow download=True, or set TINYDL_DATA to a folder that has them",
        )
    return [folder / name for name in names]


def _plain_or_gzipped(path: Path) -> Path:
    """Return `path`, or the unzipped file beside it when only that exists."""
    plain = path.with_suffix("")
    return plain if plain.is_file() and not path.is_file() else path


def _is_other(paths: list[Path], archive: Archive) -> bool:
    """Tell whether the files are known to be another dataset's: a folder that holds MNIST holds no Fashion-MNIST."""
    others = [other for other in (_DIGITS, _FASHION) if other is not archive]
    return any(
        path.name in o.files and path.stat().st_size == o.files[path.name].size for o in others for path in paths
    )
