"""What a call costs beside its work: again and again, and right after some memory was read, which fills the cache.

Small arrays, so that the work itself takes next to nothing. Each engine runs in a process of its own.

    python benchmarks/between_kernels.py
"""

import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from environment import describe

MEGABYTES = (0, 1, 2, 4, 16)


def microseconds(call: Callable[[], Any], megabytes: int) -> float:
    """Return the median time of a call before which so many MB are read each time."""
    memory = np.ones(max(1, megabytes << 18), np.float32)
    times = []
    for _ in range(300):
        memory.sum()
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1e6 * median(times)


def measure(engine: str) -> None:
    """Print the table of one engine, in a process of its own."""
    library: Any = __import__(engine)
    nn = library.nn
    x = library.from_numpy(np.ones((1, 16, 4, 4), np.float32))
    conv, norm, relu = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16).eval(), nn.ReLU()
    calls = {"add": lambda: x + x, "relu": lambda: relu(x), "batch norm": lambda: norm(x), "conv": lambda: conv(x)}
    with library.no_grad():
        for name, call in calls.items():
            print(f"{engine:7} {name:12}", *(f"{microseconds(call, size):7.1f}" for size in MEGABYTES))
    array = np.ones(16, np.float32)
    if engine == "tinydl":
        for name, call in {"np.empty": lambda: np.empty(16, np.float32), "array.flags": lambda: array.flags}.items():
            print(f"{'numpy':7} {name:12}", *(f"{microseconds(call, size):7.1f}" for size in MEGABYTES))


def main() -> None:
    """Print the tables."""
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    print(describe(2))
    print(f"µs after reading{'':4}", *(f"{size:4} MB" for size in MEGABYTES), flush=True)
    for engine in ("tinydl", "torch"):
        if find_spec(engine):
            subprocess.run([sys.executable, str(Path(__file__)), engine], check=True)


if __name__ == "__main__":
    main()
