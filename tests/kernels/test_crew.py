"""Compiled kernels that share their work without Python: see tinydl/kernels/compiled/crew.py."""

import _thread
import os
import signal
import threading
import time

import numpy as np
import pytest

from tinydl.kernels import threads

pytest.importorskip("numba")
crew = pytest.importorskip("tinydl.kernels.compiled.crew")

if not hasattr(crew._serve, "signatures"):
    pytest.skip("kernels run interpreted", allow_module_level=True)

from tinydl.kernels.compiled.crew import current_cpu, give, load, store, wait  # noqa: E402
from tinydl.kernels.compiled.jit import _compile, njit  # noqa: E402


@njit
def square(worker, boss, crew, ranges, x, y, factor, rounds, seen):
    give(boss, crew)
    seen[worker] = current_cpu()
    for _ in range(rounds):
        for i in range(ranges[worker, 0], ranges[worker, 1]):
            y[i] = factor * x[i] * x[i]
    return wait(boss, crew)


def run_square(n, workers, rounds=1, factor=2.0):
    x, y, seen = np.arange(n, dtype=np.float64), np.zeros(n), np.full(workers, -1)
    cut = np.array([(n * i // workers, n * (i + 1) // workers) for i in range(workers)])
    threads.share(square, workers, cut, x, y, factor, rounds, seen)
    return x, y, seen


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(threads, "_pool", [])


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_every_worker_does_its_share(workers):
    for _ in range(200):
        x, y, seen = run_square(1000, workers, factor=3.0)
        np.testing.assert_array_equal(y, 3 * x * x)
        assert (seen >= -1).all()
    assert len(threads._pool) == workers - 1


def test_the_shares_run_at_the_same_time():
    """A helper that waits for a flag that only the boss sets, and the other way round."""

    @njit
    def meet(worker, boss, crew, flags):
        give(boss, crew)
        store(flags, worker, 1)
        for _ in range(2_000_000_000):
            if load(flags, 1 - worker) != 0:
                break
        store(flags, 2 + worker, load(flags, 1 - worker))
        return wait(boss, crew)

    threads.share(meet, 2, np.ones(4, np.int64).ctypes.data)  # now all is compiled
    for _ in range(20):
        flags = np.zeros(4, np.int64)
        threads.share(meet, 2, flags.ctypes.data)
        assert flags.tolist() == [1, 1, 1, 1]


def test_a_sleeping_helper_is_woken():
    run_square(100, 2)
    for _ in range(5):
        deadline = time.monotonic() + 20
        while threads._pool[0]._mail[threads.AWAKE] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not threads._pool[0]._mail[threads.AWAKE]
        x, y, _ = run_square(100, 2)
        np.testing.assert_array_equal(y, 2 * x * x)


def test_tasks_of_python_and_compiled_ones_take_turns():
    for i in range(300):
        count = []
        threads.run(lambda start, stop, worker, count=count: count.append(worker), 2, 1)
        x, y, _ = run_square(64, 2)
        np.testing.assert_array_equal(y, 2 * x * x)
        assert len(count) == min(2, threads.num_threads())
        if i % 50 == 0:
            time.sleep(0.01)
    for helper in threads._pool:
        assert helper._jobs.qsize() <= 2


def test_long_shares_are_waited_for():
    """Longer than anybody waits by spinning, so that Python has to look after them."""
    x, y, _ = run_square(200_000, 2, rounds=200)
    np.testing.assert_array_equal(y, 2 * x * x)


def test_no_references_are_counted():
    """What Numba would count them in is gone once the boss has returned; a helper that is late would break the heap."""
    run_square(100, 2)
    kernel = _compile(square.py_func)
    for signature in square.signatures:
        kernel.compile(signature)
        code = kernel.inspect_llvm(signature)
        assert "square" in code
        assert "NRT_" not in code


def test_one_share_after_another_where_the_pool_is_in_use():
    with threads._pool_in_use:
        x, y, _ = run_square(100, 3)
    np.testing.assert_array_equal(y, 2 * x * x)
    assert threads._pool == []


def test_several_user_threads_at_once():
    wrong = []

    def job():
        for _ in range(200):
            x, y, _ = run_square(500, 2)
            if not np.array_equal(y, 2 * x * x):
                wrong.append(y)

    users = [threading.Thread(target=job) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join(timeout=60)
    assert not wrong


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_waits_for_the_helpers():
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        pytest.skip("SIGINT is ignored by whoever started the tests")
    run_square(1000, 2)
    timer = threading.Timer(0.05, _thread.interrupt_main)
    x, y, seen = np.arange(400_000.0), np.zeros(400_000), np.full(2, -1)
    cut = np.array([(0, 1), (1, 400_000)])  # the helper's share is the long one
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        threads.share(square, 2, cut, x, y, 2.0, 1500, seen)
    assert not threads._pool[0].is_behind()
    np.testing.assert_array_equal(y, 2 * x * x)
    timer.join()


def test_what_does_not_fit_into_a_mailbox_is_refused():
    @njit
    def greedy(worker, boss, crew, arrays):
        give(boss, crew)
        return wait(boss, crew)

    with pytest.raises(Exception, match="do not fit into a mailbox"):
        threads.share(greedy, 2, tuple(np.zeros(1) for _ in range(100)))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system moves no threads on request")
def test_a_helper_on_the_boss_processor_steps_aside(monkeypatch):
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("there is one processor only")
    moved = []

    def step_aside(self):
        moved.append(self)
        self._moved = time.monotonic()

    monkeypatch.setattr(threads._Helper, "_step_aside", step_aside)
    here = min(allowed)
    os.sched_setaffinity(0, {here})
    try:
        run_square(100, 2)  # the helper is born on the processor of its boss, and may run nowhere else
        assert moved
    finally:
        os.sched_setaffinity(0, allowed)
