"""From a plan (what is quantized where) to a network of integers that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tinydl.compress.integer.layers import (
    IntegerAdaptiveAvgPool2d,
    IntegerAdaptiveMaxPool2d,
    IntegerAdd,
    IntegerAvgPool2d,
    IntegerConcatenate,
    IntegerConv2d,
    IntegerLayer,
    IntegerLinear,
    IntegerLookup,
    IntegerMaxPool2d,
    IntegerMultiply,
    IntegerPick,
    IntegerReshape,
    IntegerShuffle,
)
from tinydl.compress.integer.network import Grid, IntegerNetwork, Wire
from tinydl.compress.quantize import Plan, Quantizer, Simulated, quantize_static
from tinydl.compress.quantize.plan import CLAMPS, Value
from tinydl.compress.steps import Constant, Given, Made, Source, Step, Stored
from tinydl.kernels.integer import LARGEST, ROUNDINGS, Requantizer
from tinydl.methods import plain
from tinydl.nn import Module
from tinydl.op import OPS
from tinydl.options import choice
from tinydl.shapes import Array

CURVES = frozenset(
    "abs clamp cos elu erf exp gelu hardsigmoid hardswish leaky_relu log mish neg relu relu6 sigmoid sign sin softplus "
    "sqrt swish tanh".split()
)
"""Functions of one number, which become tables."""


def convert(model: Module | Plan, batches: Iterable[Any] = (), *, rounding: str = "single") -> IntegerNetwork:
    """Return the network of integers for a plan, for a simulated network, or for a floating one.

    The floating one goes through `quantize_static` first: it is folded and calibrated with all of `batches`. To choose
    observers and schemes, or after training with simulated integers, give the `Simulated` network.

    Each value that the plan quantizes becomes an int8 array, each weight too. A bias becomes int32, of the scale of
    input times weight; where weights are so small that the bias does not fit, their scale is made larger. A function of
    one number becomes a table of 256, so it agrees with the simulation exactly. Sums and requantized accumulators
    agree with it to one unit, and mostly exactly: it rounds products of real numbers, in float32.

    Args:
        model: a Module, a `Simulated` network, or a `Plan`.
        batches: what to calibrate a floating network with, alone or as (input, target).
        rounding: how int32 sums become int8, one of "single", "double", "float32", "qdq".

    Raises: ValueError for an empty calibration set, a network that is still calibrating, an unknown rounding, weights
        with a zero point, and naming the step, for an op that there is no integer layer for.

    >>> from tinydl.nn import Conv2d, Flatten, Linear, ReLU, Sequential
    >>> net = Sequential(Conv2d(1, 2, 3), ReLU(), Flatten(), Linear(8, 3))
    >>> images = np.random.default_rng(0).standard_normal((16, 1, 4, 4)).astype(np.float32)
    >>> [type(layer).__name__ for layer in convert(net, [images]).layers]
    ['IntegerConv2d', 'IntegerReshape', 'IntegerLinear']
    """
    choice(rounding, "rounding", ROUNDINGS)
    if isinstance(model, Plan):
        return _Conversion(model, rounding).network()
    simulated = model if isinstance(model, Simulated) else quantize_static(model, batches)
    return _Conversion(simulated.plan(), rounding).network()


class _Conversion:
    """One conversion: the layers so far, and the value of each step that only handed one on."""

    def __init__(self, plan: Plan, rounding: str) -> None:
        self.plan, self.flow, self.rounding = plan, plan.flow, rounding
        self.layers: list[IntegerLayer] = []
        self.wires: list[Wire] = []
        self.inner: dict[Value, Step] = {}  # what a clamp takes the place of
        for step in self.flow.steps:
            taken = step.operands.get("x")
            if step.op in CLAMPS and isinstance(taken, Made) and taken not in plan.activations:
                self.inner[taken] = step

    def network(self) -> IntegerNetwork:
        """Convert step by step."""
        for step in self.flow.steps:
            made = Made(step.number)
            if self._clamps(step):
                continue
            self._convert(step, self._result(step))
            assert self.wires[-1].makes == str(self._named(made))
        inputs = {str(v): self._grid(v) for v in map(Given, range(len(self.flow.inputs)))}
        outputs: dict[str, Grid] = {}
        for source in self.flow.outputs:
            if not isinstance(source, Made | Given) or source not in self.plan.activations:
                raise ValueError(f"model: the result {source} is no quantized value")
            outputs[str(source)] = self._grid(source)
        return IntegerNetwork(self.layers, self.wires, inputs, outputs)

    def _clamps(self, step: Step) -> bool:
        """Tell whether this clamp has been done by the step before it."""
        return step.operands.get("x") in self.inner and step.op in CLAMPS

    def _named(self, made: Made) -> Made:
        """Return the value that this step makes in the network of integers: that behind its clamp."""
        return Made(self.inner[made].number) if made in self.inner else made

    def _result(self, step: Step) -> Quantizer:
        made = self._named(Made(step.number))
        if made not in self.plan.activations:
            raise ValueError(f"model: the result of {step.at} is no quantized value")
        return self.plan.activations[made]

    def _grid(self, value: Value) -> Grid:
        quantizer = self.plan.activations[value]
        scheme = quantizer.scheme
        return Grid(float(quantizer.scale), int(quantizer.zero_point), scheme.low, scheme.high)

    def _taken(self, step: Step) -> list[Value]:
        """Return the values that a step takes. Raises: ValueError for one that is not quantized."""
        values: list[Value] = [v for v in step.operands.values() if isinstance(v, Made | Given)]
        for value in values:
            if value not in self.plan.activations:
                raise ValueError(f"model: {step.at} takes {value}, which is no quantized value")
        return values

    def _bounds(self, step: Step, quantizer: Quantizer) -> dict[str, int]:
        """Return the zero point, and the bounds that a clamp behind this step narrows."""
        zero, low, high = int(quantizer.zero_point), quantizer.scheme.low, quantizer.scheme.high
        clamp = self.inner.get(Made(step.number))
        if clamp is not None:
            low = max(low, zero)
            if clamp.op == "relu6":
                high = min(high, int(np.rint(np.float32(6) / quantizer.scale)) + zero)
        return {"zero": zero, "low": low, "high": high}

    def _add(self, kind: type[IntegerLayer], step: Step, settings: Mapping[str, Any], **arrays: Array) -> None:
        self.layers.append(kind(settings, arrays))
        self.wires.append(Wire(tuple(map(str, self._taken(step))), str(self._named(Made(step.number)))))

    def _convert(self, step: Step, result: Quantizer) -> None:
        taken = self._taken(step)
        numbers = [v for v in step.operands.values() if isinstance(v, Constant) and np.size(v.value) == 1]
        if step.op in _CONVERTERS:
            arithmetic = step.op in ("add", "mul")
            if not (arithmetic and len(taken) != 2):
                _CONVERTERS[step.op](self, step, result)
                return
        if len(taken) == 1 and (step.op in CURVES or (step.op in ("add", "sub", "mul", "div") and len(numbers) == 1)):
            self._add(IntegerLookup, step, {}, table=self._table(step, taken[0], result))
            return
        raise ValueError(f"model: there is no integer layer for {step.at}")

    def _table(self, step: Step, taken: Value, result: Quantizer) -> Array:
        """Return the function's result for each of 256 integers."""
        real = self.plan.activations[taken].dequantize(np.arange(-128, 128).astype(np.int8))

        def operand(source: Source | None) -> Any:
            return real if isinstance(source, Made | Given) else source.value if isinstance(source, Constant) else None

        with np.errstate(all="ignore"):
            y = OPS[step.op](*map(operand, step.operands.values()), **step.options)
        return result.quantize(np.nan_to_num(np.asarray(plain(y), np.float32)))

    def _scales(self, step: Step, result: Quantizer) -> dict[str, Any]:
        """Return scales and zero points of what a step takes and makes."""
        taken = [self.plan.activations[value] for value in self._taken(step)]
        return {
            "scales": [float(q.scale) for q in (*taken, result)],
            "zeros": [int(q.zero_point) for q in taken],
            **self._bounds(step, result),
        }

    # ---- one method an op

    def filter(self, step: Step, result: Quantizer) -> None:
        """Convert a convolution or a linear layer."""
        (source,) = self._taken(step)
        weight = step.operands["weight"]
        if not isinstance(weight, Stored) or weight.name not in self.plan.weights:
            raise ValueError(f"model: the weight of {step.at} is no quantized parameter")
        x, bounds = self.plan.activations[source], self._bounds(step, result)
        bias = step.operands["bias"]
        offset = self.flow.stored[bias.name].data if isinstance(bias, Stored) else None
        integers, start, scales = _fitted(self.plan, weight.name, offset, x, result)
        output = Requantizer.between(scales, float(result.scale), rounding=self.rounding, **bounds)
        settings = {"zero_in": int(x.zero_point), "rounding": self.rounding, "scale": float(output.scale), **bounds}
        kind: type[IntegerLayer] = IntegerLinear
        if step.op == "cross_correlation":
            kind = IntegerConv2d
            settings |= {name: list(step.options[name]) for name in ("stride", "padding", "dilation")}
            settings["groups"] = step.options["groups"]
        arrays = {"multiplier": output.multiplier, "shift": output.shift.astype(np.int8)}
        self._add(kind, step, settings, weight=integers, bias=start, **arrays)

    def sum(self, step: Step, result: Quantizer) -> None:
        """Convert the sum of two values."""
        self._add(IntegerAdd, step, self._scales(step, result))

    def product(self, step: Step, result: Quantizer) -> None:
        """Convert the product of two values."""
        self._add(IntegerMultiply, step, {**self._scales(step, result), "rounding": self.rounding})

    def maxima(self, step: Step, result: Quantizer) -> None:
        """Convert max pooling."""
        adaptive = step.op == "adaptive_max_pool"
        self._add(IntegerAdaptiveMaxPool2d if adaptive else IntegerMaxPool2d, step, _plain(step.options))

    def means(self, step: Step, result: Quantizer) -> None:
        """Convert average pooling."""
        settings = self._scales(step, result)
        (zero_in,) = settings.pop("zeros")
        adaptive = step.op == "adaptive_avg_pool"
        self._add(
            IntegerAdaptiveAvgPool2d if adaptive else IntegerAvgPool2d,
            step,
            {**settings, **_plain(step.options), "zero_in": zero_in, "rounding": self.rounding},
        )

    def reshape(self, step: Step, result: Quantizer) -> None:
        """Convert a reshape that leaves the batch alone."""
        (source,) = self._taken(step)
        shape = tuple(step.options["shape"])
        if shape[:1] != self.flow.shape(source)[:1]:
            raise ValueError(f"model: {step.at} changes the batch; there is no integer layer for that")
        self._add(IntegerReshape, step, {"shape": list(shape[1:])})

    def shuffle(self, step: Step, result: Quantizer) -> None:
        """Convert a channel shuffle."""
        self._add(IntegerShuffle, step, {"groups": step.options["groups"]})

    def pick(self, step: Step, result: Quantizer) -> None:
        """Convert a choice by slices."""
        index = step.options["index"]
        parts = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(part, slice) for part in parts):
            raise ValueError(f"model: {step.at} picks by more than slices; there is no integer layer for that")
        self._add(IntegerPick, step, {"index": [[part.start, part.stop, part.step] for part in parts]})

    def concatenate(self, step: Step, result: Quantizer) -> None:
        """Convert a concatenation; a piece on another grid is moved to that of the result by a table."""
        wires = []
        for place, value in enumerate(self._taken(step)):
            given = self.plan.activations[value]
            if (given.scale, given.zero_point) == (result.scale, result.zero_point):
                wires.append(str(value))
                continue
            wires.append(f"%{step.number} piece {place}")
            real = given.dequantize(np.arange(-128, 128).astype(np.int8))
            self.layers.append(IntegerLookup({}, {"table": result.quantize(real)}))
            self.wires.append(Wire((str(value),), wires[-1]))
        self.layers.append(IntegerConcatenate({"dim": int(step.options["dim"])}, {}))
        self.wires.append(Wire(tuple(wires), f"%{step.number}"))


