import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import safetensors.numpy
from states import Net, Position, same

from tinydl import checkpoint, nn, random, storage
from tinydl.checkpoint import CheckpointError, capture, load, load_weights, restore, save, save_weights
from tinydl.data import DataLoader, TensorDataset
from tinydl.nn.functional import cross_entropy
from tinydl.optim import EMA, SGD, Adam
from tinydl.optim.lr_scheduler import OneCycleLR, StepLR
from tinydl.tensor import Tensor

# ---- states


STATE = {
    "epoch": 3,
    "best": float("inf"),
    "groups": [{"betas": (0.9, 0.999), "lr": 0.1}],
    "state": {0: {"step": 7, "exp_avg": np.ones((2, 2), np.float32)}, 1: {}},
    "mask": np.array([True, False]),
    "none": None,
    "empty": np.zeros((0, 3)),
    "scalar": np.array(5, np.int8),
}


def test_save_and_load(tmp_path):
    save(STATE, tmp_path / "s")
    assert same(load(tmp_path / "s"), STATE)
    save([1, "two"], str(tmp_path / "s"))
    assert load(str(tmp_path / "s")) == [1, "two"]
    assert os.listdir(tmp_path) == ["s"]


def test_loaded_arrays_are_ones_own(tmp_path):
    save(STATE, tmp_path / "s")
    state = load(tmp_path / "s")
    state["mask"][...] = False
    assert same(load(tmp_path / "s"), STATE)


def test_every_damage_is_refused(tmp_path):
    path = tmp_path / "s"
    save({"w": np.ones(2, np.float32), 3: (float("nan"), None)}, path)
    data = path.read_bytes()
    for i in range(len(data)):
        for damaged in (data[:i], data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises(CheckpointError):
                load(path)


def test_what_cannot_be_saved_leaves_the_old_file(tmp_path):
    save(STATE, tmp_path / "s")
    for state in ({"a": np.array([object()])}, {"a": lambda: None}, {"a": np.ones(2, np.float16)}):
        with pytest.raises(TypeError, match=r"state\['a'\]"):
            save(state, tmp_path / "s")
    assert same(load(tmp_path / "s"), STATE)
    assert os.listdir(tmp_path) == ["s"]


def test_a_newer_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "FORMAT", storage.FORMAT + 1)
    save(STATE, tmp_path / "s")
    save_weights({"a": np.ones(1)}, tmp_path / "w")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 2"):
        load(tmp_path / "s")
    with pytest.raises(CheckpointError, match="format 2"):
        load_weights(tmp_path / "w", Net())


# ---- weights


def test_weights_go_to_another_model_and_to_other_programs(tmp_path):
    model, other = Net(), Net()
    model.count.data = np.array(5)
    save_weights(model, tmp_path / "w")
    arrays = load_weights(tmp_path / "w", other)
    for name, tensor in other.state_dict().items():
        assert np.array_equal(tensor.data, model.state_dict()[name].data)
        assert np.array_equal(arrays[name], tensor.data)
    theirs = safetensors.numpy.load_file(tmp_path / "w")
    assert same(dict(sorted(theirs.items())), dict(sorted(arrays.items())))


def test_weights_of_a_dict_and_of_another_program(tmp_path):
    model = Net()
    weights = {"weight": np.ones((2, 3), np.float32), "bias": Tensor([1.0, 2.0]), "count": np.array(9)}
    save_weights(weights, tmp_path / "w")
    load_weights(tmp_path / "w", model)
    assert model.bias.tolist() == [1, 2]
    safetensors.numpy.save_file(
        {"weight": np.zeros((2, 3), np.float32), "bias": np.zeros(2, np.float32), "count": np.array(1)}, tmp_path / "f"
    )
    load_weights(tmp_path / "f", model)
    assert model.bias.tolist() == [0, 0]


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda w: w.pop("bias"), ["bias"]),
        (lambda w: w.update(more=np.zeros(1)), ["more"]),
        (lambda w: w.update(weight=np.zeros((3, 2), np.float32)), ["weight"]),
        (lambda w: w.update(weight=np.zeros((2, 3))), ["weight"]),
        (lambda w: (w.pop("bias"), w.update(more=np.zeros(1), weight=np.zeros(1))), ["bias", "more", "weight"]),
    ],
)
def test_weights_that_differ_are_refused_and_the_model_is_untouched(tmp_path, change, words):
    model = Net()
    before = {name: np.array(t.data) for name, t in model.state_dict().items()}
    weights = {"weight": np.ones((2, 3), np.float32), "bias": np.ones(2, np.float32), "count": np.array(1)}
    change(weights)
    save_weights(weights, tmp_path / "w")
    with pytest.raises(ValueError) as caught:
        load_weights(tmp_path / "w", model)
    assert all(word in str(caught.value) for word in words)
    assert same({name: np.array(t.data) for name, t in model.state_dict().items()}, before)


