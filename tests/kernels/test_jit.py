import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tinydl

pytest.importorskip("numba")
from tinydl.kernels.compiled import jit

ROOT = Path(tinydl.__file__).parents[1]

SCRIPT = """
import inspect, json, sys, warnings
import numpy as np
warnings.simplefilter("error")
from tinydl.kernels.compiled import elementwise, folder, jit, optim
y = elementwise.sigmoid(np.array([-1, 0, 1], np.float32))
optim.ema_step(y, y, 0.5)
loop = inspect.getclosurevars(elementwise.sigmoid).nonlocals["compiled"]
stats = [kernel.stats for kernel in (loop, optim._ema)] if hasattr(loop, "stats") else []
print(json.dumps({
    "y": y.tolist(),
    "folder": str(folder.cache_folder()),
    "hits": [sum(s.cache_hits.values()) for s in stats],
    "misses": [sum(s.cache_misses.values()) for s in stats],
    "users": jit.numba.config.CACHE_DIR,
    "compiler": "numba.np.npyimpl" in sys.modules,
    "new": jit.njit(lambda a: np.sqrt(a[0]) + a.sum())(np.full(3, 4.0)),
}))
"""


def run(root: Path = ROOT, **environment: str | None) -> dict[str, object]:
    """Run two kernels in a fresh process; an environment variable that is None is removed."""
    variables = os.environ | {"PYTHONPATH": str(root), "TINYDL_COMPILE_AHEAD": "0"} | environment
    defined = {name: value for name, value in variables.items() if value is not None}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=defined, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["new"] == 14.0
    assert result["y"] == pytest.approx([0.26894143, 0.5, 0.7310586], rel=1e-6)
    return result


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that the script has filled."""
    folder = tmp_path_factory.mktemp("cache")
    first = run(TINYDL_CACHE=str(folder))
    assert Path(str(first["folder"])).is_relative_to(folder)
    assert (first["hits"], first["misses"]) == ([0, 0], [1, 1])
    return folder


def test_a_second_process_finds_the_machine_code_of_the_first(warm: Path) -> None:
    second = run(TINYDL_CACHE=str(warm), NUMBA_CACHE_DIR="/users/own")
    assert (second["hits"], second["misses"]) == ([1, 1], [0, 0])
    assert second["users"] == "/users/own"
    assert not second["compiler"]  # it takes longer to load than all kernels of a network


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [_flip, lambda content: content[: len(content) // 2], lambda content: b""])
def test_a_damaged_cache_is_replaced(warm: Path, tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]) -> None:
    shutil.copytree(warm, tmp_path, dirs_exist_ok=True)
    files = list(tmp_path.rglob(f"*{suffix}"))
    assert len(files) == 3  # two kernels, and how their boss waits for helpers
    for path in files:
        path.write_bytes(damage(path.read_bytes()))
    assert run(TINYDL_CACHE=str(tmp_path))["hits"] == [0, 0]
    if damage is _flip:
        assert run(TINYDL_CACHE=str(tmp_path))["hits"] == [1, 1]


def test_where_nothing_can_be_written_kernels_are_compiled_each_time(tmp_path: Path) -> None:
    obstacle = tmp_path / "file"
    obstacle.touch()
    nowhere = str(obstacle / "folder")
    found = run(TINYDL_CACHE=nowhere, HOME=nowhere, XDG_CACHE_HOME=nowhere, LOCALAPPDATA=None, TMPDIR=str(tmp_path))
    assert Path(str(found["folder"])).is_relative_to(tmp_path)
    assert "tinydl-" in str(found["folder"])


@pytest.mark.parametrize(
    "environment",
    [
        {"NUMBA_NUM_THREADS": "100000"}, {"NUMBA_NUM_THREADS": "abc"}, {"NUMBA_NUM_THREADS": "0"},
        {"NUMBA_NUM_THREADS": "-3"}, {"OMP_NUM_THREADS": "abc"}, {"OMP_NUM_THREADS": "-1"},
        {"OMP_NUM_THREADS": "99999999"}, {"HOME": None, "XDG_CACHE_HOME": None, "TINYDL_CACHE": None},
    ],
    ids=str,
)  # fmt: skip
def test_an_absurd_environment_is_survived(environment: dict[str, str | None], warm: Path) -> None:
    run(**({"TINYDL_CACHE": str(warm)} | environment))


def test_kernels_run_interpreted_for_debuggers(warm: Path) -> None:
    assert run(TINYDL_CACHE=str(warm), NUMBA_DISABLE_JIT="1")["hits"] == []


def test_an_edited_kernel_never_meets_the_machine_code_of_the_old_one(tmp_path: Path) -> None:
    copy, cache = tmp_path / "tinydl", str(tmp_path / "cache")
    shutil.copytree(ROOT / "tinydl" / "kernels", copy / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tinydl" / "shapes.py", copy)
    (copy / "__init__.py").touch()
    folders = {run(tmp_path, TINYDL_CACHE=cache)["folder"]}
    for edited in ("compiled/scalar.py", "reference/elementwise.py"):
        file = copy / "kernels" / edited
        file.write_text(file.read_text() + "# edited\n")
        after = run(tmp_path, TINYDL_CACHE=cache)
        assert after["hits"] == [0, 0]
        folders.add(after["folder"])
    assert len(folders) == 3


def test_exact_formulas_stay_exact_inside_kernels_that_may_fuse():
    """a² − a², the first of them rounded by itself: fused into one operation, it would leave 2⁻²⁴."""

    @jit.exact
    def square_less(a, b):
        return a * a - b

    @jit.njit
    def kernel(y, a, b):
        for i in range(y.size):
            y[i] = square_less(a[i], b[i])

    a = np.full(67, 1 + 2.0**-12, np.float32)
    y = np.empty_like(a)
    kernel(y, a, a * a)
    np.testing.assert_array_equal(y, 0)


@pytest.mark.parametrize("on", [True, False])
def test_no_search_for_garbage_interrupts_a_compilation(on: bool) -> None:
    if jit.numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled")
    searches: list[str] = []
    before, watcher = gc.isenabled(), lambda phase, _: searches.append(phase)
    formula = jit.inline(lambda x: x * x + 1)
    (gc.enable if on else gc.disable)()
    gc.callbacks.append(watcher)
    try:
        assert formula(2.0) == 5.0
        after = gc.isenabled()
    finally:
        gc.callbacks.remove(watcher)
        (gc.enable if before else gc.disable)()
    assert after is on
    assert len(searches) <= 4  # what runs before and behind it may search; the compilation did so more than ten times


def test_a_compilation_that_fails_leaves_the_search_for_garbage_on() -> None:
    if jit.numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled")
    wrong = jit.inline(lambda x: x.no_such_thing)
    with pytest.raises(jit.numba.core.errors.TypingError):
        wrong(2.0)
    assert gc.isenabled()
