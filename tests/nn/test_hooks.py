import copy

import numpy as np
import pytest

from tinydl import nn
from tinydl.autograd import grad
from tinydl.nn.hooks import Bystander
from tinydl.tensor import Tensor


def line(weight=3.0):
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data[...] = weight
    return layer


def test_a_pre_hook_sees_and_replaces_the_arguments():
    layer, seen = line(), []
    first = layer.register_forward_pre_hook(lambda m, args: seen.append((m, args)))
    layer.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
    layer.register_forward_pre_hook(lambda m, args: args[0] + 1)
    x = Tensor([1.0])
    assert layer(x).item() == 9
    assert seen[0][0] is layer
    assert seen[0][1][0] is x
    first.remove()
    first.remove()
    layer(x)
    assert len(seen) == 1


def test_a_hook_sees_and_replaces_the_output():
    layer, seen = line(), []
    layer.register_forward_hook(lambda m, args, y: seen.append((args[0].item(), y.item())))
    with layer.register_forward_hook(lambda m, args, y: y * 10):
        assert layer(Tensor([2.0])).item() == 60
    assert layer(Tensor([2.0])).item() == 6
    assert seen == [(2.0, 6.0), (2.0, 6.0)]


def test_a_hook_may_remove_itself():
    layer, calls = line(), []

    def once(*_):
        calls.append(1)
        handle.remove()

    handle = layer.register_forward_hook(once)
    layer.register_forward_hook(lambda *_: calls.append(2))
    layer(Tensor([1.0]))
    layer(Tensor([1.0]))
    assert calls == [1, 2, 2]


def test_copies_have_their_own_hooks():
    layer, calls = line(), []
    layer.register_forward_hook(lambda *_: calls.append(1))
    other = copy.deepcopy(layer)
    other.register_forward_hook(lambda *_: calls.append(2))
    layer(Tensor([1.0]))
    assert calls == [1]


def test_a_backward_hook_sees_this_modules_share_of_the_gradient():
    layer, seen = line(), []
    layer.register_full_backward_hook(lambda m, gx, gy: seen.append((gx[0].tolist(), gy[0].tolist())))
    x = Tensor([1.0], requires_grad=True)
    y = layer(x)
    (y * 5 + y + x * 100).sum().backward()
    assert seen == [([18.0], [6.0])]
    assert x.grad.item() == 118
    assert layer.weight.grad.item() == 6


def test_a_backward_hook_replaces_the_gradient_of_the_input():
    layer = line()
    layer.register_full_backward_hook(lambda m, gx, gy: (gx[0] * 10,))
    x = Tensor([1.0], requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.item() == 30
    (g,) = grad(layer(x).sum(), x, create_graph=True)
    assert g.item() == 30
    g.backward()
    assert layer.weight.grad.item() == 11


def test_a_backward_hook_without_a_gradient_for_the_input():
    layer, seen = line(), []
    layer.register_full_backward_hook(lambda m, gx, gy: seen.append((gx, gy[0].item())))
    layer(Tensor([1.0])).sum().backward()
    assert seen == [((None,), 1.0)]
    layer.requires_grad_(False)
    assert not layer(Tensor([1.0])).requires_grad


def test_a_backward_hook_on_a_module_that_returns_its_input():
    layer, seen = nn.Identity(), []
    layer.register_full_backward_hook(lambda m, gx, gy: seen.append(gx[0].item()))
    x = Tensor([1.0], requires_grad=True)
    (layer(x) * 2 + x).sum().backward()
    assert seen == [2.0]
    assert x.grad.item() == 3


def test_a_backward_hook_needs_one_tensor_in_and_out():
    loss = nn.MSELoss()
    loss.register_full_backward_hook(lambda *_: None)
    with pytest.raises(TypeError, match="MSELoss"):
        loss(Tensor([1.0]), Tensor([1.0]))
    with pytest.raises(TypeError, match="one Tensor in"):
        loss(np.ones(1))
    cell = nn.LSTMCell(1, 1)
    cell.register_full_backward_hook(lambda *_: None)
    with pytest.raises(TypeError, match="LSTMCell"):
        cell(Tensor([[1.0]]))


def test_a_bystander_is_called_and_looks_at_no_values():
    layer, seen = line(), []
    layer.register_forward_pre_hook(Bystander(lambda m, args: seen.append("before")))
    handle = layer.register_forward_hook(Bystander(lambda m, args, y: seen.append("after")))
    assert layer(Tensor([1.0])).item() == 3
    assert seen == ["before", "after"]
    assert not layer._hooks.look_at_values()
    watcher = layer.register_full_backward_hook(lambda m, gx, g: None)
    assert layer._hooks.look_at_values()
    watcher.remove()
    handle.remove()
    assert not layer._hooks.look_at_values()
