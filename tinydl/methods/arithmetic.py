"""Operators and functions that act element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinydl.methods.table import FUNCTIONS

if TYPE_CHECKING:
    from tinydl.tensor import Tensor


class Arithmetic:
    """The part of a Tensor that acts element by element."""

    __slots__ = ()

    # ---- operators

    def __add__(self, other: Any) -> Tensor:
        return FUNCTIONS["add"](self, other)

    def __radd__(self, other: Any) -> Tensor:
        return FUNCTIONS["add"](other, self)

    def __sub__(self, other: Any) -> Tensor:
        return FUNCTIONS["sub"](self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return FUNCTIONS["sub"](other, self)

    def __mul__(self, other: Any) -> Tensor:
        return FUNCTIONS["mul"](self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return FUNCTIONS["mul"](other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return FUNCTIONS["div"](self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return FUNCTIONS["div"](other, self)

    def __pow__(self, other: Any) -> Tensor:
        return FUNCTIONS["pow"](self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return FUNCTIONS["pow"](other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return FUNCTIONS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return FUNCTIONS["matmul"](other, self)

    def __neg__(self) -> Tensor:
        return FUNCTIONS["neg"](self)

    def __abs__(self) -> Tensor:
        return FUNCTIONS["abs"](self)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return NotImplemented if other is None else FUNCTIONS["eq"](self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return NotImplemented if other is None else FUNCTIONS["ne"](self, other)

    def __lt__(self, other: Any) -> Tensor:
        return FUNCTIONS["lt"](self, other)

    def __le__(self, other: Any) -> Tensor:
        return FUNCTIONS["le"](self, other)

    def __gt__(self, other: Any) -> Tensor:
        return FUNCTIONS["gt"](self, other)

    def __ge__(self, other: Any) -> Tensor:
        return FUNCTIONS["ge"](self, other)

    def __invert__(self) -> Tensor:
        return FUNCTIONS["bitwise_not"](self)

    def __and__(self, other: Any) -> Tensor:
        return FUNCTIONS["bitwise_and"](self, other)

    def __or__(self, other: Any) -> Tensor:
        return FUNCTIONS["bitwise_or"](self, other)

    def __getitem__(self, index: Any) -> Tensor:
        return FUNCTIONS["getitem"](self, index)

    # ---- elementwise

    def add(self, other: Any) -> Tensor:
        """Return self + other."""
        return FUNCTIONS["add"](self, other)

    def sub(self, other: Any) -> Tensor:
        """Return self − other."""
        return FUNCTIONS["sub"](self, other)

    def mul(self, other: Any) -> Tensor:
        """Return self · other."""
        return FUNCTIONS["mul"](self, other)

    def div(self, other: Any) -> Tensor:
        """Return self / other."""
        return FUNCTIONS["div"](self, other)

    def pow(self, other: Any) -> Tensor:
        """Return self to the power `other`."""
        return FUNCTIONS["pow"](self, other)

    def eq(self, other: Any) -> Tensor:
        """Return where the two are equal."""
        return FUNCTIONS["eq"](self, other)

    def ne(self, other: Any) -> Tensor:
        """Return where self ≠ other."""
        return FUNCTIONS["ne"](self, other)

    def lt(self, other: Any) -> Tensor:
        """Return where self < other."""
        return FUNCTIONS["lt"](self, other)

    def le(self, other: Any) -> Tensor:
        """Return where self ≤ other."""
        return FUNCTIONS["le"](self, other)

    def gt(self, other: Any) -> Tensor:
        """Return where self > other."""
        return FUNCTIONS["gt"](self, other)

    def ge(self, other: Any) -> Tensor:
        """Return where self ≥ other."""
        return FUNCTIONS["ge"](self, other)

    def maximum(self, other: Any) -> Tensor:
        """Return the larger of the two, element by element."""
        return FUNCTIONS["maximum"](self, other)

    def minimum(self, other: Any) -> Tensor:
        """Return the smaller of the two, element by element."""
        return FUNCTIONS["minimum"](self, other)

    def matmul(self, other: Any) -> Tensor:
        """Return the matrix product."""
        return FUNCTIONS["matmul"](self, other)

    def neg(self) -> Tensor:
        """Return −self."""
        return FUNCTIONS["neg"](self)

    def exp(self) -> Tensor:
        """Return eˣ."""
        return FUNCTIONS["exp"](self)

    def log(self) -> Tensor:
        """Return the natural logarithm."""
        return FUNCTIONS["log"](self)

    def sqrt(self) -> Tensor:
        """Return the square root."""
        return FUNCTIONS["sqrt"](self)

    def abs(self) -> Tensor:
        """Return the absolute value."""
        return FUNCTIONS["abs"](self)

    def sign(self) -> Tensor:
        """Return −1, 0 or 1."""
        return FUNCTIONS["sign"](self)

    def sin(self) -> Tensor:
        """Return the sine."""
        return FUNCTIONS["sin"](self)

    def cos(self) -> Tensor:
        """Return the cosine."""
        return FUNCTIONS["cos"](self)

    def relu(self) -> Tensor:
        """Return max(x, 0)."""
        return FUNCTIONS["relu"](self)

    def sigmoid(self) -> Tensor:
        """Return 1 / (1 + e⁻ˣ)."""
        return FUNCTIONS["sigmoid"](self)

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangent."""
        return FUNCTIONS["tanh"](self)

    def clone(self) -> Tensor:
        """Return a copy that gradients flow through."""
        return FUNCTIONS["clone"](self)

    def square(self) -> Tensor:
        """Return x²."""
        return FUNCTIONS["mul"](self, self)

    def clamp(self, min: float | None = None, max: float | None = None) -> Tensor:
        """Return x limited to [min, max]."""
        return FUNCTIONS["clamp"](self, min, max)

    def where(self, condition: Any, other: Any) -> Tensor:
        """Return self where `condition` holds, else `other`."""
        return FUNCTIONS["where"](condition, self, other)

    def masked_fill(self, mask: Any, value: float) -> Tensor:
        """Return self with `value` where `mask` holds."""
        return FUNCTIONS["where"](mask, value, self)

    def isnan(self) -> Tensor:
        """Return where x is NaN."""
        return FUNCTIONS["isnan"](self)

    def isfinite(self) -> Tensor:
        """Return where x is neither infinite nor NaN."""
        return FUNCTIONS["isfinite"](self)
