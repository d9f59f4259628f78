"""Signals, met politely: a training run notes the first and leaves at a second Ctrl-C; a program in front gets them."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list inside the block; at the second SIGINT raise KeyboardInterrupt.

    Outside the main thread, where Python allows no handlers, nothing is caught and the list stays empty.

    >>> with catch_signals() as caught:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     len(caught)
    1
    """
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        caught.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before: dict[int, Any] = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def run_in_front(command: Sequence[str], cwd: str | os.PathLike[str] | None = None) -> int:
    """Run another program as if it alone stood in the terminal, and return its exit code (128 + n after signal n).

    Ctrl-C reaches both programs, and what it means is for the other one to say (it may ask back, and save): this one
    only waits. `subprocess.run` would kill it a quarter of a second later. SIGTERM, which reaches this program alone,
    is passed on.

    Args:
        command: the program and its arguments.
        cwd: the folder to run it in.

    Raises: OSError when it cannot be started; ValueError outside of the main thread, where signals cannot be met.

    >>> import sys
    >>> run_in_front([sys.executable, "-c", "raise SystemExit(3)"])
    3
    """
    running: list[subprocess.Popen[bytes]] = []

    def meet(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            for child in running:
                child.terminate()

    before: dict[int, Any] = {number: signal.signal(number, meet) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with subprocess.Popen(command, cwd=cwd) as child:  # a new program starts with the usual handlers, not with ours
            running.append(child)
            code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    return code if code >= 0 else 128 - code
