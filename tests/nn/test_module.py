import copy
import gc
import weakref

import numpy as np
import pytest

from tinydl import nn
from tinydl.nn import Module, Parameter
from tinydl.tensor import Tensor


class Net(Module):
    """Two parameters of its own, a buffer of each kind, and modules inside."""

    def __init__(self):
        super().__init__()
        self.scale = Parameter(np.full(2, 2.0, np.float32))
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2, bias=False))
        self.register_buffer("seen", Tensor(np.zeros((), np.int64)))
        self.register_buffer("scratch", Tensor([1.0]), persistent=False)
        self.shift = Parameter(np.zeros(2, np.float32))
        self.note = "no parameter"

    def forward(self, x):
        return self.inner(x) * self.scale + self.shift


NAMES = ["scale", "shift", "inner.0.weight", "inner.0.bias", "inner.1.weight", "inner.1.bias", "inner.2.weight"]
STATE = [
    "scale", "shift", "seen", "inner.0.weight", "inner.0.bias", "inner.1.weight", "inner.1.bias",
    "inner.1.running_mean", "inner.1.running_var", "inner.1.num_batches_tracked", "inner.2.weight",
]  # fmt: skip


def x(n=4):
    return np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)


# ---- what is found inside


def test_names_in_pytorchs_order():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [name for name, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale", "net.shift"]
    assert [name for name, _ in net.named_buffers()][:2] == ["seen", "scratch"]
    assert [name for name, _ in net.named_children()] == ["inner"]
    assert [name for name, _ in net.named_modules()] == ["", "inner", "inner.0", "inner.1", "inner.2"]
    assert list(net.state_dict()) == STATE
    assert next(iter(net.state_dict(prefix="net."))) == "net.scale"
    assert [type(m).__name__ for m in net.modules()] == ["Net", "Sequential", "Linear", "BatchNorm1d", "Linear"]
    assert len(list(net.buffers())) == 5
    assert list(net.children()) == [net.inner]


def test_what_is_shared_comes_once_but_is_saved_under_every_name():
    net = Net()
    net.tied = nn.Linear(2, 3)
    net.tied.weight = net.inner[0].weight
    net.again = net.inner
    names = [name for name, _ in net.named_parameters()]
    assert names == [*NAMES, "tied.bias"]
    assert len([name for name, _ in net.named_parameters(remove_duplicate=False)]) == 14
    assert {"tied.weight", "inner.0.weight", "again.0.weight"} <= set(net.state_dict())
    assert sum(1 for _ in net.modules()) == 6
    net.load_state_dict(net.state_dict())


def test_get_submodule():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("inner.1") is net.inner[1]
    for target in ("inner.9", "scale", "inner.0.weight", "missing"):
        with pytest.raises(AttributeError, match=f"looking for '{target}'"):
            net.get_submodule(target)


# ---- registration


def test_super_init_may_be_forgotten():
    class Forgetful(Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)
            self.register_buffer("b", Tensor([0.0]))

    assert len(Forgetful().state_dict()) == 3
    assert Forgetful().training


def test_attributes_change_roles_only_on_purpose():
    net = Net()
    for value in (np.zeros(2), Tensor([0.0, 0.0]), 3.0):
        with pytest.raises(TypeError, match="scale is a Parameter"):
            net.scale = value
    with pytest.raises(TypeError, match="seen is a buffer"):
        net.seen = 3
    net.scale = None
    net.seen = None
    assert "scale" not in net.state_dict()
    assert "seen" not in net.state_dict()
    net.scale = Parameter([1.0])
    assert "scale" in dict(net.named_parameters())
    del net.inner
    assert [name for name, _ in net.named_parameters()] == ["scale", "shift"]


@pytest.mark.parametrize("name", ["", "a.b", 3, "forward", "training", "_buffers", "_hooks", "note"])
def test_names_that_cannot_be_used_are_refused(name):
    net = Net()
    before = set(vars(net))
    for register, value in (
        (net.register_buffer, Tensor([1.0])),
        (net.register_parameter, Parameter([1.0])),
        (net.add_module, nn.Identity()),
    ):
        with pytest.raises(ValueError, match="name"):
            register(name, value)
    assert set(vars(net)) == before


def test_registering_the_wrong_thing_is_refused():
    net = Net()
    for register in (net.register_buffer, net.register_parameter, net.add_module):
        with pytest.raises(TypeError, match="new must be a"):
            register("new", np.zeros(2))
    with pytest.raises(TypeError, match="shift is a Parameter"):
        net.register_buffer("shift", Tensor([1.0]))
    assert "shift" in dict(net.named_parameters())
    assert "shift" not in dict(net.named_buffers())


# ---- modes and conversions


def test_train_and_eval_reach_everything():
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())


