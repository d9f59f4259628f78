"""The process that compiles ahead is started once, where it helps, and ends with the one it helps."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")
from tinydl.kernels.compiled import ahead, jit, last_first

STARTED: list[list[str]] = []


class Process:
    def __init__(self, command: list[str], env: dict[str, str], **streams: int) -> None:
        assert env["TINYDL_COMPILE_AHEAD"] == "0"
        assert set(streams.values()) == {subprocess.DEVNULL}
        STARTED.append(command)


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("TINYDL_COMPILE_AHEAD", "NUMBA_DISABLE_JIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ahead, "num_threads", lambda: 2)
    monkeypatch.setattr(ahead.subprocess, "Popen", Process)
    monkeypatch.setattr(ahead.atexit, "register", lambda *_: None)
    STARTED.clear()
    ahead.begin.cache_clear()
    yield
    ahead.begin.cache_clear()


@pytest.mark.usefixtures("ready")
def test_it_starts_once_for_a_folder(tmp_path: Path) -> None:
    assert ahead.begin(tmp_path) is ahead.begin(tmp_path) is not None
    ahead.begin.cache_clear()  # as in another process
    assert ahead.begin(tmp_path) is None
    [[python, *_, program]] = STARTED
    assert python == sys.executable
    compile(program, "program", "exec")


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("case", ["off", "interpreted", "no folder", "one thread", "in a program", "nothing to write"])
def test_it_does_not_start(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder: Path | None = tmp_path
    if case == "off":
        monkeypatch.setenv("TINYDL_COMPILE_AHEAD", "0")
    elif case == "interpreted":
        monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    elif case == "no folder":
        folder = None
    elif case == "one thread":
        monkeypatch.setattr(ahead, "num_threads", lambda: 1)
    elif case == "nothing to write":
        folder = tmp_path / "missing"
    else:
        monkeypatch.setattr(sys, "executable", "/usr/bin/program")
    assert ahead.begin(folder) is None
    assert not STARTED


@pytest.mark.usefixtures("ready")
def test_a_system_that_starts_no_process_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(ahead.subprocess, "Popen", refuse)
    assert ahead.begin(tmp_path) is None


EARLY = """
import subprocess, sys
started = []
class Process:
    def __init__(self, *args, **options):
        started.append("numba" in sys.modules)
    def kill(self): ...
    wait = kill
subprocess.Popen = Process
from tinydl.kernels import threads
threads.set_num_threads(2)
from tinydl.kernels.compiled import jit
print(started)
"""


def test_it_starts_before_numba_is_imported(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in jit.ahead.OFF}
    environment |= {"TINYDL_CACHE": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    run = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, env=environment, check=False)
    assert run.stdout == "[False]\n", run.stderr


def sleeping(seconds: float) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])


def test_what_the_second_process_has_begun_is_waited_for(tmp_path: Path) -> None:
    process, mark = sleeping(60), tmp_path / "mark"
    try:
        assert not ahead.wait_for(process, mark), "nobody has begun it"
        mark.write_text("1")
        assert not ahead.wait_for(process, mark), "somebody else has"
        assert not ahead.wait_for(None, mark)
        mark.write_text(str(process.pid))
        done = threading.Timer(0.2, mark.unlink)
        done.start()
        assert ahead.wait_for(process, mark)
        assert not mark.exists()
        done.join()
    finally:
        ahead._end(process)


def test_nobody_waits_for_a_process_that_has_ended_or_takes_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, ended, slow = tmp_path / "mark", sleeping(0), sleeping(60)
    ended.wait()
    for process, patience in ((ended, 60), (slow, 0.2)):
        mark.write_text(str(process.pid))
        monkeypatch.setattr(ahead, "PATIENCE", patience)
        before = time.monotonic()
        assert ahead.wait_for(process, mark)
        assert time.monotonic() < before + 30
    ahead._end(slow)


BEGIN = """
import sys
from pathlib import Path
import numpy as np
from tinydl.kernels.compiled import folder, jit

@jit.njit
def double(x):
    return 2 * x[0]

kept, seen = folder.cache_folder(), []
compile = double._compiler.compile
def watched(*args, **options):
    seen.extend(path.read_text() for path in kept.rglob("*double*") if path.suffix[1:].isdecimal())
    return compile(*args, **options)
double._compiler.compile = watched
assert double(np.ones(1)) == 2
import os
assert seen == [str(os.getpid())], seen
assert not [path for path in kept.rglob("*double*") if path.suffix[1:].isdecimal()]
print("marked")
"""


def test_a_mark_stands_while_a_function_is_compiled(tmp_path: Path) -> None:
    if jit.numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled")
    (tmp_path / "program.py").write_text(BEGIN)
    environment = os.environ | {"TINYDL_CACHE": str(tmp_path / "cache"), "TINYDL_COMPILE_AHEAD": "0"}
    run = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True, env=environment, check=False
    )
    assert run.stdout == "marked\n", run.stderr


def test_it_ends_with_the_first_process() -> None:
    process = sleeping(60)
    ahead._end(process)
    assert process.returncode not in (None, 0)


STEP = """
import inspect
import numpy as np
from tinydl import Tensor, nn, optim
from tinydl.kernels.compiled import conv_pool, dot, elementwise, last_first, norm, pool, softmax, sums, winograd_grad
from tinydl.kernels.compiled import optim as steps
from tinydl.nn.functional import cross_entropy

last_first.compile_all()
kernels = [
    steps._adam, norm._grad_sums, norm._grad_coefficients, norm._grad, sums._add_pixels, pool._scatter_2x2, dot._dot,
    pool._share_windows, winograd_grad._gradients, conv_pool._sum_images, softmax._cross_entropy,
    softmax._cross_entropy_grad,
    inspect.getclosurevars(elementwise.relu_grad).nonlocals["compiled"],
]
compiled = [set(kernel.overloads) for kernel in kernels]
net = nn.Sequential(
    *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 32, 3), nn.BatchNorm2d(32), nn.ReLU()),
    *(nn.Flatten(), nn.Linear(32 * 11 * 11, 64), nn.ReLU(), nn.Linear(64, 10)),
)
optimizer = optim.Adam(net.parameters())
images = np.random.default_rng(0).standard_normal((32, 1, 28, 28), np.float32)
cross_entropy(net(Tensor(images)), np.zeros(32, np.int64)).backward()
optimizer.step()
for kernel, before in zip(kernels, compiled):
    assert len(before) == 1, kernel
    assert set(kernel.overloads) == before, kernel
print("the same")
"""


def test_a_training_step_needs_what_was_compiled_for_it() -> None:
    if jit.numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled")
    done = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("the same\n", 0), done.stderr


def test_what_is_seen_to_be_needed_comes_before_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def task(name: str, sign: str, leaves: str = "") -> Any:
        return last_first.Task(sign, lambda: (done.append(name), leaves and (tmp_path / leaves).touch()))

    (tmp_path / "compiled").mkdir()
    tasks = (
        task("gradient of a", "a.*"), task("gradient of b", "b.*"),
        task("loss", last_first.ALWAYS, leaves="compiled/b.kernel-1.nbi"), task("rest", "a.*"),
    )  # fmt: skip
    monkeypatch.setattr(last_first, "TASKS", tasks)
    monkeypatch.setattr(last_first, "cache_folder", lambda: tmp_path)
    last_first.compile_all()
    assert done == ["loss", "gradient of b", "gradient of a", "rest"]