def test_damaged_weights_are_refused(tmp_path):
    model, path = Net(), tmp_path / "w"
    save_weights(model, path)
    before, data = {name: np.array(t.data) for name, t in model.state_dict().items()}, path.read_bytes()
    for i in range(len(data)):
        for damaged in (data[:i], data[:i] + bytes([data[i] ^ 4]) + data[i + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises(CheckpointError):
                load_weights(path, model)
    assert same({name: np.array(t.data) for name, t in model.state_dict().items()}, before)


def test_one_kind_of_file_is_not_taken_for_the_other(tmp_path):
    save({"model": {"w": np.ones(1)}}, tmp_path / "s")
    save_weights({"w": np.ones(1)}, tmp_path / "w")
    with pytest.raises(CheckpointError, match="holds a training state"):
        load_weights(tmp_path / "s")
    with pytest.raises(CheckpointError, match="holds weights"):
        load(tmp_path / "w")


@pytest.mark.parametrize(
    "weights", [{0: np.ones(1)}, {"__metadata__": np.ones(1)}, {"w": np.array([None])}, {"w": "x"}]
)
def test_weights_need_names_and_numbers(tmp_path, weights):
    with pytest.raises(TypeError):
        save_weights(weights, tmp_path / "w")
    assert os.listdir(tmp_path) == []


# ---- a training


class Training:
    """A small training with everything that has a state: batch norm, dropout, shuffling, schedule, averages."""

    def __init__(self, seed=0):
        random.manual_seed(seed)
        self.model = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(48, 4)
        )
        self.optimizer = Adam(self.model.parameters(), lr=0.1)
        self.schedule = OneCycleLR(self.optimizer, 0.1, total_steps=20)
        self.ema = EMA(self.model, 0.9)
        rng = np.random.default_rng(6)
        rows = rng.standard_normal((20, 1, 6, 6)).astype(np.float32), rng.integers(0, 4, 20)
        self.loader = DataLoader(TensorDataset(*rows), batch_size=5, shuffle=True)
        self.batches = iter(())

    def parts(self):
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.schedule,
            "ema": self.ema,
            "loader": self.loader,
        }

    def restore(self, state):
        self.batches = iter(())
        return restore(state, **self.parts())

    def run(self, steps):
        for _ in range(steps):
            batch = next(self.batches, None)
            if batch is None:  # four batches make an epoch
                self.batches = iter(self.loader)
                batch = next(self.batches)
            self.optimizer.zero_grad()
            cross_entropy(self.model(batch[0]), batch[1]).backward()
            self.optimizer.step()
            self.schedule.step()
            self.ema.update()


def everything(training):
    return capture(**training.parts())


def test_resuming_is_going_on_bit_for_bit(tmp_path):
    whole = Training()
    whole.run(5)
    save(capture(**whole.parts(), extra={"epoch": 1, "history": [(0.5, None)]}), tmp_path / "s")
    whole.run(5)
    after_whole = everything(whole)
    resumed = Training(seed=99)
    resumed.run(2)
    extra = resumed.restore(load(tmp_path / "s"))
    assert extra == {"epoch": 1, "history": [(0.5, None)]}
    resumed.run(5)
    assert same(everything(resumed), after_whole)


