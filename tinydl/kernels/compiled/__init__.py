"""Numba twins of the reference kernels: the same files, functions and signatures, made to be fast."""

from tinydl.kernels.compiled import crew as crew  # its import lets the threads meet without the GIL
