"""The IDX file format, which MNIST and Fashion-MNIST come in: a header of sizes, then the numbers.

Layout (big-endian): two zero bytes, one byte for the element type, one for the number of axes, a uint32 size for each
axis, then the elements in row-major order. The file may be gzipped.

Source: LeCun, Cortes & Burges 1998, "The MNIST database of handwritten digits", section "File formats".
"""

from __future__ import annotations

import io
import os
import zlib
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tinydl.shapes import Array, Shape

MAX_BYTES = 1 << 30
"""Largest file, and largest declared content, that is read at all: 1 GiB, twenty times MNIST."""

_ELEMENT_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> Array:
    """Return the array that the IDX file at `path` holds, in native byte order.

    Nothing in the file is believed before it is checked: a gzipped file is inflated to at most one byte more than its
    header declares, and what it declares is capped at `MAX_BYTES`.

    Raises: ValueError naming the file when it is empty, cut short, damaged, too large, not IDX, or longer than its
    header says; OSError when it cannot be opened.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     print(read_idx(path))
    [5 0 4]
    """
    path = Path(path)
    try:
        return _read(_source(path))
    except (ValueError, zlib.error) as error:
        raise ValueError(f"{path}: {error}") from None


class _Source(Protocol):
    """Bytes on demand."""

    def read(self, size: int, /) -> bytes: ...


class _Inflater:
    """The content of one gzip member, inflated only as far as it is read: a bomb stays folded."""

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.stream = zlib.decompressobj(wbits=31)  # 31: a gzip header and trailer, whose CRC zlib then checks

    def read(self, size: int, /) -> bytes:
        content = self.stream.decompress(self.packed, size)
        self.packed = self.stream.unconsumed_tail
        if self.stream.unused_data:
            raise ValueError(f"{len(self.stream.unused_data)} or more bytes follow the end of the gzip data")
        if len(content) < size and not self.stream.eof:
            raise ValueError("the gzip data is cut short")
        return content


def _source(path: Path) -> _Source:
    """Return the bytes of the file at `path`, unzipped on demand where it is gzipped."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise ValueError(f"the file has {size:,} bytes, more than the {MAX_BYTES:,} that are read")
        content = file.read(size)
    if not content:
        raise ValueError("the file is empty")
    return _Inflater(content) if content.startswith(b"\x1f\x8b") else io.BytesIO(content)


def _read(source: _Source) -> Array:
    """Return the array in `source`, which must end where the array does."""
    dtype, shape = _header(source)
    declared = prod(shape) * dtype.itemsize
    if declared > MAX_BYTES:
        raise ValueError(f"the header declares {shape} = {declared:,} bytes, more than the {MAX_BYTES:,} allowed")
    content = source.read(declared + 1)
    if len(content) != declared:
        found = "fewer" if len(content) < declared else "more"
        raise ValueError(f"the header declares {shape} = {declared:,} bytes of data, the file holds {found}")
    array = np.frombuffer(content, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(source: _Source) -> tuple[np.dtype[Any], Shape]:
    """Return (element type, shape), reading no further than the header."""
    magic = source.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _ELEMENT_TYPES or magic[3] == 0:
        raise ValueError(f"not an IDX file: it starts with {magic.hex(' ') or 'nothing'}, needed are 00 00 08 0n")
    sizes = source.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise ValueError(f"the header of {magic[3]} sizes is cut short")
    return np.dtype(_ELEMENT_TYPES[magic[2]]), tuple(np.frombuffer(sizes, ">u4").tolist())
