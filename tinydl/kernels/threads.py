"""The thread pool that compiled kernels share, and the peace between it and NumPy's BLAS.

A kernel gives each thread a slice of the batch for the whole operation. Numba's own parallel loops and a
multi-threaded BLAS would fight for the same cores: both wait by spinning, and a pair of calls that takes
0.6 ms alone was measured at 8 ms. So compiled kernels run without Numba's `parallel`, BLAS is held at one
thread while they use it from several threads (`single_threaded_blas`), and nothing else about a user's NumPy
changes. The same thread count gives the same bits; another count may round differently.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

from tinydl.shapes import Array, Pair

__all__ = ["num_threads", "run", "set_num_threads", "single_threaded_blas"]

Task = Callable[[int, int, int], None]
"""A task does items start…stop−1 of its operation, as worker number `worker`: `task(start, stop, worker)`."""


class Spin(Protocol):
    """Set `tell[0] = value`, wait a moment until `flag[0] >= ticket`, all without the GIL: was it reached?

    With `pause`, leave the other thread a few more µs to let go of the GIL.
    """

    def __call__(self, tell: Array, value: int, flag: Array, ticket: int, pause: bool) -> bool: ...


APART = 0.02
"""Seconds from one step aside to the next: where other programs keep every processor busy, moving helps nobody."""

spin: Spin | None = None
"""How a thread waits before it sleeps; compiled/spin.py puts its function here."""

current_cpu: Callable[[], int] | None = None
"""Tells which processor a thread runs on; compiled/spin.py puts its function here where there is one."""

_pool: list[_Helper] = []
_pool_in_use = threading.Lock()


def _default_num_threads() -> int:
    """Return the number of CPUs this process may use, or fewer when OMP_NUM_THREADS says so sensibly."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(cpus, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else cpus


_num_threads = _default_num_threads()


def set_num_threads(n: int) -> None:
    """Let compiled kernels use `n` threads, the calling one included. The same `n` gives the same bits.

    Raises: ValueError unless n is an integer from 1 to 1024.

    >>> before = num_threads()
    >>> set_num_threads(1)
    >>> num_threads()
    1
    >>> set_num_threads(before)
    """
    global _num_threads
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or not 1 <= n <= 1024:
        raise ValueError(f"set_num_threads: n must be an integer from 1 to 1024, got {n!r}")
    _num_threads = int(n)


def num_threads() -> int:
    """Return how many threads compiled kernels may use.

    At first: the CPUs this process may run on, or OMP_NUM_THREADS if that is fewer.
    """
    return _num_threads


