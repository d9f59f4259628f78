"""Modules made of modules: in a row, in a list, in a dict, or beside a shortcut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from tinydl.nn import fusion
from tinydl.nn.module import Module


class _Numbered(Module):
    """Children in an order, named "0", "1", … unless names were given."""

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module in before number `index`, as in a list; all are numbered anew."""
        modules = list(self)
        modules.insert(index, module)
        self._clear()
        return self.extend(modules)

    def _clear(self) -> None:
        for name, _ in tuple(self.named_children()):
            delattr(self, name)

    def _name(self, index: int) -> str:
        """Return the name of child number `index`. Raises: IndexError."""
        names = [name for name, _ in self.named_children()]
        if not -len(names) <= index < len(names):
            raise IndexError(f"{type(self).__name__} has {len(names)} modules, got index {index}")
        return names[index]

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._listed())

    def _listed(self) -> list[Module]:
        """Return the modules, as `children` does, in a third of its time: `Sequential` does this at every call."""
        return [value for value in vars(self).values() if isinstance(value, Module)]

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._of(list(self.named_children())[index])
        return getattr(self, self._name(index))

    def _of(self, named: list[tuple[str, Module]]) -> _Numbered:
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        doomed = range(len(self))[index] if isinstance(index, slice) else [index]
        for name in [self._name(i) for i in doomed]:
            delattr(self, name)
        modules = list(self)
        if all(name.isdecimal() for name, _ in self.named_children()):
            self._clear()
            self.extend(modules)


class Sequential(_Numbered):
    """Modules called one after the other, each on the last one's result.

    Args:
        modules: the modules, or one mapping from names to modules.

    A slice is a Sequential of the same modules under the same names.

    Raises: TypeError for what is no module, ValueError for a name that cannot be used.

    >>> from tinydl.nn.linear import Flatten, Identity
    >>> model = Sequential(Identity(), Flatten())
    >>> len(model), model[1:]
    (2, Sequential(
      (1): Flatten(start_dim=1, end_dim=-1)
    ))
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)  # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:
        """Return the last module's result; see `tinydl.nn.fusion` for what runs as one kernel."""
        return fusion.run(self._steps(), input)

    def _steps(self) -> list[Module]:
        """Return the modules, with those of each inner Sequential that nobody watches in its place.

        So a ReLU behind a Sequential that ends with a convolution is as good as one inside of it.
        """
        steps: list[Module] = []
        for module in self._listed():
            if isinstance(module, Sequential) and type(module).forward is Sequential.forward and module._hooks is None:
                steps += module._steps()
            else:
                steps.append(module)
        return steps

    def _of(self, named: list[tuple[str, Module]]) -> Sequential:
        return Sequential(dict(named))


class ModuleList(_Numbered):
    """A list whose modules are found; it has no forward.

    >>> from tinydl.nn.linear import Identity
    >>> len(ModuleList([Identity()]).append(Identity()))
    2
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(() if modules is None else modules)

    def _of(self, named: list[tuple[str, Module]]) -> ModuleList:
        return ModuleList(module for _, module in named)


class ModuleDict(Module):
    """A dict whose modules are found; it has no forward.

    Raises: ValueError for a key that is an attribute's or method's name, or has a dot.

    >>> from tinydl.nn.linear import Identity
    >>> list(ModuleDict({"head": Identity()}).keys())
    ['head']
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self.update({} if modules is None else modules)

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add or replace modules."""
        for name, module in modules.items():
            self[name] = module

    def __getitem__(self, key: str) -> Module:
        return dict(self.named_children())[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del dict(self.named_children())[key]  # a KeyError for what is no module
        delattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in dict(self.named_children())

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def keys(self) -> Iterator[str]:
        """Return the names."""
        return (name for name, _ in self.named_children())

    def values(self) -> Iterator[Module]:
        """Return the modules."""
        return self.children()

    def items(self) -> Iterator[tuple[str, Module]]:
        """Return (name, module)."""
        return self.named_children()


class Residual(Module):
    """y = block(x) + shortcut(x).

    Args:
        block: what is learned beside the identity.
        shortcut: None for x itself; a projection where block changes the shape.

    Raises: ValueError when the two results differ in shape, where a sum would broadcast unseen.

    Source: He et al. 2016, Deep residual learning, arXiv:1512.03385, equations 1 and 2.

    >>> from tinydl.nn.linear import Identity
    >>> from tinydl.tensor import Tensor
    >>> Residual(Identity())(Tensor([1.0]))
    tensor([2.])
    """

    block: Module
    shortcut: Module | None

    def __init__(self, block: Module, shortcut: Module | None = None) -> None:
        self.add_module("block", block)
        self.shortcut = None
        if shortcut is not None:
            self.add_module("shortcut", shortcut)

    def forward(self, input: Any) -> Any:
        """Return the sum."""
        y, beside = self.block(input), input if self.shortcut is None else self.shortcut(input)
        if tuple(y.shape) != tuple(beside.shape):
            raise ValueError(f"Residual: block gives {tuple(y.shape)}, the shortcut {tuple(beside.shape)}")
        return y + beside
