"""Which rules are used; changes in place of what the graph saved: every one is detected."""

from itertools import permutations

import numpy as np
import pytest

from tinydl import ops
from tinydl.modes import no_grad
from tinydl.rule import Plan, Rule
from tinydl.tensor import Tensor


@pytest.fixture
def x():
    return Tensor([1.0, 2.0, 3.0], requires_grad=True)


def test_a_changed_operand_is_detected(x):
    w = Tensor([1.0, 2.0, 3.0])
    y = (x * w).sum()
    w[0] = 5.0
    with pytest.raises(RuntimeError, match=r"backward of mul: its operand b was changed in place.*version 1, needed 0"):
        y.backward()
    assert x.grad is None


def test_a_changed_result_is_detected(x):
    y = x.exp()
    z = y.sum()
    with no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="backward of exp: its result was changed in place"):
        z.backward()


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t[1:],
        lambda t: t.reshape(2, 2),
        lambda t: t.unsqueeze(0).transpose(0, 1),
        lambda t: t.detach(),
        lambda t: t.flip(0),
        lambda t: t.to("float32"),
        lambda t: Tensor(t),
        lambda t: t.split(2)[1],
    ],
)
def test_a_change_is_seen_through_views(view):
    big = Tensor(np.ones(4, np.float32))
    x = Tensor(np.ones(4, np.float32), requires_grad=True)
    y = (x * big).sum()
    seen = view(big)
    assert np.shares_memory(seen.data, big.data)
    seen[0] = 3.0
    with pytest.raises(RuntimeError, match="operand b was changed in place"):
        y.backward()


def test_a_change_of_the_base_is_seen_by_what_kept_the_view(x):
    base = Tensor(np.ones((2, 3), np.float32))
    y = (x * base[0]).sum()
    base.zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.add_(1),
        lambda t: t.sub_(1, alpha=2),
        lambda t: t.mul_(2),
        lambda t: t.div_(2),
        lambda t: t.copy_(np.zeros(3)),
        lambda t: t.fill_(7),
        lambda t: t.zero_(),
        lambda t: t.__setitem__(0, 1),
        lambda t: t.__iadd__(1),
        lambda t: t.__isub__(1),
        lambda t: t.__imul__(1),
        lambda t: t.__itruediv__(1),
        lambda t: setattr(t, "data", np.zeros(3)),
        lambda t: t.mark_changed(),
    ],
)
def test_every_way_to_change_a_tensor_is_counted(x, change):
    w = Tensor([1.0, 2.0, 3.0])
    y = (x * w).sum()
    change(w)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


@pytest.mark.parametrize(
    "needs, wanted",
    [
        ({0}, ["x"]),
        ({1}, ["weight, bias"]),
        ({2}, ["weight, bias"]),
        ({0, 1}, ["x", "weight, bias"]),
        ({0, 2}, ["x", "weight, bias"]),
        ({1, 2}, ["weight, bias"]),
        ({0, 1, 2}, ["all"]),
        (set(), []),
    ],
)
def test_each_gradient_comes_from_one_rule_and_several_from_one_where_all_are_needed(needs, wanted):
    given = {"x": (0,), "weight, bias": (1, 2), "all": (0, 1, 2)}
    for names in permutations(given):
        rules = [Rule(name, given[name], ()) for name in names]
        plan = Plan(rules, {}, frozenset(needs), False)
        assert {step.function for step in plan.steps} == set(wanted)
        assert len(plan.steps) == len(wanted)


def test_a_change_that_nobody_saved_does_no_harm(x):
    y = x + 1
    with no_grad():
        y.mul_(100)
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_an_optimizers_step_between_forward_and_backward_is_detected():
    w = Tensor([[1.0]], requires_grad=True)
    loss = ops.linear(Tensor([[2.0]], requires_grad=True), w).sum()
    with no_grad():
        w -= 0.1
    with pytest.raises(RuntimeError, match="operand weight was changed in place"):
        loss.backward()
