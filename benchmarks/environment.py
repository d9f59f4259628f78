"""What a benchmark's figures depend on, in one line for the head of its table."""

import importlib.metadata
import platform
from pathlib import Path


def cpu_name() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def describe(threads: int, packages: tuple[str, ...] = ("numpy", "numba", "torch")) -> str:
    """Return versions, processor and thread count."""
    versions = []
    for name in ("tinydl", *packages):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"Python {platform.python_version()}, {', '.join(versions)}; {cpu_name()}, {threads} threads"
