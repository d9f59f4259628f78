"""Networks in few bits: from the rounding of one array to whole networks, after training or during it.

In the order of reading: `scheme` (integers and scales), `observers` (which range?), `powers` (scales without
multiplications), `plan` (what is quantized where).
"""

from tinydl.compress.quantize.observers import (
    OBSERVERS,
    Entropy,
    MeanSquare,
    MinMax,
    MovingAverage,
    Observer,
    Percentile,
)
from tinydl.compress.quantize.plan import Plan, places
from tinydl.compress.quantize.ranges import RANGES
from tinydl.compress.quantize.scheme import ACTIVATIONS, FIXED, WEIGHTS, Quantizer, Scheme
from tinydl.compress.quantize.simulate import Simulated, prepare

__all__ = [
    "ACTIVATIONS",
    "FIXED",
    "OBSERVERS",
    "WEIGHTS",
    "Entropy",
    "MeanSquare",
    "MinMax",
    "MovingAverage",
    "Observer",
    "Percentile",
    "Plan",
    "Quantizer",
    "RANGES",
    "Scheme",
    "Simulated",
    "places",
    "prepare",
]
