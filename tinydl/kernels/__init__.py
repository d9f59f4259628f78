"""The switch between the plain NumPy kernels and their compiled twins.

Every kernel is an attribute of this module: `kernels.relu(x)` runs the twin chosen by `use`, or by
TINYDL_KERNELS in the environment, or else the compiled one where Numba is installed. Kernels take arrays and
return arrays. They know nothing of Tensors, check no shapes (the ops do that before) and never write to an
input, except for the optimizer steps, whose purpose it is.

>>> import numpy as np
>>> from tinydl import kernels
>>> with kernels.use("reference"):
...     kernels.relu(np.array([-1.0, 2.0]))
array([0., 2.])
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # both twins have these signatures
    from tinydl.kernels.reference.arithmetic import *  # noqa: F403
    from tinydl.kernels.reference.channels import *  # noqa: F403
    from tinydl.kernels.reference.conv import *  # noqa: F403
    from tinydl.kernels.reference.conv_pool import *  # noqa: F403
    from tinydl.kernels.reference.depthwise import *  # noqa: F403
    from tinydl.kernels.reference.elementwise import *  # noqa: F403
    from tinydl.kernels.reference.int8_conv import *  # noqa: F403
    from tinydl.kernels.reference.int8_elementwise import *  # noqa: F403
    from tinydl.kernels.reference.int8_pool import *  # noqa: F403
    from tinydl.kernels.reference.linear import *  # noqa: F403
    from tinydl.kernels.reference.norm import *  # noqa: F403
    from tinydl.kernels.reference.optim import *  # noqa: F403
    from tinydl.kernels.reference.pool import *  # noqa: F403
    from tinydl.kernels.reference.requantize import *  # noqa: F403
    from tinydl.kernels.reference.softmax import *  # noqa: F403

FAMILIES = (
    *("arithmetic", "elementwise", "softmax", "norm", "optim"),
    *("conv", "depthwise", "pool", "conv_pool", "linear", "channels"),
    *("requantize", "int8_conv", "int8_pool", "int8_elementwise"),
)
"""The files of `reference/` whose functions are kernels, and of `compiled/` where these have twins."""

_wanted = "reference"
_reference: dict[str, Callable[..., Any]] = {}


def use(backend: str) -> AbstractContextManager[object]:
    """Switch every kernel to `backend`: "reference", "compiled", or "auto" for the fastest that is installed.

    The switch happens now, for all threads; as a context manager it is undone at the end of the block.

    Raises: ValueError for another name; ImportError when "compiled" is asked for and Numba is not installed.
    """
    undo = ExitStack()
    undo.callback(_select, _wanted)
    _select(backend)
    return undo


def active() -> str:
    """Return the backend in use, "reference" or "compiled"."""
    return "reference" if _wanted == "reference" or find_spec("numba") is None else "compiled"


def _select(backend: str, source: str = "kernels.use(backend)") -> None:
    """Make `backend` the one whose kernels `__getattr__` binds, and drop those that are bound."""
    global _wanted
    if backend not in ("auto", "reference", "compiled"):
        raise ValueError(f'{source} must be "auto", "reference" or "compiled", got {backend!r}')
    if backend == "compiled" and find_spec("numba") is None:
        raise ImportError(f'{source}: "compiled" needs Numba, which is not installed (pip install numba)')
    _wanted = backend
    for name in _reference:
        globals().pop(name, None)


@cache
def _kernels_of(backend: str) -> dict[str, Callable[..., Any]]:
    """Import the files of `backend` and return the functions that they export, by name."""
    paths = [f"{__name__}.{backend}.{family}" for family in FAMILIES]
    modules = [import_module(path) for path in paths if find_spec(path)]
    return {name: getattr(module, name) for module in modules for name in module.__all__}


def _bind() -> None:
    """Bind every kernel of the active backend; those without a compiled twin stay the reference ones."""
    global _wanted
    twins = {}
    try:
        twins = _kernels_of(active())
    except ImportError as error:  # Numba refuses, for instance, a NumPy newer than itself
        if _wanted != "auto":
            raise
        _wanted = "reference"
        warnings.warn(f"the slow reference kernels are in use: {error}", RuntimeWarning, stacklevel=3)
    globals().update(_reference | twins)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Any]:
        """Bind the kernels when the first one is wanted: until then nothing imports Numba."""
        if name not in _reference:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        _bind()
        return globals()[name]


_reference = _kernels_of("reference")
_select(os.environ.get("TINYDL_KERNELS", "auto"), "TINYDL_KERNELS")
