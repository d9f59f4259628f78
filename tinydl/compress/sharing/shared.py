"""Weight sharing: a layer keeps a few numbers, and for each of its weights only which of them it is.

    weight[i] = codebook[index[i] − 1],  0 where index[i] = 0
    ∂L/∂codebook[c] = Σ over i with index[i] = c + 1 of ∂L/∂weight[i]

The codebook is a Parameter like any other: every optimizer trains it, and the gradient follows from the ops that look
the weights up. Weights that were pruned have a code of their own, which is not learned: they stay 0.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np

from tinydl import ops
from tinydl.compress.sharing.kmeans import STARTS, assign, exact_kmeans, lloyd
from tinydl.nn import Module, Parameter
from tinydl.options import choice, whole
from tinydl.shapes import Array
from tinydl.tensor import Tensor

M = TypeVar("M", bound=Module)

MAX_BITS = 8
"""The largest codebook has 256 entries."""


def share_weights(
    model: M,
    bits: int | Mapping[str, int] = 4,
    start: str = "exact",
    generator: np.random.Generator | None = None,
) -> M:
    """Return a copy of `model` whose weights are looked up in codebooks, one for each parameter, found by k-means.

    Args:
        model: its weights that are exactly 0 stay so; at most 2^bits different numbers stand for the others.
        bits: 1 … 8 for every parameter with two or more axes; or bits by the dotted names of the parameters to share,
            biases among them if you like.
        start: "exact" for the best clusters there are (slow for layers of 10⁵ weights that are not pruned), or where
            Lloyd's iteration starts: "linear", "density", "random".
        generator: draws the start "random".

    In the copy, the parameter `weight` of a layer is replaced by the Parameter `weight_codebook` (floats) and the
    buffer `weight_index` (uint8, or uint16 for 8 bits), so that a `state_dict` holds both; `layer.weight` is computed
    from them. `fit` and all optimizers train the codebooks; `unshare` makes ordinary layers again.

    Raises: ValueError for bits out of range, a name that is no parameter, or one that several layers use; TypeError for
        bits that are no integer.

    Source: Han, Mao & Dally 2016, Deep compression, arXiv:1510.00149, section 3.

    >>> from tinydl.nn import Linear
    >>> shared = share_weights(Linear(20, 10), bits=2)
    >>> shared
    SharedLinear(in_features=20, out_features=10, bias=True)
    >>> [(name, tensor.shape) for name, tensor in shared.state_dict().items()]
    [('weight_codebook', (4,)), ('bias', (10,)), ('weight_index', (10, 20))]
    >>> len(np.unique(shared.weight.data))
    4
    """
    choice(start, "start", ("exact", *STARTS))
    wanted = _wanted(model, bits)
    shared = copy.deepcopy(model)
    for path, layer in shared.named_modules():
        own = {name: wanted[full] for name, _ in layer._own_parameters() if (full := _dotted(path, name)) in wanted}
        if own:
            _share(layer, own, start, generator)
    return shared


def unshare(model: M) -> M:
    """Return a copy of `model` in which every shared weight is a Parameter again, with the values it was looked up as.

    >>> from tinydl.nn import Linear
    >>> unshare(share_weights(Linear(20, 10)))
    Linear(in_features=20, out_features=10, bias=True)
    """
    plain = copy.deepcopy(model)
    for layer in plain.modules():
        kind = type(layer)
        names = getattr(kind, "shared_names", ())
        weights = {name: getattr(layer, name) for name in names}
        for name, weight in weights.items():
            layer._buffers.pop(f"{name}_index")
            del vars(layer)[f"{name}_index"]
            _replace(layer, f"{name}_codebook", {name: Parameter(weight.data, weight.requires_grad)})
        if names:
            layer.__class__ = kind.__bases__[0]
    return plain


def _replace(layer: Module, name: str, attributes: Mapping[str, Any]) -> None:
    """Put `attributes` in the place of one, so that the order of parameters stays as it was."""
    held = [{key: value} if key != name else attributes for key, value in vars(layer).items()]
    vars(layer).clear()
    for part in held:
        vars(layer).update(part)


def _wanted(model: Module, bits: int | Mapping[str, int]) -> dict[str, int]:
    """Return the bits of each parameter to share, by dotted name. Raises: as `share_weights`."""
    parameters = dict(model.named_parameters())
    if isinstance(bits, Mapping):
        unknown = [name for name in bits if name not in parameters]
        if unknown:
            raise ValueError(f"bits: the model has no parameters {unknown}; it has {list(parameters)}")
        wanted = dict(bits)
    else:
        wanted = {name: bits for name, p in parameters.items() if p.ndim > 1}
    for name, width in wanted.items():
        if whole(width, f"bits of {name}", 1) > MAX_BITS:
            raise ValueError(f"bits of {name} must be 1 … {MAX_BITS}, got {width}")
    owners = Counter(id(p) for layer in model.modules() for _, p in layer._own_parameters())
    for name in wanted:
        if owners[id(parameters[name])] > 1:
            raise ValueError(f"{name} is a parameter of several layers: each would get a codebook of its own")
    return wanted


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _share(layer: Module, bits: Mapping[str, int], start: str, generator: np.random.Generator | None) -> None:
    """Change `layer` in place; it stays the same object, so that whoever holds it holds the shared one.

    A property of the class takes the place of the parameter, so `forward` is not touched: any layer will do. The class
    is made for the purpose, as PyTorch's parametrizations do it.
    """
    for name, width in bits.items():
        p: Parameter = vars(layer)[name]
        codebook, index = cluster(p.data, width, start, generator)
        _replace(layer, name, {f"{name}_codebook": Parameter(codebook, p.requires_grad)})
        layer.register_buffer(f"{name}_index", Tensor(index))
    names = (*getattr(type(layer), "shared_names", ()), *bits)
    plain = type(layer).__bases__[0] if hasattr(type(layer), "shared_names") else type(layer)
    layer.__class__ = _shared_class(plain, names)


def cluster(
    weights: Array, bits: int, start: str = "exact", generator: np.random.Generator | None = None
) -> tuple[Array, Array]:
    """Return the codebook (k,), k ≤ 2^bits, of the weights that are not 0, and the index of every weight.

    >>> cluster(np.array([[0.0, 1.0], [1.5, -1.0]]), bits=1)
    (array([-1.  ,  1.25]), array([[0, 2],
           [2, 1]], dtype=uint8))
    """
    alive = weights[weights != 0]
    index = np.zeros(weights.shape, np.uint8 if bits < MAX_BITS else np.uint16)
    if not alive.size:
        return alive, index
    k = 1 << bits
    centroids = exact_kmeans(alive, k) if start == "exact" else lloyd(alive, k, start, generator=generator)
    codebook = np.unique(centroids.astype(weights.dtype))
    index[weights != 0] = 1 + assign(alive, codebook)
    return codebook, index


@cache
def _shared_class(kind: type[Module], names: tuple[str, ...]) -> type[Module]:
    """Return a subclass of `kind` that looks its parameters `names` up."""
    looked_up: dict[str, Any] = {name: property(_lookup(name)) for name in names}
    return type(f"Shared{kind.__name__}", (kind,), {"__doc__": kind.__doc__, "shared_names": names, **looked_up})


def _lookup(name: str) -> Any:
    """Return the function that computes a layer's parameter `name` from its codebook and index."""

    def looked_up(layer: Any) -> Any:
        return decoded(getattr(layer, f"{name}_codebook"), getattr(layer, f"{name}_index"))

    return looked_up


def decoded(codebook: Any, index: Any) -> Any:
    """Return codebook[index − 1], 0 where index is 0, as ops: differentiable by the codebook, to any order.

    Only the weights that are not 0 take part, so that a pruned layer costs what is left of it.

    >>> decoded(Tensor([0.5, 2.0]), Tensor(np.array([[0, 2], [1, 1]], np.uint8)))
    tensor([[0. , 2. ],
            [0.5, 0.5]])
    """
    codes = index.data.reshape(-1)
    places = np.flatnonzero(codes)
    weights = ops.put(ops.pick(codebook, codes[places].astype(np.int64) - 1), codes.shape, places)
    return ops.reshape(weights, index.shape)
