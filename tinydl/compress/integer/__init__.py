"""Networks that compute with integers alone: int8 arrays in memory and on disk, int32 sums.

In the order of reading: `layers` (what each computes), `network` (how they are wired), `convert` (how one is made of a
floating network), `file` (how it is written and read).
"""

from tinydl.compress.integer.convert import convert
from tinydl.compress.integer.file import load, save
from tinydl.compress.integer.network import Grid, IntegerNetwork, Wire

__all__ = ["Grid", "IntegerNetwork", "Wire", "convert", "load", "save"]
