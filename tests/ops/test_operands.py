"""What an op is fed: arrays or Tensors, in any layout, of any supported dtype. Results agree, inputs are left alone."""

import numpy as np
import pytest
from op_case import flat, gradients
from op_table import CASES, DIFFERENTIABLE

from tinydl import no_grad
from tinydl.methods import FUNCTIONS
from tinydl.op import OPS
from tinydl.tensor import Tensor

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_differentiable_case = pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)


def every_other(x):
    wide = np.full(tuple(2 * n + 1 for n in x.shape), np.nan)
    view = wide[(..., *(slice(1, None, 2) for _ in x.shape))]
    view[...] = x
    return view


def backwards(x):
    turn = (..., *(slice(None, None, -1) for _ in x.shape))
    return x[turn].copy()[turn]


def read_only(x):
    copy = x.copy()
    copy.flags.writeable = False
    return copy


def misaligned(x):
    copy = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


LAYOUTS = {
    "fortran": lambda x: np.array(x, order="F"),
    "channels last": lambda x: np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1) if x.ndim > 1 else x.copy(),
    "every other": every_other,
    "backwards": backwards,
    "read-only": read_only,
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "misaligned": misaligned,
}


def plain(results):
    """Return all results of a call as arrays."""
    results = results if isinstance(results, (tuple, list)) else (results,)
    return [y.data if isinstance(y, Tensor) else np.asarray(y) for y in results]


def assert_same(found, wanted):
    for y, w in zip(found, wanted, strict=True):
        assert y.dtype.newbyteorder("=") == w.dtype
        assert y.shape == w.shape
        assert np.allclose(y, w, rtol=1e-12, atol=1e-13)


@every_case
def test_arrays_and_tensors_give_the_same(case):
    assert_same(plain(case.call(*case.inputs)), plain(case.call(*map(Tensor, case.inputs))))


@every_case
def test_arrays_give_arrays_and_tensors_give_tensors(case):
    results = case.call(*case.inputs)
    for y in results if isinstance(results, tuple) else (results,):
        assert not isinstance(y, Tensor)
    results = case.call(*map(Tensor, case.inputs))
    for y in results if isinstance(results, tuple) and case.inputs else ():
        assert isinstance(y, Tensor)


@every_case
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_same_and_is_left_alone(case, layout):
    wanted = plain(case.call(*case.inputs))
    laid_out = [LAYOUTS[layout](x) for x in case.inputs]
    assert_same(plain(case.call(*laid_out)), wanted)
    assert_same(plain(case.call(*map(Tensor, laid_out))), wanted)
    if case.order:
        assert_same(gradients(case, laid_out)[1], gradients(case, list(case.inputs))[1])
    for x, original in zip(laid_out, case.inputs):
        assert np.array_equal(x, original)


@every_differentiable_case
def test_operands_stretched_by_stride_0(case):
    repeated = [np.repeat(x[:1], len(x), 0) if x.ndim else x for x in case.inputs]
    stretched = [np.broadcast_to(x[:1], x.shape) if x.ndim else x for x in case.inputs]
    (y, found), (w, wanted) = gradients(case, stretched), gradients(case, repeated)
    assert np.allclose(y, w, rtol=1e-12, equal_nan=True)
    for g, gw in zip(found, wanted):
        assert np.allclose(g, gw, rtol=1e-12, atol=1e-13, equal_nan=True)


@every_differentiable_case
def test_an_upstream_gradient_in_any_layout(case):
    xs = [Tensor(x, requires_grad=True) for x in case.inputs]
    y = flat(case.call(*xs))
    if not y.requires_grad or not y.numel():
        return
    wanted = [np.zeros(x.shape) for x in xs]
    for layout in (np.ascontiguousarray, every_other, backwards, lambda g: np.broadcast_to(g[:1], g.shape)):
        for x in xs:
            x.grad = None
        upstream = np.full(y.shape, 0.7)
        y.backward(layout(upstream), retain_graph=True)
        found = [0 * w if x.grad is None else x.grad.data for x, w in zip(xs, wanted)]
        if layout is np.ascontiguousarray:
            wanted = found
        assert_same(found, wanted)


