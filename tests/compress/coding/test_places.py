import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinydl.compress.coding import places
from tinydl.compress.coding.places import ALIVE, BITMAP, FULL, GAPS
from tinydl.compress.coding.wire import FormatError, Reader, number

CODERS = [[], ["huffman"], ["huffman", "arithmetic"]]
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)


def round_trip(taken, coders=()):
    data = places.encode(np.flatnonzero(taken), taken.shape, coders)
    reader = Reader(data + b"rest")
    found = places.decode(reader, taken.shape)
    assert reader.left == 4
    expected = np.flatnonzero(taken)
    assert np.array_equal(np.arange(taken.size) if found is None else found, expected)
    return data


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(bool, shapes, elements=st.booleans()), st.sampled_from(CODERS))
def test_places_come_back(taken, coders):
    round_trip(taken, coders)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(CODERS))
def test_places_in_few_rows_and_columns_come_back(data, coders):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=9))
    rows = data.draw(hnp.arrays(bool, shape[0]))
    columns = data.draw(hnp.arrays(bool, math.prod(shape[1:])))
    round_trip(np.outer(rows, columns).reshape(shape), coders)


@pytest.mark.parametrize("coders", CODERS)
def test_each_form_is_taken_where_it_is_the_shortest(coders):
    r = np.random.default_rng(0)
    assert round_trip(np.ones((50, 40), bool), coders) == bytes([FULL])
    assert round_trip(r.random((50, 40)) < 0.5, coders)[0] == BITMAP
    assert round_trip(r.random(2000) < 0.01, coders)[0] == (BITMAP if "arithmetic" in coders else GAPS)
    alive = np.zeros((50, 40), bool)
    alive[np.ix_([1, 5, 30], range(0, 40, 2))] = True
    data = round_trip(alive, coders)
    assert data[0] == ALIVE
    assert data[-1] == FULL


def test_arithmetic_coding_of_a_bitmap_costs_its_entropy():
    taken = np.random.default_rng(0).random((200, 300)) < 0.02
    p = taken.mean()
    entropy = -taken.size * (p * np.log2(p) + (1 - p) * np.log2(1 - p)) / 8
    assert entropy - 20 < len(round_trip(taken, ["arithmetic"])) < 1.01 * entropy + 8


@pytest.mark.parametrize(
    "data, shape, words",
    [
        (b"", (10,), "1 bytes are announced where 0"),
        (bytes([4]), (10,), "no form of 10 places is 4"),
        (bytes([GAPS]) + number(11) + bytes([4]), (10,), "11 gaps of 4 bits"),
        (bytes([GAPS]) + number(1) + bytes([40]), (10,), "gaps of 40 bits"),
        (bytes([GAPS]) + number(1) + bytes([5, 0, 0xA0]), (10,), "there are 10 places, a number stands at 20"),
        (bytes([BITMAP, 0]) + b"\0", (10,), "2 bytes are announced where 1"),
        (bytes([ALIVE]), (10,), r"shape \(10,\) has no rows and columns"),
        (bytes([ALIVE, 0, 0xC0, 0, 0x80, ALIVE]), (2, 3), "no form of 2 places is 3"),
    ],
)
def test_hostile_bytes_are_refused(data, shape, words):
    with pytest.raises(FormatError, match=words):
        places.decode(Reader(data), shape)
