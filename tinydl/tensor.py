"""The Tensor: an array, its gradient, and the place in the graph it came from."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from tinydl.dtypes import FLOAT32, DType, check_dtype, native
from tinydl.graph import Gradient, Hook, HookHandle, Node
from tinydl.methods import FUNCTIONS, Methods
from tinydl.shapes import Array, Shape


def as_array(data: Any, dtype: Any = None, name: str = "data") -> Array:
    """Return `data` as an array of a dtype the engine computes in; an array that fits is not copied.

    Python floats become float32, Python integers int64 (as in PyTorch) unless `dtype` says otherwise; arrays keep their
    dtype.

    Raises: TypeError for object, string, complex and float16 data, naming `name`.

    >>> as_array([1.0, 2.0]).dtype, as_array([1, 2]).dtype, as_array(np.ones(2)).dtype
    (dtype('float32'), dtype('int64'), dtype('float64'))
    """
    if isinstance(data, Tensor):
        data = data.data
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
    else:
        if isinstance(data, (list, tuple)):
            data = [item.data if isinstance(item, Tensor) else item for item in data]
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise TypeError(f"{name} is not a rectangular array: {error}") from None
        if dtype is None and array.dtype == np.float64 and not _has_float64(data):
            array = array.astype(FLOAT32)
    array = native(array, name)
    return array if dtype is None else array.astype(check_dtype(dtype), copy=False)


def _has_float64(data: Any) -> bool:
    """Tell whether a nested sequence holds NumPy float64 values (whose precision is then kept)."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.float64))


