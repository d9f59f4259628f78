import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels import buffers

BIG = (64, 1024)  # 256 KiB of float32
DTYPES = [np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_]


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    limit = buffers._cache.limit
    buffers.set_cache_limit(0)
    buffers.set_cache_limit(limit)
    yield
    buffers.set_cache_limit(limit)


def address(a: np.ndarray) -> int:
    return a.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2, 2), (1,), (2, 3), (5, 7, 64, 129), (70_000,)])
def test_empty(shape: tuple[int, ...], dtype: type) -> None:
    a = buffers.empty(shape, dtype)
    assert a.shape == shape
    assert a.dtype == dtype
    assert a.flags.c_contiguous
    assert a.flags.writeable
    assert a.flags.aligned
    a[...] = 1
    assert (a == 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n, c, h, w", [(2, 3, 4, 5), (8, 32, 26, 13), (0, 3, 4, 4), (1, 1, 1, 1), (2, 1, 300, 300)])
def test_empty_nhwc(n: int, c: int, h: int, w: int, dtype: type) -> None:
    a = buffers.empty_nhwc(n, c, h, w, dtype)
    assert a.shape == (n, c, h, w)
    assert a.dtype == dtype
    assert a.transpose(0, 2, 3, 1).flags.c_contiguous
    assert buffers.is_fresh(a)
    values = np.arange(a.size).reshape(a.shape) % 100
    a[...] = values
    assert (a == values.astype(dtype)).all()


@pytest.mark.parametrize("scale", [1, 40])
def test_empty_like_layout_keeps_the_memory_order(scale: int) -> None:
    x = np.zeros((4, 6, 10, scale * 20), np.float32)
    for like in (x, x.transpose(0, 3, 1, 2), x.T, x[::2, ::-1], x.transpose(2, 0, 3, 1), x[:, :, :, :1]):
        a = buffers.empty_like_layout(like)
        assert a.shape == like.shape
        assert a.strides == np.empty_like(like).strides
        assert buffers.empty_like_layout(like, np.int32).dtype == np.int32
    assert buffers.empty_like_layout(x.astype(">f4")).dtype == np.dtype("=f4")
    assert buffers.empty_like_layout(np.broadcast_to(np.float32(1), (300, 300))).strides == (1200, 4)


def test_memory_is_reused_when_the_array_is_gone() -> None:
    a = buffers.empty(BIG, np.float32)
    where = address(a)
    del a
    b = buffers.empty(BIG, np.float32)
    assert address(b) == where
    assert where % buffers.ALIGNMENT == 0
    del b
    assert address(buffers.empty((32, 1024), np.float64)) == where  # by size, whatever the shape and dtype


VIEWS = {
    "slice": lambda a: a[3:5],
    "view of a view of a view": lambda a: a[1:].T[2:][::2],
    "dtype view": lambda a: a.view(np.int32)[0],
    "reshape": lambda a: a.reshape(-1)[7:8],
    "transpose of ravel": lambda a: a.ravel().reshape(1024, 64).T,
    "memoryview": lambda a: memoryview(a),
    "array of a memoryview": lambda a: np.asarray(memoryview(a))[2:],
    "iterator": lambda a: a.flat,
    "broadcast": lambda a: np.broadcast_to(a[0, :1], (2, 2)),
    "real part": lambda a: a.real[4:],
    "frombuffer": lambda a: np.frombuffer(a, np.float32)[9:],
    "sliding": lambda a: np.lib.stride_tricks.sliding_window_view(a, (2, 2)),
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (2,), (4,)),
    "subclass": lambda a: a.view(np.ma.MaskedArray),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("collector", [True, False])
def test_memory_is_not_reused_while_any_view_lives(view: str, collector: bool) -> None:
    if not collector:
        gc.disable()
    try:
        a = buffers.empty(BIG, np.float32)
        where = address(a)
        v = VIEWS[view](a)
        del a
        others = [buffers.empty(BIG, np.float32) for _ in range(3)]
        assert where not in map(address, others)
        del v
        assert address(buffers.empty(BIG, np.float32)) == where
    finally:
        gc.enable()


def test_a_cycle_holds_its_memory_until_collected() -> None:
    gc.disable()
    try:
        a = buffers.empty(BIG, np.float32)
        where = address(a)
        cycle: list[object] = [a]
        cycle.append(cycle)
        del a, cycle
        b = buffers.empty(BIG, np.float32)
        assert address(b) != where
        gc.collect()
        assert address(buffers.empty(BIG, np.float32)) == where
    finally:
        gc.enable()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["new", "drop", "view"]), st.integers(0, 9), st.integers(1, 5)), max_size=60))
def test_no_two_live_arrays_share_memory(actions: list[tuple[str, int, int]]) -> None:
    live: dict[int, tuple[np.ndarray, int]] = {}
    for step, (action, slot, size) in enumerate(actions):
        if action == "new":
            a = buffers.empty((size * 20_000,), np.float32)
            a[...] = step
            live[slot] = (a, step)
        elif slot in live and action == "view":
            live[slot] = (live[slot][0][1:], live[slot][1])
        else:
            live.pop(slot, None)
        for a, value in live.values():
            assert a[0] == value
            assert a[-1] == value
            assert not a.size or (a == value).all()


