"""The Tensor itself: what it is made of, what it shows, how it changes in place, how it is copied."""

import copy
import gc
import weakref

import numpy as np
import pytest

from tinydl import ops
from tinydl.methods import FUNCTIONS
from tinydl.methods.arithmetic import Arithmetic
from tinydl.methods.casts import Casts
from tinydl.methods.movement import Movement
from tinydl.methods.reduction import Reduction
from tinydl.modes import no_grad
from tinydl.tensor import Tensor, alike, as_array, as_tensor, from_numpy, tensor

# ---- made of


@pytest.mark.parametrize(
    "data, dtype",
    [
        (1.5, np.float32),
        (2, np.int64),
        (True, bool),
        ([1.0, 2.0], np.float32),
        ([1, 2], np.int64),
        ([[True], [False]], bool),
        ([], np.float32),
        (np.ones(2), np.float64),
        (np.float64(1.5), np.float64),
        ([np.float64(1.5)], np.float64),
        (np.ones(2, np.uint8), np.uint8),
        (np.ones(2, ">f4"), np.float32),
        (np.ones(2, ">i8"), np.int64),
        ([np.ones(2, np.float32), np.ones(2, np.float32)], np.float32),
    ],
    ids=str,
)
def test_dtypes_of_what_is_given(data, dtype):
    made = Tensor(data)
    assert made.dtype == dtype
    assert np.array_equal(made.data, np.asarray(data))


def test_float64_that_is_asked_for_keeps_every_digit():
    assert tensor(0.1, dtype=np.float64).item() == 0.1
    assert tensor([[0.1]], dtype=np.float64).tolist() == [[0.1]]


def test_tensors_in_lists_are_stacked():
    assert Tensor([Tensor(1.0), Tensor(2.0)]).tolist() == [1, 2]
    assert as_array([Tensor([1.0]), [2.0]]).tolist() == [[1], [2]]


def test_an_array_is_wrapped_a_copy_is_asked_for():
    array = np.ones(3)
    assert Tensor(array).data is array
    assert from_numpy(array).data is array
    assert as_tensor(array).data is array
    assert not np.shares_memory(tensor(array).data, array)
    assert tensor(array, dtype=np.float32).dtype == np.float32
    t = Tensor(array)
    assert as_tensor(t) is t


@pytest.mark.parametrize(
    "bad",
    [np.array([None]), np.array(["a"]), np.array([1j]), np.ones(2, np.float16), ["a"], [None], None, "3", object(), {}],
    ids=str,
)
def test_what_no_tensor_is_made_of(bad):
    with pytest.raises(TypeError, match="data has dtype"):
        Tensor(bad)


def test_ragged_lists_are_refused():
    with pytest.raises(TypeError, match="data is not a rectangular array"):
        Tensor([[1.0], [1.0, 2.0]])


def test_only_floats_have_gradients():
    for data in (np.ones(2, int), np.ones(2, bool)):
        with pytest.raises(TypeError, match="requires_grad needs a float Tensor"):
            Tensor(data, requires_grad=True)
        t = Tensor(data)
        with pytest.raises(TypeError, match="requires_grad needs a float Tensor"):
            t.requires_grad = True
        assert not t.requires_grad


def test_requires_grad_can_be_switched_on_leaves():
    x = Tensor([1.0])
    assert x.requires_grad_() is x
    y = x * 2
    assert y.requires_grad
    with pytest.raises(RuntimeError, match="cannot be switched off; use detach"):
        y.requires_grad = False
    x.requires_grad = False
    assert not (x * 2).requires_grad


# ---- shown


def test_properties():
    t = Tensor(np.zeros((2, 3)), requires_grad=True)
    assert (t.shape, t.ndim, t.dim(), t.numel(), len(t)) == ((2, 3), 2, 2, 6, 2)
    assert (t.size(), t.size(1), t.device, t.is_leaf) == ((2, 3), 3, "cpu", True)
    assert not (t * 2).is_leaf
    assert t.cpu() is t
    assert t.contiguous() is t


def test_numbers():
    t = Tensor([[3.5]])
    assert t.item() == float(t) == 3.5
    assert int(t) == 3
    assert bool(t)
    assert f"{t:.2f}" == "3.50"
    assert f"{Tensor([1.0])}" == "tensor([1.])"
    assert isinstance(Tensor(3).item(), int)
    assert [10, 20, 30][Tensor(1)] == 20
    with pytest.raises(ValueError, match=r"item: a Tensor of one element is needed, got shape \(2,\)"):
        bool(Tensor([1.0, 2.0]))
    with pytest.raises(TypeError, match="is no index"):
        [1, 2][Tensor(1.0)]


