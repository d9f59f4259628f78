"""Fetching the files of a dataset from mirrors, believing nothing but their SHA-256."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

PATIENCE = 5.0
"""Seconds within which a mirror must answer; offline is found out within this time, however many mirrors there are."""

_FILE_SECONDS = 600.0  # the longest that one file from one mirror may take: a mirror that only drips is given up
_SLACK = 1 << 20  # bytes read beyond a file's size, so that a page served in its place is named by its SHA-256


class Fingerprint(NamedTuple):
    """What a file must be."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Archive:
    """A dataset as the world serves it: its folder here and in torchvision, its mirrors, what its files must be."""

    name: str
    torchvision: str
    mirrors: tuple[str, ...]
    files: Mapping[str, Fingerprint]


class DownloadError(OSError, ValueError):
    """Files could not be had: `reason` says why in one line, the message also what can be done about it.

    >>> str(DownloadError("mnist: no mirror answers", "put the files into data/mnist by hand"))
    'mnist: no mirror answers; put the files into data/mnist by hand'
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason


def cache_folder() -> Path:
    """Return where downloads are kept: `$TINYDL_CACHE`, or "tinydl" in the system's folder for caches.

    >>> "TINYDL_CACHE" in os.environ or "tinydl" in cache_folder().parts
    True
    """
    if chosen := os.environ.get("TINYDL_CACHE"):
        return Path(chosen)
    return Path(_pooch().os_cache("tinydl"))


def _pooch() -> Any:
    """Return pooch. It readies a bar of tqdm's as it is imported, which complains in a notebook without widgets."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        import pooch
    return pooch


def fetch(archive: Archive, names: Iterable[str], folder: Path, patience: float = PATIENCE) -> None:
    """Make sure that `folder` holds the files `names` of `archive`, intact; download those that are not.

    A file is downloaded to a part file of its own in the same folder, compared with its SHA-256, flushed to the disk
    and only then renamed: whenever it is interrupted, and however many processes do it at once, what stands under the
    file's name is whole. A mirror that fails in any way is followed by the next.

    Raises: DownloadError when no mirror delivers; OSError when `folder` cannot be written.
    """
    missing = [name for name in names if not _intact(folder / name, archive.files[name])]
    if not missing:
        return
    remedy = f"put {' and '.join(missing)} into {folder} by hand, or set TINYDL_DATA to a folder that has them"
    folder.mkdir(parents=True, exist_ok=True)
    mirrors = _answering(archive, patience, remedy)
    for name in missing:
        _fetch_one(name, archive.files[name], mirrors, folder, patience, remedy)


def _intact(path: Path, expected: Fingerprint) -> bool:
    """Tell whether the file at `path` is what it must be."""
    return path.is_file() and path.stat().st_size == expected.size and _sha256(path) == expected.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _answering(archive: Archive, patience: float, remedy: str) -> list[str]:
    """Return the mirrors that deliver the archive's smallest file within `patience` seconds, all asked at once.

    Asked in turn, mirrors behind a network that swallows packets would cost a time limit for each of their addresses:
    minutes. Raises: DownloadError when none answers.
    """
    name, expected = min(archive.files.items(), key=lambda item: item[1].size)
    outcome = dict.fromkeys(archive.mirrors, f"no answer in {patience:g} s")

    def ask(mirror: str) -> None:
        try:
            _download(mirror + name, _Part(io.BytesIO(), expected.size, patience), patience)
            outcome[mirror] = ""
        except Exception as error:
            outcome[mirror] = _why(error)

    threads = [threading.Thread(target=ask, args=(mirror,), daemon=True) for mirror in archive.mirrors]
    deadline = time.monotonic() + patience
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    answering = [mirror for mirror in archive.mirrors if not outcome[mirror]]
    if not answering:
        reasons = ", ".join(sorted(set(outcome.values())))
        raise DownloadError(f"{archive.name}: none of {len(outcome)} mirrors answers ({reasons})", remedy)
    return answering


def _fetch_one(
    name: str, expected: Fingerprint, mirrors: Iterable[str], folder: Path, patience: float, remedy: str
) -> None:
    """Download the file `name` from the first mirror that delivers it. Raises: DownloadError when none does."""
    failures = []
    for mirror in mirrors:
        handle, part = tempfile.mkstemp(prefix=f"{name}.", suffix=".part", dir=folder)
        try:
            with open(handle, "wb") as file:
                _download(mirror + name, _Part(file, expected.size, _FILE_SECONDS), patience, progress=True)
                file.flush()
                os.fsync(file.fileno())
            actual = _sha256(Path(part))
            if actual == expected.sha256:
                os.replace(part, folder / name)
                _sync_folder(folder)
                return
            failures.append(f"{mirror}: SHA-256 {actual}")
        except Exception as error:
            failures.append(f"{mirror}: {_why(error)}")
        finally:
            with suppress(FileNotFoundError):  # renamed: all is well
                os.unlink(part)
    raise DownloadError(f"no mirror delivers {name} with SHA-256 {expected.sha256} ({'; '.join(failures)})", remedy)


class _Part:
    """A file that takes little more than `size` bytes, for at most `seconds`: a mirror may neither flood nor drip."""

    def __init__(self, file: IO[bytes], size: int, seconds: float) -> None:
        self.file, self.room, self.deadline = file, size + _SLACK, time.monotonic() + seconds

    def write(self, chunk: bytes) -> None:
        self.room -= len(chunk)
        if self.room < 0:
            raise ValueError("more bytes than expected")
        if time.monotonic() > self.deadline:
            raise TimeoutError("too slow")
        self.file.write(chunk)

    def flush(self) -> None:
        """Leave it to the end: the downloader flushes after every chunk."""


def _download(url: str, part: _Part, patience: float, progress: bool = False) -> None:
    """Write what `url` serves to `part`, with a bar when somebody is watching."""
    downloader = _pooch().HTTPDownloader(
        progressbar=progress and sys.stderr.isatty(),
        chunk_size=1 << 16,
        timeout=patience,
        headers={"Accept-Encoding": "identity"},  # else a server may wrap the .gz in a second layer
    )
    downloader(url, part, None)


def _why(error: Exception) -> str:
    """Return the shortest telling name of a failure: `HTTP 403`, `ConnectTimeout`, `No space left on device`."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"HTTP {status}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if isinstance(error, (ValueError, TimeoutError)) else type(error).__name__


def _sync_folder(folder: Path) -> None:
    """Flush a rename to the disk, where the system has a way to."""
    with suppress(OSError):  # Windows cannot open a folder, and some file systems cannot sync one
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
