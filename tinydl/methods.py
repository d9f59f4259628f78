"""A Tensor's operators and PyTorch-named methods: each calls the op of its name.

Tensors stand below ops in the order of imports, so the methods find the ops in the table that ops enter themselves into.
What a method computes, and by which equation, is said at the op: `t.relu()` is `tinydl.ops.relu(t)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from tinydl.tensor import Tensor

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""Every op, and every function composed of ops, by name."""

Dims: TypeAlias = int | Sequence[int] | None


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Return sizes given one by one or as one sequence."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


class Methods:
    """The part of a Tensor that is arithmetic."""

    __slots__ = ()

    # ---- operators

    def __add__(self, other: Any) -> Tensor:
        return FUNCTIONS["add"](self, other)  # type: ignore[no-any-return]

    def __radd__(self, other: Any) -> Tensor:
        return FUNCTIONS["add"](other, self)  # type: ignore[no-any-return]

    def __sub__(self, other: Any) -> Tensor:
        return FUNCTIONS["sub"](self, other)  # type: ignore[no-any-return]

    def __rsub__(self, other: Any) -> Tensor:
        return FUNCTIONS["sub"](other, self)  # type: ignore[no-any-return]

    def __mul__(self, other: Any) -> Tensor:
        return FUNCTIONS["mul"](self, other)  # type: ignore[no-any-return]

    def __rmul__(self, other: Any) -> Tensor:
        return FUNCTIONS["mul"](other, self)  # type: ignore[no-any-return]

    def __truediv__(self, other: Any) -> Tensor:
        return FUNCTIONS["div"](self, other)  # type: ignore[no-any-return]

    def __rtruediv__(self, other: Any) -> Tensor:
        return FUNCTIONS["div"](other, self)  # type: ignore[no-any-return]

    def __pow__(self, other: Any) -> Tensor:
        return FUNCTIONS["pow"](self, other)  # type: ignore[no-any-return]

    def __rpow__(self, other: Any) -> Tensor:
        return FUNCTIONS["pow"](other, self)  # type: ignore[no-any-return]

    def __matmul__(self, other: Any) -> Tensor:
        return FUNCTIONS["matmul"](self, other)  # type: ignore[no-any-return]

    def __rmatmul__(self, other: Any) -> Tensor:
        return FUNCTIONS["matmul"](other, self)  # type: ignore[no-any-return]

    def __neg__(self) -> Tensor:
        return FUNCTIONS["neg"](self)  # type: ignore[no-any-return]

    def __abs__(self) -> Tensor:
        return FUNCTIONS["abs"](self)  # type: ignore[no-any-return]

    def __eq__(self, other: Any) -> Tensor:
        return FUNCTIONS["eq"](self, other)  # type: ignore[no-any-return]

    def __ne__(self, other: Any) -> Tensor:
        return FUNCTIONS["ne"](self, other)  # type: ignore[no-any-return]

    def __lt__(self, other: Any) -> Tensor:
        return FUNCTIONS["lt"](self, other)  # type: ignore[no-any-return]

    def __le__(self, other: Any) -> Tensor:
        return FUNCTIONS["le"](self, other)  # type: ignore[no-any-return]

    def __gt__(self, other: Any) -> Tensor:
        return FUNCTIONS["gt"](self, other)  # type: ignore[no-any-return]

    def __ge__(self, other: Any) -> Tensor:
        return FUNCTIONS["ge"](self, other)  # type: ignore[no-any-return]

    def __invert__(self) -> Tensor:
        return FUNCTIONS["logical_not"](self)  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> Tensor:
        return FUNCTIONS["getitem"](self, index)  # type: ignore[no-any-return]

    # ---- elementwise

    def add(self, other: Any) -> Tensor:
        """Return self + other."""
        return FUNCTIONS["add"](self, other)  # type: ignore[no-any-return]

    def sub(self, other: Any) -> Tensor:
        """Return self − other."""
        return FUNCTIONS["sub"](self, other)  # type: ignore[no-any-return]

    def mul(self, other: Any) -> Tensor:
        """Return self · other."""
        return FUNCTIONS["mul"](self, other)  # type: ignore[no-any-return]

    def div(self, other: Any) -> Tensor:
        """Return self / other."""
        return FUNCTIONS["div"](self, other)  # type: ignore[no-any-return]

    def pow(self, other: Any) -> Tensor:
        """Return self to the power `other`."""
        return FUNCTIONS["pow"](self, other)  # type: ignore[no-any-return]

    def eq(self, other: Any) -> Tensor:
        """Return where self = other."""
        return FUNCTIONS["eq"](self, other)  # type: ignore[no-any-return]

    def ne(self, other: Any) -> Tensor:
        """Return where self ≠ other."""
        return FUNCTIONS["ne"](self, other)  # type: ignore[no-any-return]

    def lt(self, other: Any) -> Tensor:
        """Return where self < other."""
        return FUNCTIONS["lt"](self, other)  # type: ignore[no-any-return]

    def le(self, other: Any) -> Tensor:
        """Return where self ≤ other."""
        return FUNCTIONS["le"](self, other)  # type: ignore[no-any-return]

    def gt(self, other: Any) -> Tensor:
        """Return where self > other."""
        return FUNCTIONS["gt"](self, other)  # type: ignore[no-any-return]

    def ge(self, other: Any) -> Tensor:
        """Return where self ≥ other."""
        return FUNCTIONS["ge"](self, other)  # type: ignore[no-any-return]

    def maximum(self, other: Any) -> Tensor:
        """Return the larger of the two, element by element."""
        return FUNCTIONS["maximum"](self, other)  # type: ignore[no-any-return]

    def minimum(self, other: Any) -> Tensor:
        """Return the smaller of the two, element by element."""
        return FUNCTIONS["minimum"](self, other)  # type: ignore[no-any-return]

    def matmul(self, other: Any) -> Tensor:
        """Return the matrix product."""
        return FUNCTIONS["matmul"](self, other)  # type: ignore[no-any-return]

    def neg(self) -> Tensor:
        """Return −self."""
        return FUNCTIONS["neg"](self)  # type: ignore[no-any-return]

    def exp(self) -> Tensor:
        """Return eˣ."""
        return FUNCTIONS["exp"](self)  # type: ignore[no-any-return]

    def log(self) -> Tensor:
        """Return the natural logarithm."""
        return FUNCTIONS["log"](self)  # type: ignore[no-any-return]

    def sqrt(self) -> Tensor:
        """Return the square root."""
        return FUNCTIONS["sqrt"](self)  # type: ignore[no-any-return]

    def abs(self) -> Tensor:
        """Return the absolute value."""
        return FUNCTIONS["abs"](self)  # type: ignore[no-any-return]

    def sign(self) -> Tensor:
        """Return −1, 0 or 1."""
        return FUNCTIONS["sign"](self)  # type: ignore[no-any-return]

    def sin(self) -> Tensor:
        """Return the sine."""
        return FUNCTIONS["sin"](self)  # type: ignore[no-any-return]

    def cos(self) -> Tensor:
        """Return the cosine."""
        return FUNCTIONS["cos"](self)  # type: ignore[no-any-return]

    def relu(self) -> Tensor:
        """Return max(x, 0)."""
        return FUNCTIONS["relu"](self)  # type: ignore[no-any-return]

    def sigmoid(self) -> Tensor:
        """Return 1 / (1 + e⁻ˣ)."""
        return FUNCTIONS["sigmoid"](self)  # type: ignore[no-any-return]

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangent."""
        return FUNCTIONS["tanh"](self)  # type: ignore[no-any-return]

    def clone(self) -> Tensor:
        """Return a copy that gradients flow through."""
        return FUNCTIONS["clone"](self)  # type: ignore[no-any-return]

    def square(self) -> Tensor:
        """Return x²."""
        return FUNCTIONS["mul"](self, self)  # type: ignore[no-any-return]

    def clamp(self, min: float | None = None, max: float | None = None) -> Tensor:
        """Return x limited to [min, max]."""
        return FUNCTIONS["clamp"](self, min, max)  # type: ignore[no-any-return]

    def where(self, condition: Any, other: Any) -> Tensor:
        """Return self where `condition` holds, else `other`."""
        return FUNCTIONS["where"](condition, self, other)  # type: ignore[no-any-return]

    def masked_fill(self, mask: Any, value: float) -> Tensor:
        """Return self with `value` where `mask` holds."""
        return FUNCTIONS["where"](mask, value, self)  # type: ignore[no-any-return]

    def isnan(self) -> Tensor:
        """Return where x is NaN."""
        return FUNCTIONS["isnan"](self)  # type: ignore[no-any-return]

    def isfinite(self) -> Tensor:
        """Return where x is neither infinite nor NaN."""
        return FUNCTIONS["isfinite"](self)  # type: ignore[no-any-return]

    def to(self, target: Any) -> Tensor:
        """Return the same values in another dtype; a device leaves them as they are."""
        return FUNCTIONS["to"](self, target)  # type: ignore[no-any-return]

    def float(self) -> Tensor:
        """Return the values as float32."""
        return FUNCTIONS["to"](self, "float32")  # type: ignore[no-any-return]

    def double(self) -> Tensor:
        """Return the values as float64."""
        return FUNCTIONS["to"](self, "float64")  # type: ignore[no-any-return]

    def long(self) -> Tensor:
        """Return the values as int64."""
        return FUNCTIONS["to"](self, "int64")  # type: ignore[no-any-return]

    def int(self) -> Tensor:
        """Return the values as int32."""
        return FUNCTIONS["to"](self, "int32")  # type: ignore[no-any-return]

    def bool(self) -> Tensor:
        """Return the values as bool."""
        return FUNCTIONS["to"](self, "bool")  # type: ignore[no-any-return]

    def cpu(self) -> Tensor:
        """Return self: there is one device."""
        return self  # type: ignore[no-any-return]

    def contiguous(self) -> Tensor:
        """Return self: memory order is the engine's business."""
        return self  # type: ignore[no-any-return]

    def type_as(self, other: Tensor) -> Tensor:
        """Return the values in `other`'s dtype."""
        return FUNCTIONS["to"](self, other.dtype)  # type: ignore[no-any-return]

    # ---- reductions

    def sum(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the sum over `dim`."""
        return FUNCTIONS["sum"](self, dim, keepdim)  # type: ignore[no-any-return]

    def mean(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the mean over `dim`."""
        return FUNCTIONS["mean"](self, dim, keepdim)  # type: ignore[no-any-return]

    def amax(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the maximum over `dim`, ties sharing the gradient."""
        return FUNCTIONS["amax"](self, dim, keepdim)  # type: ignore[no-any-return]

    def amin(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the minimum over `dim`, ties sharing the gradient."""
        return FUNCTIONS["amin"](self, dim, keepdim)  # type: ignore[no-any-return]

    def logsumexp(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return log Σ eˣ over `dim`."""
        return FUNCTIONS["logsumexp"](self, dim, keepdim)  # type: ignore[no-any-return]

    def var(self, dim: Dims = None, correction: int = 1, keepdim: bool = False) -> Tensor:
        """Return the variance over `dim` (divisor n − correction)."""
        return FUNCTIONS["var"](self, dim, correction, keepdim)  # type: ignore[no-any-return]

    def std(self, dim: Dims = None, correction: int = 1, keepdim: bool = False) -> Tensor:
        """Return the standard deviation over `dim` (divisor n − correction)."""
        return FUNCTIONS["std"](self, dim, correction, keepdim)  # type: ignore[no-any-return]

    def max(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Return the maximum; with `dim`, (values, indices)."""
        return FUNCTIONS["max"](self, dim, keepdim)  # type: ignore[no-any-return]

    def min(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Return the minimum; with `dim`, (values, indices)."""
        return FUNCTIONS["min"](self, dim, keepdim)  # type: ignore[no-any-return]

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return where the maximum stands."""
        return FUNCTIONS["argmax"](self, dim, keepdim)  # type: ignore[no-any-return]

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return where the minimum stands."""
        return FUNCTIONS["argmin"](self, dim, keepdim)  # type: ignore[no-any-return]

    def any(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return whether any element is true."""
        return FUNCTIONS["any"](self, dim, keepdim)  # type: ignore[no-any-return]

    def all(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return whether all elements are true."""
        return FUNCTIONS["all"](self, dim, keepdim)  # type: ignore[no-any-return]

    def norm(self, p: float = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return (Σ |x|ᵖ)^(1/p) over `dim`."""
        return FUNCTIONS["norm"](self, p, dim, keepdim)  # type: ignore[no-any-return]

    def softmax(self, dim: int) -> Tensor:
        """Return eˣ / Σ eˣ over `dim`."""
        return FUNCTIONS["softmax"](self, dim)  # type: ignore[no-any-return]

    def log_softmax(self, dim: int) -> Tensor:
        """Return x − log Σ eˣ over `dim`."""
        return FUNCTIONS["log_softmax"](self, dim)  # type: ignore[no-any-return]

    # ---- movement

    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in another shape."""
        return FUNCTIONS["reshape"](self, _sizes(shape))  # type: ignore[no-any-return]

    def view(self, *shape: Any) -> Tensor:
        """Return the elements in another shape (copying where memory order demands it)."""
        return FUNCTIONS["reshape"](self, _sizes(shape))  # type: ignore[no-any-return]

    def view_as(self, other: Tensor) -> Tensor:
        """Return the elements in `other`'s shape."""
        return FUNCTIONS["reshape"](self, other.shape)  # type: ignore[no-any-return]

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Return axes start_dim…end_dim made one."""
        return FUNCTIONS["flatten"](self, start_dim, end_dim)  # type: ignore[no-any-return]

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Return two axes exchanged."""
        return FUNCTIONS["transpose"](self, dim0, dim1)  # type: ignore[no-any-return]

    def permute(self, *dims: Any) -> Tensor:
        """Return the axes in another order."""
        return FUNCTIONS["permute"](self, _sizes(dims))  # type: ignore[no-any-return]

    def t(self) -> Tensor:
        """Return the transpose of a matrix."""
        return FUNCTIONS["transpose"](self, -2, -1)  # type: ignore[no-any-return]

    @property
    def T(self) -> Tensor:  # noqa: D102
        return FUNCTIONS["permute"](self, tuple(range(len(self.shape)))[::-1])  # type: ignore[no-any-return, attr-defined]

    @property
    def mT(self) -> Tensor:  # noqa: D102
        return FUNCTIONS["transpose"](self, -2, -1)  # type: ignore[no-any-return]

    def squeeze(self, dim: Dims = None) -> Tensor:
        """Return the axes of size 1 dropped."""
        return FUNCTIONS["squeeze"](self, dim)  # type: ignore[no-any-return]

    def unsqueeze(self, dim: int) -> Tensor:
        """Return an axis of size 1 put in at `dim`."""
        return FUNCTIONS["unsqueeze"](self, dim)  # type: ignore[no-any-return]

    def expand(self, *sizes: Any) -> Tensor:
        """Return axes of size 1 stretched; −1 keeps an axis."""
        return FUNCTIONS["expand"](self, _sizes(sizes))  # type: ignore[no-any-return]

    def expand_as(self, other: Tensor) -> Tensor:
        """Return self stretched to `other`'s shape."""
        return FUNCTIONS["expand"](self, other.shape)  # type: ignore[no-any-return]

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        """Return pieces of the given size(s) along `dim`."""
        return FUNCTIONS["split"](self, split_size, dim)  # type: ignore[no-any-return]

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """Return about equal pieces along `dim`."""
        return FUNCTIONS["chunk"](self, chunks, dim)  # type: ignore[no-any-return]

    def gather(self, dim: int, index: Any) -> Tensor:
        """Return the elements that `index` names along `dim`."""
        return FUNCTIONS["gather"](self, dim, index)  # type: ignore[no-any-return]

    def flip(self, dims: Dims) -> Tensor:
        """Return the order along `dims` reversed."""
        return FUNCTIONS["flip"](self, dims)  # type: ignore[no-any-return]
