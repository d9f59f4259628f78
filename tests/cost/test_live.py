import numpy as np

from tinydl.cost.live import Live, owner
from tinydl.kernels import buffers


def test_the_owner_of_any_view():
    x = np.zeros((4, 6))
    strided = np.lib.stride_tricks.as_strided(x[1:], (2, 2), (8, 8))
    for view in (x, x[1:], x.T[::2].reshape(3, 4, 1), np.broadcast_to(x[0], (9, 6)), strided, strided[:1]):
        assert owner(view) is x
    large = buffers.empty_nhwc(2, 16, 64, 64, np.float32)
    assert owner(large[:, 2:].reshape(2, -1, order="F")[..., :3].base) is not None
    assert owner(large[:, 2:]) is large


def test_each_memory_counts_once_until_it_is_freed():
    live, x = Live(), np.zeros(10)
    assert [live.add(x), live.add(x), live.add(x[5:])] == [80, 0, 0]
    view = x[5:]
    del x
    assert live.n_bytes == 80, "a view keeps the memory alive"
    assert live.holds(view)
    del view
    assert (live.n_bytes, live.peak) == (0, 80)


def test_a_view_counts_all_of_its_memory():
    live = Live()
    view = np.zeros(10)[2:3]
    assert live.add(view) == 80


def test_recycled_memory_counts_again():
    live, sizes = Live(), []
    for _ in range(3):
        large = buffers.empty((1 << 15,), np.float32)
        sizes.append(live.add(large))
        del large
    assert sizes == [1 << 17] * 3
    assert (live.n_bytes, live.peak) == (0, 1 << 17)


def test_the_peak_is_that_of_one_time():
    live = Live()
    a = np.zeros(4)
    live.add(a)
    b = np.zeros(2)
    live.add(b)
    del a
    c = np.zeros(1)
    live.add(c)
    assert (live.n_bytes, live.peak) == (24, 48)


def test_other_memory_is_never_counted():
    weight = np.zeros((3, 3))
    live = Live([weight.T])
    assert live.add(weight[1:]) == 0
    assert not live.holds(weight)
    assert not live.holds(np.zeros(3))


def test_results_count_when_an_operand_does():
    live, x, weight = Live(), np.zeros(4), np.zeros(4)
    live.add(x)
    scale, y, places = weight * 2, x * weight, np.zeros(2)
    assert live.follow([weight, 2.0], scale, [places]) == 0
    assert live.n_bytes == 32, "what is computed from other memory alone is not followed"
    assert live.follow([weight, x[1:], None], y, [places]) == 32
    assert live.n_bytes == 32 + 32 + 16, "what an op keeps beside its result counts, but is not its result"
    assert live.follow([y], y.reshape(2, 2), []) == 0
