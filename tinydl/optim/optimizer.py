"""What all optimizers share: groups of parameters with their options, the state of each, saving and loading it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np

from tinydl.modes import enable_grad
from tinydl.optim.state import differences, refuse, spec
from tinydl.options import number
from tinydl.shapes import Array
from tinydl.tensor import Tensor

Parameters: TypeAlias = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]
Group: TypeAlias = dict[str, Any]
"""`params` (a list of Tensors), perhaps `param_names`, and a value for every option."""
State: TypeAlias = dict[str, Any]
"""What an optimizer remembers of one parameter: arrays like it, and the number of its steps."""


class Optimizer:
    """Parameters in groups, each group with its own options; a subclass says how one parameter is updated.

    Args:
        params: Tensors, (name, Tensor) pairs, or dicts with `params` and options that differ from the defaults.
        defaults: the options of a group that does not say otherwise.

    Parameters are written in place; those without a gradient are skipped. Where PyTorch hands out its own state
    in `state_dict` and takes any dict that has as many parameters, here the dict is a snapshot, and loading
    compares everything first.

    Raises: TypeError for what is no float Tensor; ValueError for an empty list, a Tensor given twice or one that
        is a result, and for options out of range.
    """

    ranges: ClassVar[Mapping[str, str]] = {}
    """The interval each option must lie in."""
    slots: ClassVar[Mapping[str, str]] = {}
    """What is remembered of a parameter, and the option that calls for it ("" where it is always needed)."""

    def __init__(self, params: Parameters, defaults: Mapping[str, Any]) -> None:
        self.defaults = self.checked(defaults)
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, State] = {}
        if isinstance(params, (Tensor, Mapping, set, frozenset, str)) or not isinstance(params, Iterable):
            raise TypeError(f"params must be a list of Tensors or of dicts, got {type(params).__name__}")
        given: list[Any] = list(params)
        for group in given if given and isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise ValueError("params is empty: an optimizer needs at least one parameter")

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters, with options of their own where `param_group` names some.

        Raises: as the constructor, with nothing added.
        """
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(f"a parameter group is a dict with the key 'params', got {param_group!r}")
        given = param_group["params"]
        names, tensors = split_names([given] if isinstance(given, Tensor) else given)
        _check_parameters(tensors, [p for group in self.param_groups for p in group["params"]])
        group = self.checked({**self.defaults, **param_group, "params": tensors})
        self.param_groups.append(group | {"param_names": names} if names else group)

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return `options` with plain floats. Raises: TypeError, ValueError for one that is out of its range."""
        return {k: number(v, k, self.ranges[k]) if k in self.ranges else v for k, v in options.items()}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or (without `set_to_none`) put zeros in their place."""
        for p in self._parameters():
            if p.grad is not None:
                p.grad = None if set_to_none else Tensor(np.zeros_like(p.data))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, and return what `closure` returned.

        Args:
            closure: called first; it computes the loss, calls `backward` and returns the loss.

        Raises: ValueError when a gradient does not fit its parameter, before any parameter changes.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for p, g, group in self._due():
            self.update(p, g, self.state.setdefault(p, {}), group)
            p.mark_changed()
        return loss

    def update(self, p: Tensor, g: Array, state: State, group: Group) -> None:
        """Write the next value of `p` into its array; `state` is kept for `p` from step to step."""
        raise NotImplementedError(f"{type(self).__name__} has no update rule")

    def state_dict(self) -> dict[str, Any]:
        """Return a snapshot in PyTorch's layout: `state` by the parameter's index, `param_groups` with indices."""
        state = {
            i: {name: value.copy() if name != "step" else value for name, value in self.state[p].items()}
            for i, p in enumerate(self._parameters())
            if self.state.get(p)
        }
        return {"state": state, "param_groups": self._indexed_groups()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the state and the options of a `state_dict` from the same kind of optimizer.

        Raises: ValueError listing every difference in groups, keys, shapes and dtypes, with nothing changed.
        """
        kind = type(self).__name__
        refuse(kind, differences({"state": "", "param_groups": ""}, dict.fromkeys(state_dict, "")))
        refuse(kind, differences(_outline(self._indexed_groups()), _outline(state_dict["param_groups"])))
        groups = [self.checked(group) for group in state_dict["param_groups"]]
        owners = [(p, group) for mine, group in zip(self.param_groups, groups) for p in mine["params"]]
        entries = state_dict["state"]
        refuse(kind, [line for index, entry in entries.items() for line in self._misfits(index, entry, owners)])
        self.state = {owners[index][0]: _restored(owners[index][0], entry) for index, entry in entries.items()}
        for mine, group in zip(self.param_groups, groups):
            mine.update(group | {"params": mine["params"]})

    def slot(self, p: Tensor, state: State, name: str) -> Array:
        """Return the array remembered of `p` under `name`; it starts as zeros in the memory order of `p`.

        Raises: ValueError when the parameter has got another shape or dtype since.
        """
        if name not in state:
            state[name] = np.zeros_like(p.data)
        array: Array = state[name]
        _check_fit(name, array, p)
        return array

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def _indexed_groups(self) -> list[Group]:
        """Return the groups with numbers in the place of Tensors."""
        index = {p: i for i, p in enumerate(self._parameters())}
        return [group | {"params": [index[p] for p in group["params"]]} for group in self.param_groups]

    def _due(self) -> list[tuple[Tensor, Array, Group]]:
        """Return (parameter, gradient, group) for each that has a gradient, once all of them fit."""
        due = [(p, p.grad.data, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
        for p, g, _ in due:
            _check_fit("gradient", g, p)
        return [(p, -g if group.get("maximize") else g, group) for p, g, group in due]

    def _misfits(self, index: Any, entry: Mapping[str, Any], owners: list[tuple[Tensor, Group]]) -> list[str]:
        """Return what keeps a saved `entry` from being the state of parameter `index`."""
        if not isinstance(index, int) or not 0 <= index < len(owners):
            return [f"state[{index!r}]: the parameters here are 0…{len(owners) - 1}"]
        p, group = owners[index]
        needed = {name for name, option in self.slots.items() if entry and (not option or group[option])}
        here = {
            name: _describe(name, 1 if name == "step" else p.data)
            for name in self.slots
            if name in needed or name in entry
        }
        there = {name: _describe(name, value) for name, value in entry.items()}
        return [f"state[{index}].{line}" for line in differences(here, there)]

    def __repr__(self) -> str:
        lines = [
            f"  group {i}: {len(group['params'])} parameters, "
            + ", ".join(f"{k}={v}" for k, v in group.items() if k not in ("params", "param_names"))
            for i, group in enumerate(self.param_groups)
        ]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


def split_names(params: Iterable[Any]) -> tuple[list[str], list[Any]]:
    """Return names (an empty list where there are none) and Tensors of a list of Tensors or (name, Tensor) pairs.

    Raises: TypeError when only some come with a name.
    """
    given = list(params)
    named = [isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) for item in given]
    if not any(named):
        return [], given
    if not all(named):
        raise TypeError("params: either all parameters are (name, Tensor) pairs or none is")
    return [name for name, _ in given], [tensor for _, tensor in given]


def _check_parameters(tensors: list[Any], present: list[Tensor]) -> None:
    """Refuse what cannot be optimized, or is already."""
    seen = {id(p) for p in present}
    for i, p in enumerate(tensors):
        if not isinstance(p, Tensor) or p.dtype.kind != "f":
            what = f"a Tensor of {p.dtype}" if isinstance(p, Tensor) else type(p).__name__
            raise TypeError(f"params: float Tensors are needed, got {what} at place {i}")
        if not p.is_leaf:
            raise ValueError(f"params: the Tensor at place {i} is a result; only leaves can be optimized")
        if id(p) in seen:
            raise ValueError(f"params: the Tensor at place {i} ({spec(p.data)}) is given twice")
        seen.add(id(p))


def _check_fit(name: str, array: Array, p: Tensor) -> None:
    """Refuse an array that is not like its parameter: kernels trust their callers with that."""
    if array.shape != p.data.shape or array.dtype != p.data.dtype:
        raise ValueError(f"step: {name} is {spec(array)} but its parameter is {spec(p.data)}")


def _outline(groups: Iterable[Group]) -> dict[str, Any]:
    """Return what must agree between groups: which parameters, and the names (not the values) of the options.

    A schedule adds `initial_lr`; with or without it a state fits.
    """
    return {
        f"param_groups[{i}].{key}": value if key in ("params", "param_names") else "an option"
        for i, group in enumerate(groups)
        for key, value in group.items()
        if key != "initial_lr"
    }


def _describe(name: str, value: Any) -> str:
    """Return what must agree about one thing remembered of a parameter."""
    array = np.asarray(value)
    if name != "step":
        return spec(array)
    counts = array.ndim == 0 and array.dtype.kind in "iuf" and array >= 1 and array % 1 == 0
    return "a number of steps" if counts else repr(value)


def _restored(p: Tensor, entry: Mapping[str, Any]) -> State:
    """Return a copy of a saved `entry`, its arrays in the memory order of `p` (PyTorch saves `step` as a Tensor)."""
    state: State = {}
    for name, value in entry.items():
        state[name] = int(value) if name == "step" else np.zeros_like(p.data)
        if name != "step":
            state[name][...] = value
    return state
