import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinydl.compress.coding.gaps import WIDTHS, best_width, from_gaps, to_gaps

taken = st.lists(st.booleans(), max_size=300).map(lambda t: np.array(t, bool))


@given(taken, st.sampled_from([1, 2, 3, 4, 5, 8, 12]))
def test_gaps_round_trip(taken, width):
    places = np.flatnonzero(taken)
    gaps = to_gaps(places, width)
    assert (gaps >= 0).all()
    assert (gaps < 1 << width).all()
    assert (from_gaps(gaps, width) == places).all()


@pytest.mark.parametrize("free", [0, 1, 6, 7, 8, 13, 14, 15, 700])
def test_a_gap_of_any_length(free):
    gaps = to_gaps(np.array([free]), 3)
    assert gaps.tolist() == [7] * (free // 7) + [free % 7]
    assert from_gaps(gaps, 3).tolist() == [free]


def test_none_and_all():
    nothing, everything = np.arange(0), np.arange(50)
    assert to_gaps(nothing, 4).size == 0
    assert from_gaps(nothing, 4).size == 0
    assert (to_gaps(everything, 4) == 0).all()
    assert best_width(nothing) == 1


@given(taken)
def test_best_width_is_the_shortest(taken):
    places = np.flatnonzero(taken)
    sizes = {width: width * len(to_gaps(places, width)) for width in WIDTHS}
    assert sizes[best_width(places)] == min(sizes.values())
