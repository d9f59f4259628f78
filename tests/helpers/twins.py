"""The integer kernels of one backend, by name."""

from importlib import import_module
from types import SimpleNamespace

FILES = "requantize", "int8_conv", "int8_pool", "int8_elementwise"


def twin(backend: str) -> SimpleNamespace:
    modules = [import_module(f"tinydl.kernels.{backend}.{file}") for file in FILES]
    return SimpleNamespace(**{name: getattr(module, name) for module in modules for name in module.__all__})
