from collections import OrderedDict

import numpy as np
import pytest

from tinydl import nn
from tinydl.tensor import Tensor


class Plus(nn.Module):
    def __init__(self, amount):
        self.amount = nn.Parameter([float(amount)])

    def forward(self, x):
        return x + self.amount


class Times(Plus):
    def forward(self, x):
        return x * self.amount


def amounts(container):
    return [m.amount.item() for m in container]


def names(container):
    return [name for name, _ in container.named_children()]


# ---- Sequential


def test_sequential_calls_in_order():
    assert nn.Sequential(Plus(1), Times(10), Plus(2))(Tensor([3.0])).item() == 42
    x = Tensor([1.0])
    assert nn.Sequential()(x) is x


def test_sequential_by_names():
    model = nn.Sequential(OrderedDict([("add", Plus(1)), ("scale", Times(2))]))
    assert list(model.state_dict()) == ["add.amount", "scale.amount"]
    assert model.add is model[0]
    assert model(Tensor([1.0])).item() == 4
    assert names(nn.Sequential({"a": Plus(1), "b": Plus(2), "c": Plus(3)})[1:]) == ["b", "c"]


def test_sequential_is_indexed_as_a_list():
    model = nn.Sequential(*map(Plus, range(5)))
    assert len(model) == 5
    assert model[-1] is model[4]
    part = model[1:4:2]
    assert isinstance(part, nn.Sequential)
    assert amounts(part) == [1, 3]
    assert part[0] is model[1]
    assert names(part) == ["1", "3"]
    model[0] = Plus(9)
    model[-1] = Plus(8)
    assert amounts(model) == [9, 1, 2, 3, 8]
    for index in (5, -6):
        with pytest.raises(IndexError, match=f"Sequential has 5 modules, got index {index}"):
            model[index]
        with pytest.raises(IndexError, match="has 5 modules"):
            model[index] = Plus(1)


@pytest.mark.parametrize("kind", [nn.Sequential, lambda *modules: nn.ModuleList(modules)])
def test_growing_and_shrinking(kind):
    container = kind(Plus(0), Plus(1))
    assert container.append(Plus(2)) is container
    container.extend([Plus(3), Plus(4)]).insert(1, Plus(9))
    assert amounts(container) == [0, 9, 1, 2, 3, 4]
    del container[-1]
    del container[0]
    assert amounts(container) == [9, 1, 2, 3]
    del container[1:3]
    assert amounts(container) == [9, 3]
    assert names(container) == ["0", "1"]
    container.append(Plus(5))
    assert amounts(container) == [9, 3, 5]


def test_deleting_keeps_given_names():
    model = nn.Sequential({"a": Plus(1), "b": Plus(2), "c": Plus(3)})
    del model[1]
    assert names(model) == ["a", "c"]


@pytest.mark.parametrize("module", [None, 3, lambda x: x, nn.ReLU, [Plus(1)]])
def test_what_is_no_module_is_refused(module):
    for make in (
        lambda: nn.Sequential(module),
        lambda: nn.Sequential({"a": module}),
        lambda: nn.ModuleList([module]),
        lambda: nn.ModuleDict({"a": module}),
        lambda: nn.Residual(module),
    ):
        with pytest.raises(TypeError, match="must be a Module"):
            make()


@pytest.mark.parametrize("name", ["a.b", "", "forward", "training", "append"])
def test_names_that_cannot_be_used_are_refused(name):
    with pytest.raises(ValueError, match="name"):
        nn.Sequential({name: Plus(1)})


def test_one_module_twice():
    layer = Plus(1)
    model = nn.Sequential(layer, layer)
    assert model(Tensor([0.0])).item() == 2
    assert len(list(model.parameters())) == 1


# ---- ModuleList and ModuleDict


def test_module_list():
    modules = nn.ModuleList(map(Plus, range(3)))
    assert list(modules.state_dict()) == ["0.amount", "1.amount", "2.amount"]
    assert isinstance(modules[1:], nn.ModuleList)
    assert names(modules[1:]) == ["0", "1"]
    assert len(nn.ModuleList()) == 0
    with pytest.raises(NotImplementedError, match="ModuleList"):
        modules(1)


def test_module_dict():
    modules = nn.ModuleDict({"one": Plus(1)})
    modules["two"] = Plus(2)
    modules.update({"one": Plus(7)})
    assert list(modules) == list(modules.keys()) == ["one", "two"]
    assert amounts(modules.values()) == [7, 2]
    assert modules["two"] is modules.two
    assert dict(modules.items())["one"] is modules["one"]
    assert "one" in modules
    assert "training" not in modules
    assert len(modules) == 2
    del modules["one"]
    assert list(modules.state_dict()) == ["two.amount"]
    for key in ("one", "training"):
        with pytest.raises(KeyError):
            modules[key]
        with pytest.raises(KeyError):
            del modules[key]
    with pytest.raises(ValueError, match="'items' is taken"):
        modules["items"] = Plus(1)


# ---- Residual


def test_residual():
    assert nn.Residual(Times(3))(Tensor([2.0])).item() == 8
    model = nn.Residual(Times(3), Times(10))
    assert model(Tensor([2.0])).item() == 26
    assert list(model.state_dict()) == ["block.amount", "shortcut.amount"]
    x = Tensor([2.0], requires_grad=True)
    model(x).backward()
    assert x.grad.item() == 13


def test_residual_refuses_to_broadcast():
    with pytest.raises(ValueError, match=r"block gives \(2, 1\), the shortcut \(2, 3\)"):
        nn.Residual(nn.Linear(3, 1))(np.ones((2, 3), np.float32))
