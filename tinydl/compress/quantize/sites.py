"""Where a simulated network quantizes: a module for each weight, and for each group of values with one scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.compress.quantize.observers import Observer
from tinydl.compress.quantize.ranges import RANGES
from tinydl.compress.quantize.scheme import Quantizer, Scheme
from tinydl.nn import Module
from tinydl.options import choice
from tinydl.tensor import Tensor

STATES = ("calibrating", "following", "frozen")


class _Site(Module):
    """A Quantizer kept in two buffers, so that checkpoints have it; the scale is 0 until there is one."""

    scale: Tensor
    zero_point: Tensor

    def __init__(self, scheme: Scheme, channels: int | None = None) -> None:
        super().__init__()
        shape = () if channels is None else (channels,)
        self.scheme = scheme
        self.register_buffer("scale", Tensor(np.zeros(shape, np.float32)))
        self.register_buffer("zero_point", Tensor(np.zeros(shape, np.int32)))
        self.state = "calibrating"

    @property
    def quantizer(self) -> Quantizer:
        """What turns numbers into integers here."""
        return Quantizer(self.scheme, self.scale.data, self.zero_point.data)

    def set(self, quantizer: Quantizer) -> None:
        """Use a Quantizer from now on."""
        self.scheme = quantizer.scheme
        self.scale, self.zero_point = Tensor(quantizer.scale), Tensor(quantizer.zero_point)

    def extra_repr(self) -> str:
        """Return the scheme and the state."""
        return f"{self.scheme}, {self.state}"


class ActivationSite(_Site):
    """Quantizes a value of the network, with a range found by an observer.

    While "calibrating" it looks at x and hands it on as it is. While "following" it quantizes, and in training mode
    looks at x first and adjusts its scale. "frozen" it quantizes with the scale it has.

    Args:
        observer: what looks.
    """

    def __init__(self, observer: Observer) -> None:
        super().__init__(observer.scheme)
        self.observer = observer

    def forward(self, input: Any) -> Any:
        """Return x, seen or quantized."""
        if self.state == "calibrating":
            self.observer.observe(input)
            return input
        if self.state == "following" and self.training:
            self.observer.observe(input)
            self.settle()
        return self.round(input)

    def round(self, input: Any) -> Any:
        """Return x quantized, without looking at it; while calibrating, x itself."""
        return input if self.state == "calibrating" else self.quantizer.fake(input)

    def settle(self) -> None:
        """Take over the observer's Quantizer. Raises: ValueError when it has seen nothing."""
        self.set(self.decided())

    def decided(self) -> Quantizer:
        """Return the observer's Quantizer, or, if it has seen nothing, the one that a checkpoint brought.

        Raises: ValueError when there is neither.
        """
        loaded = self.observer.batches == 0 and self.scale.data > 0
        return self.quantizer if loaded else self.observer.quantizer()


class FixedSite(_Site):
    """Quantizes a value whose range is known without looking, such as a sigmoid's."""

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__(quantizer.scheme)
        self.set(quantizer)

    def forward(self, input: Any) -> Any:
        """Return x quantized; while calibrating, x itself."""
        return input if self.state == "calibrating" else self.quantizer.fake(input)

    round = forward


class WeightSite(_Site):
    """Quantizes a weight, with the range of the weight as it is: whenever the weight has changed, the scale does.

    "frozen" it keeps its scale; while "calibrating" it leaves the weight alone.

    Args:
        scheme: bits, symmetry, and whether each output channel has its scale.
        weight: the weight it is for.
        method: how a range is found, one of `RANGES`.
    """

    def __init__(self, scheme: Scheme, weight: Tensor, method: str) -> None:
        super().__init__(scheme, None if scheme.axis is None else weight.shape[scheme.axis])
        self.method = choice(method, "weight_range", tuple(RANGES))
        self.fitted: tuple[int, int] | None = None
        self.fit(weight)

    def fit(self, weight: Tensor) -> None:
        """Find the scale for the weight's numbers."""
        self.set(RANGES[self.method](self.scheme, weight.data))
        self.fitted = (id(weight.data), weight._version.count)

    def forward(self, input: Any) -> Any:
        """Return the weight, quantized."""
        if self.state == "calibrating":
            return input
        if self.state == "following" and self.fitted != (id(input.data), input._version.count):
            self.fit(input)
        return self.quantizer.fake(input)
