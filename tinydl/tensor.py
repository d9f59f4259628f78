"""The Tensor: an array, its gradient, and the place in the graph it came from."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinydl.graph import Gradient, Node
from tinydl.methods import FUNCTIONS, Methods
from tinydl.modes import mode
from tinydl.shapes import Array, Shape

_NATIVE = {np.dtype(name) for name in "? int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()}


def as_array(data: Any, dtype: Any = None, name: str = "data") -> Array:
    """Return `data` as an array of a dtype the engine computes in; an array that fits is not copied.

    Python floats become float32, Python integers int64 (as in PyTorch); arrays keep their dtype.

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
        if array.dtype == np.float64 and not _has_float64(data):
            array = array.astype(np.float32)
    if array.dtype not in _NATIVE:
        if array.dtype.newbyteorder("=") not in _NATIVE:
            raise TypeError(f"{name} has dtype {array.dtype}; float32, float64, integers and bool are supported")
        array = array.astype(array.dtype.newbyteorder("="))
    return array if dtype is None else array.astype(check_dtype(dtype), copy=False)


def _has_float64(data: Any) -> bool:
    """Tell whether a nested sequence holds NumPy float64 values (whose precision is then kept)."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.float64))


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as NumPy's. Raises: TypeError when the engine does not compute in it."""
    result = np.dtype(dtype)
    if result not in _NATIVE:
        raise TypeError(f"dtype {result} is not supported; use float32, float64, an integer type or bool")
    return result


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

    __slots__ = ("__weakref__", "_data", "_hooks", "_node", "_version", "grad", "requires_grad")
    __array_ufunc__ = None  # so that array * Tensor asks the Tensor

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        self._data = as_array(data)
        self.grad: Tensor | None = None
        self.requires_grad = False
        self._node: Node | None = None
        self._version = Version()
        self._hooks: list[Callable[[Gradient], Gradient | None]] | None = None
        if requires_grad:
            self.requires_grad_()

    @staticmethod
    def of(array: Array, node: Node | None = None, version: Version | None = None) -> Tensor:
        """Wrap an array that an op has made: the short way past the checks of the constructor."""
        self = Tensor.__new__(Tensor)
        self._data = array
        self.grad = None
        self.requires_grad = node is not None
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
    def dtype(self) -> np.dtype[Any]:
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

    # ---- its place in the graph

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for a gradient (or not) and return the Tensor itself."""
        if requires_grad and self._data.dtype.kind != "f":
            raise TypeError(f"requires_grad needs a float Tensor, got dtype {self.dtype}")
        if self._node is not None and not requires_grad:
            raise RuntimeError("requires_grad of a result cannot be switched off; use detach()")
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """Return a Tensor of the same memory that no gradient flows through."""
        return Tensor.of(self._data, version=self._version)

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add the gradient of this Tensor to `grad` of every leaf it depends on; see `tinydl.autograd.backward`."""
        FUNCTIONS["backward"](self, gradient, retain_graph, create_graph)

    def register_hook(self, hook: Callable[[Any], Any]) -> None:
        """Call `hook(gradient)` when this Tensor's whole gradient is known; what it returns replaces the gradient."""
        if not self.requires_grad:
            raise RuntimeError("register_hook needs a Tensor that requires a gradient")
        owner: Any = self if self._node is None else self._node
        attribute = "_hooks" if self._node is None else "hooks"
        setattr(owner, attribute, [*(getattr(owner, attribute) or ()), hook])

    def retain_grad(self) -> None:
        """Keep the gradient of this intermediate result in `grad`, as leaves do."""
        if self._node is not None:
            mine = weakref.ref(self)  # the graph must not keep the Tensor alive

            def keep(g: Any) -> None:
                tensor = mine()
                if tensor is not None:
                    tensor.accumulate(FUNCTIONS["as_tensor"](g))

            self.register_hook(keep)

    def accumulate(self, g: Tensor) -> None:
        """Add `g` to `grad`; the first one is taken as it is."""
        if self.grad is None:
            self.grad = g
        elif g.requires_grad or self.grad.requires_grad:
            self.grad = self.grad + g
        else:
            self.grad._data += g._data
            self.grad.mark_changed()

    # ---- changes in place

    def _writable(self, what: str) -> Array:
        """Return the array for writing, refusing where the graph would be left wrong."""
        if mode.recording and self.requires_grad:
            raise RuntimeError(f"{what}: a Tensor that requires a gradient is changed in place only inside no_grad()")
        return self._data

    def _update(self, ufunc: Callable[..., Any], other: Any, what: str) -> Tensor:
        target = self._writable(what)
        ufunc(target, other._data if isinstance(other, Tensor) else other, out=target, casting="same_kind")
        self.mark_changed()
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        target = self._writable("assignment to elements")
        if mode.recording and isinstance(value, Tensor) and value.requires_grad:
            raise RuntimeError("assignment of a value that requires a gradient: use where(), cat() or stack()")
        target[plain_index(index)] = value._data if isinstance(value, Tensor) else value
        self.mark_changed()

    def add_(self, other: Any, alpha: float = 1) -> Tensor:
        """Add alpha·other in place."""
        return self._update(np.add, other if alpha == 1 else other * alpha, "add_")

    def sub_(self, other: Any, alpha: float = 1) -> Tensor:
        """Subtract alpha·other in place."""
        return self._update(np.subtract, other if alpha == 1 else other * alpha, "sub_")

    def mul_(self, other: Any) -> Tensor:
        """Multiply in place."""
        return self._update(np.multiply, other, "mul_")

    def div_(self, other: Any) -> Tensor:
        """Divide in place."""
        return self._update(np.true_divide, other, "div_")

    def copy_(self, other: Any) -> Tensor:
        """Copy `other`'s values in, broadcasting."""
        self._writable("copy_")[...] = other._data if isinstance(other, Tensor) else other
        self.mark_changed()
        return self

    def fill_(self, value: float) -> Tensor:
        """Set every element."""
        return self.copy_(value)

    def zero_(self) -> Tensor:
        """Set every element to 0."""
        return self.copy_(0)

    def _in_place_or_new(self, ufunc: Callable[..., Any], name: str, other: Any) -> Tensor:
        """`x += y`: in place outside the graph; inside it a new Tensor (leaves refuse, for they would be lost)."""
        tracked = mode.recording and (self.requires_grad or getattr(other, "requires_grad", False))
        if tracked and not (self.is_leaf and self.requires_grad):
            result: Tensor = FUNCTIONS[name](self, other)
            return result
        return self._update(ufunc, other, f"{name} in place")

    def __iadd__(self, other: Any) -> Tensor:
        return self._in_place_or_new(np.add, "add", other)

    def __isub__(self, other: Any) -> Tensor:
        return self._in_place_or_new(np.subtract, "sub", other)

    def __imul__(self, other: Any) -> Tensor:
        return self._in_place_or_new(np.multiply, "mul", other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self._in_place_or_new(np.true_divide, "div", other)


def plain_index(index: Any) -> Any:
    """Return an index with every Tensor in it replaced by its array."""
    if isinstance(index, Tensor):
        return index._data
    if isinstance(index, tuple):
        return tuple(plain_index(i) for i in index)
    return index


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new Tensor with a copy of `data`.

    >>> tensor([1, 2, 3])
    tensor([1, 2, 3])
    """
    return Tensor(np.array(as_array(data, dtype)), requires_grad)


def from_numpy(array: Array) -> Tensor:
    """Return a Tensor that shares the memory of `array`."""
    return Tensor(array)
