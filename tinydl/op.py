"""Ops: a forward function with its derivative beside it.

Ops are polymorphic: arrays in, arrays out and nothing recorded; a Tensor in, a Tensor out, and a node in the graph when
one of the operands requires a gradient. Derivatives are written with ops, so the same text serves `backward()` (arrays
all the way) and `backward(create_graph=True)` (Tensors, so that the gradient can be differentiated again).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tinydl.dtypes import BOOL, FLOATS, common_dtype
from tinydl.graph import Gradient, Node
from tinydl.methods import FUNCTIONS
from tinydl.modes import mode
from tinydl.rule import Plan, Rule, Saved, Source, source, wanted_by
from tinydl.shapes import Contract
from tinydl.tensor import Tensor, as_array

F = TypeVar("F", bound=Callable[..., Any])

OPS: dict[str, Op] = {}
"""Every primitive op by name. `FUNCTIONS` holds these as well as the functions composed of them."""

FUSED: dict[str, Fused] = {}
"""Every fused kernel by name: an array shortcut for a composition of ops."""

_NUMBERS = frozenset({float, int, bool, type(None)})
_ARRAYS = frozenset({np.ndarray, np.float32, np.float64})


class Op:
    """A forward function on arrays, its shape contract and its derivative rules.

    Attributes:
        operands: the parameters that are arrays or Tensors: as many as the contract has.
        options: the parameters behind them.
        rules: the derivatives; see `tinydl.rule` for what their parameter names mean.
    """

    def __init__(
        self, forward: Callable[..., Any], contract: str, keeps: Sequence[str], view: bool, variadic: bool, kernel: bool
    ) -> None:
        parameters = inspect.signature(forward).parameters
        self.name = forward.__name__
        self.forward = forward
        self.contract = Contract(contract)
        self.keeps, self.view, self.variadic, self.kernel = tuple(keeps), view, variadic, kernel
        self.parameters = tuple(parameters)
        n = self._n = len(self.contract.operands)
        self.operands, self.options = self.parameters[:n], self.parameters[n:]
        self.defaults = {k: p.default for k, p in parameters.items() if p.default is not p.empty}
        self._option_defaults = {k: v for k, v in self.defaults.items() if k in self.options}
        self._plain = len(self._option_defaults) == len(self.options) and not variadic
        # kernels see to it themselves that infinities and NaN come without warnings, and views compute nothing
        self._compute = forward if kernel or view else np.errstate(all="ignore")(forward)
        self.rules: list[Rule] = []
        self._sources: dict[str, Source] = {}
        self._plans: dict[int, Plan] = {}
        self._fitting: set[Any] = set()
        self.__name__, self.__doc__, self.__module__ = forward.__name__, forward.__doc__, forward.__module__
        self.__wrapped__ = forward

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.contract.text}>"

    def vjp(self, *operands: str) -> Callable[[F], F]:
        """Register the function below as the derivative by `operands` (all of them when none is named).

        Raises: ValueError for an operand that the op has not; TypeError when a parameter of the function stands for
            nothing that a call has.
        """
        if not set(operands) <= set(self.operands):
            raise ValueError(f"{self.name} has operands {self.operands}, got {operands}")

        def register(function: F) -> F:
            wanted = wanted_by(function)
            for name in wanted:
                self._sources[name] = source(name, self.operands, self.options, self.keeps)
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
        operands: Sequence[Any] = args
        options = self._option_defaults
        if not self._plain or len(args) != self._n or kwargs:
            operands, options = self._bind(args, kwargs)
        arrays: list[Any] = []
        has_tensor, needs = False, 0
        dtype, usual = None, True  # usual: numbers, and arrays of one floating dtype
        for x in operands:
            if isinstance(x, Tensor):
                has_tensor = True
                if x._requires_grad:
                    needs |= 1 << len(arrays)
                x = x._data
            arrays.append(x)
            if type(x) in _ARRAYS:
                if x.dtype is not dtype and (x.dtype is not BOOL or self.kernel):
                    usual = usual and (x.dtype in FLOATS if dtype is None else x.dtype == dtype)
                    dtype = x.dtype
            elif type(x) not in _NUMBERS:
                usual = False
        if dtype is None or not usual:
            operands, arrays = self._settle(operands, has_tensor)
        if not self.contract.trivial:
            self._check(arrays, options)
        try:
            result = self._compute(arrays, **options) if self.variadic else self._compute(*arrays, **options)
        except ValueError as error:
            raise self._explained(error, arrays) from None
        except MemoryError as error:
            raise MemoryError(f"{self.name}: {error}") from None
        result, kept = (result[0], result[1:]) if self.keeps else (result, ())
        if has_tensor:
            result = self._wrap(result, operands, arrays)
            if needs and mode.recording and result._data.dtype.kind == "f":
                result._node = self._record(operands, needs, options, result, kept)
                result._requires_grad = True
            if mode.watched:
                _look(self, arrays, options, result, kept)
        return result, kept

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """Sort arguments into operands and options, as Python would."""
        n, options = self._n, self._option_defaults
        if not kwargs and n <= len(args) <= len(self.parameters):
            if len(args) > n:
                options = options | dict(zip(self.options, args[n:]))
            if len(options) == len(self.options):
                return tuple(args[0]) if self.variadic else args[:n], options
        if len(args) > len(self.parameters):
            raise TypeError(f"{self.name} takes at most {len(self.parameters)} arguments, got {len(args)}")
        bound = self.defaults | dict(zip(self.parameters, args))
        for key, value in kwargs.items():
            if key not in self.parameters or key in self.parameters[: len(args)]:
                raise TypeError(f"{self.name} got an unexpected or repeated argument {key!r}; it has {self.parameters}")
            bound[key] = value
        if len(bound) < len(self.parameters):
            missing = [name for name in self.parameters if name not in bound]
            raise TypeError(f"{self.name} misses the argument(s) {', '.join(missing)}")
        operands = [bound.pop(name) for name in self.operands]
        return tuple(operands[0]) if self.variadic else operands, bound

    def _settle(self, operands: Sequence[Any], has_tensor: bool) -> tuple[list[Any], list[Any]]:
        """Return operands of one dtype that the engine takes, and their arrays: the rare case, off the usual path.

        Booleans stay as they are beside other arrays. Raises: TypeError for a dtype that the op does not compute in.
        """
        settled = [self._convert(x, name, has_tensor) for x, name in zip(operands, self._names(operands))]
        arrays = [x._data if isinstance(x, Tensor) else x for x in settled]
        dtype = common_dtype(arrays) if len(arrays) > 1 else None
        if dtype is not None:
            keep = {dtype} if all(x.dtype == BOOL for x in arrays if type(x) not in _NUMBERS) else {dtype, BOOL}
            settled = [x if type(x) in _NUMBERS or x.dtype in keep else _cast(x, dtype) for x in settled]
            arrays = [x._data if isinstance(x, Tensor) else x for x in settled]
        return settled, arrays

    def _names(self, operands: Sequence[Any]) -> Sequence[str]:
        """Return what to call the operands in an error."""
        return [f"{self.operands[0]}[{i}]" for i in range(len(operands))] if self.variadic else self.operands

    def _convert(self, operand: Any, name: str, has_tensor: bool) -> Any:
        """Return an operand as a Tensor, array or number; beside a Tensor, NumPy's scalars count as Python numbers."""
        if type(operand) in _NUMBERS:
            return operand
        if has_tensor and isinstance(operand, np.generic) and operand.dtype.kind in "fiub":
            return operand.item()
        x = operand if isinstance(operand, Tensor) else as_array(operand, name=f"{self.name}: {name}")
        if self.kernel and x.dtype.kind != "f":
            raise TypeError(f"{self.name}: {name} must be floating, got dtype {x.dtype}; convert it with .float()")
        return x

    def _wrap(self, result: Any, operands: Sequence[Any], arrays: list[Any]) -> Tensor:
        """Return a result as a Tensor; a view shares the version of what it is a view of."""
        if type(result) is not np.ndarray:
            result = np.asarray(result)
        y = Tensor.of(result)
        if self.view and isinstance(operands[0], Tensor) and np.may_share_memory(result, arrays[0]):
            y._version = operands[0]._version
        return y

    def _explained(self, error: ValueError, arrays: list[Any]) -> ValueError:
        """Return NumPy's error, said in our words where it is about broadcasting."""
        if "could not be broadcast" not in str(error):
            return error
        shapes = " and ".join(str(np.shape(a)) for a in arrays)
        return ValueError(f"{self.name}: the shapes {shapes} do not broadcast together")

    def _check(self, arrays: list[Any], options: dict[str, Any]) -> None:
        """Hold the shapes against the contract; shapes that passed once are remembered."""
        key = (options.get(self.contract.divisor or ""), *[getattr(a, "shape", a) for a in arrays])
        if key not in self._fitting:
            shapes = [None if a is None else np.shape(a) for a in arrays]
            self.contract.check(self.name, self.operands, shapes, options)
            if len(self._fitting) > 1000:
                self._fitting.clear()
            self._fitting.add(key)

    # ---- recording, and going back

    def _record(
        self, operands: Sequence[Any], needs: int, options: dict[str, Any], y: Tensor, kept: Sequence[Any]
    ) -> Node:
        """Return the node of this call, holding exactly what its rules want."""
        plan = self._plans.get(needs)
        if plan is None:
            numbers = frozenset(i for i in range(needs.bit_length()) if needs >> i & 1)
            plan = self._plans[needs] = Plan(self.rules, self._sources, numbers, self.variadic)
        edges: list[Any] = [None] * len(operands)
        for number in plan.needs:
            edges[number] = operands[number]._node or operands[number]
        node = Node(self, plan, edges, [source(operands, options, y, kept) for source in plan.sources])
        if mode.anomaly:
            node.site = _call_site()
        return node

    def pull(self, node: Node, g: Gradient, create_graph: bool) -> list[tuple[Any, Gradient]]:
        """Return (edge, gradient) for each operand of `node` that needs one."""
        assert node.saved is not None
        values = [x.restore(node, create_graph) if type(x) is Saved else x for x in node.saved]
        edges, pairs = node.edges, []
        for function, numbers, places in node.plan.steps:
            found = function(g, *[values[place] for place in places])
            if self.variadic:
                numbers = range(len(edges))
            elif len(numbers) == 1:
                found = (found,)
            pairs += [(edges[i], gradient) for i, gradient in zip(numbers, found) if edges[i] is not None]
        if mode.anomaly and not _has_nan(g) and any(_has_nan(gradient) for _, gradient in pairs):
            raise FloatingPointError(f"anomaly: backward of {self.name}, called at {node.site}, made the first NaN")
        return pairs


