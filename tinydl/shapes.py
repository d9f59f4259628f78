"""Arithmetic on shapes: axis contracts, output sizes, and the text of every shape error.

Nothing here touches an array's values, so every check runs before any memory is allocated or state changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]

QUARTERS = (2, 2), (2, 2), (0, 0), (1, 1)
"""Kernel, stride, padding and dilation of windows that cut an image into pieces of 2 × 2."""

MAX_BYTES = 1 << 38
"""Largest single result (256 GiB) that is attempted at all; beyond it the size is refused by name."""


def pair(value: int | Sequence[int], name: str) -> Pair:
    """Return `value` as (height, width): a single integer stands for both.

    >>> pair(3, "stride"), pair((1, 2), "stride")
    ((3, 3), (1, 2))
    """
    both = tuple(value) if isinstance(value, Iterable) else (value, value)
    if len(both) != 2 or not all(isinstance(v, (int, np.integer)) for v in both):
        raise ValueError(f"{name} must be an integer or a pair of integers, got {value!r}")
    return int(both[0]), int(both[1])


def at_least(value: Pair, low: int, name: str, op: str) -> Pair:
    """Return `value`, refusing a pair with an entry below `low`."""
    if min(value) < low:
        raise ValueError(f"{op}: {name} must be at least {low}, got {value}")
    return value


def normalize_dim(dim: int, ndim: int, op: str = "dim") -> int:
    """Return `dim` counted from the front; negative values count from the back.

    >>> normalize_dim(-1, 4)
    3
    """
    n = ndim or 1  # a number has one axis to be counted from either end
    if not -n <= dim < n:
        raise IndexError(f"{op}: dim {dim} is out of range for {ndim} axes (needs {-n}…{n - 1})")
    return dim % n


def normalize_dims(dim: int | Sequence[int] | None, ndim: int, op: str = "dim") -> tuple[int, ...]:
    """Return the axes named by `dim` in rising order; None means all of them.

    >>> normalize_dims(None, 3), normalize_dims((-1, 0), 3)
    ((0, 1, 2), (0, 2))
    """
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, (int, np.integer)):
        return (normalize_dim(int(dim), ndim, op),)
    dims = sorted(normalize_dim(d, ndim, op) for d in dim)
    if len(set(dims)) != len(dims):
        raise ValueError(f"{op}: dim {tuple(dim)} names an axis twice")
    return tuple(dims)


def check_size(shape: Shape, itemsize: int, op: str) -> Shape:
    """Return `shape`, refusing one whose array could not be allocated.

    Raises: MemoryError naming the size, before anything is allocated.
    """
    size = itemsize
    for n in shape:
        size *= n
    if size > MAX_BYTES:
        raise MemoryError(f"{op}: the result {shape} would take {size / 2**30:,.0f} GiB")
    return shape


def conv_output_size(n: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return ⌊(n + 2·padding − dilation·(kernel−1) − 1) / stride⌋ + 1.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, relationship 6 (dilation: relationship 15).

    >>> conv_output_size(28, kernel=3, stride=2, padding=1, dilation=1)
    14
    """
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def pool_output_size(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Return the pooled size; with `ceil_mode` a window may hang over the end but must start inside.

    >>> pool_output_size(6, 3, 2, 0, 1, False), pool_output_size(6, 3, 2, 0, 1, True)
    (2, 3)
    """
    if not ceil_mode:
        return conv_output_size(n, kernel, stride, padding, dilation)
    size = -(-(n + 2 * padding - dilation * (kernel - 1) - 1) // stride) + 1
    return size - 1 if (size - 1) * stride >= n + padding else size


def same_padding(kernel: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Return ((top, bottom), (left, right)) that keep the size at stride 1; an odd total puts one more behind.

    >>> same_padding((3, 4), (1, 1))
    ((1, 1), (1, 2))
    """
    total = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)


def conv_transpose_output_size(
    n: int, kernel: int, stride: int, padding: int, output_padding: int, dilation: int
) -> int:
    """Return (n−1)·stride − 2·padding + dilation·(kernel−1) + output_padding + 1.

    >>> conv_transpose_output_size(14, kernel=3, stride=2, padding=1, output_padding=1, dilation=1)
    28
    """
    return (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


class Contract:
    """The axes an op wants, as text: `"N C H W, O C/groups kh kw -> N O H' W'"`.

    Each operand is a list of axis letters; one letter means one size everywhere. `C/groups` divides by the
    integer option of that name; `...` stands for any leading axes (and switches the rank check to "at least").

    >>> Contract("N C, O C -> N O").check("linear", ("x", "weight"), ((2, 3), (4, 5)), {})
    Traceback (most recent call last):
    ValueError: linear: axis C is 3 in x (2, 3) but weight (4, 5) has 5
    """

    def __init__(self, text: str) -> None:
        self.text = text
        left = text.split("->")[0]
        self.operands = tuple(tuple(part.split()) for part in left.split(","))
        self.trivial = all(axes == ("...",) for axes in self.operands)
        divisors = [axis.partition("/")[2] for axes in self.operands for axis in axes if "/" in axis]
        self.divisor = divisors[0] if divisors else None

    def check(self, op: str, names: Sequence[str], shapes: Sequence[Shape | None], options: Mapping[str, Any]) -> None:
        """Compare `shapes` (None: operand absent) with the contract.

        Raises: ValueError naming the op, the axis and both operands.
        """
        seen: dict[str, tuple[int, str, Shape]] = {}
        for axes, name, shape in zip(self.operands, names, shapes):
            if shape is None:
                continue
            if axes and axes[0] == "...":
                axes = axes[1:]
                if len(shape) < len(axes):
                    raise ValueError(f"{op}: {name} needs at least {len(axes)} axes (… {' '.join(axes)}), got {shape}")
            elif len(shape) != len(axes):
                raise ValueError(f"{op}: {name} needs {len(axes)} axes ({' '.join(axes)}), got shape {shape}")
            for axis, size in zip(axes, shape[len(shape) - len(axes) :]):
                self._check_axis(op, axis, size, name, shape, seen, options)

    @staticmethod
    def _check_axis(
        op: str,
        axis: str,
        size: int,
        name: str,
        shape: Shape,
        seen: dict[str, tuple[int, str, Shape]],
        options: Mapping[str, Any],
    ) -> None:
        letter, _, divisor = axis.partition("/")
        wanted = size * int(options[divisor]) if divisor else size
        first = seen.setdefault(letter, (wanted, name, shape))
        if first[0] != wanted:
            verb = "wants" if divisor else "has"
            raise ValueError(
                f"{op}: axis {letter} is {first[0]} in {first[1]} {first[2]} but {name} {shape} {verb} {wanted}"
            )
