from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.data.dataset import Subset, TensorDataset
from tinydl.data.images import ImageDataset
from tinydl.data.loader import DataLoader, default_collate
from tinydl.data.transforms import Compose, ElasticDeformation, RandomAffine, ToTensor
from tinydl.random import default_generator, manual_seed
from tinydl.tensor import Tensor

ROWS = TensorDataset(np.arange(10.0), np.arange(10))


class OneByOne:
    """A dataset with nothing but a length and rows."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return np.full(2, index, np.float64), index


def labels(loader) -> list[list[int]]:
    return [y.numpy().tolist() for _, y in loader]


@pytest.mark.parametrize("dataset", [ROWS, OneByOne(), Subset(ROWS, range(10))])
def test_batches_in_order(dataset):
    loader = DataLoader(dataset, batch_size=4)
    assert len(loader) == 3
    assert labels(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert labels(DataLoader(dataset, batch_size=4, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    x, y = next(iter(loader))
    assert isinstance(x, Tensor)
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    assert (loader.batch_size, loader.dataset) == (4, dataset)


@given(rows=st.integers(0, 30), size=st.integers(1, 12), drop=st.booleans(), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_each_row_once_an_epoch_in_a_new_order(rows, size, drop, seed):
    loader = DataLoader(TensorDataset(np.arange(rows), np.arange(rows)), size, True, drop, seed)
    epochs = [labels(loader) for _ in range(2)]
    for batches in epochs:
        assert len(batches) == len(loader)
        seen = [row for batch in batches for row in batch]
        assert len(set(seen)) == len(seen) == (rows // size * size if drop else rows)
        assert all(len(batch) == size for batch in batches[:-1])
    if rows > 12 and not drop:
        assert epochs[0] != epochs[1]


def test_the_order_is_seeded():
    assert labels(DataLoader(ROWS, 3, True, generator=1)) == labels(DataLoader(ROWS, 3, True, generator=1))
    by_generator = DataLoader(ROWS, 3, True, generator=np.random.default_rng(1))
    assert labels(by_generator) == labels(DataLoader(ROWS, 3, True, generator=1))
    manual_seed(7)
    first = labels(DataLoader(ROWS, 3, True))
    manual_seed(7)
    assert labels(DataLoader(ROWS, 3, True)) == first
    state = default_generator().bit_generator.state
    labels(DataLoader(ROWS, 3))
    assert default_generator().bit_generator.state == state, "an ordered epoch draws nothing"


def test_two_iterators_at_once_do_not_disturb_each_other():
    loader = DataLoader(ROWS, 5, True, generator=1)
    pairs = [(a[1].numpy().tolist(), b[1].numpy().tolist()) for a, b in zip(loader, loader)]
    for side in zip(*pairs):
        assert sorted(row for batch in side for row in batch) == list(range(10))


def augmented(seed: int) -> ImageDataset:
    images = np.random.default_rng(0).integers(0, 256, (23, 8, 8), np.uint8)
    transform = Compose([RandomAffine(20, (0.1, 0.1)), ToTensor(), ElasticDeformation(2.0)])
    return ImageDataset(images, np.arange(23) % 10, transform, np.random.default_rng(seed))


def epochs(loader: DataLoader, count: int) -> list[tuple[bytes, bytes]]:
    return [(x.numpy().tobytes(), y.numpy().tobytes()) for _ in range(count) for x, y in loader]


@pytest.mark.parametrize("view", [lambda d: d, lambda d: Subset(d, range(22, -1, -1))], ids=["whole", "subset"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("stop", range(7))
def test_resumes_bit_for_bit(stop, shuffle, view):
    """Stop after `stop` of 6 batches, go through JSON into a loader of other seeds: the rest is the same bits."""
    whole = DataLoader(view(augmented(1)), 4, shuffle, generator=2)
    epochs(whole, 1)
    state, rest = None, []
    for number, (x, y) in enumerate(whole, 1):
        if number > stop:
            rest.append((x.numpy().tobytes(), y.numpy().tobytes()))
        if number == stop:
            state = json.loads(json.dumps(whole.state_dict()))
    if state is None:  # stopped between two epochs: the loop above was one of them already
        state = json.loads(json.dumps(whole.state_dict()))
        rest = epochs(whole, 1)
    rest += epochs(whole, 1)

    resumed = DataLoader(view(augmented(98)), 4, shuffle, generator=99)
    resumed.load_state_dict(state)
    assert epochs(resumed, 2) == rest


def test_resumes_on_the_default_generator():
    manual_seed(1)
    loader = DataLoader(ROWS, 3, shuffle=True)
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    rest = [y.numpy().tolist() for _, y in iterator] + labels(loader)
    manual_seed(77)
    other = DataLoader(ROWS, 3, shuffle=True)
    other.load_state_dict(state)
    assert labels(other) + labels(other) == rest


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM])
def test_every_bit_generator_goes_through_json(kind):
    loader = DataLoader(ROWS, 3, True, generator=np.random.Generator(kind(1)))
    labels(loader)
    other = DataLoader(ROWS, 3, True, generator=np.random.Generator(kind(2)))
    other.load_state_dict(json.loads(json.dumps(loader.state_dict())))
    assert labels(other) == labels(loader)


def test_a_state_that_does_not_fit_changes_nothing():
    loader = DataLoader(ROWS, 3, True, generator=1)
    good = loader.state_dict()
    bad = [
        DataLoader(ROWS, 4, True, generator=1).state_dict(),
        DataLoader(ROWS, 3, False).state_dict(),
        DataLoader(TensorDataset(np.zeros(9)), 3, True).state_dict(),
        {**good, "position": 5},
        {**good, "position": -1},
        {**good, "position": 1.5},
        {**good, "generator": {"bit_generator": "MT19937"}},
        {**good, "generator": 3},
        {},
        [],
        None,
    ]
    for state in bad:
        with pytest.raises(ValueError, match=r"state|position"):
            loader.load_state_dict(state)
        assert loader.state_dict() == good
    with pytest.raises(ValueError, match="batch_size 4 ≠ 3"):
        loader.load_state_dict(bad[0])


def test_collate_fn_gets_the_rows():
    loader = DataLoader(ROWS, 4, collate_fn=lambda rows: [int(y) for _, y in rows])
    assert list(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_default_collate():
    x, y, b = default_collate([(1.5, 2, True), (2.5, 3, False)])
    assert (x.dtype, y.dtype, b.dtype) == (np.float32, np.int64, np.bool_)
    assert default_collate([[np.zeros(3), Tensor(np.ones(2))]] * 2)[1].shape == (2, 2)
    assert default_collate([np.arange(2, dtype=">f8")]).numpy().dtype == np.float32
    assert default_collate([np.arange(2, dtype=np.uint8)]).numpy().dtype == np.int64
    with pytest.raises(TypeError, match="collate_fn"):
        default_collate(["a", "b"])
    with pytest.raises(TypeError, match="numbers"):
        default_collate([{"image": 1}])
    with pytest.raises(ValueError, match="one shape"):
        default_collate([np.zeros(3), np.zeros(4)])


def test_a_dataset_whose_many_rows_are_a_list_as_in_pytorch():
    class Many(OneByOne):
        def __getitems__(self, indices):
            return [self[i] for i in indices]

    assert labels(DataLoader(Many(), 5)) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, None, "4", True])
def test_batch_size_refused(batch_size):
    with pytest.raises((ValueError, TypeError), match="batch_size"):
        DataLoader(ROWS, batch_size)


def test_arguments_refused():
    assert len(DataLoader(ROWS, num_workers=0, pin_memory=False)) == 10
    for option in ({"num_workers": 2}, {"pin_memory": True}):
        with pytest.raises(ValueError, match="num_workers=0 and pin_memory=False"):
            DataLoader(ROWS, **option)
    with pytest.raises(TypeError, match="generator"):
        DataLoader(ROWS, generator="seed")
    with pytest.raises(TypeError, match="dataset must have __len__"):
        DataLoader(iter([1, 2]))


def test_a_batch_of_128_images_costs_far_less_than_a_millisecond():
    images = np.random.default_rng(0).integers(0, 256, (6000, 28, 28), np.uint8)
    loader = DataLoader(ImageDataset(images, np.zeros(6000, np.int64)), 128, shuffle=True, generator=0)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in loader:
            pass
        times.append((time.perf_counter() - start) / len(loader))
    assert min(times) < 1e-3, "measured: 0.08 ms"
