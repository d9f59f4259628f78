"""Who is at work: the calls of modules while a model runs, so that what an op costs goes to the innermost one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from tinydl.nn import Module
from tinydl.nn.hooks import Bystander, Handle
from tinydl.tensor import Tensor


class Call:
    """One call of a module; subclasses note what it costs.

    Attributes:
        name: the module's (first) dotted name in the model; the model's own is the name of its class.
        module: the module.
    """

    def __init__(self, name: str, module: Module) -> None:
        self.name = name
        self.module = module

    @property
    def kind(self) -> str:
        """The name of the module's class."""
        return type(self.module).__name__

    def finish(self, output: Any) -> None:
        """Note what there is to note when the module has returned `output`."""


C = TypeVar("C", bound=Call)


class Calls(Generic[C]):
    """The calls of a model's modules, each made by `make(name, module)` as it starts.

    Attributes:
        running: those that have started and not ended, the innermost last.
        ended: the others, in the order in which they ended: a module stands behind those inside it.
    """

    def __init__(self, make: Callable[[str, Module], C]) -> None:
        self.make = make
        self.running: list[C] = []
        self.ended: list[C] = []

    @property
    def current(self) -> C:
        """The innermost module's call: whoever runs an op now."""
        return self.running[-1]

    @contextmanager
    def of(self, model: Module, but: Iterable[Module] = ()) -> Iterator[None]:
        """Watch the modules of `model` inside the block, by hooks that are gone afterwards, whatever happens.

        The modules `but` are left alone: what they do counts for whoever calls them.
        """
        left = {id(module) for module in but}
        handles: list[Handle] = []
        unhooked = [module for module in model.modules() if module._hooks is None]
        try:
            for name, module in model.named_modules():
                if id(module) in left:
                    continue
                start = self._starter(name or type(model).__name__)
                handles.append(module.register_forward_pre_hook(Bystander(start)))
                handles.append(module.register_forward_hook(Bystander(self._end)))
            yield
        finally:
            for handle in handles:
                handle.remove()
            for module in unhooked:  # the way around hooks is the shorter one
                module._hooks = module._hooks or None

    def _starter(self, name: str) -> Callable[[Module, Any], None]:
        return lambda module, args: self.running.append(self.make(name, module))

    def _end(self, module: Module, args: Any, output: Any) -> None:
        call = self.running.pop()
        call.finish(output)
        self.ended.append(call)


def tensors(output: Any) -> list[Tensor]:
    """Return the Tensors in what a module returned: itself, or in tuples, lists and dicts.

    >>> [t.item() for t in tensors((Tensor(1.0), {"aux": [Tensor(2.0)]}, None))]
    [1.0, 2.0]
    """
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, dict):
        output = output.values()
    elif not isinstance(output, (tuple, list)):
        return []
    return [tensor for part in output for tensor in tensors(part)]
