"""PyTorch's names for dtypes and devices, so that programs written with them run."""

from __future__ import annotations

import numpy as np

float32 = np.float32
float64 = np.float64
double = np.float64
int32 = np.int32
int64 = np.int64
long = np.int64
uint8 = np.uint8


class device(str):  # noqa: N801  (PyTorch's name)
    """The name of a device: "cpu" is the only one.

    Raises: ValueError for another.

    >>> device("cpu")
    'cpu'
    """

    __slots__ = ()

    def __new__(cls, name: str = "cpu") -> device:
        """Check the name."""
        if str(name) != "cpu":
            raise ValueError(f'device must be "cpu", got {name!r}')
        return super().__new__(cls, name)
