"""Whether ops record themselves, and whether they look for the first NaN: two switches a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Mode(threading.local):
    recording = True
    anomaly = False


mode = _Mode()
"""This thread's switches; ops read them, the context managers below set them."""


@contextmanager
def set_grad_enabled(enabled: bool) -> Iterator[None]:
    """Record ops (or not) inside the block, on this thread; the old mode returns even after an exception."""
    before, mode.recording = mode.recording, enabled
    try:
        yield
    finally:
        mode.recording = before


def no_grad() -> contextmanager[None]:  # type: ignore[valid-type]
    """Return a context manager (or decorator) inside which ops record nothing.

    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """
    return set_grad_enabled(False)


def enable_grad() -> contextmanager[None]:  # type: ignore[valid-type]
    """Return a context manager (or decorator) that undoes an enclosing `no_grad`."""
    return set_grad_enabled(True)


def is_grad_enabled() -> bool:
    """Return whether ops on this thread record themselves."""
    return mode.recording


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Stop at the op that makes the first NaN, forward or backward, and name it with the line that called it.

    Raises: FloatingPointError inside the block, from the forward op or from `backward`.
    """
    before, mode.anomaly = mode.anomaly, True
    try:
        yield
    finally:
        mode.anomaly = before
