"""Networks as few bytes: sparse storage, Huffman and arithmetic coding, and the packed file that holds them.

`save` and `load` are what most programs need. What is small is decided before: by pruning (zeros) and by sharing
weights or quantizing them (few different values); the coders lose nothing.
"""

from tinydl.compress.coding.packed import load, pack, save, unpack
from tinydl.compress.coding.wire import FormatError

__all__ = ["FormatError", "load", "pack", "save", "unpack"]
