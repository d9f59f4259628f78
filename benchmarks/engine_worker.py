"""One engine in one fresh process: builds a network, then times a round of steps for each line it reads.

Started by the other benchmarks as `python engine_worker.py '{"engine": "tinydl", "network": "cnn3", …}'`; it answers
each line on stdin with one line of JSON. A job with `settings` means that network of the zoo, built with them; it says
the `shape` of an image. Rounds end after so many `steps` or, if it is said, `seconds`. Its peak memory is counted from
when the network is built.
"""

import ctypes
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from networks import SHAPES, build


def free_a_large_array() -> None:
    """Raise glibc's thresholds, on both sides alike, so that large arrays are recycled and not unmapped."""
    np.ones(31 << 18, np.float32)


def forget_peak() -> None:
    """Hand freed memory back and count the peak from here, where the system can (Linux)."""
    counter = Path("/proc/self/clear_refs")
    if counter.exists():
        ctypes.CDLL(None).malloc_trim(0)
        counter.write_text("5")


def torch_model(job: dict[str, Any]) -> Any:
    """Return the job's network in PyTorch."""
    if "settings" not in job:
        import torch

        return build(job["network"], torch.nn)[0]
    import torch_twins

    return torch_twins.build(job["network"], **job["settings"])


def tinydl_model(job: dict[str, Any]) -> Any:
    """Return the job's network in tinydl."""
    from tinydl import nn, zoo

    if "settings" not in job:
        return build(job["network"], nn)[0]
    return zoo.build(job["network"], **job["settings"])


def torch_step(job: dict[str, Any], x: Any, target: Any) -> Any:
    """Return a function that makes one step in PyTorch."""
    import torch

    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    model = torch_model(job)
    images = torch.from_numpy(x)
    if job["layout"] == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    labels = torch.from_numpy(target)
    if job["mode"] == "infer":
        model.eval()

        def infer() -> Any:
            with torch.inference_mode():
                return model(images)

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
    from tinydl import optim
    from tinydl.kernels.threads import set_num_threads
    from tinydl.nn.functional import cross_entropy

    set_num_threads(job["threads"])
    tinydl.manual_seed(0)
    model = tinydl_model(job)
    images, labels = tinydl.Tensor(x), tinydl.Tensor(target)
    if job["mode"] == "infer":
        model.eval()

        def infer() -> Any:
            with tinydl.no_grad():
                return model(images)

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
    shape = job.get("shape") or SHAPES.get(job["network"], (1, 28, 28))
    x = draw.standard_normal((job["batch"], *shape), np.float32)
    target = draw.integers(0, 10, job["batch"])
    free_a_large_array()
    step = (torch_step if job["engine"] == "torch" else tinydl_step)(job, x, target)
    if "settings" in job:
        forget_peak()
    started = time.perf_counter()
    result = step()
    first = time.perf_counter() - started
    logits = [] if result is None else [float(v) for v in result[0]]
    del result
    if job["engine"] == "torch":
        version = torch.__version__
    else:
        version = sys.modules["tinydl"].__version__
    print(json.dumps({"import": imported, "first": first, "version": version, "logits": logits}), flush=True)
    for _ in sys.stdin:
        times: list[float] = []
        while len(times) < job["steps"] and (len(times) < 2 or sum(times) < job.get("seconds", float("inf"))):
            started = time.perf_counter()
            step()
            times.append(time.perf_counter() - started)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"times": times, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
