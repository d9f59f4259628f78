"""Networks that compute with integers alone: int8 arrays in memory and on disk, int32 sums.

In the order of reading: `layers` (what each computes), `network` (how they are wired, saved and loaded), `convert`
(how one is made of a floating network).
"""

from tinydl.compress.integer.convert import convert
from tinydl.compress.integer.network import Grid, IntegerNetwork, Wire, load, save

__all__ = ["Grid", "IntegerNetwork", "Wire", "convert", "load", "save"]
