"""The computational graph of a small expression, with the values that came forward and the gradients that go back."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinydl.graph import Gradient, Node, ancestors
from tinydl.plots.recall import constants_of, values_of
from tinydl.plots.svg import SVG, Box, Input, Line, draw
from tinydl.shapes import Array
from tinydl.tensor import Tensor

_SIGNS = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "pow": "**", "bmm": "@"}
_EITHER_WAY = {"add", "mul", "maximum", "minimum", "cat"}
_MOST_NUMBERS = 4
"""Rows and columns of the largest array whose numbers are printed."""


def graph(
    tensor: Tensor,
    names: Mapping[str, Tensor] | None = None,
    values: bool = True,
    gradients: bool = True,
    limit: int = 60,
) -> SVG:
    """Draw how `tensor` was computed: green leaves, grey constants, and each op with its result.

    A box shows its value and, after ∂, the gradient d tensor / d box, summed over all paths. Arrays larger than 4 × 4
    show their shape and range. Draw before `backward` frees the graph (or call that with `retain_graph=True`); the
    picture runs the derivatives itself, on the side: `grad` stays as it is and no hook is called.

    The graph keeps only what derivatives need. A result it did not keep is worked out again from its operands; where
    one of these is lost too (the 2 in `(x + 2).relu()`, drawn as "constant"), the box says "not kept", unless the
    result is among `names`. Leaves show what they hold now: draw before the optimizer's step.

    Args:
        tensor: the result; a scalar if gradients are to be shown.
        names: names for leaves, constants or results: `{"w": w}`, or `dict(model.named_parameters())`.
        values: whether to show values.
        gradients: whether to show gradients.
        limit: how many boxes at most.

    Returns: the picture, which a notebook shows and `.save("graph.svg")` writes.

    Raises: TypeError for anything but a Tensor; ValueError when nothing was recorded, the graph was freed, it has more
        boxes than `limit`, or it ends in no scalar though gradients are asked for; RuntimeError when something it saved
        was changed in place.

    >>> a, b = Tensor(2.0, requires_grad=True), Tensor(-3.0, requires_grad=True)
    >>> picture = str(graph((a * b + a).tanh(), {"a": a, "b": b}))
    >>> [word in picture for word in (">a<", ">×<", ">−6<", ">tanh<")]
    [True, True, True, True]
    """
    nodes = _recorded(tensor, gradients, limit)
    root, named = tensor._node or tensor, dict(names or {})
    with np.errstate(all="ignore"):  # what overflows here has overflowed, and warned, in the forward pass
        slopes = _slopes(root, np.ones_like(tensor.data), nodes)
        recalled = values_of(tensor, nodes, {key: np.shape(g) for key, g in slopes.items()}, named.values())
    writer = _Writer(_labels(named), recalled, slopes, values, gradients)
    boxes = [box for node in reversed(nodes) for box in writer.boxes(node)] or [writer.leaf(tensor)]
    legend = [Line("value", "value")] if values else []
    if gradients:
        legend.append(Line(f"∂ gradient of {writer.names.get(id(root), 'the last box')} by this box", "gradient"))
    return draw(list(dict.fromkeys(boxes)), legend)


def _recorded(tensor: Any, gradients: bool, limit: int) -> list[Node]:
    """Return the nodes behind `tensor`, the youngest first, when they are all there and few enough."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"graph: tensor must be a Tensor, got {type(tensor).__name__}")
    if not tensor.requires_grad:
        raise ValueError("graph: tensor has no graph: no operand requires a gradient, or it was made inside no_grad")
    if gradients and tensor.numel() != 1:
        raise ValueError(f"graph: gradients need a scalar, got shape {tensor.shape}; draw its sum() or gradients=False")
    nodes = ancestors([tensor._node])
    for node in nodes:
        if node.saved is None:
            raise ValueError(
                f"graph: backward has freed the graph behind {node.op.name}; draw first or retain_graph=True"
            )
    count = len(nodes) + len({id(e) for node in nodes for e in node.edges if isinstance(e, Tensor)})
    if count > limit:
        raise ValueError(f"graph: {count} boxes, limit is {limit}; draw a smaller part or raise the limit")
    return nodes


