"""The dtypes the engine computes in, and which one an operation has whose operands differ.

NumPy alone would make float64 of a float32 array and an int64 one. Here PyTorch's rule holds, so that float32 stays
float32: a kind (bool, integer, float) wins over a lower one; within a kind arrays with axes decide before 0-d arrays,
and those before Python numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinydl.shapes import Array

DType: TypeAlias = np.dtype[Any]

BOOL: DType = np.dtype(bool)
FLOAT32: DType = np.dtype(np.float32)
FLOAT64: DType = np.dtype(np.float64)
FLOATS = frozenset([FLOAT32, FLOAT64])

NATIVE = frozenset(map(np.dtype, "? int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()))
"""Every dtype a Tensor may have, in the machine's byte order."""


def check_dtype(dtype: Any) -> DType:
    """Return `dtype` as NumPy's, in native byte order. Raises: TypeError when the engine does not compute in it.

    >>> check_dtype("float32")
    dtype('float32')
    """
    try:
        result: DType = np.dtype(np.dtype(dtype).type)
    except TypeError:  # NumPy knows no such dtype
        result = np.dtype(object)
    if dtype is None or result not in NATIVE:
        raise TypeError(f"dtype {dtype!r} is not supported; use float32, float64, an integer type or bool")
    return result


def native(array: Array, name: str) -> Array:
    """Return `array` in the machine's byte order, uncopied where it fits.

    Raises: TypeError for object, string, complex, float16 and other dtypes the engine does not compute in.
    """
    if array.dtype in NATIVE:
        return array
    dtype: DType = np.dtype(array.dtype.type)
    if dtype not in NATIVE:
        raise TypeError(f"{name} has dtype {array.dtype}; float32, float64, integers and bool are supported")
    return array.astype(dtype)


def common_dtype(operands: Sequence[Any]) -> DType | None:
    """Return the dtype in which arrays and Python numbers meet; None when there are no arrays.

    >>> common_dtype([np.ones(2, np.float32), np.ones(2, np.int64), 1.5])
    dtype('float32')
    >>> common_dtype([np.ones(2, np.int64), 1.5])
    dtype('float32')
    """
    arrays = [x for x in operands if isinstance(x, (np.ndarray, np.generic))]
    numbers = {type(x) for x in operands}
    groups = (
        _widest(x.dtype for x in arrays if x.ndim),
        _widest(x.dtype for x in arrays if not x.ndim),
        FLOAT32 if float in numbers else np.dtype(np.int64) if int in numbers else None,
    )
    found: DType | None = None
    for dtype in groups if arrays else ():
        if dtype is not None and (found is None or _rank(dtype) > _rank(found)):
            found = dtype
    return found


def _rank(dtype: DType) -> int:
    """Return how high a dtype's kind stands."""
    return {"b": 0, "i": 1, "u": 1, "f": 2}[dtype.kind]


def _widest(dtypes: Iterable[DType]) -> DType | None:
    """Return the dtype that holds all of these; beside floats, integers do not count."""
    found = set(dtypes)
    floats = {dtype for dtype in found if dtype.kind == "f"}
    if not found:
        return None
    widest: DType = np.result_type(*(floats or found))
    return widest if floats or widest.kind != "f" else np.dtype(np.int64)  # nothing holds both int64 and uint64