@every_case
def test_nothing_is_recorded_inside_no_grad(case):
    with no_grad():
        results = case.call(*[Tensor(x, requires_grad=True) for x in case.inputs])
    for y in results if isinstance(results, tuple) else (results,):
        assert not isinstance(y, Tensor) or y.is_leaf


@pytest.mark.parametrize("case", [case for case in CASES if case.op in OPS and not OPS[case.op].view], ids=str)
def test_only_views_share_memory_with_their_operands(case):
    for y in plain(case.call(*case.inputs)):
        assert not any(np.shares_memory(y, x) for x in case.inputs)


UNSUPPORTED = {
    "object": np.array([1.0, 2.0], object),
    "string": np.array(["1", "2"]),
    "complex": np.array([1 + 2j, 3j]),
    "float16": np.ones(2, np.float16),
    "datetime": np.zeros(2, "datetime64[s]"),
    "ragged list": [[1.0], [1.0, 2.0]],
    "longdouble": np.ones(2, np.longdouble),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
@pytest.mark.parametrize("op", sorted(OPS))
def test_unsupported_dtypes_are_refused_by_us(op, kind):
    """Never by NumPy or Numba, and whichever operand they are."""
    bad, good = UNSUPPORTED[kind], np.ones(2)
    primitive = OPS[op]
    options = [primitive.defaults.get(name) for name in primitive.options]
    for i in range(len(primitive.operands)):
        operands = [bad if i == j else good for j in range(len(primitive.operands))]
        args = [[bad, good]] if primitive.variadic else operands
        with pytest.raises(TypeError, match=rf"{op}: .*(dtype|rectangular)"):
            primitive(*args, *options)
        with pytest.raises(TypeError, match=r"dtype|rectangular"):
            Tensor(bad)


@pytest.mark.parametrize("op", sorted(name for name, op in OPS.items() if op.kernel))
def test_kernels_are_fed_floats_only(op):
    primitive = OPS[op]
    options = [primitive.defaults.get(name) for name in primitive.options]
    for dtype in (np.int64, np.uint8, bool):
        for i, name in enumerate(primitive.operands):
            operands = [np.ones(2, dtype if i == j else np.float32) for j in range(len(primitive.operands))]
            with pytest.raises(TypeError, match=f"{op}: {name} must be floating, got dtype"):
                primitive(*operands, *options)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "maximum", "minimum"])
@pytest.mark.parametrize("wrap", [Tensor, np.asarray], ids=["Tensors", "arrays"])
def test_the_dtype_in_which_operands_meet(name, wrap):
    """PyTorch's rule: floats beat integers, arrays beat 0-d arrays, which beat Python numbers."""
    f = FUNCTIONS[name]
    single, double, whole = np.ones(2, "f4"), np.ones(2, "f8"), np.ones(2, "i8")
    number = np.array(1.0)
    assert f(wrap(single), wrap(whole)).dtype == np.float32
    assert f(wrap(whole), wrap(single)).dtype == np.float32
    assert f(wrap(single), wrap(double)).dtype == np.float64
    assert f(wrap(single), wrap(number)).dtype == np.float32
    assert f(wrap(number), wrap(single)).dtype == np.float32
    assert f(wrap(whole), wrap(number)).dtype == np.float64
    assert f(wrap(single), 1.5).dtype == np.float32
    assert f(2, wrap(single)).dtype == np.float32
    assert f(wrap(whole), 1.5).dtype == np.float32
    if name != "div":
        assert f(wrap(whole), 2).dtype == np.int64
        assert f(wrap(np.ones(2, "u1")), wrap(np.ones(2, "i2"))).dtype == np.int16


def test_numpy_scalars_beside_a_tensor_count_as_numbers():
    x = Tensor(np.ones(2, np.float32))
    assert (x * np.float64(2)).dtype == np.float32
    assert (np.float64(2) * x).dtype == np.float32
    assert (x + np.int64(2)).dtype == np.float32
    assert (x * np.sqrt(2)).dtype == np.float32


def test_gradients_of_mixed_operands_have_the_operands_dtypes():
    seen = []
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    w = Tensor(np.full(3, 2.0), requires_grad=True)
    h = x * 1.0
    h.register_hook(lambda g: seen.append(g.dtype))
    (h * w).sum().backward()
    assert seen == [np.float32]
    assert x.grad.dtype == np.float32
    assert w.grad.dtype == np.float64
