"""Functions that a Module calls before and after its forward, and when its gradient is known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Protocol, TypeAlias

from tinydl import ops
from tinydl.tensor import Tensor

Hook: TypeAlias = Callable[..., Any]

_keys = count()


class Forward(Protocol):
    """What hooks need of the module they belong to."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's result."""


class Bystander:
    """A hook that only wants to know when its module runs, so that modules may change places under its eyes."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook

    def __call__(self, *args: Any) -> Any:
        """Call the hook."""
        return self._hook(*args)


class Handle:
    """Removes one hook: by `remove()`, or at the end of a `with` block."""

    def __init__(self, hooks: dict[int, Hook], hook: Hook) -> None:
        self._hooks, self._key = hooks, next(_keys)
        hooks[self._key] = hook

    def remove(self) -> None:
        """Take the hook off; a second call does nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class Hooks:
    """The hooks of one module, each kind in the order of registration."""

    def __init__(self) -> None:
        self.before: dict[int, Hook] = {}
        self.after: dict[int, Hook] = {}
        self.backward: dict[int, Hook] = {}

    def __bool__(self) -> bool:
        """Tell whether there is any hook."""
        return bool(self.before or self.after or self.backward)

    def look_at_values(self) -> bool:
        """Tell whether one of the hooks is more than a bystander."""
        kinds = self.before, self.after, self.backward
        return any(type(hook) is not Bystander for hooks in kinds for hook in hooks.values())

    def call(self, module: Forward, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run `module.forward` with everything registered around it."""
        for hook in tuple(self.before.values()):
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        watched = bool(self.backward)
        if watched:
            args = (_own_node(module, args[0] if len(args) == 1 and not kwargs else None),)
        y = module.forward(*args, **kwargs)
        for hook in tuple(self.after.values()):
            changed = hook(module, args, y)
            y = y if changed is None else changed
        return self._watch(module, args[0], y) if watched else y

    def _watch(self, module: Forward, x: Tensor, result: Any) -> Tensor:
        """Return the result y such that the hooks run once the gradient of x is known (or of y, if x has none)."""
        y = _own_node(module, result)
        upstream: list[Tensor] = []

        def at_output(g: Any) -> None:
            upstream.append(_as_tensor(g))
            if not x.requires_grad:
                self._run_backward(module, None, upstream.pop())

        def at_input(g: Any) -> Any:
            gx = self._run_backward(module, _as_tensor(g), upstream.pop())
            return gx if isinstance(g, Tensor) or gx is None else gx.data  # as the walk goes: Tensors or arrays

        if y.requires_grad:
            y.register_hook(at_output)
        if x.requires_grad:
            x.register_hook(at_input)
        return y

    def _run_backward(self, module: Forward, gx: Tensor | None, g: Tensor) -> Tensor | None:
        for hook in tuple(self.backward.values()):
            changed: tuple[Tensor | None] | None = hook(module, (gx,), (g,))
            gx = gx if changed is None else changed[0]
        return gx


def _as_tensor(g: Any) -> Tensor:
    return g if isinstance(g, Tensor) else Tensor(g)


def _own_node(module: Forward, x: Any) -> Tensor:
    """Return x as a node of its own in the graph, whose gradient is this module's share only."""
    if not isinstance(x, Tensor):
        raise TypeError(f"a full backward hook needs one Tensor in and one out; {type(module).__name__} has others")
    y: Tensor = ops.reshape(x, x.shape)
    return y