def test_elements_one_by_one():
    rows = list(Tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert [row.tolist() for row in rows] == [[1, 2], [3, 4]]
    a, b = Tensor([1.0, 2.0])
    assert (a.item(), b.item()) == (1, 2)
    with pytest.raises(TypeError, match="cannot be iterated"):
        list(Tensor(1.0))
    with pytest.raises(TypeError, match="unsized"):
        len(Tensor(1.0))


def test_numpy_gets_a_view_that_it_cannot_write_to():
    t = Tensor([1.0, 2.0])
    view = t.numpy()
    assert np.shares_memory(view, t.data)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 5
    assert np.asarray(t).tolist() == [1, 2]
    assert np.array(t, dtype=np.float64).dtype == np.float64
    np.array(t)[0] = 7
    assert t.tolist() == [1, 2]
    assert np.sum(np.asarray(t)) == 3


@pytest.mark.parametrize(
    "made, text",
    [
        (lambda: Tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
        (lambda: Tensor([1, 2]), "tensor([1, 2])"),
        (lambda: Tensor(np.ones(1)), "tensor([1.], dtype=float64)"),
        (lambda: Tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: Tensor([1.0], requires_grad=True) * 2, "tensor([2.], made by mul)"),
    ],
)
def test_repr(made, text):
    assert repr(made()) == text


def test_a_large_tensor_is_shown_in_short():
    assert len(repr(Tensor(np.zeros((1000, 1000))))) < 1000


def test_arrays_leave_arithmetic_to_the_tensor():
    t = Tensor([1.0, 2.0])
    for result in (np.ones(2) + t, np.ones(2) - t, np.ones(2) * t, np.ones(2) / t, np.ones(2) @ t, np.float64(2) * t):
        assert isinstance(result, Tensor)
    assert isinstance(np.ones(2) < t, Tensor)
    assert (2**t).tolist() == [2, 4]
    assert (2 / t).tolist() == [2, 1]
    assert (2 - t).tolist() == [1, 0]
    assert (-t).tolist() == [-1, -2]
    assert abs(-t).tolist() == [1, 2]


def test_tensors_are_keys_by_identity():
    a, b = Tensor([1.0]), Tensor([1.0])
    assert len({a, b, a}) == 2
    assert a in [a]


def test_every_method_calls_the_op_of_its_name():
    """A method that called another op would show here; those with names of their own are listed."""
    x = Tensor(np.random.default_rng(0).uniform(0.5, 2, (3, 3)))
    args = {
        "pow": (2,), "clamp": (0.6, 1.0), "to": ("float32",), "where": None, "masked_fill": None, "softmax": (1,),
        "log_softmax": (0,), "reshape": ((9,),), "transpose": (0, 1), "permute": ((1, 0),), "unsqueeze": (0,),
        "expand": ((2, 3, 3),), "split": (2,), "chunk": (2,), "gather": (0, np.zeros((1, 3), int)),
        "index_select": (1, np.array([0])), "flip": (0,), "square": None,
    }  # fmt: skip
    binary = {"add", "sub", "mul", "div", "maximum", "minimum", "matmul", "eq", "ne", "lt", "le", "gt", "ge"}
    others = set()
    for part in (Arithmetic, Casts, Reduction, Movement):
        for name in vars(part):
            if name.startswith("_") or name in ("T", "mT"):
                continue
            given = (x + 0.1,) if name in binary else args.get(name, ())
            if name not in FUNCTIONS or given is None:
                others.add(name)
                continue
            found, wanted = getattr(x, name)(*given), FUNCTIONS[name](x, *given)
            for a, b in zip(*(y if isinstance(y, tuple) else (y,) for y in (found, wanted)), strict=True):
                assert np.array_equal(a.data, b.data), name
                assert a.dtype == b.dtype
    casts = {"float", "double", "long", "int", "bool", "type_as"}
    named = {"square", "where", "masked_fill", "view", "view_as", "t", "expand_as", "cpu", "contiguous"}
    assert others == casts | named


def test_casts():
    x = Tensor([0.0, 1.7])
    dtypes = {"float": "f4", "double": "f8", "long": "i8", "int": "i4", "bool": "?"}
    for name, dtype in dtypes.items():
        assert getattr(x, name)().dtype == np.dtype(dtype)
    assert x.type_as(Tensor([1])).tolist() == [0, 1]
    assert x.bool().tolist() == [False, True]
    assert x.square().tolist() == pytest.approx([0, 2.89])


# ---- changed in place


def test_changes_in_place():
    t = Tensor(np.arange(3.0))
    array = t.data
    t += 1
    t *= Tensor([2.0, 2.0, 2.0])
    t -= np.ones(3)
    t /= 2
    assert t.tolist() == [0.5, 1.5, 2.5]
    assert t.add_(Tensor([1.0, 1.0, 1.0]), alpha=2).sub_(1).mul_(2).div_(4) is t
    assert t.tolist() == [0.75, 1.25, 1.75]
    t[1:] = Tensor([7.0, 8.0])
    t[t < 1] = 0
    assert t.tolist() == [0, 7, 8]
    assert t.fill_(3).copy_([1.0, 2.0, 3.0]).tolist() == [1, 2, 3]
    assert t.zero_().tolist() == [0, 0, 0]
    assert t.data is array


def test_parameters_change_only_inside_no_grad():
    w = Tensor([1.0, 2.0], requires_grad=True)
    for change in (
        lambda: w.add_(1),
        lambda: w.zero_(),
        lambda: w.__setitem__(0, 1.0),
        lambda: w.__iadd__(1.0),
        lambda: w.copy_([1.0, 2.0]),
    ):
        with pytest.raises(RuntimeError, match=r"only inside no_grad\(\)"):
            change()
        with no_grad():
            change()
    assert w.requires_grad


def test_a_value_with_a_gradient_is_not_written_into_a_constant():
    constant, x = Tensor([1.0, 2.0]), Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"use where\(\), cat\(\) or stack\(\)"):
        constant[0] = x[0]
    with pytest.raises(RuntimeError, match="needs a new Tensor"):
        constant.add_(x)
    with no_grad():
        constant[0] = x[1]
    assert constant.tolist() == [2, 2]


def test_augmented_assignment_of_results_makes_new_tensors():
    """`loss += penalty` must not lose the graph, nor change what another name holds."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    total = kept = (x * 2).sum()
    total += x.sum()
    total *= 2
    total -= 1.0
    total /= 2.0
    assert kept.item() == 6
    assert total.item() == 8.5
    total.backward()
    assert x.grad.tolist() == [3, 3]
    running = Tensor(0.0)
    running += x.sum()
    assert running.requires_grad


def test_dtypes_are_kept_in_place():
    t = Tensor(np.ones(2, np.float32))
    t += np.ones(2)
    assert t.dtype == np.float32
    whole = Tensor([1, 2])
    with pytest.raises(TypeError):
        whole += 0.5
    assert whole.tolist() == [1, 2]


def test_data_can_be_replaced():
    t = Tensor([1.0], requires_grad=True)
    t.data = np.array([2.0, 3.0])
    assert t.tolist() == [2, 3]
    with pytest.raises(TypeError, match="dtype"):
        t.data = np.array(["a"])


# ---- copied, and gone


def test_clone_has_a_gradient_detach_has_none():
    x = Tensor([1.0, 2.0], requires_grad=True)
    x.clone().sum().backward()
    assert x.grad.tolist() == [1, 1]
    assert not np.shares_memory(x.clone().data, x.data)
    assert np.shares_memory(x.detach().data, x.data)


def test_deepcopy_of_a_leaf():
    x = Tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    twin = copy.deepcopy({"a": x, "b": x})
    assert twin["a"] is twin["b"]
    assert twin["a"].requires_grad
    assert twin["a"].grad.tolist() == [2, 4]
    assert not np.shares_memory(twin["a"].data, x.data)
    with pytest.raises(RuntimeError, match="only leaves of the graph can be copied"):
        copy.deepcopy(x * 2)


def test_a_dropped_graph_is_gone_at_once():
    gc.disable()
    try:
        x = Tensor(np.ones(3), requires_grad=True)
        y = ops.softmax(ops.relu(x * x).exp(), 0)
        node, array = weakref.ref(y._node), weakref.ref(y.data)
        del y
        assert node() is None
        assert array() is None
    finally:
        gc.enable()


def test_alike():
    assert isinstance(alike(np.ones(2), 1, Tensor(1.0)), Tensor)
    assert isinstance(alike(np.ones(2), 1, np.ones(1)), np.ndarray)