_CONVERTERS: dict[str, Callable[[_Conversion, Step, Quantizer], None]] = {
    "cross_correlation": _Conversion.filter,
    "linear": _Conversion.filter,
    "add": _Conversion.sum,
    "mul": _Conversion.product,
    "max_pool": _Conversion.maxima,
    "adaptive_max_pool": _Conversion.maxima,
    "avg_pool": _Conversion.means,
    "adaptive_avg_pool": _Conversion.means,
    "reshape": _Conversion.reshape,
    "deal_channels": _Conversion.shuffle,
    "pick": _Conversion.pick,
    "cat": _Conversion.concatenate,
}


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with lists for tuples, as JSON has them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


def _fitted(plan: Plan, name: str, bias: Array | None, x: Quantizer, y: Quantizer) -> tuple[Array, Array, Array]:
    """Return int8 weights, int32 biases, and the scales (O,) of the sums.

    Bias and weights share int32: a scale s_w is raised until |bias| / (s_x·s_w) fits beside all products. That, and a
    channel whose weights are all 0, leaves weights of 0; then any scale serves, and one of s_y / 2⁸ rounds well.
    """
    weight = np.asarray(plan.flow.stored[name].data, np.float64)
    quantizer = plan.weights[name]
    scheme = getattr(quantizer, "scheme", None)
    if not isinstance(quantizer, Quantizer) or not quantizer.scheme.symmetric or quantizer.scheme.axis not in (None, 0):
        raise ValueError(
            f"model: weights need a symmetric scheme with axis 0 or None, {name} has {scheme or quantizer}"
        )
    scale = np.broadcast_to(np.asarray(quantizer.scale, np.float64), len(weight)).copy()
    integers = quantizer.quantize(weight.astype(np.float32))
    rows = integers.reshape(len(weight), -1)
    step = float(x.scale)
    real = np.zeros(len(weight)) if bias is None else np.asarray(bias, np.float64)
    room = LARGEST - 255.0 * rows.shape[1] * 127
    lost = np.abs(real) > np.maximum(room, 2.0**20) * step * scale
    scale[lost] = np.abs(real[lost]) / (step * 2.0**20)
    around = (slice(None),) + (None,) * (weight.ndim - 1)
    integers = np.where(lost[around], np.rint(weight / scale[around]), integers).astype(np.int8)
    empty = ~integers.reshape(len(weight), -1).any(1)
    scale[empty] = np.maximum(float(y.scale) / 2**8, np.abs(real[empty]) / 2.0**20) / step
    start = np.rint(real / (step * scale)).astype(np.int32)
    return integers, start, step * scale
