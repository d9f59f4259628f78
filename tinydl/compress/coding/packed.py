"""The packed file: every array of a network, coded as well as it allows, in as few bytes as that takes.

    magic (4 bytes) | version (1) | CRC-32 of all that follows (4) | how many arrays | for each: name, array

Numbers are as in `wire`, arrays as in `tensor`. A header in JSON, a 64-digit digest and aligned arrays, as safetensors
files have them, would be a third of a file that aims at four kilobytes. The checksum tells damage, not malice: sizes
that are announced are believed only as far as the bytes go, and not beyond `limit`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinydl.compress.coding import stream, tensor
from tinydl.compress.coding.wire import FormatError, Reader, number, sized
from tinydl.nn import Module
from tinydl.options import choice
from tinydl.shapes import Array
from tinydl.storage import write_atomically
from tinydl.tensor import as_array

MAGIC = b"\x89tdl"
"""Not text, not anyone else's."""

VERSION = 1
"""What is written here, and the newest version that can be read."""

LIMIT = 1 << 30
"""How many bytes a network may take in memory unless the caller allows more: 1 GiB."""

_HEAD = len(MAGIC) + 1 + 4

ALL = ("huffman", "arithmetic")


def pack(weights: Module | Mapping[str, Any], coders: Sequence[str] = ALL) -> bytes:
    """Return a network's parameters and buffers as the bytes of a packed file.

    Args:
        weights: a model, or a dict of arrays or Tensors by name, such as a `state_dict`.
        coders: what may be used for symbols beside words of fixed width; for every stream the shortest is taken.
            "huffman" costs two seconds for the weights of a MobileNetV2. "arithmetic" costs about a microsecond for
            each bit of a symbol, and is not tried on long streams; but it needs no table, and gives frequent symbols
            less than a bit.

    Of a model that is still being pruned the masks are packed as well; `prune.remove` takes them away.

    Raises: TypeError for a name that is no str and a value that is no array of numbers; ValueError for an unknown
        coder.

    >>> import numpy as np
    >>> state = {"weight": np.zeros((100, 100), np.float32), "bias": np.ones(3, np.float32)}
    >>> packed = pack(state)
    >>> len(packed), unpack(packed)["bias"]
    (39, array([1., 1., 1.], dtype=float32))
    """
    for name in coders:
        choice(name, "coders", list(stream.CODERS))
    arrays = weights.state_dict() if isinstance(weights, Module) else weights
    for name in arrays:
        if not isinstance(name, str):
            raise TypeError(f"weights have names of type str, got {name!r}")
    parts = [
        sized(name.encode("utf-8")) + tensor.encode(as_array(value, name=name), coders)
        for name, value in arrays.items()
    ]
    body = number(len(parts)) + b"".join(parts)
    return MAGIC + bytes([VERSION]) + zlib.crc32(body).to_bytes(4, "little") + body


def unpack(data: bytes, limit: int = LIMIT) -> dict[str, Array]:
    """Return the arrays that `pack` made `data` of, bit for bit, by name.

    Raises: FormatError when a byte is missing, changed or too many, when a newer version wrote the data, or when the
        arrays would take more than `limit` bytes of memory.
    """
    if data[:4] != MAGIC or len(data) < _HEAD:
        raise FormatError(f"a packed network begins with {MAGIC!r} and {_HEAD - 4} more bytes, not {data[:_HEAD]!r}")
    if data[4] != VERSION:
        raise FormatError(f"the data has version {data[4]}, this version of tinydl reads version {VERSION}")
    expected, found = int.from_bytes(data[5:_HEAD], "little"), zlib.crc32(data[_HEAD:])
    if found != expected:
        raise FormatError(f"the data is damaged: its CRC-32 is {found:08x}, it should be {expected:08x}")
    reader = Reader(data[_HEAD:])
    arrays: dict[str, Array] = {}
    for _ in range(reader.number()):
        name = _read_name(reader)
        if name in arrays:
            raise FormatError(f"the name {name!r} occurs twice")
        arrays[name], limit = tensor.decode(reader, limit)
    if reader.left:
        raise FormatError(f"{reader.left} bytes follow the last array")
    return arrays


def _read_name(reader: Reader) -> str:
    name = reader.sized()
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(f"a name is no UTF-8: {name[:40]!r}") from None


def save(weights: Module | Mapping[str, Any], path: str | os.PathLike[str], coders: Sequence[str] = ALL) -> int:
    """Write `pack(weights, coders)` to `path`, atomically, and return how many bytes that are.

    Raises: as `pack`; OSError when writing fails, with the old file intact.

    >>> import tempfile
    >>> from tinydl.nn import Linear
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     n = save(Linear(3, 2), f"{folder}/linear.tdl")
    ...     weights = load(f"{folder}/linear.tdl", Linear(3, 2))
    >>> n, list(weights)  # 32 bytes of parameters: this network is neither pruned nor shared
    (65, ['weight', 'bias'])
    """
    data = pack(weights, coders)
    write_atomically(path, data)
    return len(data)


def load(path: str | os.PathLike[str], model: Module | None = None, limit: int = LIMIT) -> dict[str, Array]:
    """Return the arrays in a packed file, after putting them into `model` if one is given: all or none.

    Raises: FormatError naming the file, as `unpack`; ValueError listing every difference between the file and the
        model, with the model untouched; OSError when the file cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        arrays = unpack(data, limit)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    if model is not None:
        model.load_state_dict(arrays)
    return arrays
