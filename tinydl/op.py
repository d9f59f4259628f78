"""Ops: a forward function with its derivative beside it.

Ops are polymorphic: arrays in, arrays out and nothing recorded; a Tensor in, a Tensor out, and a node in the graph when one
of the operands requires a gradient. Derivatives are written with ops, so the same text serves `backward()` (arrays all the
way) and `backward(create_graph=True)` (Tensors, so that the gradient can be differentiated again).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinydl.graph import Gradient, Node
from tinydl.methods import FUNCTIONS
from tinydl.modes import mode
from tinydl.shapes import Array, Contract
from tinydl.tensor import Tensor, Version, as_array

F = TypeVar("F", bound=Callable[..., Any])

OPS: dict[str, Op] = {}
"""Every primitive op by name. `FUNCTIONS` holds these as well as the functions composed of them."""

FUSED: dict[str, Fused] = {}
"""Every fused kernel by name: an array shortcut for a composition of ops."""

_PLAIN = frozenset({float, int, bool, type(None)})


class Rule(NamedTuple):
    """One derivative: `function(g, **wanted)` gives the gradients of the operands numbered `operands`."""

    function: Callable[..., Any]
    operands: tuple[int, ...]
    wanted: tuple[str, ...]


class Plan(NamedTuple):
    """What a call records when a given set of operands needs gradients."""

    rules: tuple[Rule, ...]
    wanted: frozenset[str]
    needs: tuple[bool, ...]


class Saved:
    """An operand or result kept for backward, with the version it had; `tensor` is None for a result."""

    __slots__ = ("array", "count", "tensor", "version")

    def __init__(self, array: Array, version: Version, tensor: Tensor | None = None) -> None:
        self.array, self.version, self.count, self.tensor = array, version, version.count, tensor

    def restore(self, name: str, node: Node, create_graph: bool) -> Any:
        """Return the array (or Tensor) as it was. Raises: RuntimeError when it was changed in place since."""
        if self.version.count != self.count:
            raise RuntimeError(
                f"backward of {node.op.name}: its {'result' if name == 'y' else 'operand ' + name} was changed in place "
                f"after the forward pass (version {self.version.count}, needed {self.count})"
            )
        if not create_graph:
            return self.array
        return Tensor.of(self.array, node, self.version) if self.tensor is None else self.tensor


class Op:
    """A forward function on arrays, its shape contract and its derivative rules.

    The parameter names of a rule say what the graph keeps alive until backward: an operand's name keeps the operand,
    `x_shape` only its shape, `y` the result, a name of `keeps` what the forward function returned beside the result, and
    an option's name its value.
    """

    def __init__(self, forward: Callable[..., Any], contract: str, keeps: Sequence[str], view: bool, variadic: bool):
        parameters = inspect.signature(forward).parameters
        self.name = forward.__name__
        self.forward = forward
        self.contract = Contract(contract)
        self.keeps, self.view, self.variadic = tuple(keeps), view, variadic
        self.parameters = tuple(parameters)
        n = len(self.contract.operands)
        self.operands, self.options = self.parameters[:n], self.parameters[n:]
        self.defaults = {k: p.default for k, p in parameters.items() if p.default is not p.empty}
        self.option_defaults = {k: v for k, v in self.defaults.items() if k in self.options}
        self.plain_call = len(self.option_defaults) == len(self.options)
        self.rules: list[Rule] = []
        self._plans: dict[tuple[bool, ...], Plan] = {}
        self._fitting: set[Any] = set()
        self.__name__, self.__doc__, self.__module__ = forward.__name__, forward.__doc__, forward.__module__
        self.__wrapped__ = forward

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.contract.text}>"

    def vjp(self, *operands: str) -> Callable[[F], F]:
        """Register the function below as the derivative by `operands` (all of them when none is named)."""

        def register(function: F) -> F:
            wanted = tuple(inspect.signature(function).parameters)[1:]
            numbers = tuple(self.operands.index(name) for name in operands or self.operands)
            self.rules.append(Rule(function, numbers, wanted))
            return function

        return register

    # ---- forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the result; record the call if an operand requires a gradient."""
        return self.run(args, kwargs)[0]

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Sequence[Any]]:
        """Return the result and what the forward function kept beside it (arrays, without gradient)."""
        if self.plain_call and not kwargs and len(args) == len(self.operands):
            operands, options = args, self.option_defaults
        else:
            operands, options = self._bind(args, kwargs)
        if self.variadic:
            operands = tuple(operands[0])
        arrays, needs, has_tensor, raw = [], [], False, False
        for operand in operands:
            if isinstance(operand, Tensor):
                has_tensor = True
                arrays.append(operand._data)
                needs.append(operand.requires_grad)
            else:
                raw = raw or type(operand) not in _PLAIN
                arrays.append(operand)
                needs.append(False)
        if raw:
            arrays = [self._convert(a, has_tensor) for a in arrays]
        if not self.contract.trivial:
            self._check(arrays, options)
        result, kept = self._forward(arrays, options)
        if not has_tensor:
            return result, kept
        if type(result) is not np.ndarray:
            result = np.asarray(result)
        if mode.anomaly:
            self._check_nan(arrays, result)
        y = Tensor.of(result)
        if self.view and np.may_share_memory(result, arrays[0]) and isinstance(operands[0], Tensor):
            y._version = operands[0]._version
        if mode.recording and True in needs:
            y._node = self._record(operands, tuple(needs), options, y, kept)
            y.requires_grad = True
        return y, kept

    def _forward(self, arrays: list[Any], options: dict[str, Any]) -> tuple[Any, Sequence[Any]]:
        try:
            result = self.forward(arrays, **options) if self.variadic else self.forward(*arrays, **options)
        except ValueError as error:
            if "broadcast" not in str(error):
                raise
            shapes = " and ".join(str(np.shape(a)) for a in arrays)
            raise ValueError(f"{self.name}: the shapes {shapes} do not broadcast together") from None
        return (result[0], result[1:]) if self.keeps else (result, ())

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort arguments into operands and options, as Python would."""
        if len(args) > len(self.parameters):
            raise TypeError(f"{self.name} takes at most {len(self.parameters)} arguments, got {len(args)}")
        bound = dict(self.defaults)
        bound.update(zip(self.parameters, args))
        for key, value in kwargs.items():
            if key not in self.parameters or key in self.parameters[: len(args)]:
                raise TypeError(f"{self.name} got an unexpected or repeated argument {key!r}; it has {self.parameters}")
            bound[key] = value
        if len(bound) < len(self.parameters):
            missing = [name for name in self.parameters if name not in bound]
            raise TypeError(f"{self.name} misses the argument(s) {', '.join(missing)}")
        return tuple(bound.pop(name) for name in self.operands), bound

    def _convert(self, operand: Any, has_tensor: bool) -> Any:
        """Return a raw operand as the engine takes it.

        Beside a Tensor, NumPy's scalars count as Python numbers, so that they do not widen float32.
        """
        if type(operand) in _PLAIN:
            return operand
        if has_tensor and isinstance(operand, np.generic) and operand.dtype.kind in "fiub":
            return operand.item()
        return as_array(operand, name=f"{self.name}: operand")

    def _check(self, arrays: list[Any], options: dict[str, Any]) -> None:
        """Hold the shapes against the contract; shapes that passed once are remembered."""
        shapes = tuple(None if a is None else np.shape(a) for a in arrays)
        key = (shapes, options.get(self.contract.divisor))
        if key not in self._fitting:
            self.contract.check(self.name, self.operands, shapes, options)
            if len(self._fitting) > 1000:
                self._fitting.clear()
            self._fitting.add(key)

    def _check_nan(self, arrays: list[Any], result: Array) -> None:
        if _has_nan(result) and not any(_has_nan(a) for a in arrays):
            raise FloatingPointError(f"anomaly: {self.name} made the first NaN, called at {_call_site()}")

    # ---- recording, and going back

    def _plan(self, needs: tuple[bool, ...]) -> Plan:
        plan = self._plans.get(needs)
        if plan is None:
            rules = tuple(r for r in self.rules if self.variadic or any(needs[i] for i in r.operands))
            wanted = frozenset(name for rule in rules for name in rule.wanted)
            plan = self._plans.setdefault(needs, Plan(rules, wanted, needs))
        return plan

    def _record(
        self,
        operands: tuple[Any, ...],
        needs: tuple[bool, ...],
        options: dict[str, Any],
        y: Tensor,
        kept: Sequence[Any],
    ) -> Node:
        """Return the node of this call, holding exactly what its rules want."""
        plan = self._plan(needs)
        edges = tuple([(x._node or x) if need else None for x, need in zip(operands, needs)])
        saved: dict[str, Any] = {}
        for name in plan.wanted:
            if name == "y":
                saved[name] = Saved(y._data, y._version)
            elif name in options:
                saved[name] = options[name]
            elif name in self.keeps:
                saved[name] = kept[self.keeps.index(name)]
            else:
                saved[name] = self._saved_operand(name, operands)
        node = Node(self, edges, plan, saved)
        if mode.anomaly:
            node.site = _call_site()
        return node

    def _saved_operand(self, name: str, operands: tuple[Any, ...]) -> Any:
        """Return what a rule's parameter `name` says of the operands: one of them with its version, or a shape."""
        if name == "shapes":
            return [np.shape(x._data if isinstance(x, Tensor) else x) for x in operands]
        base = name.removesuffix("_shape")
        operand = operands[self.operands.index(base)]
        if base != name:
            return operand.shape if isinstance(operand, (Tensor, np.ndarray)) else np.shape(operand)
        return Saved(operand._data, operand._version, operand) if isinstance(operand, Tensor) else operand

    def pull(self, node: Node, g: Gradient, create_graph: bool) -> Iterator[tuple[int, Gradient]]:
        """Return (operand number, gradient) for the operands of `node` that need one."""
        assert node.saved is not None
        values = {
            name: value.restore(name, node, create_graph) if type(value) is Saved else value
            for name, value in node.saved.items()
        }
        for rule in node.plan.rules:
            found = rule.function(g, *[values[name] for name in rule.wanted])
            numbers = range(len(node.edges)) if self.variadic else rule.operands
            gradients = found if self.variadic or len(numbers) > 1 else (found,)
            for number, gradient in zip(numbers, gradients):
                if node.plan.needs[number]:
                    if mode.anomaly and _has_nan(gradient) and not _has_nan(g):
                        raise FloatingPointError(
                            f"anomaly: backward of {self.name}, called at {node.site}, made the first NaN"
                        )
                    yield number, gradient