class Fused:
    """A kernel on arrays that equals a composition of ops: fast where nothing is recorded, differentiable elsewhere."""

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
        """Run the kernel, or the composition where the call has to be recorded; a Tensor in, a Tensor out."""
        has_tensor, arrays = False, []
        for a in args:
            if isinstance(a, Tensor):
                if a._requires_grad and mode.recording:
                    return self.composed(*args)
                has_tensor, a = True, a._data
            arrays.append(a)
        result = self.forward(*arrays)
        if not has_tensor:
            return result
        first, *others = result if isinstance(result, tuple) else (result,)
        y = Tensor.of(first)
        if mode.watched:
            _look(self, arrays, {}, y, others)
        return (y, *map(Tensor.of, others)) if isinstance(result, tuple) else y


def op(
    contract: str, *, keeps: Sequence[str] = (), view: bool = False, variadic: bool = False, kernel: bool = False
) -> Callable[[Any], Op]:
    """Make an op of the forward function below.

    Args:
        contract: the axes of each operand, see `tinydl.shapes.Contract`; it also says how many operands there are.
        keeps: names of what the function returns beside its result, for the vjp's use.
        view: the result may share the first operand's memory.
        variadic: the one operand is a sequence; the vjp returns a gradient for each element.
        kernel: a kernel computes it, so the operands must be float32 or float64.
    """

    def make(forward: Callable[..., Any]) -> Op:
        made = Op(forward, contract, keeps, view, variadic, kernel)
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


def _cast(x: Any, dtype: Any) -> Any:
    """Return a Tensor or array in another dtype; for a Tensor the cast is recorded."""
    return FUNCTIONS["to"](x, dtype) if isinstance(x, Tensor) else x.astype(dtype)


def _look(op: Op | Fused, arrays: list[Any], options: dict[str, Any], y: Tensor, kept: Sequence[Any]) -> None:
    """Do what the thread's switches ask for after a call."""
    if mode.anomaly and _has_nan(y) and not any(_has_nan(a) for a in arrays):
        raise FloatingPointError(f"anomaly: {op.name} made the first NaN, called at {_call_site()}")
    if mode.observer is not None:
        mode.observer(op, arrays, options, y, kept)


def _has_nan(value: Any) -> bool:
    array = value._data if isinstance(value, Tensor) else np.asarray(value)
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def _call_site() -> str:
    """Return file:line of the nearest caller outside the engine."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("tinydl."):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