def slices(n_items: int, grain: int) -> list[Pair]:
    """Cut range(n_items) into equal (start, stop) slices: one a thread, none shorter than `grain` items.

    The cut depends on nothing else, so sums taken slice by slice have the same bits every time.

    >>> before = num_threads()
    >>> set_num_threads(3)
    >>> slices(10, grain=2), slices(5, grain=2), slices(3, grain=2)
    ([(0, 3), (3, 6), (6, 10)], [(0, 2), (2, 5)], [(0, 3)])
    >>> set_num_threads(before)
    """
    n = max(1, min(_num_threads, n_items // max(grain, 1)))
    return [(n_items * i // n, n_items * (i + 1) // n) for i in range(n)]


def run(task: Task, n_items: int, grain: int) -> None:
    """Call `task(start, stop, worker)` for the slices of range(n_items), each on its own thread.

    The caller is worker 0. Work below two grains stays in the caller: to hand it over costs 7 µs while the
    helper still spins and 50 µs once it sleeps. When another user thread (or an outer task) holds the pool,
    the same slices run one after another. The first exception, by slice, is raised after all slices ended.

    >>> out = [0] * 4
    >>> def task(start, stop, worker):
    ...     for i in range(start, stop):
    ...         out[i] = i * i
    >>> run(task, 4, grain=1)
    >>> out
    [0, 1, 4, 9]
    """
    cut = slices(n_items, grain)
    if len(cut) == 1:
        task(0, n_items, 0)
    elif _pool_in_use.acquire(blocking=False):
        try:
            _run_on_pool(task, cut)
        finally:
            _pool_in_use.release()
    else:
        for worker, (start, stop) in enumerate(cut):
            task(start, stop, worker)


def _run_on_pool(task: Task, cut: list[Pair]) -> None:
    while len(_pool) < len(cut) - 1:
        _pool.append(_Helper())
    busy = _pool[: len(cut) - 1]
    errors: list[BaseException | None] = []
    try:
        for worker, helper in enumerate(busy, 1):
            helper.give(task, *cut[worker], worker)
        task(*cut[0], 0)
    except BaseException as error:
        errors.append(error)
    # Also after an error or Ctrl-C: no helper may still write to the arrays once the caller goes on.
    errors += [helper.wait() for helper in busy]
    for raised in filter(None, errors):
        raise raised


class _Helper(threading.Thread):
    """A thread that runs one task at a time and, between tasks, spins for a moment before it sleeps.

    Waking a sleeping thread takes about 40 µs on a virtual machine. A training step has dozens of operations
    that are no longer than that, and they follow each other closely: so both sides first spin (without the
    GIL) on a ticket number. Queues make the actual hand-over; the numbers only say that it is worth looking.
    """

    def __init__(self) -> None:
        super().__init__(name="tinydl-helper", daemon=True)
        self._jobs: SimpleQueue[tuple[Task, int, int, int]] = SimpleQueue()
        self._end: SimpleQueue[None] = SimpleQueue()
        # 128 bytes apart, so that no cache line is shared.
        self._given, self._done, self._unused = np.zeros((3, 16), np.int64)
        self._ticket = 0
        self._giver = -1
        self._moved = -math.inf
        self._finished = True
        self._error: BaseException | None = None
        self.start()

    def give(self, task: Task, start: int, stop: int, worker: int) -> None:
        self._finished = False
        self._end = SimpleQueue()  # the old one may hold the token of an end that was seen by spinning
        self._ticket += 1
        self._giver = current_cpu() if current_cpu is not None else -1
        self._jobs.put((task, start, stop, worker))
        self._given[0] = self._ticket

    def wait(self) -> BaseException | None:
        """Return the task's exception, or a Ctrl-C that came meanwhile, once the task has ended."""
        interrupt: BaseException | None = None
        while not self._finished:
            try:
                if spin is None or not spin(self._unused, 0, self._done, self._ticket, False):
                    self._end.get()
            except KeyboardInterrupt as ctrl_c:
                interrupt = ctrl_c
        raised, self._error = self._error, None
        return raised or interrupt

    def run(self) -> None:
        n_done = 0
        while True:
            if spin is not None:
                spin(self._done, n_done, self._given, n_done + 1, True)
            self._do(*self._jobs.get())
            n_done += 1

    def _do(self, task: Task, start: int, stop: int, worker: int) -> None:
        """Run one task; its arrays die with this frame, not with the next task."""
        if current_cpu is not None and current_cpu() == self._giver and time.monotonic() > self._moved + APART:
            self._step_aside()
        try:
            task(start, stop, worker)
        except BaseException as error:
            self._error = error
        finally:
            self._finished = True
            self._end.put(None)

    def _step_aside(self) -> None:
        """Leave the giver's processor to the giver, once; from there the system may move this thread as it likes.

        Linux may keep two threads that wake each other on one processor for a second, the other one idle: then the
        slices ran one after the other, and a layer of 290 µs took 560.
        """
        self._moved = time.monotonic()
        allowed = os.sched_getaffinity(0)
        others = allowed - {self._giver}
        with contextlib.suppress(OSError):  # where the system forbids it, the task has to be done all the same
            if others:
                os.sched_setaffinity(0, others)
                os.sched_setaffinity(0, allowed)


class _BlasThreads:
    """Counts the operations that need BLAS on one thread; the last one out restores what the first found."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._found: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._found = [(library, library.get_num_threads()) for library in _blas_libraries()]
                _set_blas_threads([(library, 1) for library, _ in self._found])

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self.restore()

    def restore(self) -> None:
        _set_blas_threads(self._found)
        self._found = []


@functools.cache
def _blas_libraries() -> list[Any]:
    """Return threadpoolctl's handles of this process's BLAS libraries; finding them takes 0.3 ms, once."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set_blas_threads(counts: list[tuple[Any, int]]) -> None:
    """Set each library's thread count, from whichever thread this is.

    In newer versions of threadpoolctl the first thread that sets OpenBLAS's count is the only one that can,
    until it is released. But the last operation to end, which restores the count, need not be the first.
    """
    for library, n in counts:
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(n)
        release(force=True)


_blas = _BlasThreads()


def single_threaded_blas() -> _BlasThreads:
    """Hold BLAS at one thread inside a `with` block, for kernels that call it from several threads of ours.

    Blocks may nest and overlap in time; the last one to end restores the counts that the first one found.
    BLAS has one setting for the whole process, so a user's own thread that multiplies matrices at this
    moment does so on one thread: slower, never wrong.

    >>> with single_threaded_blas():
    ...     pass
    """
    return _blas


def _after_fork_in_child() -> None:
    """Start anew in a forked child: it has our objects but none of our threads, and locks may be held."""
    global _pool_in_use, _blas
    _pool.clear()
    _pool_in_use = threading.Lock()
    _blas.restore()
    _blas = _BlasThreads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
