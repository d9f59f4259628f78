"""The recorded graph and the walk back through it: nodes, their order, and the sum over paths.

A node is one call of an op. Its edges lead to the nodes that made its operands, or to leaf Tensors. Nodes are numbered as
they are made, so falling numbers are a topological order and no recursion is needed, however long the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Protocol, TypeAlias

import numpy as np

from tinydl.kernels.buffers import is_fresh

_numbers = count()

Gradient: TypeAlias = Any
"""An array, or a Tensor while the backward pass itself is being recorded."""


class Differentiable(Protocol):
    """What the walk needs of an op: the gradients of a node's operands from the gradient of its result."""

    name: str

    def pull(self, node: Node, g: Gradient, create_graph: bool) -> Iterable[tuple[int, Gradient]]:
        """Return (operand number, gradient) for each operand that needs one."""


class Node:
    """One recorded call of an op.

    Attributes:
        op: the op that was called.
        edges: an entry an operand: the node or leaf Tensor it came from, or None where no gradient goes.
        saved: what the op's vjp asked to keep alive, by name; None once the graph is freed.
        number: the place in the order of creation.
        hooks: functions that see, and may replace, the whole gradient of the result.
        site: the source line that called the op (recorded in anomaly mode only).
    """

    __slots__ = ("__weakref__", "edges", "hooks", "number", "op", "plan", "saved", "site")

    def __init__(self, op: Differentiable, edges: tuple[Any, ...], plan: Any, saved: dict[str, Any]) -> None:
        self.op = op
        self.edges = edges
        self.plan = plan
        self.saved: dict[str, Any] | None = saved
        self.number = next(_numbers)
        self.hooks: list[Callable[[Gradient], Gradient | None]] | None = None
        self.site: str | None = None

    def release(self) -> None:
        """Drop what was kept alive, and the way further back."""
        self.saved = None
        self.edges = ()


def ancestors(roots: Iterable[Any]) -> list[Node]:
    """Return every node that a root depends on, the youngest first (a topological order)."""
    found: dict[int, Node] = {}
    stack = [node for node in roots if isinstance(node, Node)]
    while stack:
        node = stack.pop()
        if node.number not in found:
            found[node.number] = node
            stack.extend(edge for edge in node.edges if isinstance(edge, Node))
    return [found[number] for number in sorted(found, reverse=True)]


def run_hooks(hooks: Iterable[Callable[[Gradient], Gradient | None]] | None, g: Gradient) -> Gradient:
    """Return `g` after each hook has seen it; a hook that returns something replaces it."""
    for hook in hooks or ():
        replaced = hook(g)
        g = g if replaced is None else replaced
    return g


def propagate(
    seeds: list[tuple[Any, Gradient]],
    retain_graph: bool,
    create_graph: bool,
    watched: frozenset[int] = frozenset(),
) -> dict[int, tuple[Any, Gradient]]:
    """Walk back from the seeds (edge, gradient) and return {id: (leaf, its whole gradient)}.

    Nodes are freed as soon as they are done with (unless `retain_graph`), so that a step's memory falls while the walk
    goes on. Nodes whose id is among `watched` stay in the result, beside the leaves.

    Raises: RuntimeError when a part of the graph was freed by an earlier walk.
    """
    order = ancestors(edge for edge, _ in seeds)
    for node in order:
        if node.saved is None:
            raise RuntimeError(
                f"backward: the graph behind {node.op.name} was freed by an earlier backward; "
                "pass retain_graph=True to the first one to go through it twice"
            )
    arrived: dict[int, tuple[Any, Gradient]] = {}
    for edge, g in seeds:
        _arrive(arrived, edge, g, g)
    for node in order:
        entry = arrived.get(id(node)) if id(node) in watched else arrived.pop(id(node), None)
        if entry is not None:
            g = run_hooks(node.hooks, entry[1])
            for operand, gradient in node.op.pull(node, g, create_graph):
                _arrive(arrived, node.edges[operand], gradient, g)
        if not retain_graph:
            node.release()
    return arrived


def _arrive(arrived: dict[int, tuple[Any, Gradient]], edge: Any, gradient: Gradient, upstream: Gradient) -> None:
    """Add `gradient` to what has come along `edge` so far: the whole gradient is the sum over all paths.

    A leaf's gradient outlives the walk, so an array that something else may hold too is copied for it.
    """
    before = arrived.get(id(edge))
    if before is not None:
        gradient = before[1] + gradient
    elif not isinstance(edge, Node) and isinstance(gradient, np.ndarray):
        if gradient is upstream or not is_fresh(gradient):
            gradient = gradient.copy()
    arrived[id(edge)] = (edge, gradient)
