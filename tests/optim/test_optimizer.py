import copy
from typing import ClassVar

import numpy as np
import pytest

from tinydl.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from tinydl.tensor import Tensor

KINDS = [
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (Adam, {"lr": 0.1}),
    (AdamW, {"lr": 0.1}),
    (RMSprop, {"lr": 0.1, "momentum": 0.5, "centered": True}),
]


def parameters(dtype=np.float32):
    rng = np.random.default_rng(1)
    return [Tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True) for shape in ((2, 3), (4,), ())]


def train(optimizer, steps, seed):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = Tensor(np.asarray(rng.standard_normal(p.shape), p.dtype))
        optimizer.step()


def frozen(optimizer):
    """Everything an optimizer could change, as comparable values."""
    state = optimizer.state_dict()
    entries = {
        i: {k: v if k == "step" else (v.tolist(), v.dtype) for k, v in e.items()} for i, e in state["state"].items()
    }
    return entries, copy.deepcopy(state["param_groups"])


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


# ---- state


@pytest.mark.parametrize("kind, options", KINDS)
def test_state_dict_has_pytorchs_layout(kind, options):
    p, q, r = parameters()
    optimizer = kind([{"params": [p, q]}, {"params": [r], "lr": 0.3}], **options)
    train(optimizer, 2, seed=0)
    state = optimizer.state_dict()
    assert set(state) == {"state", "param_groups"}
    assert [g["params"] for g in state["param_groups"]] == [[0, 1], [2]]
    assert [g["lr"] for g in state["param_groups"]] == [0.1, 0.3]
    names = {"step", "exp_avg", "exp_avg_sq"} if issubclass(kind, Adam) else set(optimizer.slots)
    for i, tensor in enumerate((p, q, r)):
        assert set(state["state"][i]) == names
        for name, value in state["state"][i].items():
            assert value == 2 if name == "step" else value.shape == tensor.shape


@pytest.mark.parametrize("kind, options", KINDS)
def test_a_loaded_optimizer_goes_on_bit_for_bit(backend, kind, options):
    through = parameters()
    whole = kind(through, **options)
    train(whole, 5, seed=0)
    halfway, state = [t.data.copy() for t in through], whole.state_dict()
    train(whole, 5, seed=1)
    resumed = [Tensor(a.copy(), requires_grad=True) for a in halfway]
    other = kind(resumed, **(options | {"lr": 0.7}))
    other.load_state_dict(state)
    train(other, 5, seed=1)
    for a, b in zip(through, resumed):
        assert np.array_equal(a.data, b.data)
    assert other.param_groups[0]["lr"] == 0.1


def test_state_dict_is_a_snapshot_and_loading_copies():
    optimizer = Adam(parameters())
    train(optimizer, 1, seed=0)
    state = optimizer.state_dict()
    before = copy.deepcopy(state["state"][0]["exp_avg"])
    train(optimizer, 3, seed=1)
    assert np.array_equal(state["state"][0]["exp_avg"], before)
    optimizer.load_state_dict(state)
    train(optimizer, 1, seed=2)
    assert np.array_equal(state["state"][0]["exp_avg"], before)
    assert state["state"][0]["step"] == 1


def test_state_takes_the_memory_order_of_the_parameter():
    p = Tensor(np.zeros((2, 4, 5, 3), np.float32).transpose(0, 3, 1, 2), requires_grad=True)
    optimizer = SGD([p], lr=0.1, momentum=0.9)
    train(optimizer, 1, seed=0)
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.state[p]["momentum_buffer"].strides == p.data.strides


def test_pytorchs_step_tensors_are_understood():
    optimizer = Adam(parameters())
    train(optimizer, 3, seed=0)
    state = optimizer.state_dict()
    for entry in state["state"].values():
        entry["step"] = np.array(3.0, np.float32)
    optimizer.load_state_dict(state)
    assert all(entry["step"] == 3 and type(entry["step"]) is int for entry in optimizer.state.values())


