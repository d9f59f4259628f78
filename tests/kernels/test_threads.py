import os
import signal
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from tinydl.kernels import threads


@pytest.fixture(autouse=True, params=[1, 2, 3])
def n_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = threads.num_threads()
    threads.set_num_threads(request.param)
    yield request.param
    threads.set_num_threads(before)


@pytest.fixture(params=["sleeping", "spinning"], autouse=True)
def waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "spinning":
        pytest.importorskip("numba")
        from tinydl.kernels.compiled import crew

        if not hasattr(crew._serve, "signatures"):
            pytest.skip("kernels run interpreted")
        monkeypatch.setattr(threads, "meeting", crew._Compiled())
    else:
        monkeypatch.setattr(threads, "meeting", None)


@pytest.mark.parametrize("n_items", [0, 1, 2, 5, 97])
@pytest.mark.parametrize("grain", [1, 3, 1000])
def test_every_item_once(n_items: int, grain: int, n_threads: int) -> None:
    count = np.zeros(n_items, int)
    calls = []

    def task(start: int, stop: int, worker: int) -> None:
        count[start:stop] += 1
        calls.append((start, stop, worker))

    threads.run(task, n_items, grain)
    assert (count == 1).all()
    assert [worker for *_, worker in sorted(calls)] == list(range(len(calls)))
    assert len(calls) <= n_threads
    if len(calls) > 1:
        assert min(stop - start for start, stop, _ in calls) >= grain


def test_slices_run_on_distinct_threads_the_first_on_the_callers(n_threads: int) -> None:
    barrier = threading.Barrier(n_threads)  # passes only if all slices are alive at once
    seen = {}

    def task(start: int, stop: int, worker: int) -> None:
        barrier.wait(timeout=10)
        seen[worker] = threading.get_ident()

    for _ in range(50):
        threads.run(task, n_threads, 1)
    assert len(set(seen.values())) == n_threads
    assert seen[0] == threading.get_ident()


@pytest.mark.parametrize("failing", [0, 1])
def test_an_exception_is_raised_after_all_slices_ended(failing: int, n_threads: int) -> None:
    failing %= n_threads
    ended = []

    def task(start: int, stop: int, worker: int) -> None:
        if worker == failing:
            raise ArithmeticError(f"slice {worker}")
        ended.append(worker)

    with pytest.raises(ArithmeticError, match=f"slice {failing}"):
        threads.run(task, n_threads, 1)
    assert len(ended) == n_threads - 1
    count = []
    threads.run(lambda start, stop, worker: count.append(worker), n_threads, 1)
    assert sorted(count) == list(range(n_threads))


def test_nested_runs_do_not_deadlock(n_threads: int) -> None:
    count = []

    def inner(start: int, stop: int, worker: int) -> None:
        count.append((start, stop))

    threads.run(lambda start, stop, worker: threads.run(inner, n_threads, 1), n_threads, 1)
    assert sorted(count) == sorted([(i, i + 1) for i in range(n_threads)] * n_threads)


def test_two_user_threads_at_once() -> None:
    def job(out: np.ndarray) -> None:
        def task(start: int, stop: int, worker: int) -> None:
            for i in range(start, stop):
                out[i] += i

        for _ in range(100):
            threads.run(task, 50, 1)

    outs = [np.zeros(50, int) for _ in range(4)]
    users = [threading.Thread(target=job, args=(out,)) for out in outs]
    for user in users:
        user.start()
    for user in users:
        user.join(timeout=60)
    for out in outs:
        assert (out == 100 * np.arange(50)).all()


def test_a_finished_task_is_forgotten() -> None:
    import weakref

    class Payload:
        pass

    payload = Payload()
    gone = weakref.ref(payload)
    threads.run(lambda start, stop, worker, payload=payload: None, 10, 1)
    threads.run(lambda start, stop, worker: None, 10, 1)  # the helpers are past the end of the first
    del payload
    assert gone() is None


def test_ctrl_c_waits_for_the_helpers(n_threads: int) -> None:
    ended = []

    def task(start: int, stop: int, worker: int) -> None:
        if worker == 0:
            os.kill(os.getpid(), signal.SIGINT)
        ended.append(worker)

    with pytest.raises(KeyboardInterrupt):
        threads.run(task, n_threads, 1)
    assert set(ended) >= set(range(1, n_threads))
    threads.run(lambda start, stop, worker: ended.append(-1), n_threads, 1)
    assert ended.count(-1) == n_threads


def test_nothing_piles_up(n_threads: int) -> None:
    for _ in range(200):
        threads.run(lambda start, stop, worker: None, n_threads, 1)
    for helper in threads._pool:
        assert helper._end.qsize() + helper._jobs.qsize() <= 2


def in_child(check) -> bool:
    """Fork; return whether check() held in the child."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if check() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_fork_after_and_inside_a_run(n_threads: int) -> None:

    def works() -> bool:
        seen: list[int] = []
        signal.alarm(20)
        threads.run(lambda start, stop, worker: seen.append(worker), n_threads, 1)
        return sorted(seen) == list(range(n_threads))

    assert works()
    signal.alarm(0)
    assert in_child(works)
    held = []

    def task(start: int, stop: int, worker: int) -> None:
        if worker == 0:
            held.append(in_child(works))

    threads.run(task, n_threads, 1)
    assert held == [True]


@pytest.mark.parametrize("n", [0, -1, 1025, 1.5, "2", True, None])
def test_bad_counts_are_refused(n: object, n_threads: int) -> None:
    with pytest.raises(ValueError, match="n must be an integer from 1 to 1024"):
        threads.set_num_threads(n)  # type: ignore[arg-type]
    assert threads.num_threads() == n_threads


@pytest.mark.parametrize("value", ["", "0", "-3", "many", "1.5", "99999999999999999999"])
def test_absurd_omp_num_threads_is_ignored(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    plain = threads._default_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert threads._default_num_threads() == plain
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads._default_num_threads() == 1


class OnProcessor:
    """Threads that always run on this processor, and never meet without the GIL."""

    def __init__(self, number):
        self.number = number

    def current_cpu(self):
        return self.number

    def serve(self, address, done, still):
        return threads.TIRED

    def are_done(self, addresses):
        return False


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system moves no threads on request")
def test_a_helper_on_the_givers_processor_steps_aside_and_is_free_again(monkeypatch):
    """On one processor the slices would run one after the other."""
    allowed = os.sched_getaffinity(0)
    asked = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda who, cpus: asked.append((who, set(cpus))))
    monkeypatch.setattr(threads, "meeting", OnProcessor(min(allowed)))
    monkeypatch.setattr(threads, "_pool", [])
    monkeypatch.setattr(threads, "_num_threads", 2)
    monkeypatch.setattr(threads, "APART", 1e9)
    for _ in range(3):
        threads.run(lambda start, stop, worker: None, 2, grain=1)
    others = allowed - {min(allowed)}
    assert asked == ([(0, others), (0, allowed)] if others else [])


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system moves no threads on request")
def test_where_moving_is_forbidden_the_work_is_done(monkeypatch):
    def forbidden(who, cpus):
        raise PermissionError("no")

    monkeypatch.setattr(os, "sched_getaffinity", lambda who: {0, 1})
    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    monkeypatch.setattr(threads, "meeting", OnProcessor(0))
    monkeypatch.setattr(threads, "_pool", [])
    monkeypatch.setattr(threads, "_num_threads", 2)
    seen = []
    threads.run(lambda start, stop, worker: seen.append(worker), 2, grain=1)
    assert sorted(seen) == [0, 1]