def _slopes(root: Any, seed: Array, nodes: list[Node]) -> dict[int, Gradient]:
    """Return the gradient of every node and leaf by id: the walk of `backward`, but hooks stay out of it."""
    slopes: dict[int, Gradient] = {id(root): seed}
    for node in nodes:
        for edge, g in node.op.pull(node, slopes[id(node)], False):
            slopes[id(edge)] = slopes[id(edge)] + g if id(edge) in slopes else g
    return slopes


def _labels(named: Mapping[str, Tensor]) -> dict[int, str]:
    """Return names by the id of what they name: a node, a leaf, or the array of a constant."""
    return {id(t._node or (t if t.requires_grad else t.data)): name for name, t in named.items()}


class _Writer(NamedTuple):
    """Writes boxes; names, values and gradients are looked up by id, the latter two shown if wanted."""

    names: dict[int, str]
    values: dict[int, Array]
    slopes: dict[int, Gradient]
    show_values: bool
    show_gradients: bool

    def boxes(self, node: Node) -> list[Box]:
        """Return the boxes of the leaves and constants that `node` uses, then its own."""
        constants = constants_of(node)
        sources, inputs = [], []
        for i, edge in enumerate(node.edges):
            if isinstance(edge, Node):
                inputs.append(Input(id(edge), _operand_name(node, i)))
            elif edge is not None or i in constants:
                sources.append(self.leaf(edge) if edge is not None else self._constant(constants[i], (node.number, i)))
                inputs.append(Input(sources[-1].key, _operand_name(node, i)))
        sign = _SIGNS.get(node.op.name, node.op.name)
        hint = f"{node.op.name}: {(node.op.__doc__ or '').strip().splitlines()[0]}"
        return [*sources, Box(id(node), "result", self._lines(id(node)), tuple(inputs), sign, hint)]

    def leaf(self, tensor: Tensor) -> Box:
        """Return the box of a leaf."""
        return Box(id(tensor), "leaf", self._lines(id(tensor)))

    def _constant(self, value: Any, place: Hashable) -> Box:
        """Return the box of an operand without gradient; an array is one box wherever it is used."""
        key = id(value) if isinstance(value, np.ndarray) else place
        lines = (Line(self.names[id(value)], "name"),) if id(value) in self.names else ()
        if value is None:
            lines = (Line("constant", "note"),)
        elif self.show_values or not lines:
            lines = (*lines, *_print("", value, "value"))
        return Box(key, "constant", lines)

    def _lines(self, key: int) -> tuple[Line, ...]:
        """Return what stands in the box of a node or leaf: whatever else is left out, its shape."""
        lines = [Line(self.names[key], "name")] if key in self.names else []
        if self.show_values:
            lines += _print("", self.values[key], "value") if key in self.values else [Line("not kept", "note")]
        if self.show_gradients:
            lines += _print("∂ ", self.slopes[key], "gradient")
        if not self.show_values and not self.show_gradients:
            lines.append(Line(str(np.shape(self.slopes[key])).replace("()", "scalar"), "note"))
        return tuple(lines)


def _operand_name(node: Node, i: int) -> str:
    """Return what the op calls operand `i`, where it matters which one it is."""
    names = getattr(node.op, "operands", ())
    return names[i] if len(names) == len(node.edges) > 1 and node.op.name not in _EITHER_WAY else ""


def _print(mark: str, value: Any, kind: str) -> tuple[Line, ...]:
    """Return a small array number by number, a larger one as its shape and range, with `mark` before the first line."""
    array = np.asarray(value)
    if array.ndim > 2 or max(array.shape, default=0) > _MOST_NUMBERS or not array.size:
        texts = [str(array.shape)]
        texts += [f"{_number(array.min())} … {_number(array.max())}"] if array.size else []
    elif array.ndim == 0:
        texts = [_number(array)]
    else:
        rows = [[_number(v, 3) for v in row] for row in np.atleast_2d(array)]
        width = max(len(text) for row in rows for text in row)
        texts = ["[" + ", ".join(text.rjust(width if array.ndim == 2 else 0) for text in row) + "]" for row in rows]
    return tuple(Line((mark if i == 0 else " " * len(mark)) + text, kind) for i, text in enumerate(texts))


def _number(value: Any, digits: int = 4) -> str:
    """Return a number with a few significant digits and a real minus.

    >>> _number(-0.123456), _number(2.0), _number(1e-5)
    ('−0.1235', '2', '1e−05')
    """
    return f"{float(value):.{digits}g}".replace("-", "−")
