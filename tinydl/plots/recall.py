"""What a recorded graph still knows of the values that went through it.

A node keeps only what its derivative needs. The rest follows from the operands, by calling the op again, unless one of
these is lost as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinydl.graph import Node
from tinydl.op import Op
from tinydl.rule import Saved, wanted_by
from tinydl.shapes import Array, Shape
from tinydl.tensor import Tensor


def constants_of(node: Node) -> dict[int, Any]:
    """Return the operands of `node` without gradient, by number: an array, a Python number, or None if not kept.

    Optional operands that were not kept are left out: they may not have been given.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> constants_of((x * 3.0)._node), constants_of((x + 3.0)._node)
    ({1: 3.0}, {1: None})
    """
    op = _op(node)
    found = {}
    for i, edge in enumerate(node.edges):
        name = op.operands[0 if op.variadic else i]
        kept = None if op.variadic else _saved(node).get(name)
        if edge is None and (kept is not None or name not in op.defaults):
            found[i] = kept.array if isinstance(kept, Saved) else kept
    return found


def values_of(
    root: Tensor, nodes: list[Node], shapes: Mapping[int, Shape], known: Iterable[Tensor] = ()
) -> dict[int, Array]:
    """Return the value of every leaf and node by id, as far as it can be had.

    Args:
        root: the Tensor that the graph leads to.
        nodes: its nodes, the youngest first.
        shapes: the shape of each node's result, by id.
        known: further Tensors of this graph whose values are at hand.
    """
    values = {id(t._node or t): t.data for t in (*known, root)}
    for node in nodes:
        op = _op(node)
        for name, kept in _saved(node).items():
            if isinstance(kept, Saved):
                owner = node if name == "y" else node.edges[op.operands.index(name)]
                values[id(owner)] = kept.array
        values.update({id(edge): edge.data for edge in node.edges if isinstance(edge, Tensor)})
    for node in reversed(nodes):
        if id(node) not in values:
            result = _again(node, values, shapes[id(node)])
            if result is not None:
                values[id(node)] = result
    return values


def _again(node: Node, values: Mapping[int, Array], shape: Shape) -> Array | None:
    """Return the result of `node`, computed once more, or None when something it needs is lost."""
    op, constants = _op(node), constants_of(node)
    operands = [constants.get(i) if edge is None else values.get(id(edge)) for i, edge in enumerate(node.edges)]
    if any(operand is None for operand in operands):
        return None
    options = {"shape": shape, "sizes": shape} | _saved(node)  # what reshape and expand were asked for is what came out
    if any(name not in options for name in op.options):
        return None
    chosen = {name: options[name] for name in op.options}
    result = op.forward(operands, **chosen) if op.variadic else op.forward(*operands, **chosen)
    return np.asarray(result[0] if op.keeps else result)


def _op(node: Node) -> Op:
    assert isinstance(node.op, Op)
    return node.op


def _saved(node: Node) -> dict[str, Any]:
    """Return what `node` keeps, by the names that its derivative rules have for it."""
    assert node.saved is not None
    places = {name: at for step in node.plan.steps for name, at in zip(wanted_by(step.function), step.places)}
    return {name: node.saved[at] for name, at in places.items()}
