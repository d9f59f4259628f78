import copy

import numpy as np
import pytest
from training import KINDS, frozen, parameters, train

from tinydl.optim import SGD, Adam, AdamW
from tinydl.tensor import Tensor


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