class Version:
    """How often an array was written to; shared by a Tensor and its views."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Tensor(Methods):
    """An array that can take part in a graph.

    Args:
        data: an array (wrapped without a copy), a number, a nested sequence, or another Tensor.
        requires_grad: whether `backward` is to leave a gradient in `grad`.

    Raises: TypeError for dtypes the engine does not compute in, or for gradients of integers.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "_data", "_hooks", "_node", "_requires_grad", "_version", "grad")
    __array_ufunc__ = None  # so that array * Tensor asks the Tensor

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        self._data = as_array(data)
        self.grad: Tensor | None = None
        self._requires_grad = False
        self._node: Node | None = None
        self._version: Version = data._version if isinstance(data, Tensor) else Version()
        self._hooks: list[Hook] | None = None
        if requires_grad:
            self.requires_grad_()

    @staticmethod
    def of(array: Array, node: Node | None = None, version: Version | None = None) -> Tensor:
        """Wrap an array that an op has made: the short way past the checks of the constructor."""
        self = Tensor.__new__(Tensor)
        self._data = array
        self.grad = None
        self._requires_grad = node is not None
        self._node = node
        self._version = Version() if version is None else version
        self._hooks = None
        return self

    # ---- what it holds

    @property
    def data(self) -> Array:
        """The array itself. Assigning counts as a change; writing into its elements goes unseen (use `t[...] = `)."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._data = as_array(value)
        self.mark_changed()

    def mark_changed(self) -> None:
        """Note that the array was written to, so that `backward` refuses to use what it had saved of it."""
        self._version.count += 1

    @property
    def shape(self) -> Shape:
        """The size of each axis."""
        return self._data.shape

    @property
    def dtype(self) -> DType:
        """The NumPy dtype of the elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def device(self) -> str:
        """Always "cpu": here for programs that move Tensors about."""
        return "cpu"

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op made it."""
        return self._node is None

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of axis `dim`."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Return the number of axes."""
        return self._data.ndim

    def numel(self) -> int:
        """Return the number of elements."""
        return self._data.size

    def numpy(self) -> Array:
        """Return the array as a read-only view (`np.array(t)` copies)."""
        view = self._data.view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._data, dtype=dtype) if copy else np.asarray(self.numpy(), dtype=dtype)

    def item(self) -> Any:
        """Return the only element as a Python number. Raises: ValueError when there are more."""
        if self._data.size != 1:
            raise ValueError(f"item: a Tensor of one element is needed, got shape {self.shape}")
        return self._data.item()

    def tolist(self) -> Any:
        """Return the elements as nested lists of Python numbers."""
        return self._data.tolist()

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("a Tensor without axes cannot be iterated over")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self._data.dtype.kind not in "iub":
            raise TypeError(f"a Tensor of dtype {self.dtype} is no index")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __repr__(self) -> str:
        body = np.array2string(self._data, separator=", ", prefix="tensor(", threshold=200, precision=4)
        dtype = "" if self.dtype in (np.float32, np.int64, np.bool_) else f", dtype={self.dtype}"
        origin = f", made by {self._node.op.name}" if self._node else ", requires_grad=True"
        return f"tensor({body}{dtype}{origin if self.requires_grad else ''})"

    __hash__ = object.__hash__

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """Copy a leaf and its gradient. Raises: RuntimeError for a result, whose graph cannot be copied."""
        if self._node is not None:
            raise RuntimeError("deepcopy: only leaves of the graph can be copied; use detach() first")
        copied = Tensor(np.array(self._data, order="K"), self._requires_grad)
        copied.grad = None if self.grad is None else self.grad.__deepcopy__(memo)
        memo[id(self)] = copied
        return copied

    # ---- its place in the graph

    @property
    def requires_grad(self) -> bool:
        """Whether `backward` computes a gradient for it, or through it."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._data.dtype.kind != "f":
            raise TypeError(f"requires_grad needs a float Tensor, got dtype {self.dtype}")
        if self._node is not None and not value:
            raise RuntimeError("requires_grad of a result cannot be switched off; use detach()")
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for a gradient (or not) and return the Tensor itself."""
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """Return a Tensor of the same memory that no gradient flows through."""
        return Tensor.of(self._data, version=self._version)

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add the gradient of this Tensor to `grad` of every leaf it depends on; see `tinydl.autograd.backward`."""
        FUNCTIONS["backward"](self, gradient, retain_graph, create_graph)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
        """Call `hook(gradient)` when this Tensor's whole gradient is known; what it returns replaces the gradient.

        Returns: a handle whose `remove()` takes the hook away again.

        Raises: RuntimeError when the Tensor requires no gradient; in `backward`, ValueError for a gradient of another
            shape.
        """
        if not self._requires_grad:
            raise RuntimeError("register_hook needs a Tensor that requires a gradient")

        def seen(g: Gradient) -> Gradient:
            replaced = hook(as_tensor(g))
            if replaced is None:
                return g
            if tuple(replaced.shape) != g.shape:
                raise ValueError(f"a hook returned a gradient of shape {tuple(replaced.shape)}, needed {g.shape}")
            own = as_tensor(replaced).clone()  # the hook may keep what it returned
            return own if isinstance(g, Tensor) else as_array(own, g.dtype)

        owner: Any = self if self._node is None else self._node
        attribute = "_hooks" if self._node is None else "hooks"
        if getattr(owner, attribute) is None:
            setattr(owner, attribute, [])
        return HookHandle(getattr(owner, attribute), seen)

    def retain_grad(self) -> None:
        """Keep the gradient of this intermediate result in `grad`, as leaves do."""
        if self._node is not None:
            mine = weakref.ref(self)  # the graph must not keep the Tensor alive

            def keep(g: Tensor) -> None:
                tensor = mine()
                if tensor is not None:
                    tensor.accumulate(g if g._requires_grad else Tensor.of(g._data.copy()))

            self.register_hook(keep)

    def accumulate(self, g: Tensor) -> None:
        """Add `g` to `grad`; the first one is taken as it is."""
        if self.grad is None:
            self.grad = g
        elif g._requires_grad or self.grad._requires_grad:
            self.grad = self.grad + g
        else:
            self.grad._data += g._data
            self.grad.mark_changed()


def as_tensor(data: Any) -> Tensor:
    """Return `data` as a Tensor; a Tensor is returned as it is."""
    return data if isinstance(data, Tensor) else Tensor(data)


def alike(result: Any, *operands: Any) -> Any:
    """Return what was computed outside of the graph: as a Tensor if one of the operands is one, else as it is."""
    return Tensor.of(np.asarray(result)) if any(isinstance(x, Tensor) for x in operands) else result


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new Tensor with a copy of `data`.

    >>> tensor([1, 2, 3])
    tensor([1, 2, 3])
    """
    return Tensor(np.array(as_array(data, dtype)), requires_grad)


def from_numpy(array: Array) -> Tensor:
    """Return a Tensor that shares the memory of `array`."""
    return Tensor(array)
