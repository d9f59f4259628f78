"""To come: until then the reference kernels serve."""

__all__: list[str] = []
