"""Op by op: forward and backward of tinydl against PyTorch, and how far each kernel is from the machine's limits.

Realistic sizes in float32, batch 128; then the overhead of ops on tiny Tensors. GFLOP/s stand beside a measured GEMM,
GB/s beside a measured copy. Each engine runs in its own process; the two take turns.

    python benchmarks/ops.py [--threads 2] [--only conv]
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from environment import describe


class Case(NamedTuple):
    """One op at one size: how to build its input and function, and what it costs."""

    name: str
    shape: tuple[int, ...]
    module: str
    arguments: tuple[Any, ...]
    flops: float
    tiny: bool = False


def conv(name: str, n: int, c: int, h: int, o: int, k: int, s: int = 1, p: int = 0, groups: int = 1) -> Case:
    """Return a convolution without bias; flops of the forward pass."""
    side = (h + 2 * p - k) // s + 1
    flops = 2.0 * n * side * side * o * (c // groups) * k * k
    return Case(name, (n, c, h, h), "Conv2d", (c, o, k, s, p, 1, groups, False), flops)


CASES = [
    conv("conv 1→32 3×3 @28", 128, 1, 28, 32, 3),
    conv("conv 32→64 3×3 @13", 128, 32, 13, 64, 3),
    conv("conv 64→64 3×3 @5", 128, 64, 5, 64, 3),
    conv("conv 16→32 5×5 s2 @14", 128, 16, 14, 32, 5, 2, 2),
    conv("conv 1→10 5×5 @28", 128, 1, 28, 10, 5),
    conv("conv 10→20 5×5 @12", 128, 10, 12, 20, 5),
    conv("conv 16→16 3×3 @32", 128, 16, 32, 16, 3, 1, 1),
    conv("pointwise 64→128 @14", 128, 64, 14, 128, 1),
    conv("grouped 1×1 64→64 g4 @14", 128, 64, 14, 64, 1, 1, 0, 4),
    conv("depthwise 3×3 64 @14", 128, 64, 14, 64, 3, 1, 1, 64),
    conv("depthwise 3×3 s2 64 @14", 128, 64, 14, 64, 3, 2, 1, 64),
    Case("linear 784→256", (128, 784), "Linear", (784, 256), 2.0 * 128 * 784 * 256),
    Case("linear 5408→128", (128, 5408), "Linear", (5408, 128), 2.0 * 128 * 5408 * 128),
    Case("batch norm 64 @14", (128, 64, 14, 14), "BatchNorm2d", (64,), 0),
    Case("max pool 2 32@26", (128, 32, 26, 26), "MaxPool2d", (2,), 0),
    Case("avg pool 2 32@26", (128, 32, 26, 26), "AvgPool2d", (2,), 0),
    Case("relu 32@26", (128, 32, 26, 26), "ReLU", (), 0),
    Case("hardswish 32@26", (128, 32, 26, 26), "Hardswish", (), 0),
    Case("silu 32@26", (128, 32, 26, 26), "SiLU", (), 0),
    Case("log softmax 10", (128, 10), "LogSoftmax", (1,), 0),
    Case("tiny relu", (2, 2), "ReLU", (), 0, True),
    Case("tiny linear", (2, 2), "Linear", (2, 2), 0, True),
    Case("tiny conv", (1, 1, 3, 3), "Conv2d", (1, 1, 3), 0, True),
    Case("tiny add", (2, 2), "+", (), 0, True),
    Case("tiny mul by number", (2, 2), "*", (), 0, True),
]


def functions(engine: str, case: Case, threads: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return (forward, forward and backward)."""
    x = np.random.default_rng(0).standard_normal(case.shape, np.float32)
    if engine == "torch":
        import torch as library

        library.set_num_threads(threads)
        tensor = library.from_numpy(x)
        if len(case.shape) == 4 and not case.tiny:
            tensor = tensor.to(memory_format=library.channels_last)
    else:
        import tinydl as library

        library.set_num_threads(threads)
        if len(case.shape) == 4:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        tensor = library.from_numpy(x)
    if case.module in "+*":
        other = tensor + 1.0
        function = (lambda t: t + other) if case.module == "+" else (lambda t: t * 3.0)
    else:
        function = getattr(library.nn, case.module)(*case.arguments)
        if engine == "torch" and "Conv" in case.module:
            function = function.to(memory_format=library.channels_last)
    leaf = tensor.detach()
    leaf.requires_grad_()
    seed = function(leaf).detach()

    def forward() -> None:
        with library.no_grad():
            function(tensor)

    def both() -> None:
        leaf.grad = None
        function(leaf).backward(seed)

    return forward, both


def timed(function: Callable[[], Any], seconds: float) -> float:
    """Return the median time of one call in ms."""
    function()
    started = time.perf_counter()
    function()
    once = max(time.perf_counter() - started, 1e-7)
    inner = max(1, int(2e-4 / once))
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 5:
        started = time.perf_counter()
        for _ in range(inner):
            function()
        times.append((time.perf_counter() - started) / inner)
    return 1e3 * median(times)


def worker(engine: str, threads: int) -> None:
    """Answer each line (a case number) with the two medians."""
    np.ones(31 << 18, np.float32)
    for line in sys.stdin:
        case = CASES[int(line)]
        forward, both = functions(engine, case, threads)
        print(json.dumps([timed(forward, 0.15), timed(both, 0.25)]), flush=True)


def limits(threads: int) -> tuple[float, float]:
    """Return GFLOP/s of a float32 GEMM of 2048³ and GB/s of a copy of 64 MiB (read and write)."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        a = np.random.default_rng(0).standard_normal((2048, 2048), np.float32)
        gemm = timed(lambda: a @ a, 1.0)
    source = np.ones(1 << 24, np.float32)
    target = np.empty_like(source)
    copy = timed(lambda: np.copyto(target, source), 0.5)
    return 2 * 2048**3 / gemm / 1e6, 2 * source.nbytes / copy / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.threads)
    gemm, copy = limits(args.threads)
    print(describe(args.threads))
    print(f"limits: GEMM {gemm:.0f} GFLOP/s, copy {copy:.1f} GB/s")
    print(f"{'':26} {'forward ms':>19} {'ratio':>6} {'fwd+bwd ms':>19} {'ratio':>6}  limit")
    argv = [sys.executable, str(Path(__file__)), "--threads", str(args.threads), "--worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen([*argv, engine], **pipes) for engine in ("tinydl", "torch")]  # type: ignore[call-overload]
    for i, case in enumerate(CASES):
        if args.only not in case.name:
            continue
        found = []
        for process in workers:
            process.stdin.write(f"{i}\n")
            process.stdin.flush()
            found.append(json.loads(process.stdout.readline()))
        (f, b), (tf, tb) = found
        bytes_moved = 8.0 * np.prod(case.shape)
        limit = f"{case.flops / f / 1e6:6.0f} GFLOP/s" if case.flops else f"{bytes_moved / f / 1e6:6.1f} GB/s"
        row = f"{case.name:26} {f:9.4f} {tf:9.4f} {f / tf:6.2f} {b:9.4f} {tb:9.4f} {b / tb:6.2f}  "
        print(row + ("" if case.tiny else limit), flush=True)
    return None


if __name__ == "__main__":
    main()
