import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl import kernels, nn, zoo
from tinydl.compress import coding
from tinydl.compress.coding import FormatError
from tinydl.compress.coding.packed import MAGIC, VERSION
from tinydl.compress.coding.wire import number, sized
from tinydl.compress.sharing import share_weights, unshare
from tinydl.random import manual_seed
from tinydl.tensor import Tensor

CODERS = [[], ["huffman"], ["huffman", "arithmetic"]]


def small_lenet(kept=0.05, bits=4):
    """Return a pruned LeNet-300-100 with shared weights."""
    manual_seed(0)
    model = zoo.lenet_300_100()
    for p in model.parameters():
        p.data = p.data * (np.abs(p.data) >= np.quantile(np.abs(p.data), 1 - kept))
    return share_weights(model, bits, start="linear")


def with_checksum(body, version=VERSION):
    return MAGIC + bytes([version]) + zlib.crc32(body).to_bytes(4, "little") + body


def same(arrays, state):
    return list(arrays) == list(state) and all(
        arrays[k].dtype == v.dtype
        and arrays[k].shape == v.shape
        and arrays[k].tobytes() == np.asarray(v.data).tobytes()
        for k, v in state.items()
    )


@pytest.mark.parametrize("coders", CODERS)
def test_a_network_comes_back_bit_for_bit(coders, tmp_path):
    model = unshare(small_lenet())
    n = coding.save(model, tmp_path / "lenet.tdl", coders)
    assert n == (tmp_path / "lenet.tdl").stat().st_size
    other = zoo.lenet_300_100()
    arrays = coding.load(tmp_path / "lenet.tdl", other)
    assert same(arrays, model.state_dict())
    assert same({k: v.data for k, v in other.state_dict().items()}, model.state_dict())


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_its_outputs_are_the_same(backend, tmp_path):
    with kernels.use(backend):
        model = unshare(small_lenet()).eval()
        coding.save(model, tmp_path / "a")
        other = zoo.lenet_300_100().eval()
        coding.load(tmp_path / "a", other)
        x = Tensor(np.random.default_rng(0).random((4, 1, 28, 28), np.float32))
        assert (model(x).data == other(x).data).all()


def test_each_coder_makes_it_smaller():
    state = unshare(small_lenet()).state_dict()
    sizes = [len(coding.pack(state, coders)) for coders in CODERS]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[0] < 4 * 266_610 / 20


def test_a_shared_network_keeps_its_codebooks(tmp_path):
    shared = small_lenet()
    n = coding.save(shared, tmp_path / "shared")
    assert same(coding.load(tmp_path / "shared"), shared.state_dict())
    assert n < len(coding.pack(unshare(shared))) + 600


def test_buffers_of_every_dtype_and_any_name():
    state = {"": np.arange(3), "µ.running": np.ones((2, 0), bool), "x": Tensor([1.5]), "y\n\0": np.array(2.0)}
    assert same(coding.unpack(coding.pack(state)), state)
    assert coding.unpack(coding.pack({})) == {}
    norm = nn.BatchNorm2d(4)
    assert same(coding.unpack(coding.pack(norm)), norm.state_dict())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_changed_byte_is_refused(data):
    packed = bytearray(PACKED)
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        coding.unpack(bytes(packed))


PACKED = coding.pack({"weight": np.eye(30, dtype=np.float32), "bias": np.arange(5.0)})


def test_cut_off_anywhere_or_with_more_behind_it_is_refused():
    for n in range(len(PACKED)):
        with pytest.raises(FormatError):
            coding.unpack(PACKED[:n])
    with pytest.raises(FormatError, match="CRC-32"):
        coding.unpack(PACKED + b"\0")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_with_a_forged_checksum_it_is_read_or_refused_but_never_fails_otherwise(data):
    body = bytearray(PACKED[9:])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        arrays = coding.unpack(with_checksum(bytes(body)), limit=1 << 16)
    except FormatError:
        return
    assert sum(a.nbytes for a in arrays.values()) <= 1 << 16


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "a packed network begins with"),
        (b"\x93NUMPY\1\0v\0", "a packed network begins with"),
        (PACKED[:8], "a packed network begins with"),
        (with_checksum(PACKED[9:], VERSION + 1), "has version 2, this version of tinydl reads version 1"),
        (with_checksum(number(1 << 60)), "1 bytes are announced where 0"),
        (with_checksum(number(0) + b"x"), "1 bytes follow the last array"),
        (with_checksum(number(1) + sized(b"\xff")), "a name is no UTF-8"),
        (with_checksum(number(2) + (sized(b"a") + bytes([0, 1, 0, 0, 0])) * 2), "the name 'a' occurs twice"),
        (with_checksum(number(1) + sized(b"a") + bytes([0, 1]) + number(1 << 50)), "larger than the 1073741824 bytes"),
    ],
)
def test_hostile_files_are_refused(data, words, tmp_path):
    (tmp_path / "bad.tdl").write_bytes(data)
    with pytest.raises(FormatError, match=rf"bad.tdl: .*{words}"):
        coding.load(tmp_path / "bad.tdl")


def test_the_limit_is_for_all_arrays_together():
    packed = coding.pack({"a": np.zeros(1000), "b": np.zeros(1000)})
    assert len(packed) < 60
    coding.unpack(packed, limit=16_000)
    with pytest.raises(FormatError, match=r"shape \(1000,\) and float64 is larger than the 7999 bytes"):
        coding.unpack(packed, limit=15_999)


def test_another_network_is_refused_and_stays_as_it_was(tmp_path):
    coding.save(nn.Linear(3, 2), tmp_path / "a")
    other = nn.Linear(4, 2)
    before = other.weight.data.copy()
    with pytest.raises(ValueError, match=r"weight: shape \(2, 3\) in the state, \(2, 4\) here"):
        coding.load(tmp_path / "a", other)
    assert (other.weight.data == before).all()


@pytest.mark.parametrize(
    "weights, coders, error, words",
    [
        ({"a": np.ones(1)}, ["zip"], ValueError, "coders must be one of 'fixed', 'huffman', 'arithmetic', got 'zip'"),
        ({1: np.ones(1)}, [], TypeError, "names of type str, got 1"),
        ({"a": np.array(["text"])}, [], TypeError, "a has dtype <U4"),
        ({"a": np.ones(1, complex)}, [], TypeError, "a has dtype complex128"),
    ],
)
def test_what_cannot_be_packed_is_refused(weights, coders, error, words, tmp_path):
    with pytest.raises(error, match=words):
        coding.save(weights, tmp_path / "a", coders)
    assert not list(tmp_path.iterdir())
