import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tinydl.compress.coding import bits


@given(st.lists(st.integers(0, 32).flatmap(lambda w: st.tuples(st.just(w), st.integers(0, (1 << w) - 1))), max_size=30))
def test_words_stand_one_behind_the_other(pairs):
    widths, words = (np.array([pair[i] for pair in pairs], np.int64) for i in (0, 1))
    text = "".join(f"{word:0{width}b}" if width else "" for width, word in pairs)
    packed = bits.pack(words, widths)
    assert "".join(f"{byte:08b}" for byte in packed) == text + "0" * (-len(text) % 8)
    assert len(packed) == bits.size(len(text))


@given(st.integers(0, 32).flatmap(lambda w: st.tuples(st.just(w), st.lists(st.integers(0, (1 << w) - 1), max_size=30))))
def test_words_of_one_width_come_back(drawn):
    width, words = drawn
    packed = bits.pack(np.array(words, np.int64), width)
    assert bits.unpack(packed, len(words), width).tolist() == words


def test_width_of():
    assert [bits.width_of(n) for n in (0, 1, 2, 3, 4, 5, 256, 257)] == [0, 0, 1, 2, 2, 3, 8, 9]
