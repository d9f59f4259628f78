import json
import struct
import zlib

import numpy as np
import pytest
from networks import FAMILIES, build, everything, images, small_images

from tinydl.compress import coding, fold_batch_norm
from tinydl.compress.integer import convert, load, save
from tinydl.storage import CheckpointError, read


def packed_with(structure, path):
    """Write a packed file whose structure is these bytes."""
    coding.save({"tinydl.integer": np.frombuffer(structure, np.uint8)}, path)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_holds_all_that_is_needed(name, packed, tmp_path):
    network = convert(build(name), [images(8)])
    save(network, tmp_path / "network", packed)
    again = load(tmp_path / "network")
    x = images(5, seed=5)
    np.testing.assert_array_equal(again(x).data, network(x).data)
    assert list(again.state_dict()) == list(network.state_dict())
    for name, tensor in network.state_dict().items():
        found = again.state_dict()[name].data
        assert found.dtype == tensor.data.dtype
        np.testing.assert_array_equal(found, tensor.data)


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_take_a_byte_each(name, tmp_path):
    model = build(name)
    save(convert(model, [images(8)]), tmp_path / "network")
    arrays, metadata = read(tmp_path / "network")
    weights = sum(a.nbytes for name, a in arrays.items() if name.endswith(".weight"))
    real = sum(p.data.nbytes for name, p in fold_batch_norm(model).named_parameters() if name.endswith("weight"))
    assert 4 * weights == real
    assert json.loads(metadata["tinydl.integer"])


@pytest.mark.parametrize("packed", [False, True])
def test_other_and_damaged_files_are_refused(packed, tmp_path):
    path = tmp_path / "network"
    save(convert(everything(), [small_images(4)]), path, packed)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        load(path)
    with pytest.raises(TypeError, match="IntegerNetwork"):
        save(everything(), path)


def test_packed_files_of_something_else_are_refused(tmp_path):
    coding.save({"weight": np.zeros(3, np.float32)}, tmp_path / "weights")
    with pytest.raises(CheckpointError, match="no network of integers"):
        load(tmp_path / "weights")
    for structure in (b"nothing", zlib.compress(b"{"), struct.pack("<I", 7)):
        with pytest.raises(CheckpointError, match="cannot be read"):
            load(packed_with(structure, tmp_path / "odd"))


def test_a_structure_that_would_fill_the_memory_is_refused(tmp_path):
    bomb = zlib.compress(b" " * (1 << 25), 9)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(packed_with(bomb, tmp_path / "bomb"))


def test_layers_of_a_newer_version_are_refused(tmp_path):
    structure = json.dumps({"layers": [["Oracle", ["input 0"], "y", {}]], "inputs": {}, "outputs": {}}).encode()
    with pytest.raises(CheckpointError, match="a Oracle, which this version"):
        load(packed_with(zlib.compress(structure), tmp_path / "newer"))
