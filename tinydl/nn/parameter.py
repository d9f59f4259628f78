"""Parameters: the Tensors that a Module learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.tensor import Tensor


class Parameter(Tensor):
    """A leaf Tensor that a Module finds among its attributes, and that optimizers update.

    Args:
        data: an array or Tensor (its memory is shared), or anything else a Tensor is made from.
        requires_grad: False freezes it.

    Raises: TypeError for gradients of integers, and for dtypes the engine does not compute in.

    >>> Parameter([1.0, 2.0])
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        copied = Parameter(np.array(self.data, order="K"), self.requires_grad)  # as in PyTorch, without the gradient
        memo[id(self)] = copied
        return copied

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
