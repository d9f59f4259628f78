"""Whether ops record themselves, whether they look for the first NaN, and who is told of them: switches of a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, Self, TypeAlias

Observer: TypeAlias = Callable[..., None]
"""Called as `observer(op, arrays, options, y, kept)` after each op on Tensors; `y` has its node if it was recorded.

So it is after each fused kernel, whose options stand among the arrays. `kept` is what the op returned beside `y`."""


class _Mode(threading.local):
    recording = True
    anomaly = False
    observer: Observer | None = None
    watched = False  # one of the two above is on: the only thing that an op has to ask when nobody looks


mode = _Mode()
"""This thread's switches; ops read them, the context managers below set them."""


class _Switch(ContextDecorator):
    """Sets one of this thread's switches inside a block or function; even an exception brings the old setting back."""

    def __init__(self, name: str, value: Any) -> None:
        self._name, self._value = name, value
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        if not self._before:
            self._before.append(getattr(mode, self._name))
        self._set(self._value)
        return self

    def __exit__(self, *exception: object) -> None:
        self._set(self._before.pop())

    def _set(self, value: Any) -> None:
        setattr(mode, self._name, value)
        mode.watched = mode.anomaly or mode.observer is not None

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


def observe(observer: Observer) -> _Switch:
    """Tell `observer` of each op on Tensors that this thread runs inside the block (in place of an enclosing one).

    It must not keep the arrays, if they are to be freed as they would be without it.

    >>> from tinydl import ones
    >>> names = []
    >>> with observe(lambda op, arrays, options, y, kept: names.append(op.name)):
    ...     y = ones(2) * 3.0 + 1.0
    >>> names
    ['mul', 'add']
    """
    return _Switch("observer", observer)
