"""What a network costs, layer by layer: parameters, multiply-adds, memory, and how far each layer sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinydl.cost.inputs import Shapes, zeros_for
from tinydl.cost.macs import CONVENTION
from tinydl.cost.peak import Peak, inference_peak
from tinydl.cost.table import Table, by, in_bytes
from tinydl.cost.trace import Work, trace
from tinydl.cost.window import Window
from tinydl.nn import Module
from tinydl.shapes import Shape
from tinydl.storage import unsealed
from tinydl.tensor import Tensor


@dataclass(frozen=True)
class Row:
    """One call of a layer, for one input.

    Attributes:
        name: its place in the model.
        kind: its class.
        shape: of its (first) result, without the batch axis; None if it never ran.
        params: its parameters, but those that an earlier row has counted.
        macs: multiply-adds of its own ops (those of layers inside it stand in their rows).
        activation: bytes of activations that its own ops made; views make none.
        bytes: of its parameters and buffers, but those that an earlier row has counted.
        field: what a position of its result sees of the image along H and along W; None where there is no image.
    """

    name: str
    kind: str
    shape: Shape | None
    params: int
    macs: int
    activation: int
    bytes: int
    field: tuple[Window, Window] | None


@dataclass(frozen=True)
class Summary:
    """The layers of a model in the order in which they ran; printed, a table.

    Attributes:
        name: the model's class.
        rows: a row for each call of a layer that holds no other, or that computes by itself or has parameters.
        input_shapes: the inputs' shapes, without the batch axis.
        peak: the most bytes of activations alive at one time in inference, and the layer that was running then.
        file_bytes: the size of the file that `save_weights` writes.
    """

    name: str
    rows: tuple[Row, ...]
    input_shapes: tuple[Shape, ...]
    peak: Peak
    file_bytes: int

    @property
    def params(self) -> int:
        """All parameters, shared ones once."""
        return sum(row.params for row in self.rows)

    @property
    def macs(self) -> int:
        """All multiply-adds for one input."""
        return sum(row.macs for row in self.rows)

    @property
    def activation(self) -> int:
        """Bytes that all layers make together; `peak` is what inference needs at one time."""
        return sum(row.activation for row in self.rows)

    @property
    def bytes(self) -> int:
        """Bytes of all parameters and buffers, shared ones once."""
        return sum(row.bytes for row in self.rows)

    def __str__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Table:
        head = "layer", "kind", "output", "sees", "parameters", "MACs", "activations", "bytes"
        lines = [
            (
                row.name,
                row.kind,
                "does not run" if row.shape is None else by(row.shape),
                self._sees(row),
                *_numbers(row.params, row.macs, row.activation, row.bytes),
            )
            for row in self.rows
        ]
        totals = "total", "", "", "", *_numbers(self.params, self.macs, self.activation, self.bytes)
        notes = [
            ("MACs", f"{CONVENTION}; one input {' and '.join(map(by, self.input_shapes))}"),
            ("sees", "receptive field in pixels of the input; all: the whole image"),
            (
                "memory",
                f"inference holds at most {in_bytes(self.peak.bytes)} of activations, at {self.peak.at}",
            ),
            ("file", f"{in_bytes(self.file_bytes)} ({self.file_bytes:,} bytes) as safetensors"),
        ]
        return Table(f"{self.name}: {self.params:,} parameters, {self.macs:,} MACs", head, lines, totals, 3, notes)

    def _sees(self, row: Row) -> str:
        """Return the size of a receptive field, as one number where it is square."""
        if row.field is None:
            return ""
        image = next(shape for shape in self.input_shapes if len(shape) == 3)
        if all(w.jump == 0 and w.start <= 0 and w.start + w.size >= n for w, n in zip(row.field, image[1:])):
            return "all"
        height, width = (window.size for window in row.field)
        return str(height) if height == width else by((height, width))


def _numbers(params: int, macs: int, activation: int, n_bytes: int) -> tuple[str, str, str, str]:
    return f"{params:,}", f"{macs:,}", in_bytes(activation), in_bytes(n_bytes)


def summary(model: Module, input_shape: Shapes) -> Summary:
    """Return what each layer of `model` costs for one input of `input_shape` (without the batch axis).

    The model runs on zeros, in evaluation mode. A layer that is called twice has two rows; what it shares with an
    earlier row (its parameters, or another layer's) counts in the first one only, so that columns add up to the totals.
    What a module computes by itself (functions, sums, `@`) has a row in its own name. See `tinydl.cost.macs` for what
    a MAC is, `tinydl.cost.field` for receptive fields, `tinydl.cost.peak` for memory.

    Args:
        model: any module.
        input_shape: the sizes of its input, or a sequence of such for several inputs.

    Raises: TypeError or ValueError naming `input_shape`; whatever the model raises for inputs of that shape.

    >>> from tinydl.nn import Conv2d, Flatten, Linear, Sequential
    >>> found = summary(Sequential(Conv2d(1, 4, 3), Flatten(), Linear(16, 2)), (1, 4, 4))
    >>> found.params, found.macs, [row.macs for row in found.rows]
    (74, 176, [144, 0, 32])
    >>> found.rows[0].field[0]
    Window(size=3, jump=1, start=0)
    """
    inputs = zeros_for(model, input_shape, 1)
    peak = inference_peak(model, inputs)
    rows = tuple(_rows(model, trace(model, inputs)))
    return Summary(type(model).__name__, rows, tuple(x.shape[1:] for x in inputs), peak, file_size(model))


def file_size(model: Module) -> int:
    """Return how many bytes the safetensors file has that `tinydl.checkpoint.save_weights` writes of `model`.

    >>> from tinydl.nn import Linear
    >>> file_size(Linear(3, 2)) - 4 * (3 * 2 + 2)  # names, shapes, checksum
    248
    """
    return len(unsealed({name: tensor.data for name, tensor in model.state_dict().items()}, {}))


def _rows(model: Module, calls: Sequence[Work]) -> Iterator[Row]:
    """Return the rows of all calls, then of layers with parameters that did not run."""
    counted: set[int] = set()
    for work in calls:
        owned = _owned(work.module, counted)
        if work.matters or owned:
            field = None if work.field is None else (work.field[0].window, work.field[1].window)
            shape = None if work.shape is None else work.shape[1:]
            yield Row(work.name, work.kind, shape, _count(owned), work.macs, work.made, _n_bytes(owned), field)
    for name, module in model.named_modules():
        owned = _owned(module, counted)
        if owned:
            yield Row(name, type(module).__name__, None, _count(owned), 0, 0, _n_bytes(owned), None)


def _owned(module: Module, counted: set[int]) -> Sequence[tuple[Tensor, bool]]:
    """Return a module's own Tensors that are not counted yet, and whether each is a parameter; count them."""
    own = [(p, True) for p in module.parameters(recurse=False)] + [(b, False) for b in module.buffers(recurse=False)]
    new = [(tensor, learned) for tensor, learned in own if id(tensor) not in counted]
    counted.update(id(tensor) for tensor, _ in new)
    return new


def _count(owned: Sequence[tuple[Tensor, bool]]) -> int:
    return sum(tensor.numel() for tensor, learned in owned if learned)


def _n_bytes(owned: Sequence[tuple[Tensor, bool]]) -> int:
    return sum(tensor.data.nbytes for tensor, _ in owned)