def test_free_memory_is_bounded_and_steady() -> None:
    buffers.set_cache_limit(1 << 20)
    for size in range(20_000, 400_000, 7_000):
        arrays = [buffers.empty((size,), np.float32) for _ in range(4)]
        assert all(a.size == size for a in arrays)
        del arrays
        assert buffers._cache.n_bytes <= 1 << 20
    held = sum(size * len(slabs) for size, slabs in buffers._cache._free.items())
    assert held == buffers._cache.n_bytes
    buffers.set_cache_limit(0)
    assert buffers._cache.n_bytes == 0
    assert not buffers._cache._free
    with pytest.raises(ValueError, match="at least 0, got -1"):
        buffers.set_cache_limit(-1)


def test_the_size_used_longest_ago_is_dropped_first() -> None:
    a, b = buffers.empty((100_000,), np.float32), buffers.empty((50_000,), np.float32)
    where = address(a)
    del a, b
    buffers.empty((100_000,), np.float32)  # given back at once: now this size is the one used last
    buffers.set_cache_limit(buffers._cache.n_bytes - 1)
    assert address(buffers.empty((100_000,), np.float32)) == where


def test_a_size_of_which_all_is_in_use_is_passed_over() -> None:
    a, b = buffers.empty((100_000,), np.float32), buffers.empty((50_000,), np.float32)
    del a, b
    in_use = buffers.empty((100_000,), np.float32)
    buffers.set_cache_limit(0)
    assert buffers._cache.n_bytes == 0
    in_use[...] = 1


def test_threads_never_get_the_same_memory() -> None:
    wrong = []

    def job(me: int) -> None:
        rng = np.random.default_rng(me)
        for _ in range(300):
            a = buffers.empty((int(rng.integers(17_000, 20_000)),), np.float32)
            a[...] = me
            b = buffers.empty_nhwc(2, 8, 40, 40, np.float32)
            b[...] = me + 100
            if not ((a == me).all() and (b == me + 100).all()):
                wrong.append(me)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    users = [threading.Thread(target=job, args=(i,)) for i in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join(timeout=60)
    sys.setswitchinterval(interval)
    assert not wrong


def test_the_collector_may_free_an_array_inside_take() -> None:
    a = buffers.empty(BIG, np.float32)
    with buffers._cache._lock:  # as if the garbage collector ran in the middle of take()
        del a
    assert buffers.empty(BIG, np.float32).shape == BIG


def test_is_fresh() -> None:
    for shape in ((4, 4), BIG):
        a = buffers.empty(shape, np.float32)
        assert buffers.is_fresh(a)
        assert not buffers.is_fresh(a[:])
        assert not buffers.is_fresh(a[1:])
        assert not buffers.is_fresh(a.reshape(-1))
        assert not buffers.is_fresh(a.T)
        view = a.T
        del a
        assert not buffers.is_fresh(view)
        assert buffers.is_fresh(view.copy())
    assert not buffers.is_fresh(np.frombuffer(bytearray(64), np.float32))
    assert not buffers.is_fresh(np.broadcast_to(np.float32(1), (5,)))


def test_scratch_is_kept_by_name_and_thread() -> None:
    a = buffers.scratch("a", (10, 10), np.float32)
    b = buffers.scratch("b", (10, 10), np.float32)
    assert not np.shares_memory(a, b)
    assert address(buffers.scratch("a", (5, 4), np.float64)) == address(a)
    assert address(a) % buffers.ALIGNMENT == 0
    assert buffers.scratch("a", (1000, 1000), np.float32).shape == (1000, 1000)
    assert buffers.scratch("a", (0, 3), np.float32).shape == (0, 3)
    seen = []
    other = threading.Thread(target=lambda: seen.append(buffers.scratch("b", (10, 10), np.float32)))
    other.start()
    other.join()
    assert not np.shares_memory(seen[0], b)


def test_a_size_that_cannot_be_had_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        buffers.empty((1 << 45,), np.float32)
    assert buffers.empty(BIG, np.float32).shape == BIG


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_fork() -> None:
    a = buffers.empty(BIG, np.float32)
    a[...] = 1
    with buffers._cache._lock:  # held by a thread that the child does not have
        pid = os.fork()
        if pid == 0:
            b = buffers.empty(BIG, np.float32)
            b[...] = 2
            os._exit(0 if (a == 1).all() and address(a) != address(b) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (a == 1).all()


def test_the_end_of_the_program_is_silent() -> None:
    """Arrays outlive the globals of modules, which Python sets to None one after the other."""
    program = "from tinydl.kernels import buffers; import re; re.keep = [buffers.empty((99_999,), 'f4'), buffers]"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
