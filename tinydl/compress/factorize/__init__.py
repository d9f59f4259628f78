"""Factorization: one layer as two thin ones whose product is close to it; and two layers as one, where that is exact.

`factorize(model, energy=0.95)` replaces linear layers and convolutions by pairs of rank r; `plan(...)` shows first what
would be done. `fuse_linear(model)` goes the other way.
"""

from tinydl.compress.factorize.join import fuse_linear
from tinydl.compress.factorize.model import Factorization, FactorRow, factorize, plan
from tinydl.compress.factorize.pairs import Pair, channel_pair, linear_pair, spatial_pair
from tinydl.compress.factorize.stacked import stacked_pair
from tinydl.compress.factorize.svd import SVD

__all__ = [
    "SVD",
    "FactorRow",
    "Factorization",
    "Pair",
    "channel_pair",
    "factorize",
    "fuse_linear",
    "linear_pair",
    "plan",
    "spatial_pair",
    "stacked_pair",
]