def test_requires_grad_and_zero_grad():
    net = Net()
    net(x()).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(not p.grad.data.any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(x()).requires_grad
    net.requires_grad_()
    assert net(x()).requires_grad


def test_conversions_happen_in_place_and_leave_integers():
    net = Net()
    held = net.scale
    net(x()).sum().backward()
    assert net.double() is net
    assert held is net.scale
    assert {p.dtype for p in net.parameters()} == {p.grad.dtype for p in net.parameters()} == {np.dtype(np.float64)}
    assert net.inner[1].running_mean.dtype == np.float64
    assert net.seen.dtype == np.int64
    assert net.to("cpu").to("cpu", np.float32).scale.dtype == np.float32
    assert net.to(dtype="float64").scale.dtype == np.float64
    assert net.to(Tensor([1.0])).cpu().float().scale.dtype == np.float32


@pytest.mark.parametrize("target", ["cuda", np.int64, "float16", object(), Tensor([1])])
def test_other_targets_are_refused(target):
    net = Net()
    with pytest.raises(TypeError, match="float32 or float64"):
        net.to(target)
    assert net.scale.dtype == np.float32


def test_a_conversion_under_a_live_graph_is_noticed():
    net = Net()
    y = net(x()).sum()
    net.double()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_apply_goes_inside_out():
    order = []
    net = Net()
    assert net.apply(lambda m: order.append(type(m).__name__)) is net
    assert order == ["Linear", "BatchNorm1d", "Linear", "Sequential", "Net"]


# ---- saving and loading


def test_state_dict_shares_memory_and_is_detached():
    net = Net()
    state = net.state_dict()
    assert not any(t.requires_grad for t in state.values())
    net.scale.data[0] = 7
    assert state["scale"].data[0] == 7
    assert type(state["scale"]) is Tensor


@pytest.mark.parametrize(
    "convert", [lambda t: t, lambda t: t.data.copy(), lambda t: np.array(t.data, ">f8", order="F").astype(t.dtype)]
)
def test_what_is_saved_is_what_is_loaded(convert):
    source, target = Net(), Net()
    source(x())
    held = target.scale
    result = target.load_state_dict({name: convert(t) for name, t in source.state_dict().items()})
    assert repr(result) == "<All keys matched successfully>"
    assert target.scale is held
    for (name, a), b in zip(source.state_dict().items(), target.state_dict().values()):
        np.testing.assert_array_equal(a.data, b.data, name)
        assert not np.shares_memory(a.data, b.data)
    np.testing.assert_array_equal(source.eval()(x()).data, target.eval()(x()).data)


def test_loading_keeps_the_modules_dtype():
    state = {name: t.data.astype(np.float64) if t.dtype.kind == "f" else t for name, t in Net().state_dict().items()}
    net = Net()
    net.load_state_dict(state)
    assert net.scale.dtype == np.float32
    assert net.inner[1].running_var.dtype == np.float32


def test_every_difference_is_listed_and_nothing_is_changed():
    net = Net()
    before = {name: t.data.copy() for name, t in net.state_dict().items()}
    state = {name: np.asarray(t.data) + 1 for name, t in net.state_dict().items()}
    del state["shift"]
    state["inner.9.weight"] = np.zeros(1)
    state["inner.0.weight"] = np.zeros((2, 3))
    state["seen"] = np.float64(1.5)
    with pytest.raises(ValueError) as refused:
        net.load_state_dict(state)
    assert str(refused.value).splitlines() == [
        "Net: the state does not fit:",
        "  shift: missing from the state",
        "  inner.9.weight: not known here",
        "  seen: dtype float64 in the state, int64 here",
        "  inner.0.weight: shape (2, 3) in the state, (3, 2) here",
    ]
    for name, t in net.state_dict().items():
        np.testing.assert_array_equal(t.data, before[name], name)


def test_without_strict_only_names_may_differ():
    net = Net()
    result = net.load_state_dict({"scale": np.zeros(2), "other": np.zeros(2)}, strict=False)
    assert result.unexpected_keys == ["other"]
    assert result.missing_keys == STATE[1:]
    assert not net.scale.data.any()
    with pytest.raises(ValueError, match=r"scale: shape \(3,\)"):
        net.load_state_dict({"scale": np.zeros(3)}, strict=False)


def test_loading_under_a_live_graph_is_noticed():
    net = Net()
    y = net(x()).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_deepcopy_is_independent():
    net = Net()
    net(x())
    other = copy.deepcopy(net)
    assert other.scale is not net.scale
    np.testing.assert_array_equal(other.eval()(x()).data, net.eval()(x()).data)
    other.load_state_dict({name: np.asarray(t.data) * 0 for name, t in other.state_dict().items()})
    assert net.scale.data.any()
    assert list(other.state_dict()) == STATE
    other.register_buffer("more", Tensor([1.0]))
    assert "more" not in net.state_dict()


def test_a_module_dies_with_its_last_reference():
    gc.disable()
    try:
        net = Net()
        net(x()).sum().backward()
        gone = weakref.ref(net.inner[0])
        del net
        assert gone() is None
    finally:
        gc.enable()


# ---- calling


def test_forward_must_be_defined():
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        Module()(1)


def test_arguments_pass_through():
    class Add(Module):
        def forward(self, a, b=0, *, c=0):
            return a + b + c

    assert Add()(1, b=2, c=3) == 6
    add = Add()
    add.register_forward_hook(lambda *_: None)
    assert add(1, b=2, c=3) == 6
