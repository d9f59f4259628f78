"""Networks of integers as files that need nothing else: as a safetensors file, or packed, which is smaller.

A safetensors file can be read by other programs, and its arrays be mapped into memory as they are. A packed one
(`tinydl.compress.coding`) holds the same arrays, entropy-coded, and the structure as one array more.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.compress import coding
from tinydl.compress.coding.packed import MAGIC
from tinydl.compress.integer.layers import KINDS
from tinydl.compress.integer.network import Grid, IntegerNetwork, Wire
from tinydl.shapes import Array
from tinydl.storage import CheckpointError, read, write_sealed

_STRUCTURE = "tinydl.integer"
_LONGEST = 1 << 24
"""How many bytes of JSON a structure may have: 16 MiB, hundreds of times that of the largest network of the zoo."""


def save(network: IntegerNetwork, path: str | os.PathLike[str], packed: bool = False) -> None:
    """Write a network of integers as one file: its arrays and its structure.

    Args:
        network: what `convert` makes.
        path: where to write; no suffix is added.
        packed: whether to write a packed file, the smallest there is, in place of a safetensors file.

    Raises: TypeError for another kind of network; OSError when writing fails, with the old file intact.

    >>> import tempfile
    >>> from tinydl import manual_seed, nn
    >>> from tinydl.compress.integer import convert
    >>> draw = manual_seed(0)
    >>> x = draw.standard_normal((8, 64), np.float32)
    >>> network = convert(nn.Linear(64, 10).eval(), [x])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(network, f"{folder}/whole.safetensors")
    ...     save(network, f"{folder}/whole.tdl", packed=True)
    ...     sizes = [Path(folder, name).stat().st_size for name in ("whole.safetensors", "whole.tdl")]
    ...     again = load(f"{folder}/whole.tdl")
    >>> sizes[0] > sizes[1], bool((again(x).data == network(x).data).all())
    (True, True)
    """
    if not isinstance(network, IntegerNetwork):
        raise TypeError(f"network must be an IntegerNetwork, got {type(network).__name__}")
    arrays = {name: tensor.data for name, tensor in network.state_dict().items()}
    structure = json.dumps(network.structure(), allow_nan=False, separators=(",", ":"))
    if packed:
        squeezed = np.frombuffer(zlib.compress(structure.encode(), 9), np.uint8)
        coding.save({**arrays, _STRUCTURE: squeezed}, path)
    else:
        write_sealed(path, arrays, {_STRUCTURE: structure})


def load(path: str | os.PathLike[str]) -> IntegerNetwork:
    """Return the network that `save` wrote, in either form; no other file or class is needed.

    Raises: CheckpointError when the file is damaged, or holds something else; OSError when it cannot be read.
    """
    with Path(path).open("rb") as file:
        packed = file.read(len(MAGIC)) == MAGIC
    arrays, structure = _unpacked(path) if packed else _whole(path)
    return _build(structure, arrays, path)


def _whole(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return arrays and structure of a safetensors file."""
    arrays, metadata = read(path)
    if _STRUCTURE not in metadata:
        raise CheckpointError(f"{path} holds no network of integers")
    return arrays, json.loads(metadata[_STRUCTURE])


def _unpacked(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return arrays and structure of a packed file."""
    try:
        arrays = coding.load(path)
    except coding.FormatError as error:
        raise CheckpointError(str(error)) from None
    if _STRUCTURE not in arrays:
        raise CheckpointError(f"{path} holds no network of integers")
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(arrays.pop(_STRUCTURE).tobytes(), _LONGEST)
        return arrays, json.loads(text)
    except (zlib.error, ValueError):
        raise CheckpointError(f"{path}: the structure of the network cannot be read") from None


def _build(structure: Mapping[str, Any], arrays: Mapping[str, Array], path: str | os.PathLike[str]) -> IntegerNetwork:
    """Return the network. Raises: CheckpointError for a layer that is unknown here."""
    layers, wires = [], []
    for number, (kind, takes, makes, settings) in enumerate(structure["layers"]):
        if kind not in KINDS:
            raise CheckpointError(f"{path}: layer {number} is a {kind}, which this version of tinydl does not know")
        names = KINDS[kind].arrays
        layers.append(KINDS[kind](settings, {name: arrays[f"layers.{number}.{name}"] for name in names}))
        wires.append(Wire(tuple(takes), makes))
    inputs, outputs = ({n: Grid(*grid) for n, grid in structure[side].items()} for side in ("inputs", "outputs"))
    return IntegerNetwork(layers, wires, inputs, outputs)
