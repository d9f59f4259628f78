from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.compress.sharing.kmeans import STARTS, assign, distortion, exact_kmeans, lloyd

few = st.lists(st.floats(-100, 100, width=32) | st.integers(-3, 3).map(float), min_size=1, max_size=9)


def least(values, k):
    """Try every division of the sorted values into at most k intervals."""
    x = np.sort(values)
    divisions = (cuts for n in range(min(k, len(x))) for cuts in combinations(range(1, len(x)), n))
    return min(sum(((part - part.mean()) ** 2).sum() for part in np.split(x, cuts)) for cuts in divisions)


@settings(max_examples=150, deadline=None)
@given(few, st.integers(1, 6))
def test_exact_is_the_best_of_all_divisions(values, k):
    values = np.array(values)
    centroids = exact_kmeans(values, k)
    assert len(centroids) <= k
    assert (np.diff(centroids) > 0).all()
    scale = 1 + (values**2).sum()
    assert abs(distortion(values, centroids) - least(values, k)) <= 1e-12 * scale


@settings(max_examples=60, deadline=None)
@given(few, st.integers(1, 6), st.sampled_from(STARTS))
def test_lloyd_ends_at_means_and_is_never_better(values, k, start):
    values = np.array(values)
    centroids = lloyd(values, k, start, generator=np.random.default_rng(0))
    numbers = assign(values, centroids)
    for c, centroid in enumerate(centroids):
        np.testing.assert_allclose(values[numbers == c].mean(), centroid, atol=1e-9)
    assert distortion(values, centroids) >= least(values, k) - 1e-12 * (1 + (values**2).sum())


def test_exact_beats_lloyd_where_its_start_misleads():
    values = np.concatenate([np.full(100, 0.0), np.full(100, 0.1), [5.0, 9.0]])
    assert distortion(values, exact_kmeans(values, 4)) < 1e-20
    assert distortion(values, lloyd(values, 4, "linear")) > 0.4


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_exact_keeps_its_digits_far_from_zero(shift):
    values = np.random.default_rng(0).standard_normal(500) + shift
    np.testing.assert_allclose(exact_kmeans(values, 8) - shift, exact_kmeans(values - shift, 8), atol=1e-6)


def test_many_values():
    values = np.random.default_rng(1).standard_normal(20_000).astype(np.float32)
    best = distortion(values, exact_kmeans(values, 16))
    assert best <= min(distortion(values, lloyd(values, 16, start)) for start in ("linear", "density"))


def test_assign_is_the_nearest():
    values, centroids = np.random.default_rng(2).standard_normal(200), np.array([-1.0, 0.0, 0.25, 2.0])
    assert (assign(values, centroids) == np.abs(values[:, None] - centroids).argmin(axis=1)).all()
    assert assign(np.array([7.0]), np.array([1.0])) == 0


@pytest.mark.parametrize("method", [exact_kmeans, lloyd])
def test_refuses(method):
    for values in ([], [np.nan], [1.0, np.inf]):
        with pytest.raises(ValueError, match="finite numbers and at least one"):
            method(np.array(values), 2)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        method(np.ones(2), 0)
    with pytest.raises(TypeError, match="k must be an integer"):
        method(np.ones(2), 1.5)


def test_refuses_another_start():
    with pytest.raises(ValueError, match="start must be one of 'linear', 'density', 'random', got 'best'"):
        lloyd(np.ones(2), 1, "best")
