"""How a function becomes an op: its arguments, its rules, what a call records and keeps alive."""

import inspect

import numpy as np
import pytest

from tinydl import ops
from tinydl.graph import Node, ancestors
from tinydl.op import FUSED, OPS, Op
from tinydl.rule import Saved
from tinydl.tensor import Tensor


def made(forward, contract="...", **flags):
    return Op(forward, contract, **{"keeps": (), "view": False, "variadic": False, "kernel": False, **flags})


def node_of(y):
    """Return the names of what a result's node keeps, and their values as arrays."""
    node = y._node
    names = list(dict.fromkeys(name for rule in OPS[node.op.name].rules for name in rule.wanted))
    return {name: value.array if isinstance(value, Saved) else value for name, value in zip(names, node.saved)}


# ---- arguments


def test_arguments_are_bound_as_python_would():
    scaled = made(lambda a, b=None, factor=1.0, shift=0.0: a * factor + shift + (0 if b is None else b), "..., ...")
    one = np.ones(1)
    assert scaled(one) == 1
    assert scaled(one, one) == 2
    assert scaled(one, None, 3.0) == 3
    assert scaled(one, factor=3.0, b=one) == 4
    assert scaled(a=one, shift=5.0) == 6
    assert scaled.operands == ("a", "b")
    assert scaled.options == ("factor", "shift")


@pytest.mark.parametrize("name", sorted(OPS))
def test_an_op_is_called_like_its_forward_function(name):
    primitive = OPS[name]
    assert tuple(inspect.signature(primitive.forward).parameters) == primitive.operands + primitive.options
    assert primitive.__doc__
    assert primitive.name in repr(primitive)


def test_the_operand_that_is_a_sequence():
    with pytest.raises(TypeError, match="cat misses the argument"):
        ops.cat()
    assert ops.cat(tensors=[np.ones(1)], dim=0).tolist() == [1]
    assert ops.cat(t for t in [np.ones(1), np.zeros(1)]).tolist() == [1, 0]
    x = Tensor([1.0], requires_grad=True)
    for join in (ops.cat, ops.stack):
        x.grad = None
        join(t for t in [x, x * 2]).sum().backward()
        assert x.grad.tolist() == [3]


# ---- rules


def test_a_rule_may_only_want_what_there_is():
    primitive = made(lambda x, factor=1.0: x * factor)
    for rule in (lambda g, z: g, lambda g, x_size: g, lambda g, factor_shape: g, lambda g, indices: g):
        with pytest.raises(TypeError, match="a derivative rule has no parameter"):
            primitive.vjp()(rule)
    with pytest.raises(ValueError, match="has operands"):
        primitive.vjp("z")(lambda g: g)


def test_rules_get_what_their_parameters_name():
    seen = {}
    primitive = made(lambda x, w, factor=2.0: (x * w * factor, "kept"), "..., ...", keeps=("extra",))

    @primitive.vjp("x")
    def by_x(g, w, y, x_shape, w_dtype, factor, extra):
        seen.update(w=w, y=y, x_shape=x_shape, w_dtype=w_dtype, factor=factor, extra=extra)
        return g * w * factor

    x, w = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0])
    primitive(x, w, 5.0).sum().backward()
    assert x.grad.tolist() == [15, 15]
    assert seen["w"].tolist() == [3]
    assert seen["y"].tolist() == [15, 30]
    assert (seen["x_shape"], seen["w_dtype"], seen["factor"], seen["extra"]) == ((2,), np.float32, 5.0, "kept")


def test_only_the_rules_that_are_needed_run():
    ran = []
    primitive = made(lambda a, b: a * b, "..., ...")
    primitive.vjp("a")(lambda g, b: ran.append("a") or g * b)
    primitive.vjp("b")(lambda g, a: ran.append("b") or g * a)
    a, b = Tensor([2.0], requires_grad=True), Tensor([3.0], requires_grad=True)
    primitive(a, b.detach()).sum().backward()
    primitive(a.detach(), b).sum().backward()
    assert ran == ["a", "b"]


# ---- what is kept alive


def test_a_call_keeps_no_more_than_its_rules_want():
    x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    w = Tensor(np.ones((4, 3), np.float32), requires_grad=True)
    assert (x + 1.0)._node.saved == [(2, 3)]
    assert ops.reshape(x, (3, 2))._node.saved == [(2, 3)]
    y = ops.sigmoid(x)
    assert [kept.array is y.data for kept in y._node.saved] == [True]
    assert [kept.array is x.data for kept in ops.log(x)._node.saved] == [True]
    assert {id(kept.array) for kept in ops.linear(x, w)._node.saved} == {id(x.data), id(w.data)}
    assert {id(kept.array) for kept in ops.linear(x, w.detach())._node.saved} == {id(w.data)}
    assert {id(kept.array) for kept in ops.linear(x.detach(), w)._node.saved} == {id(x.data)}


def test_nothing_is_kept_where_nothing_needs_a_gradient():
    assert ops.exp(Tensor([1.0]))._node is None


def test_results_without_a_slope_are_no_part_of_the_graph():
    x = Tensor([1.0, 2.0], requires_grad=True)
    for y in (x.long(), x > 1, x.argmax(), x.isnan(), ops.one_hot(Tensor([1]))):
        assert not y.requires_grad
        assert y._node is None


# ---- the graph


def test_nodes_are_numbered_in_the_order_of_creation():
    x = Tensor(1.0, requires_grad=True)
    a = x * 2
    b = x * 3
    c = a + b
    order = ancestors([c._node])
    assert order == [c._node, b._node, a._node]
    assert all(isinstance(node, Node) for node in order)
    assert ancestors([x]) == []


def test_a_node_does_not_keep_its_result_alive():
    x = Tensor(np.ones(3), requires_grad=True)
    y = x.exp()
    assert y not in [kept.tensor for kept in y._node.saved]


# ---- fused kernels


@pytest.mark.parametrize("name", sorted(FUSED))
def test_a_fused_kernel_has_a_composition_with_the_same_parameters(name):
    fused = FUSED[name]
    assert fused.composed is not fused.forward
    count = len(inspect.signature(fused.forward).parameters)
    assert len(inspect.signature(fused.composed).parameters) == count
    assert fused.__doc__


def test_a_fused_kernel_runs_on_arrays_and_is_composed_on_tensors():
    g, y = np.ones(2), np.array([0.25, 0.5])
    assert isinstance(FUSED["sigmoid_grad"](g, y), np.ndarray)
    for operands in ((Tensor(g), y), (g, Tensor(y)), (Tensor(g), Tensor(y))):
        result = FUSED["sigmoid_grad"](*operands)
        assert isinstance(result, Tensor)
        assert result.tolist() == FUSED["sigmoid_grad"](g, y).tolist()
