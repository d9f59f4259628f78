import json

import pytest

from tinydl.optim import SGD
from tinydl.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from tinydl.tensor import Tensor

SCHEDULES = {
    "step": lambda o: StepLR(o, 3, 0.5),
    "multi": lambda o: MultiStepLR(o, [2, 6], 0.5),
    "exponential": lambda o: ExponentialLR(o, 0.9),
    "linear": lambda o: LinearLR(o, 0.25, 1, 8),
    "cosine": lambda o: CosineAnnealingLR(o, 20),
    "lambda": lambda o: LambdaLR(o, lambda t: 1 / (1 + t)),
    "cycle": lambda o: OneCycleLR(o, 1.0, total_steps=20),
    "plateau": lambda o: ReduceLROnPlateau(o, patience=1, cooldown=1),
    "sequence": lambda o: SequentialLR(o, [LinearLR(o, 0.1, 1, 4), CosineAnnealingLR(o, 9)], [4]),
}


def optimizer(lr=0.1):
    return SGD([{"params": [Tensor([1.0])]}, {"params": [Tensor([1.0])], "lr": lr / 2}], lr=lr, momentum=0.9)


def advance(schedule, steps):
    rows = []
    for _ in range(steps):
        schedule.step(*([1.0] if isinstance(schedule, ReduceLROnPlateau) else []))
        rows.append([(group["lr"], group["momentum"]) for group in schedule.optimizer.param_groups])
    return rows


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES.keys())
@pytest.mark.parametrize("done", [0, 3, 4, 7])
def test_a_loaded_schedule_goes_on_bit_for_bit(make, done):
    first, second = optimizer(), optimizer(lr=0.4)
    whole, resumed = make(first), make(second)
    advance(whole, done)
    states = first.state_dict(), whole.state_dict()
    second.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    assert resumed.get_last_lr() == whole.get_last_lr()
    assert resumed.state_dict() == whole.state_dict()
    assert advance(resumed, 8) == advance(whole, 8)


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_state_is_a_snapshot_of_plain_values(make):
    schedule = make(optimizer())
    advance(schedule, 5)
    state = schedule.state_dict()
    text = json.dumps(state)
    assert state["last_epoch"] == 5
    advance(schedule, 5)
    assert json.dumps(state) == text
    schedule.load_state_dict(json.loads(text))
    advance(schedule, 5)
    assert json.dumps(state) == text


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("other", SCHEDULES)
def test_the_state_of_another_schedule_is_refused(name, other):
    schedule, state = SCHEDULES[name](optimizer()), SCHEDULES[other](optimizer()).state_dict()
    before = schedule.state_dict()
    if name != other:
        with pytest.raises(ValueError, match="does not fit"):
            schedule.load_state_dict(state)
    assert schedule.state_dict() == before


@pytest.mark.parametrize(
    "change, words",
    [
        ({"gamma": 0.9}, "gamma: 0.5 here, 0.9 in the state"),
        ({"last_epoch": "3"}, "last_epoch: int here, str"),
        ({"base_lrs": [0.1]}, "base_lrs: list of 2 float here, list of 1 float"),
        ({"base_lrs": [0.1, None]}, "base_lrs"),
        ({"unknown": 1}, "unknown: not known here"),
    ],
)
def test_differences_are_refused_and_nothing_changes(change, words):
    schedule = StepLR(optimizer(), 3, 0.5)
    advance(schedule, 4)
    before = schedule.state_dict()
    with pytest.raises(ValueError, match=words):
        schedule.load_state_dict(before | change)
    assert schedule.state_dict() == before


def test_differences_inside_a_sequence_are_refused_and_nothing_changes():
    schedule = SCHEDULES["sequence"](optimizer())
    advance(schedule, 5)
    before = schedule.state_dict()
    state = schedule.state_dict()
    state["last_epoch"] = 1
    state["schedulers"][0]["last_epoch"] = 1
    state["schedulers"][1]["T_max"] = 7
    with pytest.raises(ValueError, match=r"schedulers\[1\].T_max: 9 here, 7 in the state"):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before
    del state["schedulers"][1]
    with pytest.raises(ValueError, match="schedulers: 2 here, 1 in the state"):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before


def test_a_rule_of_ones_own():
    class Halving(LRScheduler):
        def get_lr(self):
            return [lr0 / 2**self.last_epoch for lr0 in self.base_lrs]

    schedule = Halving(optimizer())
    schedule.step()
    assert schedule.get_last_lr() == [0.05, 0.025]
    with pytest.raises(NotImplementedError, match="LRScheduler"):
        LRScheduler(optimizer())


def test_a_group_added_later_is_noticed():
    schedule = LambdaLR(optimizer(), lambda t: 0.5)
    schedule.optimizer.add_param_group({"params": [Tensor([1.0])]})
    with pytest.raises(ValueError, match="2 rates for 3 parameter groups"):
        schedule.step()


def test_get_last_lr_is_a_copy():
    schedule = StepLR(optimizer(), 1)
    schedule.get_last_lr()[0] = 5.0
    assert schedule.get_last_lr() == [0.1, 0.05]


def test_states_share_nothing_with_the_schedule():
    schedule = StepLR(optimizer(), 1)
    state = schedule.state_dict()
    state["base_lrs"][0] = 5.0
    assert schedule.base_lrs == [0.1, 0.05]
    schedule.load_state_dict(state)
    state["base_lrs"][0] = 7.0
    assert schedule.base_lrs == [5.0, 0.05]
