"""Other dtypes, and other devices (of which there is one)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tinydl.methods.table import FUNCTIONS

if TYPE_CHECKING:
    from tinydl.tensor import Tensor


class Casts:
    """The part of a Tensor that changes dtype; it stands alone because its names hide Python's `int` and `float`."""

    __slots__ = ()

    def to(self, target: Any) -> Tensor:
        """Return the same values in another dtype; a device leaves them as they are."""
        return FUNCTIONS["to"](self, target)

    def float(self) -> Tensor:
        """Return the values as float32."""
        return FUNCTIONS["to"](self, "float32")

    def double(self) -> Tensor:
        """Return the values as float64."""
        return FUNCTIONS["to"](self, "float64")

    def long(self) -> Tensor:
        """Return the values as int64."""
        return FUNCTIONS["to"](self, "int64")

    def int(self) -> Tensor:
        """Return the values as int32."""
        return FUNCTIONS["to"](self, "int32")

    def bool(self) -> Tensor:
        """Return the values as bool."""
        return FUNCTIONS["to"](self, "bool")

    def cpu(self) -> Self:
        """Return self: there is one device."""
        return self

    def contiguous(self) -> Self:
        """Return self: memory order is the engine's business."""
        return self

    def type_as(self, other: Tensor) -> Tensor:
        """Return the values in `other`'s dtype."""
        return FUNCTIONS["to"](self, other.dtype)