def spoil(what):
    """Return a function that makes a state wrong, and the words its error must have."""
    return {
        "no groups": (lambda s: s.pop("param_groups"), "param_groups: missing"),
        "no state": (lambda s: s.pop("state"), "state: missing"),
        "another key": (lambda s: s.update(epoch=3), "epoch: not known"),
        "a group less": (lambda s: s["param_groups"].pop(), r"param_groups\[1\].params: missing"),
        "a group more": (lambda s: s["param_groups"].append({"params": [3]}), r"param_groups\[2\].params: not known"),
        "other members": (lambda s: s["param_groups"][1].update(params=[2, 3]), r"\[2\] here, \[2, 3\] in the state"),
        "option missing": (lambda s: s["param_groups"][0].pop("eps"), r"param_groups\[0\].eps: missing"),
        "option unknown": (lambda s: s["param_groups"][0].update(amsgrad=True), r"\[0\].amsgrad: not known"),
        "option out of range": (lambda s: s["param_groups"][1].update(lr=float("nan")), "lr must be in"),
        "index": (lambda s: s["state"].update({7: {}}), r"state\[7\]: the parameters here are 0…2"),
        "index as text": (lambda s: s["state"].update({"0": {}}), r"state\['0'\]"),
        "shape": (
            lambda s: s["state"][0].update(exp_avg=np.zeros((3, 2), np.float32)),
            r"exp_avg: float32 \(2, 3\) here",
        ),
        "dtype": (lambda s: s["state"][0].update(exp_avg=np.zeros((2, 3))), "float64"),
        "array missing": (lambda s: s["state"][1].pop("exp_avg_sq"), r"state\[1\].exp_avg_sq: missing"),
        "array unknown": (lambda s: s["state"][1].update(max_exp_avg_sq=np.zeros(4)), "max_exp_avg_sq: not known"),
        "step missing": (lambda s: s["state"][2].pop("step"), r"state\[2\].step: missing"),
        "step NaN": (lambda s: s["state"][2].update(step=float("nan")), "nan in the state"),
        "step negative": (lambda s: s["state"][2].update(step=-1), "-1 in the state"),
        "step broken": (lambda s: s["state"][2].update(step=1.5), "1.5 in the state"),
    }[what]


@pytest.mark.parametrize(
    "what",
    [
        "no groups",
        "no state",
        "another key",
        "a group less",
        "a group more",
        "other members",
        "option missing",
        "option unknown",
        "option out of range",
        "index",
        "index as text",
        "shape",
        "dtype",
        "array missing",
        "array unknown",
        "step missing",
        "step NaN",
        "step negative",
        "step broken",
    ],
)
def test_a_state_that_differs_is_refused_and_nothing_changes(what):
    p, q, r = parameters()
    optimizer = Adam([{"params": [p, q]}, {"params": [r]}])
    train(optimizer, 2, seed=0)
    state = optimizer.state_dict()
    train(optimizer, 1, seed=1)
    before = frozen(optimizer)
    change, words = spoil(what)
    change(state)
    with pytest.raises(ValueError, match=words):
        optimizer.load_state_dict(state)
    assert frozen(optimizer) == before


def test_every_difference_is_listed():
    optimizer = Adam(parameters())
    train(optimizer, 2, seed=0)
    state = optimizer.state_dict()
    del state["state"][0]["exp_avg"]
    state["state"][1]["exp_avg"] = np.zeros(9, np.float32)
    state["state"][5] = {}
    with pytest.raises(ValueError) as caught:
        optimizer.load_state_dict(state)
    for words in ("state[0].exp_avg", "state[1].exp_avg", "state[5]"):
        assert words in str(caught.value)


@pytest.mark.parametrize("kind, options", KINDS)
@pytest.mark.parametrize("other, other_options", KINDS)
def test_the_state_of_another_kind_is_refused(kind, options, other, other_options):
    mine, theirs = kind(parameters(), **options), other(parameters(), **other_options)
    train(theirs, 1, seed=0)
    if issubclass(kind, Adam) and issubclass(other, Adam):  # the saved option says which of the two it is
        mine.load_state_dict(theirs.state_dict())
        assert mine.param_groups[0]["decoupled_weight_decay"] == (other is AdamW)
    elif kind is not other:
        with pytest.raises(ValueError, match=kind.__name__):
            mine.load_state_dict(theirs.state_dict())


def test_other_names_are_refused():
    p, q, _ = parameters()
    state = SGD([("w", p), ("b", q)], lr=0.1).state_dict()
    with pytest.raises(ValueError, match="param_names"):
        SGD([("b", p), ("w", q)], lr=0.1).load_state_dict(state)
    with pytest.raises(ValueError, match="param_names"):
        SGD([p, q], lr=0.1).load_state_dict(state)


def test_a_schedules_initial_lr_is_no_difference():
    with_schedule, without = SGD(parameters(), lr=0.1), SGD(parameters(), lr=0.2)
    with_schedule.param_groups[0]["initial_lr"] = 0.1
    without.load_state_dict(with_schedule.state_dict())
    assert without.param_groups[0]["initial_lr"] == 0.1
    with_schedule.load_state_dict(SGD(parameters(), lr=0.3).state_dict())
    assert with_schedule.param_groups[0]["lr"] == 0.3


def test_momentum_that_was_switched_off_can_still_be_resumed():
    optimizer = SGD(parameters(), lr=0.1, momentum=0.9)
    train(optimizer, 1, seed=0)
    optimizer.param_groups[0]["momentum"] = 0.0
    train(optimizer, 1, seed=1)
    other = SGD(parameters(), lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    assert frozen(other) == frozen(optimizer)
