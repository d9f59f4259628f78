"""One engine in one fresh process: builds a network, then times a round of steps for each line it reads.

Started by the other benchmarks as `python engine_worker.py '{"engine": "tinydl", "network": "cnn3", …}'`; it answers
each line on stdin with one line of JSON.
"""

import json
import resource
import sys
import time
from typing import Any

import numpy as np
from networks import build


def free_a_large_array() -> None:
    """Raise glibc's thresholds, on both sides alike, so that large arrays are recycled and not unmapped."""
    np.ones(31 << 18, np.float32)


def torch_step(job: dict[str, Any], x: Any, target: Any) -> Any:
    """Return a function that makes one step in PyTorch."""
    import torch

    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    model, _ = build(job["network"], torch.nn)
    images = torch.from_numpy(x)
    if job["layout"] == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    labels = torch.from_numpy(target)
    if job["mode"] == "infer":
        model.eval()

        def infer() -> None:
            with torch.inference_mode():
                model(images)

        return infer
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def train() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return train


def tinydl_step(job: dict[str, Any], x: Any, target: Any) -> Any:
    """Return a function that makes one step in tinydl."""
    import tinydl
    from tinydl import nn, optim
    from tinydl.kernels.threads import set_num_threads
    from tinydl.nn.functional import cross_entropy

    set_num_threads(job["threads"])
    tinydl.manual_seed(0)
    model, _ = build(job["network"], nn)
    images, labels = tinydl.Tensor(x), tinydl.Tensor(target)
    if job["mode"] == "infer":
        model.eval()

        def infer() -> None:
            with tinydl.no_grad():
                model(images)

        return infer
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def train() -> None:
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()

    return train


def main() -> None:
    """Import, build, make the first step, then time rounds on demand."""
    job = json.loads(sys.argv[1])
    draw = np.random.default_rng(0)
    started = time.perf_counter()
    if job["engine"] == "torch":
        import torch
    else:
        import tinydl  # noqa: F401
    imported = time.perf_counter() - started
    from networks import SHAPES

    shape = SHAPES.get(job["network"], (1, 28, 28))
    x = draw.standard_normal((job["batch"], *shape), np.float32)
    target = draw.integers(0, 10, job["batch"])
    free_a_large_array()
    step = (torch_step if job["engine"] == "torch" else tinydl_step)(job, x, target)
    started = time.perf_counter()
    step()
    first = time.perf_counter() - started
    if job["engine"] == "torch":
        version = torch.__version__
    else:
        version = sys.modules["tinydl"].__version__
    print(json.dumps({"import": imported, "first": first, "version": version}), flush=True)
    for _ in sys.stdin:
        times = []
        for _ in range(job["steps"]):
            started = time.perf_counter()
            step()
            times.append(time.perf_counter() - started)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"times": times, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
