"""Hooks on Tensors, and gradients of intermediate results."""

import weakref

import numpy as np
import pytest

from tinydl.autograd import grad
from tinydl.tensor import Tensor


@pytest.fixture
def x():
    return Tensor([1.0, 2.0, 3.0], requires_grad=True)


def test_hooks_see_the_whole_gradient_and_may_replace_it(x):
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g.tolist()))
    (y + y).sum().backward()
    assert seen == [[2, 2, 2], [40, 40, 40]]
    assert x.grad.tolist() == [40, 40, 40]


def test_a_hook_can_be_removed(x):
    handle = x.register_hook(lambda g: g * 0)
    (x * 2).sum().backward()
    handle.remove()
    handle.remove()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_hooks_are_part_of_the_graph_when_that_is_recorded(x):
    y = x * x
    y.register_hook(lambda g: g * x)
    (g,) = grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [2 * v * v for v in (1, 2, 3)]
    assert grad(g.sum(), x)[0].tolist() == [4 * v for v in (1, 2, 3)]


def test_a_hook_that_returns_another_shape_is_refused(x):
    x.register_hook(lambda g: g.sum())
    with pytest.raises(ValueError, match=r"a hook returned a gradient of shape \(\), needed \(3,\)"):
        (x * 2).sum().backward()
    assert x.grad is None


def test_a_gradient_that_a_hook_returned_is_not_the_hooks_array(x):
    constant = Tensor([1.0, 1.0, 1.0])
    x.register_hook(lambda g: constant)
    for _ in range(3):
        (x * 2).sum().backward()
    assert constant.tolist() == [1, 1, 1]
    assert x.grad.tolist() == [3, 3, 3]


def test_hooks_need_a_gradient():
    with pytest.raises(RuntimeError, match="register_hook needs a Tensor that requires a gradient"):
        Tensor([1.0]).register_hook(print)


def test_retain_grad_keeps_the_gradient_of_a_result(x):
    middle = x * x
    middle.retain_grad()
    x.retain_grad()
    y = (middle * 3).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert middle.grad.tolist() == [6, 6, 6]
    assert x.grad.tolist() == [12, 24, 36]


def test_retained_gradients_are_arrays_of_their_own(x):
    a = x * 1.0
    b = a + 1.0
    a.retain_grad()
    b.retain_grad()
    b.sum().backward(retain_graph=True)
    b.sum().backward()
    assert a.grad.tolist() == b.grad.tolist() == [2, 2, 2]
    assert not np.shares_memory(a.grad.data, b.grad.data)


def test_retain_grad_does_not_keep_a_tensor_alive(x):
    middle = x * x
    middle.retain_grad()
    y = middle.sum()
    gone = weakref.ref(middle)
    del middle
    assert gone() is None
    y.backward()
