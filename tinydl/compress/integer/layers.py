"""The layers of an integer network: each takes int8 arrays and returns one; what it needs are numbers and int8 weights.

A layer is made of `settings`, which JSON can hold, and arrays, which are its buffers: so a network is saved and built
anew from these two alone, without the floating network that it was made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tinydl import kernels
from tinydl.kernels.integer import Addition, Filter, Requantizer
from tinydl.kernels.reference.pool import areas, bins
from tinydl.nn import Module
from tinydl.shapes import Array
from tinydl.tensor import Tensor


class IntegerLayer(Module):
    """The base of all: `settings` and buffers.

    Attributes:
        settings: numbers, strings, lists of them; by the names that the layer's docstring lists.
        arrays: the names of its arrays.
    """

    arrays: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        super().__init__()
        if set(arrays) != set(self.arrays):
            raise ValueError(f"{type(self).__name__} needs the arrays {self.arrays}, got {sorted(arrays)}")
        self.settings = dict(settings)
        for name in self.arrays:
            self.register_buffer(name, Tensor(arrays[name]))
        self._prepared: tuple[Any, Any] | None = None

    def forward(self, *inputs: Array) -> Array:
        """Compute with int8 arrays."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return the settings."""
        return ", ".join(f"{name}={value}" for name, value in self.settings.items())

    def bounds(self) -> dict[str, int]:
        """Return the zero point of the result, and where it is clamped."""
        return {name: int(self.settings[name]) for name in ("zero", "low", "high")}

    def prepared(self) -> Any:
        """Return what `prepare` makes; it is made again when a buffer has changed."""
        tensors = [getattr(self, name) for name in self.arrays]
        state = [(id(tensor.data), tensor._version.count) for tensor in tensors]
        if self._prepared is None or self._prepared[0] != state:
            self._prepared = state, self.prepare()
        return self._prepared[1]

    def prepare(self) -> Any:
        """Return what kernels are given beside images."""
        raise NotImplementedError


class _Filtering(IntegerLayer):
    """What convolutions and linear layers share: an int8 weight, an int32 bias, and a multiplier a channel."""

    arrays = "weight", "bias", "multiplier", "shift"

    def prepare(self) -> Filter:
        """Return the filter."""
        weight, bias, multiplier, shift = (getattr(self, name).data for name in self.arrays)
        output = Requantizer(
            self.settings["rounding"],
            multiplier,
            shift.astype(np.int32),
            np.float32(self.settings["scale"]),
            **self.bounds(),
        )
        return Filter(weight, bias, int(self.settings["zero_in"]), output)


class IntegerConv2d(_Filtering):
    """A convolution. Settings: zero_in, rounding, scale, zero, low, high, stride, padding, dilation, groups."""

    def forward(self, *inputs: Array) -> Array:
        """Return y int8 (N, O, H', W') of x int8 (N, C, H, W)."""
        stride, padding, dilation = (tuple(self.settings[name]) for name in ("stride", "padding", "dilation"))
        return kernels.int8_conv2d(inputs[0], self.prepared(), stride, padding, dilation, self.settings["groups"])


class IntegerLinear(_Filtering):
    """A linear layer. Settings: zero_in, rounding, scale, zero, low, high."""

    def forward(self, *inputs: Array) -> Array:
        """Return y int8 (…, O) of x int8 (…, I)."""
        x = inputs[0]
        y = kernels.int8_linear(x.reshape(-1, x.shape[-1]), self.prepared())
        return y.reshape(*x.shape[:-1], y.shape[-1])


class IntegerLookup(IntegerLayer):
    """Any function of one number. Its only array is `table`, int8 (256,)."""

    arrays = ("table",)

    def forward(self, *inputs: Array) -> Array:
        """Return y of x's shape."""
        return kernels.int8_lookup(inputs[0], self.table.data)  # type: ignore[attr-defined]


class IntegerAdd(IntegerLayer):
    """A sum of two values. Settings: scales [a, b, y], zeros [a, b], zero, low, high."""

    def forward(self, *inputs: Array) -> Array:
        """Return a + b, in the scale of the result."""
        a, b = np.broadcast_arrays(*inputs)
        return kernels.int8_add(a, b, self.prepared())

    def prepare(self) -> Addition:
        """Return the multipliers."""
        a, b, y = self.settings["scales"]
        zero_a, zero_b = self.settings["zeros"]
        return Addition.between((a, zero_a), (b, zero_b), y, **self.bounds())


class IntegerMultiply(IntegerLayer):
    """A product of two values, such as an image and its gate. Settings: scales, zeros, rounding, zero, low, high."""

    def forward(self, *inputs: Array) -> Array:
        """Return a·b; the larger one comes first in the kernel."""
        pairs = sorted(zip(inputs, self.settings["zeros"]), key=lambda pair: -pair[0].size)
        (a, zero_a), (b, zero_b) = pairs
        return kernels.int8_multiply(a, zero_a, b, zero_b, self.prepared())

    def prepare(self) -> Requantizer:
        """Return the requantizer of the products."""
        a, b, y = self.settings["scales"]
        return Requantizer.between(a * b, y, rounding=self.settings["rounding"], **self.bounds())


