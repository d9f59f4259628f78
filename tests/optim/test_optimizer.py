from typing import ClassVar

import numpy as np
import pytest
from training import KINDS, parameters

from tinydl.optim import SGD, Adam, Optimizer
from tinydl.tensor import Tensor

# ---- parameters and groups


@pytest.mark.parametrize("params", [[], iter([]), [{"params": []}]])
def test_refuses_no_parameters(params):
    with pytest.raises(ValueError, match="empty"):
        SGD(params, lr=0.1)


@pytest.mark.parametrize(
    "params",
    [
        Tensor([1.0]),
        5,
        "weights",
        {"params": [Tensor([1.0])]},
        {Tensor([1.0])},
        [np.ones(2)],
        [Tensor([1, 2])],
        [1.0],
        [("w", Tensor([1.0])), Tensor([2.0])],
        [{"lr": 0.1}],
        [{"params": [Tensor([1.0])]}, Tensor([2.0])],
    ],
)
def test_refuses_what_is_no_list_of_float_tensors(params):
    with pytest.raises(TypeError, match="params"):
        SGD(params, lr=0.1)


def test_refuses_duplicates():
    p, q = Tensor([1.0]), Tensor([2.0])
    with pytest.raises(ValueError, match="twice"):
        SGD([p, q, p], lr=0.1)
    with pytest.raises(ValueError, match="twice"):
        SGD([{"params": [p]}, {"params": [q, p]}], lr=0.1)


def test_groups_have_their_own_options():
    p, q, r = parameters()
    optimizer = SGD([{"params": [p]}, {"params": q, "lr": 0.5, "name": "head"}], lr=0.1, momentum=0.9)
    optimizer.add_param_group({"params": iter([r]), "momentum": 0})
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.5, 0.1]
    assert [g["momentum"] for g in optimizer.param_groups] == [0.9, 0.9, 0.0]
    assert optimizer.param_groups[1]["name"] == "head"
    before = [t.data.copy() for t in (p, q, r)]
    for t in (p, q, r):
        t.grad = Tensor(np.ones(t.shape, np.float32))
    optimizer.step()
    for t, old, lr in zip((p, q, r), before, (0.1, 0.5, 0.1)):
        np.testing.assert_allclose(t.data, old - np.float32(lr), rtol=1e-6)


def test_a_refused_group_adds_nothing():
    p, q = Tensor([1.0]), Tensor([2.0])
    optimizer = SGD([p], lr=0.1)
    for group in ({"params": [q], "lr": -1}, {"params": [q, p]}, {"params": [q, np.ones(2)]}, {"lr": 1.0}, [q]):
        with pytest.raises((ValueError, TypeError)):
            optimizer.add_param_group(group)
        assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [q]})
    assert len(optimizer.param_groups) == 2


