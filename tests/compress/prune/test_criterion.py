import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.prune import Criterion, Filter, Magnitude, Pruner, Random, sparsify
from tinydl.random import manual_seed


def dense(values):
    layer = nn.Linear(np.shape(values)[1], np.shape(values)[0])
    layer.weight.data = np.array(values, np.float32)
    return layer


def test_magnitude_takes_the_smallest():
    layer = dense([[3, -1, 0.5], [-4, 2, -0.1]])
    sparsify(layer, 0.5)
    assert (layer.weight.data != 0).tolist() == [[True, False, False], [True, True, False]]


@pytest.mark.parametrize("p, first", [(1, 1), (2, 0)])
def test_magnitude_of_units_is_a_mean_of_powers(p, first):
    layer = dense([[2, 2, 2], [5, 0, 0]])  # means 2 and 1.67, root mean squares 2 and 2.89
    sparsify(layer, 0.5, Magnitude(p), Filter())
    assert not layer.weight.data[first].any()
    assert layer.weight.data[1 - first].any()


def test_units_of_different_sizes_compare_by_their_mean():
    model = nn.Sequential(dense([[1.0] * 8] * 2), dense([[3.0, 3.0]] * 2))
    sparsify(model, 0.5, granularity=Filter(), scope="global")
    assert not model[0].weight.data.any()
    assert model[1].weight.data.all()


def test_random_draws_from_its_generator():
    masks = []
    for seed in (1, 1, 2):
        layer = nn.Linear(20, 20)
        sparsify(layer, 0.5, Random(np.random.default_rng(seed)))
        masks.append(layer.weight.mask.data)
    assert np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])
    assert masks[0].sum() == 200


def test_random_draws_from_the_default_generator():
    masks = []
    for _ in range(2):
        manual_seed(3)
        layer = nn.Linear(20, 20)
        sparsify(layer, 0.5, Random())
        masks.append(layer.weight.mask.data)
    assert np.array_equal(*masks)


def test_bad_criteria_are_refused():
    with pytest.raises(ValueError, match="p must be 1 or 2, got 3"):
        Magnitude(3)
    with pytest.raises(TypeError, match="p must be an integer"):
        Magnitude(1.5)
    with pytest.raises(NotImplementedError, match="gives no scores"):
        Pruner(nn.Linear(2, 2), Criterion()).prune(0.5)
