"""Files that are whole or not there at all, and the SHA-256 that tells whether they still are what was written.

A sealed file is a safetensors file whose metadata holds its own SHA-256, computed with 64 zeros in the digest's place.
It covers every byte: names, shapes, dtypes, values and metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from tinydl.shapes import Array

FORMAT = 1
"""The version of the metadata written here, and the newest that can be read."""

_BLANK = b"0" * 64
_SEAL = re.compile(rb'"tinydl\.sha256":"([0-9a-f]{64})"')
_FORMAT = re.compile(rb'"tinydl\.format":"([0-9]+)"')


class CheckpointError(ValueError):
    """A file that is damaged, of another kind, or from a newer version; or a state that does not fit."""


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` at `path`: whatever happens, the old file or the new one is there, whole.

    The bytes go to a new file in the same folder and reach the disk before they take the old file's name. A process
    that is killed leaves at most a hidden `.part` file behind.

    Raises: FileNotFoundError when the folder is missing; OSError (disk full, no permission), with the old file intact.
    """
    target = Path(path).resolve()  # a symbolic link stays one
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to write {target.name} in")
    part = target.parent / f".{target.name[:100]}.{secrets.token_hex(8)}.part"
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    if os.name != "nt":  # Windows has no handle on a folder
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power failure, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unsealed(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a file with `arrays` and `metadata`, zeros where its digest goes."""
    marks = {"tinydl.format": str(FORMAT), "tinydl.sha256": _BLANK.decode()}
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return safetensors.numpy.save(contiguous, {**metadata, **marks})


def write_sealed(path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write `arrays` and `metadata` as a sealed file. Raises: as `write_atomically`."""
    data = unsealed(arrays, metadata)
    start, end = _find_seal(data)
    write_atomically(path, b"".join([data[:start], hashlib.sha256(data).hexdigest().encode(), data[end:]]))


def read(path: str | os.PathLike[str], foreign: bool = False) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays and the metadata of a sealed file, or (if `foreign` may be) of any safetensors file.

    Raises: CheckpointError when it is damaged, newer than this code, or not sealed; OSError when it cannot be read.
    """
    data = Path(path).read_bytes()
    _check_seal(data, path, foreign)
    try:
        arrays = safetensors.numpy.load(data)
    except (SafetensorError, KeyError) as error:  # KeyError: a dtype that NumPy does not have
        raise CheckpointError(f"{path} is not a safetensors file that can be read: {error}") from None
    return arrays, json.loads(_header(data)).get("__metadata__", {})


def _header(data: bytes) -> bytes:
    """Return the JSON part of a safetensors file: its length stands in the first eight bytes."""
    return data[8 : 8 + int.from_bytes(data[:8], "little")]


def _find_seal(data: bytes) -> tuple[int, int]:
    """Return where the digest stands. In JSON text a quote inside a string is escaped: only a key can match."""
    found = _SEAL.search(_header(data))
    return (8 + found.start(1), 8 + found.end(1)) if found else (0, 0)


def _check_seal(data: bytes, path: str | os.PathLike[str], foreign: bool) -> None:
    """Refuse bytes that are not what was sealed. A foreign file bears none of our marks, not only no digest."""
    written = _FORMAT.search(_header(data))
    if written and int(written[1]) > FORMAT:
        raise CheckpointError(
            f"{path} has format {int(written[1])}, this version of tinydl reads formats up to {FORMAT}"
        )
    start, end = _find_seal(data)
    if not end and foreign and b'"tinydl.' not in _header(data):
        return
    if not end:
        raise CheckpointError(f"{path} is not a tinydl file, or damaged: its SHA-256 is missing")
    digest = hashlib.sha256(data[:start] + _BLANK + data[end:]).hexdigest()
    if digest.encode() != data[start:end]:
        raise CheckpointError(f"{path} is damaged: its SHA-256 is {digest}, it should be {data[start:end].decode()}")