def test_named_parameters():
    p, q, _ = parameters()
    optimizer = SGD([("w", p), ("b", q)], lr=0.1)
    assert optimizer.param_groups[0]["params"] == [p, q]
    assert optimizer.param_groups[0]["param_names"] == ["w", "b"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["w", "b"]


# ---- steps


def test_parameters_without_gradient_are_left_alone():
    p, q, r = parameters()
    optimizer = Adam([p, q, r], weight_decay=0.1)
    q.grad = Tensor(np.ones(4, np.float32))
    before = [t.data.copy() for t in (p, q, r)]
    optimizer.step()
    assert np.array_equal(p.data, before[0])
    assert np.array_equal(r.data, before[2])
    assert not np.array_equal(q.data, before[1])
    assert set(optimizer.state_dict()["state"]) == {1}


@pytest.mark.parametrize("kind, options", KINDS)
def test_step_writes_in_place_and_says_so(backend, kind, options):
    p = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    array, versions = p.data, []
    optimizer = kind([p], **options)
    gradient = np.full((2, 3), 2, np.float32)
    for _ in range(2):
        p.grad = Tensor(gradient)
        optimizer.step()
        versions.append(p._version.count)
    assert p.data is array
    assert not np.array_equal(array, np.ones((2, 3)))
    assert versions[0] > 0
    assert versions[1] > versions[0]
    assert np.array_equal(gradient, np.full((2, 3), 2))


@pytest.mark.parametrize("kind, options", KINDS)
def test_all_layouts_give_the_same_step(backend, kind, options):
    rng = np.random.default_rng(3)
    start, grads = rng.standard_normal((4, 3, 2, 5)), rng.standard_normal((3, 4, 3, 2, 5))
    arrays = [start.copy(), np.asfortranarray(start), np.zeros((8, 3, 2, 10))[::2, :, :, ::-2]]
    arrays[2][...] = start
    for g_order in ("C", "F"):
        results = []
        for array in arrays:
            p = Tensor(array.copy() if array.flags.forc else array, requires_grad=True)
            p.data[...] = start
            optimizer = kind([p], **options)
            for g in grads:
                p.grad = Tensor(np.array(g, order=g_order))
                optimizer.step()
            results.append(p.data.copy())
        for result in results[1:]:
            np.testing.assert_allclose(result, results[0], rtol=1e-10)


@pytest.mark.parametrize("shape", [(2,), (3, 2), ()])
def test_a_gradient_that_does_not_fit_changes_nothing(shape):
    p, q = Tensor(np.ones(3, np.float32)), Tensor(np.ones((2, 3), np.float32))
    optimizer = SGD([p, q], lr=0.1, momentum=0.9)
    p.grad, q.grad = Tensor(np.ones(3, np.float32)), Tensor(np.ones(shape, np.float32))
    with pytest.raises(ValueError, match="gradient"):
        optimizer.step()
    q.grad = Tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match="gradient is float64"):
        optimizer.step()
    assert np.array_equal(p.data, np.ones(3))
    assert optimizer.state == {}


def test_a_parameter_that_changed_its_dtype_is_refused():
    p = Tensor(np.ones(3, np.float32))
    optimizer = SGD([p], lr=0.1, momentum=0.9)
    p.grad = Tensor(np.ones(3, np.float32))
    optimizer.step()
    p.data = np.ones(3)
    p.grad = Tensor(np.ones(3))
    with pytest.raises(ValueError, match="momentum_buffer is float32"):
        optimizer.step()


def test_nan_gradients_are_not_hidden(backend):
    for kind, options in KINDS:
        p = Tensor(np.ones(3), requires_grad=True)
        p.grad = Tensor(np.array([0.0, np.nan, 0.0]))
        optimizer = kind([p], **options)
        optimizer.step()
        assert np.isnan(p.data).tolist() == [False, True, False]


def test_closure_runs_with_gradients_and_its_value_returns():
    from tinydl.modes import is_grad_enabled, no_grad

    p = Tensor([1.0], requires_grad=True)
    optimizer = SGD([p], lr=0.5)

    def closure():
        assert is_grad_enabled()
        p.grad = Tensor(np.ones(1, np.float32))
        return "loss"

    with no_grad():
        assert optimizer.step(closure) == "loss"
    assert p.tolist() == [0.5]
    assert optimizer.step() is None


def test_zero_grad():
    p, q, _ = parameters()
    optimizer = SGD([p, q], lr=0.1)
    p.grad = Tensor(np.ones((2, 3), np.float32))
    optimizer.zero_grad(set_to_none=False)
    assert np.array_equal(p.grad.data, np.zeros((2, 3)))
    assert q.grad is None
    optimizer.zero_grad()
    assert p.grad is None


def test_the_base_has_no_rule_and_a_subclass_can_bring_one():
    class SignDescent(Optimizer):
        ranges: ClassVar = {"lr": "(0, 1]"}

        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def update(self, p, g, state, group):
            state["step"] = state.get("step", 0) + 1
            p.data[...] -= group["lr"] * np.sign(g)

    p = Tensor([1.0, 2.0])
    p.grad = Tensor([3.0, -4.0])
    SignDescent([p], lr=0.5).step()
    assert p.tolist() == [0.5, 2.5]
    with pytest.raises(ValueError, match=r"lr must be in \(0, 1\]"):
        SignDescent([p], lr=0)
    with pytest.raises(NotImplementedError, match="Optimizer"):
        Optimizer([p], {}).step()


def test_repr_names_the_options():
    text = repr(SGD([Tensor([1.0])], lr=0.25))
    assert "SGD(" in text
    assert "1 parameter" in text
    assert "lr=0.25" in text
