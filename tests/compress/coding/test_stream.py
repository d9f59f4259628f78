import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.compress.coding import stream
from tinydl.compress.coding.wire import FormatError, Reader, number

NAMES = [[], ["huffman"], ["arithmetic"], ["huffman", "arithmetic"]]
cases = st.integers(1, 300).flatmap(
    lambda k: st.tuples(st.just(k), st.lists(st.integers(0, k - 1) | st.just(0), max_size=150))
)


@settings(max_examples=150, deadline=None)
@given(cases, st.sampled_from(NAMES))
def test_symbols_come_back_and_nothing_else_is_read(case, coders):
    alphabet, symbols = case
    reader = Reader(stream.encode(np.array(symbols, np.int64), alphabet, coders) + b"rest")
    assert stream.decode(reader, len(symbols), alphabet).tolist() == symbols
    assert reader.left == 4


def test_the_shortest_is_taken():
    r = np.random.default_rng(0)
    skewed, even, short = r.geometric(0.9, 5000) % 16, r.integers(0, 16, 5000), np.array([3, 1])
    names = ["huffman", "arithmetic"]
    assert stream.encode(skewed, 16, names)[0] == stream.CODERS["arithmetic"].number
    assert stream.encode(skewed, 16, names[:1])[0] == stream.CODERS["huffman"].number
    assert stream.encode(even, 16, names)[0] == stream.CODERS["fixed"].number
    assert stream.encode(short, 16, names)[0] == stream.CODERS["fixed"].number


def test_coders_that_a_stream_is_too_much_for_are_left_out(monkeypatch):
    monkeypatch.setattr(stream, "PATIENCE", 100)
    zeros = np.zeros(101, np.int64)
    assert stream.encode(zeros, 2, ["arithmetic"])[0] == stream.CODERS["fixed"].number
    assert stream.encode(np.arange(5000) % 3, 5000, ["huffman"])[0] == stream.CODERS["fixed"].number
    with pytest.raises(FormatError, match="at most 100 decisions"):
        stream.decode(Reader(b"\2\0"), 101, 2)


@pytest.mark.parametrize(
    "data, count, alphabet, words",
    [
        (b"", 1, 2, "1 bytes are announced where 0"),
        (b"\7", 1, 2, "no coder has the number 7"),
        (b"\0", 1 << 60, 4, "bytes are announced where 0"),
        (b"\0\xc0", 1, 3, "symbol 3 is outside the alphabet 0 … 2"),
        (b"\1", 1, 1 << 40, "at most 4096 symbols"),
        (b"\1\x11\x10\0", 1, 3, "make no code"),
        (b"\1\x11" + number(1) + b"\0", 1 << 60, 2, "cannot hold"),
        (b"\1\x11" + number(100), 1, 2, "100 bytes are announced"),
        (b"\2\0", 1 << 60, 2, "decisions"),
    ],
)
def test_hostile_streams_are_refused_before_anything_is_allocated(data, count, alphabet, words):
    with pytest.raises(FormatError, match=words):
        stream.decode(Reader(data), count, alphabet)
