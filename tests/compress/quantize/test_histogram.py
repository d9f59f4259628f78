import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinydl.compress.quantize.histogram import Histogram

BATCHES = st.lists(arrays(np.float32, 7, elements=st.floats(-1e5, 1e5, width=32, allow_subnormal=False)), min_size=1)


@given(BATCHES)
def test_counts_are_those_of_all_numbers_at_once(batches):
    seen = Histogram(8)
    for batch in batches:
        seen.add(batch)
    numbers = np.concatenate(batches).astype(np.float64)
    edges = np.arange(-8, 9) * seen.width
    assert np.array_equal(seen.counts, np.histogram(numbers[numbers != 0], edges)[0])
    assert seen.zeros == np.sum(numbers == 0)
    assert seen.counts.sum() + seen.zeros == numbers.size
    assert (seen.low, seen.high) == (min(numbers.min(), 0), max(numbers.max(), 0))


@given(BATCHES)
def test_more_than_half_of_the_bins_are_used(batches):
    seen = Histogram(8)
    for batch in batches:
        seen.add(batch)
    peak = max(-seen.low, seen.high)
    assert peak < 8 * seen.width
    assert peak == 0 or peak >= 4 * seen.width or seen.width <= np.finfo(np.float32).tiny
    # a bin holds its lower end: −1 lies in the bin from −1 up, 1 in the one beyond
    assert seen.filled == max(1 + np.floor(seen.high / seen.width), np.ceil(-seen.low / seen.width))


def test_a_range_is_cut_on_the_side_that_reaches_too_far():
    seen = Histogram(4)
    seen.add(np.array([-1.5, 3.5]))
    assert seen.within(1) == (-1.0, 1.0)
    assert seen.within(3) == (-1.5, 3.0)
    assert seen.within(4) == (-1.5, 3.5)
    assert seen.magnitudes().tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("bins", [0, 1, 5])
def test_bins_that_cannot_be_halved_are_refused(bins):
    with pytest.raises(ValueError, match="bins must be an even number"):
        Histogram(bins)