class Fused:
    """A kernel on arrays that equals a composition of ops: fast where nothing is recorded, differentiable where it is."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        self.name = self.__name__ = forward.__name__
        self.forward = forward
        self.composed: Callable[..., Any] = forward
        self.__doc__, self.__module__, self.__wrapped__ = forward.__doc__, forward.__module__, forward

    def composition(self, function: F) -> F:
        """Register the same mathematics written with ops; it runs whenever the call has to be recorded."""
        self.composed = function
        return function

    def __call__(self, *args: Any) -> Any:
        """Run the kernel, or the composition when a Tensor is among the arguments."""
        return self.composed(*args) if any(isinstance(a, Tensor) for a in args) else self.forward(*args)


def op(contract: str, *, keeps: Sequence[str] = (), view: bool = False, variadic: bool = False) -> Callable[[Any], Op]:
    """Make an op of the forward function below.

    Args:
        contract: the axes of each operand, see `tinydl.shapes.Contract`; it also says how many operands there are.
        keeps: names of what the function returns beside its result, for the vjp's use.
        view: the result may share the first operand's memory.
        variadic: the one operand is a sequence; the vjp returns a gradient for each element.
    """

    def make(forward: Callable[..., Any]) -> Op:
        made = Op(forward, contract, keeps, view, variadic)
        OPS[made.name] = FUNCTIONS[made.name] = made
        return made

    return make


def fused(forward: Callable[..., Any]) -> Fused:
    """Make a fused kernel of the function below; give it its meaning with `.composition`."""
    return FUSED.setdefault(forward.__name__, Fused(forward))


def composite(function: F) -> F:
    """List a function composed of ops among the names that Tensor's methods look up."""
    FUNCTIONS[function.__name__] = function
    return function


def as_tensor(data: Any) -> Tensor:
    """Return `data` as a Tensor; a Tensor is returned as it is."""
    return data if isinstance(data, Tensor) else Tensor(data)


FUNCTIONS["as_tensor"] = as_tensor


def _has_nan(value: Any) -> bool:
    array = value._data if isinstance(value, Tensor) else np.asarray(value)
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def _call_site() -> str:
    """Return file:line of the nearest caller outside the engine."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("tinydl."):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
