from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinydl.data import idx
from tinydl.data.idx import read_idx


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4), (0, 28, 28)])
@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reads_every_element_type(tmp_path, pack_idx, dtype, shape, wrap):
    array = (np.arange(np.prod(shape)) - 3).astype(dtype).reshape(shape)
    path = tmp_path / "file"  # what the file is decides, not how it is called
    path.write_bytes(wrap(pack_idx(array)))
    result = read_idx(path)
    np.testing.assert_array_equal(result, array)
    assert result.dtype == np.dtype(dtype)
    assert result.dtype.isnative


@pytest.fixture
def refused(tmp_path):
    """Assert that a file with these bytes is refused by a message that names it; return the message."""

    def check(content: bytes, name: str = "bad-idx3-ubyte.gz") -> str:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            read_idx(path)
        assert str(path) in str(caught.value)
        return str(caught.value)

    return check


def good(pack_idx) -> bytes:
    return pack_idx(np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8))


def outcome(path) -> tuple[np.ndarray | None, str]:
    """The array that was read, or the message of the refusal; any other exception passes through."""
    try:
        return read_idx(path), ""
    except ValueError as error:
        return None, str(error)


def test_every_truncation_is_refused(refused, pack_idx):
    packed, plain = gzip.compress(good(pack_idx)), good(pack_idx)
    for length in range(len(packed)):
        refused(packed[:length])
    for length in range(len(plain)):
        refused(plain[:length])


def test_every_flipped_bit_is_refused_or_harmless(tmp_path, pack_idx):
    """A flip in the gzip header (its time stamp, say) may leave the content alone; it never changes what is read."""
    content = good(pack_idx)
    packed = gzip.compress(content)
    path = tmp_path / "flipped.gz"
    path.write_bytes(packed)
    expected = read_idx(path)
    survived = 0
    for position in range(8 * len(packed)):
        flipped = bytearray(packed)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        result, message = outcome(path)
        if result is None:
            assert str(path) in message
        else:
            survived += 1
            np.testing.assert_array_equal(result, expected)
    assert survived < 8 * 10, "only bits of the ten header bytes may pass"


def test_empty_files(refused):
    assert "empty" in refused(b"")
    assert "nothing" in refused(gzip.compress(b""))


def test_not_idx(refused):
    refused(b"<html><body>404</body></html>")
    refused(gzip.compress(b"<html><body>404</body></html>"))
    refused(struct.pack(">HBBI", 0, 7, 1, 0))  # no element type 7
    refused(struct.pack(">HBB", 0, 8, 0))  # no axes
    refused(struct.pack(">HBBI", 1, 8, 1, 0))  # does not start with two zeros


def test_trailing_bytes(refused, pack_idx):
    content = good(pack_idx)
    assert "more" in refused(content + b"\0")
    assert "more" in refused(gzip.compress(content + b"\0"))
    assert "follow" in refused(gzip.compress(content) + b"\0")
    assert "follow" in refused(gzip.compress(content) + gzip.compress(b"more"))


def test_dimensions_that_disagree_with_the_data(refused):
    for sizes in ((6, 5, 3), (6, 5, 5), (0, 5, 4)):
        header = struct.pack(">HBB3I", 0, 8, 3, *sizes)
        refused(header + bytes(120))
        refused(gzip.compress(header + bytes(120)))


def test_dimensions_that_overflow_are_refused_without_allocating(refused):
    header = struct.pack(">HBB3I", 0, 14, 3, *[2**32 - 1] * 3)
    tracemalloc.start()
    message = refused(gzip.compress(header + bytes(100)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "declares" in message
    assert peak < 1e6


def test_many_axes(refused):
    refused(struct.pack(">HBB", 0, 8, 255) + bytes(10))
    assert "declares" in refused(struct.pack(">HBB255I", 0, 8, 255, *[2**32 - 1] * 255))


def test_a_bomb_stays_folded(refused):
    """100 MB of zeros behind a header that declares 1,000 bytes: inflating stops one byte later."""
    bomb = gzip.compress(struct.pack(">HBBI", 0, 8, 1, 1000) + bytes(100_000_000), compresslevel=9)
    tracemalloc.start()
    assert "more" in refused(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_a_file_larger_than_allowed(refused, pack_idx, monkeypatch):
    monkeypatch.setattr(idx, "MAX_BYTES", 100)
    assert "more than the 100" in refused(good(pack_idx))


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")


@given(content=st.binary(max_size=64), gz=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes_never_do_anything_else(tmp_path, content, gz):
    path = tmp_path / "fuzz"
    path.write_bytes(gzip.compress(content) if gz else content)
    result, message = outcome(path)
    assert result is not None or str(path) in message
