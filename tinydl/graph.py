"""The recorded graph and the walk back through it: nodes, their order, and the sum over paths.

A node is one call of an op. Its edges lead to the nodes that made its operands, or to leaf Tensors. Nodes are numbered
as they are made, so falling numbers are a topological order and no recursion is needed, however long the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Protocol, TypeAlias

import numpy as np

from tinydl import kernels
from tinydl.kernels.buffers import is_fresh

_numbers = count()

Gradient: TypeAlias = Any
"""An array, or a Tensor while the backward pass itself is being recorded."""

Hook: TypeAlias = Callable[[Gradient], Gradient]
"""Sees a whole gradient and returns the one to go on with."""


class HookHandle:
    """What `register_hook` returns: the way to take the hook away again."""

    def __init__(self, hooks: list[Hook], hook: Hook) -> None:
        self._hooks = hooks
        self._hook = hook
        hooks.append(hook)

    def remove(self) -> None:
        """Remove the hook; a second time does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


class Differentiable(Protocol):
    """What the walk needs of an op: the gradients of a node's operands from the gradient of its result."""

    name: str

    def pull(self, node: Node, g: Gradient, create_graph: bool) -> Iterable[tuple[Any, Gradient]]:
        """Return (edge, gradient) for each operand that needs one."""


class Node:
    """One recorded call of an op.

    Attributes:
        op: the op that was called.
        edges: an entry an operand: the node or leaf Tensor it came from, or None where no gradient goes.
        plan: which of the op's rules apply, and what they want.
        saved: what the plan asked to keep alive, in its order; None once the graph is freed.
        number: the place in the order of creation.
        hooks: functions that see, and may replace, the whole gradient of the result.
        site: the source line that called the op (recorded in anomaly mode only).
    """

    __slots__ = ("__weakref__", "edges", "hooks", "number", "op", "plan", "saved", "site")

    def __init__(self, op: Differentiable, plan: Any, edges: list[Any], saved: list[Any]) -> None:
        self.op = op
        self.plan = plan
        self.edges = edges
        self.saved: list[Any] | None = saved
        self.number = next(_numbers)
        self.hooks: list[Hook] | None = None
        self.site: str | None = None

    def release(self) -> None:
        """Drop what was kept alive, and the way further back."""
        self.saved = None
        self.edges = []


def ancestors(roots: Iterable[Any]) -> list[Node]:
    """Return every node that a root depends on, the youngest first (a topological order)."""
    found: dict[int, Node] = {}
    stack = [node for node in roots if isinstance(node, Node)]
    while stack:
        node = stack.pop()
        if node.number not in found:
            found[node.number] = node
            stack += [edge for edge in node.edges if isinstance(edge, Node)]
    return [found[number] for number in sorted(found, reverse=True)]


def run_hooks(hooks: Iterable[Hook] | None, g: Gradient) -> Gradient:
    """Return `g` after each hook has seen it."""
    for hook in hooks or ():
        g = hook(g)
    return g


class Arrival:
    """The sum of the gradients that have come along one edge so far, one for each path.

    Attributes:
        edge: the node or leaf Tensor at the end of the edge.
        gradient: the sum.
        ours: whether the sum is an array that nothing else can hold, so that it may be added to in place.
    """

    __slots__ = ("edge", "gradient", "ours")

    def __init__(self, edge: Any, gradient: Gradient) -> None:
        self.edge = edge
        self.gradient = gradient
        self.ours = False

    def add(self, gradient: Gradient) -> None:
        """Add the gradient of one more path, large ones by threads: NumPy alone takes 7 % of a step of a ResNet."""
        if self.ours:
            self.gradient += gradient
        elif isinstance(self.gradient, np.ndarray):
            self.gradient, self.ours = kernels.add(self.gradient, gradient), True
        else:
            self.gradient = self.gradient + gradient


Arrivals: TypeAlias = dict[int, Arrival]
"""What has arrived, by the id of the edge's end."""


def propagate(
    seeds: list[tuple[Any, Gradient]],
    retain_graph: bool,
    create_graph: bool,
    watched: frozenset[int] = frozenset(),
) -> Arrivals:
    """Walk back from the seeds (edge, gradient) and return what arrives at the leaves: their whole gradients.

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
    arrivals: Arrivals = {}
    for edge, g in seeds:
        _arrive(arrivals, edge, g, g)
    for node in order:
        arrival = arrivals.pop(id(node), None)
        if arrival is not None:
            g = run_hooks(node.hooks, arrival.gradient) if node.hooks else arrival.gradient
            if id(node) in watched:
                arrivals[id(node)] = Arrival(node, _lasting(g, g))
            for edge, gradient in node.op.pull(node, g, create_graph):
                _arrive(arrivals, edge, gradient, g)
        if not retain_graph:
            node.release()
    return arrivals


def _arrive(arrivals: Arrivals, edge: Any, gradient: Gradient, upstream: Gradient) -> None:
    arrival = arrivals.get(id(edge))
    if arrival is not None:
        arrival.add(gradient)
    else:
        arrivals[id(edge)] = Arrival(edge, gradient if isinstance(edge, Node) else _lasting(gradient, upstream))


def _lasting(gradient: Gradient, upstream: Gradient) -> Gradient:
    """Return a gradient that outlives the walk: a copy of one that something else may hold too."""
    if isinstance(gradient, np.ndarray):
        return gradient.copy() if gradient is upstream or not is_fresh(gradient) else gradient
    return gradient if isinstance(gradient, np.generic) else gradient.clone()
