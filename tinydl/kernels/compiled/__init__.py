"""Numba twins of the reference kernels: the same files, functions and signatures, made to be fast."""
