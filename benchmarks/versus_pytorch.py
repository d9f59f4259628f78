"""Training step and inference of tinydl against PyTorch, network by network.

Each engine runs in its own fresh process; the processes take turns, a round each, so that a machine whose speed
drifts is fair to both. A round lasts some tenths of a second: in one of 20 steps of 0.1 ms, most of the time would go
into waking up what slept while the others had their turn. PyTorch runs in both memory layouts, and the ratio is to the
better one. Both sides free a 31 MB array first, which raises glibc's thresholds. Times are medians in ms, float32; a
training step is forward, cross entropy, backward, Adam. Below the table: seconds of import, and of the first step with
a warm and an empty cache.

    python benchmarks/versus_pytorch.py [--networks cnn3 mobile] [--batches 32 128] [--modes train infer]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from environment import describe
from networks import NETWORKS

ENGINES = {"tinydl": ("tinydl", ""), "torch": ("torch", "NCHW"), "torch-cl": ("torch", "channels_last")}


class Worker:
    """A fresh process with one engine, one network."""

    def __init__(self, job: dict[str, Any], **environment: str) -> None:
        here = Path(__file__).parent
        self.process = subprocess.Popen(
            [sys.executable, str(here / "engine_worker.py"), json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        self.start = self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker has died with code {self.process.wait()}")
        return json.loads(line)

    def round(self) -> Any:
        """Run one round and return its times."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(network: str, batch: int, mode: str, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return, for each engine, median ms and peak MB."""
    job = {"network": network, "batch": batch, "mode": mode, "threads": args.threads}
    job |= {"steps": 2_000, "seconds": args.seconds}
    return take_turns(job, args.rounds, args.peer)


def take_turns(job: dict[str, Any], rounds: int, peer: bool = True) -> dict[str, dict[str, Any]]:
    """Return, for each engine, median ms and peak MB over `rounds`, and what it said at its start."""
    workers = {
        name: Worker({**job, "engine": engine, "layout": layout})
        for name, (engine, layout) in ENGINES.items()
        if peer or engine == "tinydl"
    }
    times: dict[str, list[float]] = {name: [] for name in workers}
    peaks = dict.fromkeys(workers, 0.0)
    for i in range(rounds + 1):
        for name, worker in workers.items():
            result = worker.round()
            peaks[name] = result["peak"]
            if i:  # the first round warms up
                times[name] += result["times"]
    found = {name: {"ms": 1e3 * median(times[name]), "peak": peaks[name], **workers[name].start} for name in workers}
    for worker in workers.values():
        worker.close()
    return found


def starts(network: str, threads: int, peer: bool) -> None:
    """Print seconds of import and of the first training step at batch 32, the best of three fresh processes."""
    job = {"network": network, "batch": 32, "mode": "train", "threads": threads, "steps": 1, "layout": "NCHW"}

    def best(engine: str, n: int = 3, **environment: str) -> tuple[float, float]:
        found = []
        for _ in range(n):
            worker = Worker({**job, "engine": engine}, **environment)
            found.append((worker.start["import"], worker.start["first"]))
            worker.close()
        return min(f[0] for f in found), min(f[1] for f in found)

    colds = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as empty:
            colds.append(best("tinydl", 1, TINYDL_CACHE=empty)[1])
    imported, warm = best("tinydl")
    line = f"{network:10} {imported:7.2f} {warm:17.2f} {min(colds):17.2f}"
    if peer:
        imported, first = best("torch")
        line += f" {imported:15.2f} {first:14.2f}"
    print(line, flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--batches", nargs="*", type=int, default=[32, 128])
    parser.add_argument("--modes", nargs="*", default=["train", "infer"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="after which a round ends")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--starts", nargs="*", default=["cnn3", "mobile"], choices=list(NETWORKS), help="time the start"
    )
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="time tinydl alone")
    args = parser.parse_args()
    print(describe(args.threads))
    print("network    mode   batch   tinydl     NCHW  ch.last  ratio     MB  peer MB")
    ratios = []
    for mode in args.modes:
        for network in args.networks:
            for batch in args.batches:
                found = compare(network, batch, mode, args)
                ours = found["tinydl"]
                if args.peer:
                    peers = [found["torch"], found["torch-cl"]]
                    best = min(peers, key=lambda r: r["ms"])
                    ratios.append(ours["ms"] / best["ms"])
                    rest = f"{peers[0]['ms']:8.3f} {peers[1]['ms']:8.3f} {ratios[-1]:6.2f}"
                    rest += f" {ours['peak']:6.0f} {best['peak']:8.0f}"
                else:
                    rest = f"{'':24} {ours['peak']:6.0f}"
                print(f"{network:10} {mode:6} {batch:5} {ours['ms']:8.3f} {rest}", flush=True)
    if ratios:
        print(f"ratio to PyTorch's better layout: median {median(ratios):.2f}, worst {max(ratios):.2f}")
    if args.starts:
        print("seconds     import  first step, warm  first, empty cache  PyTorch import  its first step")
    for network in args.starts:
        starts(network, args.threads, args.peer)


if __name__ == "__main__":
    main()
