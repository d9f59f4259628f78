"""Changes in place: refused where they would leave the graph wrong, counted so that `backward` sees the damage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinydl.methods.table import FUNCTIONS
from tinydl.modes import mode
from tinydl.shapes import Array

if TYPE_CHECKING:
    from tinydl.tensor import Tensor


_OPS: dict[Any, str] = {np.add: "add", np.subtract: "sub", np.multiply: "mul", np.true_divide: "div"}
"""The ops that updates in place stand for, in the eyes of an observer."""


def plain(x: Any) -> Any:
    """Return a Tensor's array, a tuple with the Tensors in it replaced by theirs, anything else as it is."""
    return tuple(map(plain, x)) if isinstance(x, tuple) else x._data if isinstance(x, InPlace) else x


class InPlace:
    """The part of a Tensor that writes to its array."""

    __slots__ = ()

    _data: Array
    _requires_grad: bool
    _node: Any
    mark_changed: Callable[[], None]

    def _writable(self, what: str) -> Array:
        """Return the array for writing, refusing where the graph would be left wrong."""
        if mode.recording and self._requires_grad:
            raise RuntimeError(f"{what}: a Tensor that requires a gradient is changed in place only inside no_grad()")
        return self._data

    def _update(self, ufunc: np.ufunc, other: Any, what: str) -> Self:
        if mode.recording and getattr(other, "_requires_grad", False):
            raise RuntimeError(f"{what}: a value that requires a gradient needs a new Tensor, or no_grad()")
        target = self._writable(what)
        ufunc(target, plain(other), out=target, casting="same_kind")
        self.mark_changed()
        if mode.observer is not None:
            mode.observer(FUNCTIONS[_OPS[ufunc]], [target, plain(other)], {}, self, ())
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        target = self._writable("assignment to elements")
        if mode.recording and getattr(value, "_requires_grad", False):
            raise RuntimeError("assignment of a value that requires a gradient: use where(), cat() or stack()")
        target[plain(index)] = plain(value)
        self.mark_changed()

    def add_(self, other: Any, alpha: float = 1) -> Self:
        """Add alpha·other in place."""
        return self._update(np.add, other if alpha == 1 else other * alpha, "add_")

    def sub_(self, other: Any, alpha: float = 1) -> Self:
        """Subtract alpha·other in place."""
        return self._update(np.subtract, other if alpha == 1 else other * alpha, "sub_")

    def mul_(self, other: Any) -> Self:
        """Multiply in place."""
        return self._update(np.multiply, other, "mul_")

    def div_(self, other: Any) -> Self:
        """Divide in place."""
        return self._update(np.true_divide, other, "div_")

    def copy_(self, other: Any) -> Self:
        """Copy `other`'s values in, broadcasting."""
        self[...] = other
        return self

    def fill_(self, value: float) -> Self:
        """Set every element."""
        return self.copy_(value)

    def zero_(self) -> Self:
        """Set every element to 0."""
        return self.copy_(0)

    def _in_place_or_new(self, ufunc: np.ufunc, name: str, other: Any) -> Tensor | Self:
        """`x += y`: in place outside the graph; inside it a new Tensor (leaves refuse, for they would be lost)."""
        tracked = mode.recording and (self._requires_grad or getattr(other, "_requires_grad", False))
        if tracked and not (self._node is None and self._requires_grad):
            return FUNCTIONS[name](self, other)
        return self._update(ufunc, other, f"{name} in place")

    def __iadd__(self, other: Any) -> Tensor | Self:
        return self._in_place_or_new(np.add, "add", other)

    def __isub__(self, other: Any) -> Tensor | Self:
        return self._in_place_or_new(np.subtract, "sub", other)

    def __imul__(self, other: Any) -> Tensor | Self:
        return self._in_place_or_new(np.multiply, "mul", other)

    def __itruediv__(self, other: Any) -> Tensor | Self:
        return self._in_place_or_new(np.true_divide, "div", other)