class IntegerMaxPool2d(IntegerLayer):
    """Maxima of windows. Settings: kernel, stride, padding, dilation, out_size."""

    def forward(self, *inputs: Array) -> Array:
        """Return the maxima, in the scale of x."""
        names = "kernel", "stride", "padding", "dilation", "out_size"
        return kernels.int8_max_pool2d(inputs[0], *(tuple(self.settings[name]) for name in names))


class _Averaging(IntegerLayer):
    """What average poolings share: sums, requantized by the scales and the number of places in each window."""

    def mean(self, sums: Array, area: Array) -> Array:
        """Return the means of windows of `area` (H', W') places."""
        known: dict[bytes, Requantizer] = self.prepared()
        key = np.asarray(area, np.int64).tobytes()
        if key not in known:
            counts = area.ravel()[:1] if np.all(area == area.ravel()[0]) else area
            a, y = self.settings["scales"]
            known[key] = Requantizer.between(a / counts, y, rounding=self.settings["rounding"], **self.bounds())
        return kernels.requantize(sums, known[key])

    def prepare(self) -> dict[bytes, Requantizer]:
        """Return a memory of requantizers, by the areas they are for."""
        return {}


class IntegerAvgPool2d(_Averaging):
    """Means of windows. Settings: kernel, stride, padding, out_size, count_include_pad, scales, zero_in, and bounds."""

    def forward(self, *inputs: Array) -> Array:
        """Return the means."""
        kernel, stride, padding, size = (
            tuple(self.settings[name]) for name in ("kernel", "stride", "padding", "out_size")
        )
        x = inputs[0]
        area = areas(x.shape, kernel, stride, padding, size, self.settings["count_include_pad"])
        return self.mean(kernels.int8_window_sums(x, self.settings["zero_in"], kernel, stride, padding, size), area)


class IntegerAdaptiveAvgPool2d(_Averaging):
    """Means of bins. Settings: out_size, scales [x, y], zero_in, rounding, zero, low, high."""

    def forward(self, *inputs: Array) -> Array:
        """Return the means."""
        x, (h, w) = inputs[0], self.settings["out_size"]
        rows, cols = ([part.stop - part.start for part in bins(n, m)] for n, m in zip(x.shape[2:], (h, w)))
        return self.mean(kernels.int8_bin_sums(x, self.settings["zero_in"], (h, w)), np.outer(rows, cols))


class IntegerAdaptiveMaxPool2d(IntegerLayer):
    """Maxima of bins. Settings: out_size."""

    def forward(self, *inputs: Array) -> Array:
        """Return the maxima, in the scale of x."""
        x, (h, w) = inputs[0], self.settings["out_size"]
        y = np.empty((*x.shape[:2], h, w), np.int8)
        for i, rows in enumerate(bins(x.shape[2], h)):
            for j, cols in enumerate(bins(x.shape[3], w)):
                y[:, :, i, j] = x[:, :, rows, cols].max((2, 3))
        return y


class IntegerReshape(IntegerLayer):
    """The same numbers in another shape. Settings: shape, without the batch."""

    def forward(self, *inputs: Array) -> Array:
        """Return x in the new shape."""
        return inputs[0].reshape(len(inputs[0]), *self.settings["shape"])


class IntegerShuffle(IntegerLayer):
    """A channel shuffle. Settings: groups."""

    def forward(self, *inputs: Array) -> Array:
        """Return x with its channels dealt out."""
        return kernels.channel_shuffle(inputs[0], self.settings["groups"])


class IntegerPick(IntegerLayer):
    """A part of an array, as slices choose it. Settings: index, a [start, stop, step] for each axis."""

    def forward(self, *inputs: Array) -> Array:
        """Return the part, as a view."""
        return inputs[0][tuple(slice(*part) for part in self.settings["index"])]


class IntegerConcatenate(IntegerLayer):
    """Several values behind each other, all in one scale. Settings: dim."""

    def forward(self, *inputs: Array) -> Array:
        """Return the values as one; channels of images stay side by side in memory."""
        if inputs[0].ndim == 4 and self.settings["dim"] == 1:
            return np.concatenate([x.transpose(0, 2, 3, 1) for x in inputs], 3).transpose(0, 3, 1, 2)
        return np.concatenate(inputs, self.settings["dim"])


KINDS: dict[str, type[IntegerLayer]] = {
    kind.__name__.removeprefix("Integer"): kind
    for kind in (
        *(IntegerConv2d, IntegerLinear, IntegerLookup, IntegerAdd, IntegerMultiply, IntegerMaxPool2d),
        *(IntegerAvgPool2d, IntegerAdaptiveAvgPool2d, IntegerAdaptiveMaxPool2d, IntegerReshape, IntegerShuffle),
        *(IntegerPick, IntegerConcatenate),
    )
}
"""The layers by the names that files have for them."""
