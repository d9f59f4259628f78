import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinydl.compress.prune.selection import lowest, lowest_each

few_values = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12)


@given(few_values, st.integers(0, 12))
def test_it_is_the_head_of_a_stable_sort(drawn, count):
    scores, pruned = np.array([s for s, _ in drawn], float), np.array([p for _, p in drawn])
    count = min(count, len(scores))
    if pruned.sum() > count:
        with pytest.raises(ValueError, match="already"):
            lowest(scores, pruned, count)
        return
    order = sorted(range(len(scores)), key=lambda i: (not pruned[i], scores[i], i))
    assert np.flatnonzero(lowest(scores, pruned, count)).tolist() == sorted(order[:count])


@given(st.lists(few_values.filter(lambda row: len(row) >= 4).map(lambda row: row[:4]), min_size=1, max_size=5))
def test_each_row_is_chosen_by_itself(rows):
    scores = np.array([[s for s, _ in row] for row in rows], float)
    none = np.zeros(scores.shape, bool)
    expected = [lowest(row, zero, 2) for row, zero in zip(scores, none)]
    np.testing.assert_array_equal(lowest_each(scores, none, 2), expected)


def test_rows_in_which_too_much_is_pruned_are_refused():
    with pytest.raises(ValueError, match="1 of every 3"):
        lowest_each(np.zeros((1, 3)), np.array([[True, True, False]]), 1)
