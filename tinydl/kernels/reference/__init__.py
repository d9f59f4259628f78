"""Plain NumPy kernels, written to be read: they define what is correct."""
