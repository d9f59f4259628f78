"""A model as a list of steps: what each op takes, from where, and what it makes; see `tinydl.compress.flow`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tinydl.cost.table import Table, by
from tinydl.nn import Module
from tinydl.shapes import Array, Shape
from tinydl.tensor import Tensor


@dataclass(frozen=True)
class Made:
    """The result of the step with that number."""

    step: int

    def __str__(self) -> str:
        return f"%{self.step}"


@dataclass(frozen=True)
class Given:
    """The model's input with that number."""

    number: int

    def __str__(self) -> str:
        return f"input {self.number}"


@dataclass(frozen=True)
class Stored:
    """The parameter or buffer of that dotted name (the first one, if it has several)."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False)
class Constant:
    """A number, or an array that is the same whatever the inputs are."""

    value: Any

    def __str__(self) -> str:
        return f"constant {by(self.value.shape)}" if isinstance(self.value, np.ndarray) else str(self.value)


Source: TypeAlias = Made | Given | Stored | Constant
"""Where an operand comes from."""


@dataclass(frozen=True)
class Step:
    """One run of an op.

    Attributes:
        number: its place in the flow.
        op: the op's name, as in `tinydl.op.OPS` and `FUSED`.
        operands: by the names of the op's parameters; "tensors[0]", "tensors[1]", … for an op that takes a sequence.
            None for one that was left out (a layer without bias).
        options: the op's other arguments, defaults included.
        shape: of the result, with the batch.
        dtype: of the result.
        module: the innermost module that was running.
        name: that module's (first) dotted name; "" for the model itself.
        call: how many calls of that module had begun before this one.
    """

    number: int
    op: str
    operands: Mapping[str, Source | None]
    options: Mapping[str, Any]
    shape: Shape
    dtype: np.dtype[Any]
    module: Module
    name: str
    call: int

    @property
    def at(self) -> str:
        """The op and the module, as errors name them."""
        return f"{self.op} (step {self.number}, {self.name or 'the model itself'})"

    def shown(self, source: Source | None) -> str:
        """Return an operand as text, what the module itself owns without the module's name."""
        own = f"{self.name}."
        if isinstance(source, Stored) and source.name.startswith(own):
            return source.name[len(own) - 1 :]
        return "-" if source is None else str(source)


@dataclass(frozen=True)
class Flow:
    """The steps of a model in the order in which they ran; printed, a table.

    Attributes:
        model: the model.
        inputs: the shapes of its inputs, with the batch.
        steps: one for each op; ops that only hand an array on (a cast to the dtype it has) make none.
        outputs: where the Tensors that the model returned come from, in their order.
        stored: parameters and buffers by the names that `Stored` has.
    """

    model: Module
    inputs: Sequence[Shape]
    steps: Sequence[Step]
    outputs: Sequence[Source]
    stored: Mapping[str, Tensor]

    def shape(self, source: Source) -> Shape:
        """Return the shape of what `source` stands for.

        >>> from tinydl.nn import Linear
        >>> Flow(Linear(3, 2), [], [], [], dict(Linear(3, 2).named_parameters())).shape(Stored("weight"))
        (2, 3)
        """
        if isinstance(source, Made):
            return self.steps[source.step].shape
        if isinstance(source, Given):
            return self.inputs[source.number]
        return self.stored[source.name].shape if isinstance(source, Stored) else np.shape(source.value)

    def users(self, source: Source) -> list[Step]:
        """Return the steps that take what `source` stands for, in their order."""
        return [step for step in self.steps if source in step.operands.values()]

    def __str__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Table:
        head = "step", "op", "operands", "options", "result", "module"
        lines = [
            (
                f"%{step.number}",
                step.op,
                ", ".join(step.shown(source) for source in step.operands.values()),
                ", ".join(f"{name}={option(value)}" for name, value in step.options.items()),
                by(step.shape),
                step.name or type(step.module).__name__,
            )
            for step in self.steps
        ]
        totals = "returns", "", ", ".join(map(str, self.outputs)), "", "", ""
        notes = [("inputs", ", ".join(map(by, self.inputs)))]
        return Table(f"{type(self.model).__name__}: {len(self.steps)} steps", head, lines, totals, len(head), notes)


def option(value: Any) -> str:
    """Return an option as text, slices as they stand between brackets.

    >>> option((slice(None), slice(44, 88), slice(None, None, 2), 3)), option((3, 1)), option(0.5)
    ('[:, 44:88, ::2, 3]', '(3, 1)', '0.5')
    """
    parts = value if isinstance(value, tuple) else (value,)
    if not any(isinstance(part, slice) for part in parts):
        return f"array {by(value.shape)}" if isinstance(value, np.ndarray) else str(value)
    return f"[{', '.join(_sliced(part) if isinstance(part, slice) else option(part) for part in parts)}]"


def _sliced(part: slice) -> str:
    ends = [part.start, part.stop] + ([] if part.step is None else [part.step])
    return ":".join("" if end is None else str(end) for end in ends)


def frozen(value: Any) -> Any:
    """Return what can be compared with == in place of operands and options, which may hold arrays.

    >>> frozen((slice(1, 2), np.ones(2))) == frozen((slice(1, 2), np.ones(2)))
    True
    """
    if isinstance(value, Constant):
        return "constant", frozen(value.value)
    if isinstance(value, np.ndarray | np.generic):
        array: Array = np.asarray(value)
        return array.shape, array.dtype.str, array.tobytes()
    if isinstance(value, Mapping):
        return tuple((key, frozen(part)) for key, part in value.items())
    if isinstance(value, tuple | list):
        return tuple(map(frozen, value))
    if isinstance(value, slice):
        return "slice", value.start, value.stop, value.step
    return repr(value) if isinstance(value, float) else value  # NaN equals nothing, its text does
