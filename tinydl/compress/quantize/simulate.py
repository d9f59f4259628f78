"""A network that computes in floating point what its integers would: to measure, to calibrate, to train.

`prepare` folds batch norm, traces what the model computes, and quantizes weights and values at exactly the places where
the network of integers does (`plan` says which). The model's own `forward` is not needed any more: the steps run one
after the other, so that sums, concatenations and splits between modules are quantized like everything else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from tinydl.compress.flow import flow
from tinydl.compress.fold import fold_batch_norm
from tinydl.compress.quantize.observers import OBSERVERS, MinMax, Observer
from tinydl.compress.quantize.plan import SHARING, Places, Plan, Value, places
from tinydl.compress.quantize.scheme import ACTIVATIONS, FIXED, WEIGHTS, Quantizer, Scheme
from tinydl.compress.quantize.sites import STATES, ActivationSite, FixedSite, WeightSite
from tinydl.compress.steps import Constant, Flow, Given, Made, Source, Step, Stored
from tinydl.nn import Module, ModuleDict
from tinydl.op import FUSED, OPS
from tinydl.options import choice

MOVING = SHARING - {"adaptive_avg_pool", "avg_pool", "constant_pad"}
"""The ops whose results are on the grid because what they take is."""


def prepare(
    model: Module,
    *inputs: Any,
    activations: Scheme = ACTIVATIONS,
    weights: Scheme = WEIGHTS,
    observer: str | Callable[[Scheme], Observer] = "minmax",
    weight_range: str = "minmax",
) -> Simulated:
    """Return `model` as a `Simulated` network, to be calibrated; the model stays as it was.

    Args:
        model: any module whose steps do not depend on the data.
        inputs: a batch of what it takes; later batches may have another size, but not other shapes.
        activations: the scheme of values. Those with a fixed range (a sigmoid's) keep their 8 bits.
        weights: the scheme of weights.
        observer: what finds the ranges of values: one of `OBSERVERS`, or what makes an observer of a scheme, such as
            `partial(Percentile, percent=99.9)`. The model's inputs have their whole range: pixels have no outliers.
        weight_range: what finds those of weights, one of `RANGES`.

    Raises: ValueError for what `flow` cannot follow, for a name that is none, and for a scheme of values with an axis.

    >>> import numpy as np
    >>> from tinydl.nn import Conv2d, ReLU, Sequential
    >>> x = np.ones((1, 1, 4, 4), np.float32)
    >>> simulated = prepare(Sequential(Conv2d(1, 2, 3), ReLU()), x)
    >>> list(simulated.weights), list(simulated.sites)
    (['0 weight'], ['input 0', '%1'])
    """
    kind = OBSERVERS[choice(observer, "observer", tuple(OBSERVERS))] if isinstance(observer, str) else observer
    if activations.axis is not None:
        raise ValueError(f"activations must have one scale a tensor (axis None), got {activations}")
    folded = fold_batch_norm(model)
    steps = flow(folded, *[x[:2] for x in inputs])
    found = places(steps)
    fixed = _fixed(steps, found)
    values: dict[str, Module] = {}
    for first in found.groups.values():
        if first in fixed:
            values[str(first)] = FixedSite(FIXED[fixed[first]])
        else:
            looks = MinMax if isinstance(first, Given) else kind
            values[str(first)] = ActivationSite(looks(activations))
    arrays = {_key(name): WeightSite(weights, steps.stored[name], weight_range) for name in found.weights}
    return Simulated(steps, found, values, arrays)


def _fixed(steps: Flow, found: Places) -> Mapping[Value, str]:
    """Return the op of each group that one op with a fixed range alone gives numbers to."""
    makers: dict[Value, list[str]] = {}
    for value in found.makers:
        op = steps.steps[value.step].op if isinstance(value, Made) else "input"
        makers.setdefault(found.groups[value], []).append(op)
    return {first: ops[0] for first, ops in makers.items() if len(ops) == 1 and ops[0] in FIXED}


def _key(name: str) -> str:
    """Return a parameter's name as a module may be called, without dots."""
    return name.replace(".", " ")


class Simulated(Module):
    """The steps of a network with fake quantization in between; made by `prepare`.

    It starts "calibrating": it computes what the model does while the sites look on. `calibrate` fills them, `freeze`
    ends the looking, `follow` goes on with it during training. Dropout and stochastic depth are not in it, nor is batch
    norm: what trains are the folded weights.

    Attributes:
        model: the folded copy that owns the parameters, under their usual names.
        flow: its steps.
        sites: where values are quantized, one module a group of values with the same scale.
        weights: where weights are, by the parameter's name (with spaces for dots).
    """

    def __init__(
        self, steps: Flow, found: Places, sites: Mapping[str, Module], weights: Mapping[str, WeightSite]
    ) -> None:
        super().__init__()
        self.model = steps.model
        self.sites = ModuleDict(sites)
        self.weights = ModuleDict(weights)
        self.flow = steps
        self.places = found
        self._state = "calibrating"
        self.last_use = {source: step.number for step in steps.steps for source in step.operands.values()}

    # ---- states

    @property
    def state(self) -> str:
        """What weights do: be "calibrating", "following" or "frozen"; values may be frozen before them."""
        return self._state

    def _be(self, state: str) -> Self:
        for site in (*self.sites.values(), *self.weights.values()):
            site.state = choice(state, "state", STATES)
        self._state = state
        return self

    def freeze(self) -> Self:
        """Quantize from now on with the ranges as they are: those that were seen, or that a checkpoint brought.

        Raises: ValueError when a value was never looked at, with nothing changed.
        """
        self.freeze_values()
        for name in self.places.weights:
            site: Any = self.weights[_key(name)]
            site.fit(self.flow.stored[name])
        return self._be("frozen")

    def freeze_values(self) -> Self:
        """Keep the ranges of values as they are, while those of weights follow the weights.

        Raises: ValueError when a value was never looked at, with nothing changed.
        """
        observed = [site for site in self.sites.values() if isinstance(site, ActivationSite)]
        decided = [site.decided() for site in observed]
        self._be("following")
        for site, quantizer in zip(observed, decided):
            site.set(quantizer)
            site.state = "frozen"
        return self

    def follow(self) -> Self:
        """Quantize, and adjust the ranges to what is seen in training mode and to the weights as they change."""
        return self._be("following")

    # ---- running

    def forward(self, *inputs: Any) -> Any:
        """Return what the quantized network computes; like the model, a Tensor or a tuple of them."""
        self._check(inputs)
        sizes = self.flow.inputs[0][0], len(inputs[0])
        values: dict[Value, Any] = {Given(i): self._settled(Given(i), x, "") for i, x in enumerate(inputs)}
        outputs = set(self.flow.outputs)
        for step in self.flow.steps:
            operands = {name: self._operand(step, source, values) for name, source in step.operands.items()}
            made = Made(step.number)
            values[made] = self._settled(made, _run(step, operands, *sizes), step.op)
            for source in step.operands.values():
                if isinstance(source, Made | Given) and source not in outputs and self.last_use[source] == step.number:
                    values.pop(source, None)
        results = tuple(values[source] for source in self.flow.outputs)  # type: ignore[index]
        return results[0] if len(results) == 1 else results

    def _check(self, inputs: Sequence[Any]) -> None:
        shapes = [tuple(x.shape) for x in inputs]
        if [shape[1:] for shape in shapes] != [tuple(shape[1:]) for shape in self.flow.inputs]:
            raise ValueError(f"inputs must have the shapes {self.flow.inputs} but for the batch, got {shapes}")

    def _operand(self, step: Step, source: Source | None, values: Mapping[Value, Any]) -> Any:
        if isinstance(source, Made | Given):
            return values[source]
        if isinstance(source, Stored):
            tensor = self.flow.stored[source.name]
            key = _key(source.name)
            return self.weights[key](tensor) if key in self.weights else tensor
        return source.value if isinstance(source, Constant) else None

    def _settled(self, value: Value, x: Any, op: str) -> Any:
        """Return a value as the integers know it."""
        first = self.places.groups.get(value)
        if first is None or op in MOVING:
            return x
        site: Any = self.sites[str(first)]
        return site(x) if value in self.places.makers else site.round(x)

    # ---- results

    def quantizer(self, name: str) -> Quantizer:
        """Return the Quantizer of the weight with that name."""
        site: Any = self.weights[_key(name)]
        found: Quantizer = site.quantizer
        return found

    def plan(self) -> Plan:
        """Return the Quantizers, for a network of integers. Raises: ValueError while calibrating."""
        if self.state == "calibrating":
            raise ValueError("plan: the network is still calibrating; freeze() it first")
        sites = {name: site.quantizer for name, site in self.sites.items()}  # type: ignore[attr-defined]
        weights = {name: self.quantizer(name) for name in self.places.weights}
        return Plan(self.flow, {v: sites[str(first)] for v, first in self.places.groups.items()}, weights)


def _run(step: Step, operands: Mapping[str, Any], traced: int, batch: int) -> Any:
    """Run a step's op on other operands; a shape that began with the size of the `traced` batch gets that of this."""
    if step.op in FUSED:
        fused = FUSED[step.op]
        given = {**step.options, **operands}
        return fused(*[given[name] for name in inspect.signature(fused.forward).parameters])
    op = OPS[step.op]
    options = dict(step.options)
    if step.op in ("expand", "reshape") and options["shape"][:1] == (traced,):
        options["shape"] = (batch, *options["shape"][1:])
    return op(list(operands.values()), **options) if op.variadic else op(*operands.values(), **options)
