"""A second process that compiles while the first does: with nothing on disk, a first step waits two thirds as long.

Numba compiles one function at a time, in the order in which a network asks for them. So, once for each cache folder, a
process of its own begins at the other end (last_first.py) and leaves in the folder what it has compiled, where the
first process finds it. It ends when it is done, or with the first process. TINYDL_COMPILE_AHEAD=0 in the environment
does without.

Whoever begins to compile a function leaves a mark with the number of the process. From those of the first one the other
learns what will be asked for; and what the other one has begun, the first waits for, as it will not be faster.
"""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
import time
from pathlib import Path

from tinydl.kernels.threads import num_threads

__all__: list[str] = []

OFF = {"TINYDL_COMPILE_AHEAD": "0"}
"""What the environment says to do without; the second process is told so as well."""

PROGRAM = "import sys; sys.path[:] = {}; from tinydl.kernels.compiled import last_first; last_first.compile_all()"


PATIENCE, POLL = 3.0, 0.005
"""For how many seconds to wait for the second process, and between two looks."""


@functools.cache
def begin(folder: Path | None) -> subprocess.Popen[bytes] | None:
    """Start the second process, the first time that somebody uses the folder.

    Not where kernels have one thread or are not compiled, and not from a program that has Python inside: it would start
    itself.
    """
    is_python = Path(sys.executable or "").stem.startswith("python")
    is_off = os.environ.items() >= OFF.items() or os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
    if folder is None or is_off or not is_python or num_threads() < 2:
        return None
    nowhere = subprocess.DEVNULL
    try:
        (folder / "ahead").touch(exist_ok=False)  # of several processes, one
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(sys.path)],
            env=os.environ | OFF, stdin=nowhere, stdout=nowhere, stderr=nowhere,
        )  # fmt: skip
    except OSError:
        return None
    atexit.register(_end, process)
    return process


def wait_for(process: subprocess.Popen[bytes] | None, mark: Path) -> bool:
    """Return whether the second process had begun what the mark stands for, once that is done, or takes too long."""
    try:
        if process is None or mark.read_text() != str(process.pid):
            return False
    except OSError:
        return False
    end = time.monotonic() + PATIENCE
    while mark.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(POLL)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
