"""Networks in few bits: from the rounding of one array to whole networks, after training or during it.

In the order of reading: `scheme` (integers and scales), `observers` (which range for a stream of values?), `ranges`
(and for a weight?), `powers` (powers of two instead of even steps), `weights` (only weights, really int8), `plan` (what
is quantized where in a network), `simulate` (computing as the integers would), `static` (calibration after training),
`equalize` (weights that are easier to quantize), `aware` (training with the rounding in place).
"""

from tinydl.compress.quantize.aware import QuantizationAware
from tinydl.compress.quantize.equalize import equalize
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
from tinydl.compress.quantize.powers import PowersOfTwo
from tinydl.compress.quantize.ranges import RANGES
from tinydl.compress.quantize.scheme import ACTIVATIONS, FIXED, WEIGHTS, Quantizer, Scheme
from tinydl.compress.quantize.simulate import Simulated, prepare
from tinydl.compress.quantize.static import calibrate, correct_bias, quantize_static
from tinydl.compress.quantize.weights import quantize_weights

__all__ = [
    "ACTIVATIONS",
    "FIXED",
    "OBSERVERS",
    "RANGES",
    "WEIGHTS",
    "Entropy",
    "MeanSquare",
    "MinMax",
    "MovingAverage",
    "Observer",
    "Percentile",
    "Plan",
    "PowersOfTwo",
    "QuantizationAware",
    "Quantizer",
    "Scheme",
    "Simulated",
    "calibrate",
    "correct_bias",
    "equalize",
    "places",
    "prepare",
    "quantize_static",
    "quantize_weights",
]
