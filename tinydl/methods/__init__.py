"""A Tensor's operators and PyTorch-named methods: each calls the op of its name.

Tensors stand below ops in the order of imports, so the methods find the ops in the table that ops enter themselves
into. What a method computes, and by which equation, is said at the op: `t.relu()` is `tinydl.ops.relu(t)`.
"""

from tinydl.methods.arithmetic import Arithmetic
from tinydl.methods.casts import Casts
from tinydl.methods.in_place import InPlace, plain
from tinydl.methods.movement import Movement
from tinydl.methods.reduction import Reduction
from tinydl.methods.table import FUNCTIONS

__all__ = ["FUNCTIONS", "Methods", "plain"]


class Methods(Arithmetic, Casts, Reduction, Movement, InPlace):
    """The part of a Tensor that is mathematics."""

    __slots__ = ()
