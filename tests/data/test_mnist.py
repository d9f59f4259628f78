from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from tinydl.data import mnist
from tinydl.data.download import Archive, DownloadError
from tinydl.data.mnist import MNIST, FashionMNIST

REAL = os.environ.get("TINYDL_DATA", "nowhere")


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No data from outside, and no network."""
    monkeypatch.delenv("TINYDL_DATA", raising=False)
    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path / "cache"))
    for kind in (MNIST, FashionMNIST):
        known = kind.archive
        monkeypatch.setattr(kind, "archive", Archive(known.name, known.torchvision, (), known.files))


def test_found_where_TINYDL_DATA_says(digits_folder, monkeypatch, tmp_path):
    for layout in (digits_folder.parent, digits_folder):
        monkeypatch.setenv("TINYDL_DATA", str(layout))
        train, test = MNIST(), MNIST(train=False)
        assert (len(train), len(test)) == (20, 10)
        assert (train.images.dtype, train.images.shape) == (np.uint8, (20, 28, 28))
        assert (train.labels.dtype, train.labels.tolist()) == (np.int64, [i % 10 for i in range(20)])


def test_found_in_torchvisions_layout_unzipped(digits_folder):
    raw = digits_folder.parent / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in digits_folder.iterdir():
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    np.testing.assert_array_equal(MNIST(raw.parents[1]).images, MNIST(digits_folder).images)


def test_root_goes_before_the_environment(digits_folder, monkeypatch):
    monkeypatch.setenv("TINYDL_DATA", "/nowhere")
    assert len(MNIST(digits_folder)) == 20


def test_nowhere_to_be_had():
    with pytest.raises(DownloadError, match="TINYDL_DATA"):
        MNIST()
    with pytest.raises(DownloadError, match=r"train-images.*are not in"):
        MNIST(download=False)


def test_the_cache_works_without_download(digits_folder, monkeypatch):
    monkeypatch.setenv("TINYDL_CACHE", str(digits_folder.parent))
    assert len(MNIST(download=False)) == 20


def test_a_folder_of_mnist_is_not_taken_for_fashion(digits_folder, monkeypatch):
    sizes = {path.name: path.stat().st_size for path in digits_folder.iterdir()}
    files = {n: f._replace(size=sizes[n]) for n, f in mnist._DIGITS.files.items()}
    monkeypatch.setattr(mnist, "_DIGITS", Archive("mnist", "MNIST", (), files))
    monkeypatch.setattr(MNIST, "archive", mnist._DIGITS)
    assert len(MNIST(digits_folder)) == 20
    with pytest.raises(DownloadError):
        FashionMNIST(digits_folder)


def _rewrite(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("damage", [lambda c: c[:-9], lambda c: b"", lambda c: c + b"x", lambda c: b"<html>"])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"])
def test_a_damaged_file_is_named(digits_folder, damage, name):
    path = digits_folder / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=name):
        MNIST(digits_folder)


def test_files_that_do_not_fit_each_other(digits_folder, pack_idx):
    images, labels = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
    for bad in (np.arange(11, dtype=np.uint8), np.full(20, 10, np.uint8), np.zeros(20, np.float32)):
        _rewrite(digits_folder, labels, gzip.compress(pack_idx(bad)))
        with pytest.raises(ValueError, match=labels):
            MNIST(digits_folder)
    for bad in (np.zeros((20, 27, 28), np.uint8), np.zeros(20, np.uint8)):
        _rewrite(digits_folder, images, gzip.compress(pack_idx(bad)))
        with pytest.raises(ValueError, match=images):
            MNIST(digits_folder)


def test_the_classes():
    assert MNIST.classes == tuple("0123456789")
    assert FashionMNIST.classes[9] == "Ankle boot"
    assert len(FashionMNIST.classes) == 10


def test_the_real_mnist():
    if not Path(REAL, "mnist").is_dir():
        pytest.skip("TINYDL_DATA has no mnist folder")
    train, test = MNIST(REAL), MNIST(REAL, train=False)
    assert (train.images.shape, test.images.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.images.mean() / 255 == pytest.approx(MNIST.mean, abs=1e-4)
    assert train.images.std() / 255 == pytest.approx(MNIST.std, abs=1e-4)
    images, _ = train.__getitems__(np.arange(0, 60000, 10))
    assert abs(images.mean()) < 0.05
    assert images.std() == pytest.approx(1, abs=0.05)
