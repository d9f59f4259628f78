"""The one place random numbers are seeded: a process-wide `numpy.random.Generator`.

Everything that draws numbers takes an explicit `generator`; without one it uses the default of this module. The same
seed, versions and thread count give the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_default = np.random.Generator(np.random.PCG64(0))


def default_generator() -> np.random.Generator:
    """Return the process-wide generator that layers and loaders use when none is given."""
    return _default


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the default generator and return it.

    Raises: ValueError when `seed` is negative, TypeError when it is not an integer.

    >>> float(manual_seed(0).random()) == float(manual_seed(0).random())
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer, got {type(seed).__name__}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    _default.bit_generator.state = np.random.PCG64(int(seed)).state
    return _default


def get_state() -> dict[str, Any]:
    """Return the default generator's state as plain numbers, fit for JSON."""
    return dict(_default.bit_generator.state)


def set_state(state: dict[str, Any]) -> None:
    """Put the default generator back to a `state` of `get_state`.

    Raises: ValueError when `state` is not one of a PCG64 generator.

    >>> before = get_state()
    >>> first = default_generator().random()
    >>> set_state(before)
    >>> bool(default_generator().random() == first)
    True
    """
    trial: Any = np.random.PCG64(0)  # a state that fails halfway must not leave the default one half changed
    try:
        trial.state = state
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"state is not a PCG64 generator's state: {error}") from None
    _default.bit_generator.state = trial.state
