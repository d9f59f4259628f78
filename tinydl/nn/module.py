"""Module: a part of a network that owns its parameters, its running statistics and the modules inside it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Any, Self

import numpy as np

from tinydl.nn.display import as_html, as_text
from tinydl.nn.hooks import Handle, Hook, Hooks
from tinydl.nn.parameter import Parameter, mask_name
from tinydl.nn.state import LoadResult, compare, misfits, plain_arrays
from tinydl.tensor import Tensor


class Module:
    """The base of every layer and network: write `__init__` and `forward`, and call the instance.

    Attributes that are Parameters or Modules are found by what they are; buffers, Tensors that are saved but not
    learned, are named with `register_buffer`. Unlike in PyTorch, a subclass may forget `super().__init__()`.

    Attributes:
        training: whether layers like dropout and batch norm behave as in training; see `train` and `eval`.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = Parameter([3.0])
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(Tensor([2.0])).item(), list(Scale().state_dict())
    (6.0, ['factor'])
    """

    training: bool
    _buffers: dict[str, bool]  # name of a buffer -> whether it is saved
    _hooks: Hooks | None = None
    _frozen: bool = False  # never in training mode

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make the instance with what every module has; in `__new__`, so that no subclass can forget it."""
        self = super().__new__(cls)
        vars(self).update(training=True, _buffers={})
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the result; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return `forward(...)`, with the hooks that are registered."""
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return self._hooks.call(self, args, kwargs)

    # ---- registration

    def __setattr__(self, name: str, value: Any) -> None:
        before = vars(self).get(name)
        if isinstance(before, Parameter) and not isinstance(value, Parameter | None):
            raise TypeError(f"{name} is a Parameter: assign another one or None, or change it in place with copy_()")
        if name in self._buffers and not isinstance(value, Tensor | None):
            raise TypeError(f"{name} is a buffer: assign a Tensor or None, got {type(value).__name__}")
        object.__setattr__(self, name, value)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a Tensor that is not learned; without `persistent` it stays out of `state_dict`."""
        self._check_free(name)
        if not isinstance(tensor, Tensor | None):
            raise TypeError(f"buffer {name} must be a Tensor or None, got {type(tensor).__name__}")
        setattr(self, name, tensor)
        self._buffers[name] = persistent

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a Parameter under a name that is only known at run time."""
        self._check_free(name)
        if not isinstance(param, Parameter | None):
            raise TypeError(f"parameter {name} must be a Parameter or None, got {type(param).__name__}")
        setattr(self, name, param)

    def add_module(self, name: str, module: Module) -> None:
        """Add a module under a name that is only known at run time."""
        self._check_free(name)
        if not isinstance(module, Module):
            raise TypeError(f"module {name} must be a Module, got {type(module).__name__}")
        setattr(self, name, module)

    def _check_free(self, name: str) -> None:
        """Refuse a name that is taken, or that would make the keys of `state_dict` ambiguous."""
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"name must be a non-empty string without dots, got {name!r}")
        if hasattr(type(self), name) or not isinstance(vars(self).get(name), Tensor | Module | None):
            raise ValueError(f"name {name!r} is taken by another attribute of {type(self).__name__}")

    # ---- looking inside

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Return (name, module) for each module directly inside."""
        return ((name, value) for name, value in tuple(vars(self).items()) if isinstance(value, Module))

    def children(self) -> Iterator[Module]:
        """Return the modules directly inside."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """Return (dotted name, module) for this module and all inside it, each once unless told otherwise."""
        return self._named_modules(prefix, set() if remove_duplicate else None)

    def _named_modules(self, prefix: str, seen: set[int] | None) -> Iterator[tuple[str, Module]]:
        if seen is not None:
            if id(self) in seen:
                return
            seen.add(id(self))
        yield prefix, self
        for name, child in self.named_children():
            yield from child._named_modules(_dotted(prefix, name), seen)

    def modules(self) -> Iterator[Module]:
        """Return this module and all inside it."""
        return (module for _, module in self.named_modules())

    def get_submodule(self, target: str) -> Module:
        """Return the module of a dotted name; "" is this one. Raises: AttributeError naming what is not there."""
        module = self
        for name in target.split(".") if target else ():
            inside = vars(module).get(name)
            if not isinstance(inside, Module):
                raise AttributeError(f"{type(module).__name__} has no module {name!r} (looking for {target!r})")
            module = inside
        return module

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Return (dotted name, Parameter); one that is shared comes once, under its first name."""
        return self._named(Module._own_parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Return the Parameters, as optimizers want them."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Return (dotted name, buffer)."""
        return self._named(Module._own_buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Return the buffers."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def _own_parameters(self) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Parameter)]

    def _own_masks(self) -> list[tuple[str, Any]]:
        return [(mask_name(name), p.mask) for name, p in self._own_parameters() if p.mask is not None]

    def _own_buffers(self, saved_only: bool = False) -> list[tuple[str, Any]]:
        held = [(name, vars(self).get(name)) for name, saved in self._buffers.items() if saved or not saved_only]
        return [(name, value) for name, value in held if value is not None and not isinstance(value, Parameter)]

    def _named(
        self, own: Callable[[Module], list[tuple[str, Any]]], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        """Return what `own` lists of each module, with dotted names."""
        seen: set[int] = set()
        for path, module in self.named_modules(prefix, remove_duplicate) if recurse else ((prefix, self),):
            for name, value in own(module):
                if not (remove_duplicate and id(value) in seen):
                    seen.add(id(value))
                    yield _dotted(path, name), value

    # ---- modes and conversions

    def train(self, mode: bool = True) -> Self:
        """Put this module and all inside it in training mode (or, with False, in evaluation mode).

        Modules that `tinydl.compress.freeze` has frozen stay in evaluation mode.
        """
        for module in self.modules():
            module.training = bool(mode) and not module._frozen
        return self

    def eval(self) -> Self:
        """Put this module and all inside it in evaluation mode."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for gradients of every parameter, or freeze them all."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of every parameter, or (without `set_to_none`) put zeros in their place."""
        for p in self.parameters():
            p.grad = None if set_to_none or p.grad is None else Tensor(np.zeros_like(p.data))

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module inside, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, *targets: Any, device: Any = None, dtype: Any = None) -> Self:
        """Convert float parameters, gradients and buffers in place to a dtype; the device "cpu" changes nothing.

        Raises: TypeError for what is neither a float dtype, a Tensor (whose dtype is meant) nor "cpu".
        """
        for target in (*targets, device, dtype):
            if target is not None and str(target) != "cpu":
                self._convert(_float_dtype(target))
        return self

    def float(self) -> Self:
        """Convert to float32."""
        return self.to(np.float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.to(np.float64)

    def cpu(self) -> Self:
        """Return the module itself: there is one device."""
        return self

    def _convert(self, dtype: np.dtype[Any]) -> None:
        for tensor in (*self.parameters(), *self.buffers()):
            for held in (tensor, tensor.grad):
                if held is not None and held.dtype.kind == "f" and held.dtype != dtype:
                    held.data = held.data.astype(dtype)

    # ---- saving and loading

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """Return {dotted name: Tensor} of parameters, masks, persistent buffers: detached, but the same memory.

        The mask of a parameter has its name with `_mask` behind it.
        """
        return {
            _dotted(path, name): value.detach()
            for path, module in self.named_modules(prefix.removesuffix("."), remove_duplicate=False)
            for name, value in module._own_parameters() + module._own_masks() + module._own_buffers(saved_only=True)
        }

    def state_to_fill(self, given: Container[str]) -> dict[str, Tensor]:
        """Return `state_dict()` and, for masks `given` of parameters that have none, masks that let all live."""
        new = {name: Tensor(np.ones(p.shape, np.bool_)) for name, p in self._new_masks(given).items()}
        return self.state_dict() | new

    def _new_masks(self, given: Container[str]) -> dict[str, Parameter]:
        """Return the parameters without a mask for which one is `given`, by the mask's name."""
        own, named = self.state_dict(), self.named_parameters(remove_duplicate=False)
        return {mask: p for name, p in named if (mask := mask_name(name)) in given and mask not in own}

    def load_state_dict(self, state_dict: Any, strict: bool = True) -> LoadResult:
        """Copy a `state_dict` (values Tensors or arrays) into the parameters and buffers, each keeping its dtype.

        The masks of a pruned network come along into one that has none. The other way round, into a pruned network, a
        state without masks is refused as incomplete; without `strict` it is loaded through the masks that are there.

        Args:
            state_dict: a mapping with the names of this module's `state_dict`.
            strict: refuse names that are missing or unexpected; without it they are returned.

        Returns: (missing_keys, unexpected_keys).

        Raises: ValueError listing every difference in names, shapes and kinds of dtype, with nothing changed.
        """
        given = plain_arrays(state_dict)
        new, own = self._new_masks(given), self.state_to_fill(given)
        result, lines = compare(own, given), misfits(own, given)
        if strict:
            lines = [
                *(f"{name}: missing from the state" for name in result.missing_keys),
                *(f"{name}: not known here" for name in result.unexpected_keys),
                *lines,
            ]
        if lines:
            raise ValueError(f"{type(self).__name__}: the state does not fit:\n  " + "\n  ".join(lines))
        for name, array in given.items():
            if name in own:
                own[name].copy_(array)
        for name, p in new.items():
            p.mask = own[name]
        for p in self.parameters():
            p.mark_changed()
        return result

    # ---- hooks

    def register_forward_pre_hook(self, hook: Hook) -> Handle:
        """Call `hook(module, args)` before forward; what it returns (a tuple, or one value) replaces the arguments."""
        return Handle(self._hooked().before, hook)

    def register_forward_hook(self, hook: Hook) -> Handle:
        """Call `hook(module, args, output)` after forward; what it returns replaces the output."""
        return Handle(self._hooked().after, hook)

    def register_full_backward_hook(self, hook: Hook) -> Handle:
        """Call `hook(module, (gradient of the input,), (gradient of the output,))` in backward.

        The input's is None when it needs no gradient; a tuple the hook returns replaces it. For modules with one Tensor
        in and one out; others raise TypeError when called.
        """
        return Handle(self._hooked().backward, hook)

    def _hooked(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    # ---- looks

    def extra_repr(self) -> str:
        """Return the settings to show between the brackets of `repr`."""
        return ""

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _float_dtype(target: Any) -> np.dtype[Any]:
    """Return the float dtype that `target` names. Raises: TypeError."""
    try:
        dtype = np.dtype(target.dtype if isinstance(target, Tensor) else target)
    except TypeError:
        dtype = None
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"to: a module converts to float32 or float64, and the device is 'cpu'; got {target!r}")
    return dtype
