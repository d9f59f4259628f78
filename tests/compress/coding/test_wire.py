import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinydl.compress.coding.wire import MAX_NUMBER, FormatError, Reader, number, sized


@given(st.lists(st.integers(0, MAX_NUMBER)))
def test_numbers_come_back(numbers):
    reader = Reader(b"".join(map(number, numbers)))
    assert [reader.number() for _ in numbers] == numbers
    assert reader.left == 0


def test_small_numbers_are_one_byte():
    assert [len(number(n)) for n in (0, 127, 128, 16_383, 16_384, MAX_NUMBER)] == [1, 1, 2, 2, 3, 9]


@given(st.lists(st.binary(max_size=200)))
def test_sized_bytes_come_back(parts):
    reader = Reader(b"".join(map(sized, parts)))
    assert [reader.sized() for _ in parts] == parts


def test_nothing_is_read_behind_the_end():
    reader = Reader(b"abc")
    assert reader.take(2) == b"ab"
    with pytest.raises(FormatError, match="2 bytes are announced where 1 are left"):
        reader.take(2)
    assert reader.take(1) == b"c"
    with pytest.raises(FormatError, match="1 bytes are announced where 0"):
        reader.number()
    with pytest.raises(FormatError, match=f"{MAX_NUMBER} bytes are announced where 1"):
        Reader(number(MAX_NUMBER) + b"x").sized()


@pytest.mark.parametrize("data", [number(MAX_NUMBER + 1), b"\xff" * 1_000_000])
def test_huge_numbers_are_refused(data):
    with pytest.raises(FormatError, match="a number is larger than"):
        Reader(data).number()