def test_a_new_process_resumes_bit_for_bit(tmp_path):
    code = """
        import sys, importlib.util
        spec = importlib.util.spec_from_file_location("t", sys.argv[1])
        t = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(t)
        training = t.Training(seed=int(sys.argv[4]))
        if sys.argv[2] != "-":
            training.restore(t.load(sys.argv[2]))
        training.run(int(sys.argv[5]))
        t.save(t.everything(training), sys.argv[3])
    """

    def process(source, target, seed, steps):
        arguments = [__file__, source, target, str(seed), str(steps)]
        path = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))}
        subprocess.run([sys.executable, "-c", textwrap.dedent(code), *arguments], check=True, timeout=120, env=path)

    process("-", str(tmp_path / "ten"), 3, 10)
    process("-", str(tmp_path / "six"), 3, 6)
    process(str(tmp_path / "six"), str(tmp_path / "again"), 8, 4)
    assert (tmp_path / "again").read_bytes() != (tmp_path / "six").read_bytes()
    assert same(load(tmp_path / "again"), load(tmp_path / "ten"))


def test_a_capture_is_a_snapshot():
    training = Training()
    training.run(2)
    state = everything(training)
    kept = np.array(state["model"]["0.weight"]), np.array(state["optimizer"]["state"][0]["exp_avg"])
    training.run(2)
    assert np.array_equal(state["model"]["0.weight"], kept[0])
    assert np.array_equal(state["optimizer"]["state"][0]["exp_avg"], kept[1])
    training.restore(state)
    training.run(2)
    assert np.array_equal(state["model"]["0.weight"], kept[0])


def spoilt(state, part):
    """Return `state` with one part that does not fit."""
    if part == "model":
        return state | {"model": state["model"] | {"0.weight": np.zeros((5, 3), np.float32)}}
    if part == "optimizer":
        return state | {"optimizer": SGD([Tensor([1.0])], lr=0.1).state_dict()}
    if part == "scheduler":
        return state | {"scheduler": {"last_epoch": 3}}
    if part == "ema":
        return state | {"ema": state["ema"] | {"decay": 0.5}}
    if part == "loader":
        return state | {"loader": {}}
    return state | {"random": {"bit_generator": "MT19937"}}


@pytest.mark.parametrize("part", ["model", "optimizer", "scheduler", "ema", "loader", "random"])
def test_one_part_that_does_not_fit_and_nothing_changes(part):
    training = Training()
    training.run(3)
    state = everything(training)
    training.run(3)
    before = everything(training)
    arrays = [p.data for p in training.model.parameters()]
    with pytest.raises(CheckpointError, match=part):
        restore(spoilt(state, part), **training.parts())
    assert same(everything(training), before)
    assert all(p.data is array for p, array in zip(training.model.parameters(), arrays))


def test_what_each_part_said_is_listed():
    training = Training()
    state = spoilt(spoilt(spoilt(everything(training), "model"), "ema"), "random")
    with pytest.raises(CheckpointError) as caught:
        restore(state, **training.parts())
    assert all(word in str(caught.value) for word in ("model:", "weight", "ema:", "decay", "random:"))


def test_an_interruption_in_the_middle_is_undone():
    class Interrupted(Position):
        def load_state_dict(self, state):
            super().load_state_dict(state)
            if state["value"] == 3:
                raise KeyboardInterrupt

    training, last = Training(), Interrupted(3)
    training.run(3)
    state = capture(**training.parts(), last=last)
    training.run(3)
    last.value = 6
    before = capture(**training.parts(), last=last)
    with pytest.raises(KeyboardInterrupt):
        restore(state, **training.parts(), last=last)
    assert same(capture(**training.parts(), last=last), before)


def test_missing_and_extra_parts_are_refused():
    training = Training()
    state = everything(training)
    parts = training.parts()
    del parts["ema"]
    with pytest.raises(CheckpointError, match="scheduler2: missing from the state\nema: not known here"):
        restore(state, **parts, scheduler2=StepLR(training.optimizer, 1))
    with pytest.raises(CheckpointError, match="random: missing"):
        restore({}, **parts)


def test_parts_that_are_none_are_left_out():
    model = Net()
    state = capture(model=model, scheduler=None)
    assert list(state) == ["model", "random", "extra"]
    assert restore(state, model=model, scheduler=None, ema=None) is None


def test_what_has_no_state_is_refused():
    with pytest.raises(TypeError, match="loader must have state_dict"):
        capture(loader=[1, 2])
    with pytest.raises(TypeError, match="'random' is the name"):
        capture(random=Position())
    with pytest.raises(TypeError, match=r"state\['loader'\]\['value'\]"):
        capture(loader=Position(object()))


def test_the_public_names():
    assert {"save", "load", "save_weights", "load_weights", "capture", "restore"} <= set(checkpoint.__all__)
