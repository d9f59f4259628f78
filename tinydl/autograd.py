"""Reverse-mode differentiation: `backward` fills `grad` of the leaves, `grad` returns gradients.

Both seed the walk of `tinydl.graph`; with `create_graph` the walk is itself recorded and can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl import graph
from tinydl.graph import Gradient
from tinydl.methods import FUNCTIONS
from tinydl.modes import set_grad_enabled
from tinydl.tensor import Tensor, as_array, as_tensor


def _seed(root: Tensor, gradient: Any, name: str) -> Gradient:
    """Return the gradient to start from at `root`: what was given, checked, or 1 for a scalar."""
    if not isinstance(root, Tensor) or not root.requires_grad:
        raise RuntimeError(f"{name}: a Tensor that requires a gradient is needed; this one depends on none that does")
    if gradient is None:
        if root._data.size != 1:
            raise RuntimeError(f"{name}: the result has shape {root.shape}; only a scalar needs no `gradient` argument")
        return np.ones_like(root._data)
    array = as_array(gradient, name=f"{name}: gradient")
    if array.shape != root.shape:
        raise ValueError(f"{name}: gradient has shape {array.shape}, the Tensor {root.shape}")
    return gradient.to(root.dtype) if isinstance(gradient, Tensor) else array.astype(root.dtype, copy=False)


def _walk(
    roots: Sequence[Tensor],
    gradients: Sequence[Any],
    retain_graph: bool,
    create_graph: bool,
    name: str,
    watched: frozenset[int] = frozenset(),
) -> graph.Arrivals:
    """Seed the roots and propagate; with `create_graph` gradients are Tensors and ops record themselves."""
    seeds = []
    for root, gradient in zip(roots, gradients):
        g = _seed(root, gradient, name)
        g = as_tensor(g) if create_graph else (g._data if isinstance(g, Tensor) else g)
        seeds.append((root._node or root, g))
    with set_grad_enabled(create_graph), np.errstate(all="ignore"):
        return graph.propagate(seeds, retain_graph, create_graph, watched)


def _finish(leaf: Tensor, g: Gradient) -> Tensor:
    """Return a leaf's whole gradient as a Tensor of the leaf's dtype, after its hooks have seen it."""
    g = graph.run_hooks(leaf._hooks, g)
    if isinstance(g, Tensor):
        return g
    array = np.asarray(g, dtype=leaf.dtype)
    assert array.shape == leaf.shape, f"gradient of shape {array.shape} for a leaf of shape {leaf.shape}"
    return Tensor.of(array)


def backward(root: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
    """Add d root / d leaf to `grad` of every leaf that requires one (reverse-mode accumulation).

    Args:
        root: where to start; a scalar unless `gradient` is given.
        gradient: the upstream gradient, of root's shape.
        retain_graph: keep the graph for another backward; by default only with `create_graph`.
        create_graph: record the backward pass too, so that gradients can be differentiated.

    Raises: RuntimeError without a graph, for a freed one, or when something saved was changed in place.

    Source: Griewank & Walther 2008, Evaluating Derivatives, ch. 3.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> (x * x * x).backward(create_graph=True)
    >>> g, x.grad = x.grad, None
    >>> g.backward()
    >>> g.item(), x.grad.item()
    (27.0, 18.0)
    """
    retain = create_graph if retain_graph is None else retain_graph
    arrivals = _walk([root], [gradient], retain, create_graph, "backward")
    finished = [(arrival.edge, _finish(arrival.edge, arrival.gradient)) for arrival in arrivals.values()]
    for leaf, g in finished:
        leaf.accumulate(g)


FUNCTIONS["backward"] = backward  # type: ignore[assignment]  # the one that returns nothing


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return d outputs / d inputs, leaving every `grad` untouched; arguments as in `backward`.

    Raises: RuntimeError when an input does not matter to the outputs, unless `allow_unused` (then None).

    >>> x = Tensor(2.0, requires_grad=True)
    >>> (slope,) = grad(x * x * x, x, create_graph=True)
    >>> grad(slope, x)[0].item()
    12.0
    """
    roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    gradients = grad_outputs if isinstance(grad_outputs, (list, tuple)) else [grad_outputs] * len(roots)
    if len(gradients) != len(roots):
        raise ValueError(f"grad: {len(roots)} outputs need as many grad_outputs, got {len(gradients)}")
    retain = create_graph if retain_graph is None else retain_graph
    edges = [x._node or x for x in wanted]
    arrivals = _walk(roots, gradients, retain, create_graph, "grad", frozenset(id(edge) for edge in edges))
    found = [arrivals.get(id(edge)) for edge in edges]
    if not allow_unused and None in found:
        raise RuntimeError(f"grad: input {found.index(None)} does not matter to the outputs (allow_unused=True: None)")
    return tuple(None if arrival is None else _finish(x, arrival.gradient) for x, arrival in zip(wanted, found))
