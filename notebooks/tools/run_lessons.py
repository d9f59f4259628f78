"""Run the lessons as a reader would: `python notebooks/tools/run_lessons.py [3 4 …] [--ways stubs …]`.

Three ways, each from a clean kernel in an empty folder:

- stubs: as they are; every check says "not attempted" and the end is reached;
- solutions: with each stub replaced by its solution; every check says "right";
- reference: as they are, on the reference kernels.

Nothing may end in an error or write to stderr. The time allowed is twice what the lesson's metadata state (its budget
on two cores), three times on the reference kernels, and 15 seconds for a kernel to start and to compile.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from lesson_files import ROOT, budget, checks, lessons, with_solutions
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

WAYS = {"stubs": (2, "not attempted"), "solutions": (2, "right"), "reference": (3, "not attempted")}
"""How many budgets a way may take, and what every check must answer."""

_START_SECONDS = 15
_VERDICT = re.compile(r"^[○✗✓] (\d\d\.\d) (not attempted|wrong|right): ", re.M)


def execute(notebook: Any, way: str, seconds: float) -> None:
    """Run a notebook in place from a clean kernel. Raises: CellExecutionError, CellTimeoutError."""
    with tempfile.TemporaryDirectory() as folder:
        env = {k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "TINYDL_KERNELS")}
        env |= {"PYTHONPATH": str(ROOT), "IPYTHONDIR": folder}  # this checkout, and nobody's start-up files
        if way == "reference":
            env["TINYDL_KERNELS"] = "reference"
        Path(folder, "lesson").mkdir()
        quiet = ["--IPKernelApp.log_level=ERROR"]  # it warns that it listens on this machine's own network
        client = NotebookClient(
            notebook, timeout=seconds, record_timing=False, coalesce_streams=True, extra_arguments=quiet
        )
        client.execute(env=env, cwd=str(Path(folder, "lesson")))


def outputs(notebook: Any) -> list[Any]:
    """Return what all cells show."""
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def verdicts(notebook: Any) -> dict[str, str]:
    """Return the status of each exercise that was checked."""
    texts = [output.get("data", {}).get("text/plain", "") for output in outputs(notebook)]
    return dict(_VERDICT.findall("\n".join(texts)))


def attempt(path: Path, way: str) -> tuple[float, str]:
    """Run one lesson one way; return the seconds it took, and what was wrong with it."""
    factor, wanted = WAYS[way]
    notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    limit = factor * budget(path.with_suffix(".ipynb")) + _START_SECONDS
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.source = with_solutions(cell.source) if way == "solutions" else cell.source
    asked = [id for cell in notebook.cells if cell.cell_type == "code" for id, _ in checks(cell.source)]
    started = time.perf_counter()
    try:
        execute(notebook, way, limit)
    except (CellExecutionError, CellTimeoutError) as error:
        return time.perf_counter() - started, str(error)
    taken = time.perf_counter() - started
    if verdicts(notebook) != dict.fromkeys(asked, wanted):
        return taken, f"the checks must all say {wanted!r}, they say {verdicts(notebook)}"
    if noise := [output["text"] for output in outputs(notebook) if output.get("name") == "stderr"]:
        return taken, f"it wrote to stderr: {noise[0]}"
    return taken, f"it took {taken:.0f} s, {limit:.0f} s are allowed" if taken > limit else ""


def main() -> int:
    """Run what was asked for and print a line each; return 1 when anything failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("numbers", nargs="*", help="which lessons (default: all)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    args = parser.parse_args()
    failed = passed = 0
    for path in lessons(args.numbers):
        for way in args.ways:
            taken, trouble = attempt(path, way)
            failed, passed = failed + bool(trouble), passed + (not trouble)
            print(f"{path.stem:40} {way:10} {taken:6.1f} s  {trouble or 'ok'}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
