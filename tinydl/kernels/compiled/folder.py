"""Where compiled kernels are kept."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

__all__: list[str] = []


@functools.cache
def cache_folder() -> Path | None:
    """Return the folder that compiled kernels are kept in, or None where nothing can be written.

    Its name stands for all that decides the machine code: kernels' sources, the versions of Python, NumPy and Numba.
    The first that is usable of: TINYDL_CACHE, the platform's cache folder of the user, the temporary folder.
    """
    key = hashlib.sha256(" ".join([sys.version, version("numpy"), version("numba")]).encode())
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        key.update(source.read_bytes())
    for root in _cache_roots():
        with contextlib.suppress(OSError):
            folder = root / "kernels" / key.hexdigest()[:16]
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            return folder
    return None


def _cache_roots() -> Iterator[Path]:
    if "TINYDL_CACHE" in os.environ:
        yield Path(os.environ["TINYDL_CACHE"])
    if "LOCALAPPDATA" in os.environ:
        yield Path(os.environ["LOCALAPPDATA"], "tinydl")
    with contextlib.suppress(RuntimeError):  # no HOME, and a user id that nobody knows
        caches = "Library/Caches" if sys.platform == "darwin" else ".cache"
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / caches, "tinydl")
    with contextlib.suppress(OSError):
        # What is cached gets executed: in a folder open to everybody, only our own subfolder can be trusted.
        user = os.getuid() if hasattr(os, "getuid") else 0
        shared = Path(tempfile.gettempdir(), f"tinydl-{user}")
        shared.mkdir(mode=0o700, exist_ok=True)
        if shared.lstat().st_uid == user:
            yield shared
