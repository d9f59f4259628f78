"""The thread pool that compiled kernels share.

A kernel gives each thread a slice of the batch for the whole operation. Numba's own parallel loops and a
multi-threaded BLAS would fight for the same cores: both wait by spinning, and a pair of calls that takes
0.6 ms alone was measured at 8 ms. So compiled kernels run without Numba's `parallel`, and leave to BLAS only
products that are so small that it keeps to one thread. The same thread count gives the same bits; another
count may round differently.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

from tinydl.shapes import Array, Pair

__all__ = ["num_threads", "run", "set_num_threads", "share"]

Task = Callable[[int, int, int], None]
"""A task does items start…stop−1 of its operation, as worker number `worker`: `task(start, stop, worker)`."""


GIVEN, DONE, JOB, GIVER, AWAKE, WORDS = 0, 16, 32, 34, 48, 512
"""What stands where in the mailbox of a helper, and its length, in integers of 8 bytes: the number of the job that was
given last; of the one that was done last; the address of a compiled job (0: it is one of Python's); the processor of
the giver; whether the helper waits here. What one thread writes and another reads is 128 bytes from all else, so that
they share no cache line."""

TIRED, PYTHON, ASIDE = 0, 1, 2
"""Why a helper leaves its mailbox: nothing came; a job for Python did; the giver runs on the same processor."""


class Meeting(Protocol):
    """How threads meet without the GIL; addresses are those of mailboxes."""

    def serve(self, address: int, done: int, still: int) -> int:
        """Say that `done` jobs are done, do compiled ones as they come, and return why that ends.

        For the first `still` jobs it does not matter on which processor.
        """

    def are_done(self, addresses: Array) -> bool:
        """Wait a moment; return whether all has been done that was given."""

    def current_cpu(self) -> int:
        """Return the number of this thread's processor, or a negative one if nobody knows."""


APART = 0.02
"""Seconds from one step aside to the next: where other programs keep every processor busy, moving helps nobody."""

JOBS_APART = 1000
"""The same in compiled jobs."""

LOOKS, POLL = 10, 1e-4
"""How often to wait by spinning for a helper that takes long, and the seconds between two looks from then on."""

meeting: Meeting | None = None
"""How threads meet before they sleep; compiled/crew.py puts its functions here."""

_NOBODY = np.empty(0, np.int64)
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
    busy = _helpers(len(cut) - 1)
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


def share(kernel: Callable[..., Any], n_workers: int, *arguments: Any) -> None:
    """Run `kernel(worker, boss, crew, *arguments)` for each worker, each on its own thread: see compiled/crew.py.

    The caller is worker 0 and the boss. Where the pool is in use, or kernels are not compiled, the shares are done one
    after another, with nobody as crew.

    >>> share(lambda worker, boss, crew, word: print(worker, boss, len(crew), word), 1, "alone")
    0 0 0 alone
    """
    if n_workers == 1:
        kernel(0, 0, _NOBODY, *arguments)
    elif meeting is not None and _pool_in_use.acquire(False):
        try:
            _share_on_pool(kernel, n_workers, arguments)
        finally:
            _pool_in_use.release()
    else:
        for worker in range(n_workers):
            kernel(worker, 0, _NOBODY, *arguments)


def _share_on_pool(kernel: Callable[..., Any], n_workers: int, arguments: tuple[Any, ...]) -> None:
    busy = _pool if len(_pool) == n_workers - 1 else _helpers(n_workers - 1)
    done = False
    try:
        for helper in busy:
            if not helper.words[AWAKE]:  # not asked in `wake`: each call of Python's costs, see docs/speed.md
                helper.wake()
        done = kernel(0, 1, busy[-1].crew, *arguments)
    finally:
        if not done:
            _outlast(busy)


def _outlast(busy: list[_Helper]) -> None:
    """Return when all helpers are done, also after an error or Ctrl-C: they may still write to the arrays."""
    assert meeting is not None
    interrupt: BaseException | None = None
    looks = 0
    while any(helper.is_behind() for helper in busy):
        try:
            for helper in busy:
                if not helper.words[AWAKE]:
                    helper.wake()
            if not meeting.are_done(busy[-1].crew) and (looks := looks + 1) > LOOKS:
                time.sleep(POLL)
        except KeyboardInterrupt as ctrl_c:
            interrupt = ctrl_c
    if interrupt is not None:
        raise interrupt


def _helpers(n: int) -> list[_Helper]:
    """Return the first n helpers."""
    while len(_pool) < n:
        _pool.append(_Helper())
    return _pool[:n]


class _Helper(threading.Thread):
    """A thread that runs one task at a time and, between tasks, waits at its mailbox for a moment before it sleeps.

    Waking a sleeping thread takes about 40 µs on a virtual machine. A training step has dozens of operations
    that are no longer than that, and they follow each other closely: so both sides first spin (without the
    GIL) on a number. Queues make the actual hand-over of Python's tasks; the numbers only say that it is worth looking.
    Compiled jobs are handed over in the mailbox itself.
    """

    def __init__(self) -> None:
        super().__init__(name="tinydl-helper", daemon=True)
        self._jobs: SimpleQueue[tuple[Task, int, int, int] | None] = SimpleQueue()
        self._end: SimpleQueue[None] = SimpleQueue()
        self._mail = np.zeros(WORDS, np.int64)
        self.words = memoryview(self._mail)
        self._address = np.array([self._mail.ctypes.data])
        self.crew = np.concatenate([*(helper._address for helper in _pool), self._address])
        self._moved = -math.inf
        self._finished = True
        self._error: BaseException | None = None
        self.start()

    def wake(self) -> None:
        """Let it look for compiled jobs, now or when they come."""
        self._jobs.put(None)

    def is_behind(self) -> bool:
        """Return whether something has been given that is not done."""
        return bool(self._mail[DONE] < self._mail[GIVEN])

    def give(self, task: Task, start: int, stop: int, worker: int) -> None:
        self._finished = False
        self._end = SimpleQueue()  # the old one may hold the token of an end that was seen by spinning
        self._mail[JOB] = 0
        self._mail[GIVER] = meeting.current_cpu() if meeting is not None else -1
        self._jobs.put((task, start, stop, worker))
        self._mail[GIVEN] += 1

    def wait(self) -> BaseException | None:
        """Return the task's exception, or a Ctrl-C that came meanwhile, once the task has ended."""
        interrupt: BaseException | None = None
        while not self._finished:
            try:
                if meeting is None or not meeting.are_done(self._address):
                    self._end.get()
            except KeyboardInterrupt as ctrl_c:
                interrupt = ctrl_c
        raised, self._error = self._error, None
        return raised or interrupt

    def run(self) -> None:
        done = 0
        while True:
            done = self._serve(done)
            job = self._jobs.get()
            if job is not None:  # else somebody only wants this thread to be awake
                self._do(*job)
                done += 1

    def _serve(self, done: int) -> int:
        """Wait at the mailbox until a task for Python comes, or for a moment; return how many jobs are done by then."""
        if meeting is None:
            self._mail[DONE] = done
            return done
        while meeting.serve(int(self._address[0]), done, JOBS_APART * self._has_just_moved()) == ASIDE:
            self._step_aside()
            done = int(self._mail[DONE])
        return int(self._mail[DONE])

    def _has_just_moved(self) -> bool:
        return time.monotonic() < self._moved + APART

    def _do(self, task: Task, start: int, stop: int, worker: int) -> None:
        """Run one task; its arrays die with this frame, not with the next task."""
        here = -1 if meeting is None else meeting.current_cpu()
        if here == self._mail[GIVER] >= 0 and not self._has_just_moved():
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
        others = allowed - {int(self._mail[GIVER])}
        with contextlib.suppress(OSError):  # where the system forbids it, the task has to be done all the same
            if others:
                os.sched_setaffinity(0, others)
                os.sched_setaffinity(0, allowed)


def _after_fork_in_child() -> None:
    """Start anew in a forked child: it has our objects but none of our threads, and locks may be held."""
    global _pool_in_use
    _pool.clear()
    _pool_in_use = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
