from __future__ import annotations

import pytest

from tinydl.data import catalog
from tinydl.data.catalog import load
from tinydl.data.download import Archive, DownloadError
from tinydl.data.mnist import MNIST
from tinydl.data.synthetic import SyntheticDigits


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.delenv("TINYDL_DATA", raising=False)
    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(MNIST, "archive", Archive("mnist", "MNIST", (), MNIST.archive.files))


@pytest.fixture
def quick_digits(monkeypatch):
    class Few(SyntheticDigits):
        def __init__(self, n=None, **options):
            super().__init__(20 if n is None else n, **options)

    monkeypatch.setattr(catalog, "SyntheticDigits", Few)


def test_auto_finds_mnist_and_says_nothing(digits_folder):
    said = []
    train, test = load("auto", digits_folder, say=said.append)
    assert (type(train), len(train), len(test), said) == (MNIST, 20, 10, [])


def test_auto_falls_back_and_says_so_in_one_line(quick_digits):
    said = []
    train, test = load(say=said.append)
    (line,) = said
    assert "SyntheticDigits" in line
    assert "\n" not in line
    assert isinstance(train, SyntheticDigits)
    assert (train.images != test.images).any()


def test_a_cache_that_cannot_be_written(quick_digits, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path / "file"))
    said = []
    assert isinstance(load(say=said.append)[0], SyntheticDigits)
    assert "directory" in said[0]


def test_what_was_asked_for_by_name_is_not_replaced(quick_digits):
    with pytest.raises(DownloadError):
        load("mnist")
    with pytest.raises(DownloadError):
        load("fashion-mnist", download=False)


def test_a_damaged_file_is_not_passed_over(digits_folder, quick_digits):
    (digits_folder / "t10k-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(ValueError, match="t10k-images"):
        load("auto", digits_folder)


def test_an_unknown_name():
    with pytest.raises(ValueError, match="auto, mnist, fashion-mnist, synthetic, got 'cifar'"):
        load("cifar")
