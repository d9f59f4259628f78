"""Whether ops record themselves, and whether they look for the first NaN: two switches a thread."""

from __future__ import annotations

import threading
from contextlib import ContextDecorator
from typing import Self


class _Mode(threading.local):
    recording = True
    anomaly = False


mode = _Mode()
"""This thread's switches; ops read them, the context managers below set them."""


class _Switch(ContextDecorator):
    """Sets one of this thread's switches inside a block or function; even an exception brings the old setting back."""

    def __init__(self, name: str, value: bool) -> None:
        self._name, self._value = name, value
        self._before: bool | None = None

    def __enter__(self) -> Self:
        if self._before is None:
            self._before = getattr(mode, self._name)
        setattr(mode, self._name, self._value)
        return self

    def __exit__(self, *exception: object) -> None:
        setattr(mode, self._name, self._before)
        self._before = None

    def _recreate_cm(self) -> _Switch:
        """Return a fresh switch for each call of a decorated function, which threads may run at once."""
        return _Switch(self._name, self._value)


def no_grad() -> _Switch:
    """Return a context manager (or decorator) inside which ops record nothing.

    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """
    return _Switch("recording", False)


def enable_grad() -> _Switch:
    """Return a context manager (or decorator) that undoes an enclosing `no_grad`."""
    return _Switch("recording", True)


def set_grad_enabled(enabled: bool) -> _Switch:
    """Record ops, or not, from now on; as a context manager, until the end of the block.

    >>> with set_grad_enabled(False):
    ...     is_grad_enabled()
    False
    """
    return _Switch("recording", bool(enabled)).__enter__()


def is_grad_enabled() -> bool:
    """Return whether ops on this thread record themselves."""
    return mode.recording


def detect_anomaly() -> _Switch:
    """Stop at the op that makes the first NaN, forward or backward, and name it with the line that called it.

    Raises: FloatingPointError inside the block, from the forward op or from `backward`.
    """
    return _Switch("anomaly", True)
