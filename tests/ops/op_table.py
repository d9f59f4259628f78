"""The op table: the inputs that the tests of this folder try of every op, composition of ops, and fused kernel."""

import op_rows_basic
import op_rows_network
from op_case import Case

from tinydl.methods import FUNCTIONS
from tinydl.op import FUSED

CASES: list[Case] = [*op_rows_basic.ROWS, *op_rows_network.ROWS]

NAMES = (set(FUNCTIONS) | set(FUSED)) - {"backward"}
"""Everything that must have a row."""

DIFFERENTIABLE = [case for case in CASES if case.order > 0]

__all__ = ["CASES", "DIFFERENTIABLE", "NAMES", "Case"]
