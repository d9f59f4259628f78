from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.data.dataset import Dataset, Subset, TensorDataset, random_split
from tinydl.random import manual_seed
from tinydl.tensor import Tensor


class Squares(Dataset):
    """A dataset as a user writes it: one row at a time."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index * index


def test_tensor_dataset_takes_arrays_and_tensors():
    rows = TensorDataset(np.arange(8.0).reshape(4, 2), Tensor(np.arange(4)))
    assert len(rows) == 4
    assert rows[-1][0].tolist() == [6.0, 7.0]
    x, y = rows.__getitems__([2, 0, 2])
    assert (x.tolist(), y.tolist()) == ([[4, 5], [0, 1], [4, 5]], [2, 0, 2])


@pytest.mark.parametrize("arrays", [(), (np.zeros(3), np.zeros(4)), (np.float64(1),)])
def test_tensor_dataset_refuses(arrays):
    with pytest.raises(ValueError, match="equally many rows"):
        TensorDataset(*arrays)


@pytest.mark.parametrize("indices", [[0.5], ["a"], [[0, 1]]])
def test_indices_of_the_wrong_kind(indices):
    with pytest.raises(TypeError, match="integers"):
        TensorDataset(np.zeros(5)).__getitems__(indices)


def test_indices_out_of_range():
    with pytest.raises(IndexError, match=r"-1 … 2, allowed are 0 … 4"):
        TensorDataset(np.zeros(5)).__getitems__([2, -1])
    with pytest.raises(IndexError, match="Subset"):
        Subset(Squares(), [0, 10])
    assert len(TensorDataset(np.zeros(5)).__getitems__([])[0]) == 0


def test_subset_of_rows_and_of_batches():
    one_by_one = Subset(Squares(), [7, 3, 5])
    assert [one_by_one[i] for i in range(3)] == [49, 9, 25]
    assert one_by_one.__getitems__(np.array([2, 0])) == [25, 49]
    at_once = Subset(TensorDataset(np.arange(10) ** 2), [7, 3, 5])
    assert at_once.__getitems__(np.array([2, 0]))[0].tolist() == [25, 49]
    nested = Subset(one_by_one, [2])
    assert nested[0] == 25
    with pytest.raises(IndexError):
        nested[1]


def test_subset_shows_the_generator_underneath():
    class Random(Squares):
        generator = np.random.default_rng(0)

    assert Subset(Random(), [1]).generator is Random.generator
    assert Subset(Squares(), [1]).generator is None


@given(rows=st.integers(0, 60), cuts=st.lists(st.integers(0, 60), max_size=4), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_random_split_is_a_partition(rows, cuts, seed):
    ends = sorted(min(cut, rows) for cut in cuts)
    lengths = np.diff([0, *ends, rows]).tolist()
    parts = random_split(TensorDataset(np.arange(rows)), lengths, np.random.default_rng(seed))
    assert [len(part) for part in parts] == lengths
    assert sorted(int(i) for part in parts for i in part.indices) == list(range(rows))


def test_random_split_by_fractions_as_pytorch_does():
    # torch.utils.data.random_split(range(11), [0.5, 0.3, 0.2]): floors 5, 3, 2, and one left over for the first
    parts = random_split(TensorDataset(np.arange(11)), [0.5, 0.3, 0.2])
    assert [len(part) for part in parts] == [6, 3, 2]
    assert [len(part) for part in random_split(Squares(), [1.0])] == [10]


def test_random_split_is_random_but_seeded():
    def order(seed):
        return random_split(Squares(), [10], np.random.default_rng(seed))[0].indices.tolist()

    assert order(1) == order(1) != order(2)
    manual_seed(3)
    first = random_split(Squares(), [10])[0].indices.tolist()
    manual_seed(3)
    assert random_split(Squares(), [10])[0].indices.tolist() == first


@pytest.mark.parametrize("lengths", [[5, 4], [11, -1], [0.5, 0.4], [1.5, -0.5], [float("nan"), 1.0], []])
def test_random_split_refuses(lengths):
    with pytest.raises(ValueError, match="lengths must add up to 10 rows"):
        random_split(Squares(), lengths)
