"""The table in which ops meet the Tensor's methods: Tensors stand below ops in the order of imports."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinydl.tensor import Tensor

FUNCTIONS: dict[str, Callable[..., Tensor]] = {}
"""Every op, and every function composed of ops, by name; called with a Tensor they return Tensors."""
