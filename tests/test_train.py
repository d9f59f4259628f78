"""The training loop: it learns, it stops, it goes on bit for bit."""

import os
import re
import signal
import warnings

import numpy as np
import pytest

import tinydl
from tinydl import checkpoint, nn
from tinydl.callbacks import Average, Checkpoint, CSVLog, EarlyStopping, Progress, Schedule
from tinydl.data import DataLoader, TensorDataset
from tinydl.nn.functional import cross_entropy
from tinydl.optim import EMA, SGD, Adam
from tinydl.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau
from tinydl.train import Callback, Interrupted, Trainer, evaluate, evaluating, fit


def blobs(n=200, seed=0):
    """Three well separated clouds in the plane."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, n)
    centres = np.array([[0, 3], [3, -2], [-3, -2]], np.float32)
    return (centres[labels] + draw.standard_normal((n, 2))).astype(np.float32), labels


def loader(n=200, seed=0, batch_size=16, shuffle=True):
    return DataLoader(TensorDataset(*blobs(n, seed)), batch_size, shuffle=shuffle)


def network(seed=0, dropout=0.0):
    tinydl.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3))


def weights(model):
    return {name: np.array(t.data) for name, t in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_fit_in_five_lines():
    model = network()
    history = fit(model, loader(), epochs=8, validation=loader(100, 1, shuffle=False))
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert history[-1]["train_loss"] < 0.5 * history[0]["train_loss"]
    assert history[-1]["validation_accuracy"] > 0.95
    assert model.training


def test_fit_equals_a_loop_by_hand():
    fitted, by_hand = network(), network()
    fit(fitted, loader(shuffle=False), epochs=2, optimizer=SGD(fitted.parameters(), lr=0.1, momentum=0.9))
    optimizer = SGD(by_hand.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        for x, y in loader(shuffle=False):
            optimizer.zero_grad()
            cross_entropy(by_hand(x), y).backward()
            optimizer.step()
    assert same(weights(fitted), weights(by_hand))


def test_evaluate_against_a_loop_and_restores_modes():
    model = network(dropout=0.5)
    model[1].eval()
    data = loader(50, shuffle=False, batch_size=16)
    measured = evaluate(model, data)
    assert [m.training for m in model.modules()] == [True, True, False, True, True, True]
    x, y = blobs(50)
    with evaluating(model):
        logits = model(tinydl.Tensor(x)).data
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(measured.loss, -np.mean(logp[np.arange(50), y]), rtol=1e-5)
    assert measured.accuracy == np.mean(logits.argmax(axis=1) == y)
    np.testing.assert_array_equal(measured.predictions, logits.argmax(axis=1))
    with pytest.raises(ValueError, match="at least one batch"):
        evaluate(model, [])


def test_accumulated_batches_equal_one_large_batch():
    small, large = (nn.Sequential(nn.Linear(2, 3)) for _ in range(2))
    large.load_state_dict(small.state_dict())
    fit(small, loader(64, batch_size=16, shuffle=False), epochs=1, optimizer=SGD(small.parameters(), 0.1), accumulate=2)
    fit(large, loader(64, batch_size=32, shuffle=False), epochs=1, optimizer=SGD(large.parameters(), 0.1))
    for a, b in zip(weights(small).values(), weights(large).values()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_an_epochs_last_gradients_are_not_carried_over():
    model = nn.Linear(2, 3)
    steps = []

    class Count(Callback):
        def on_step_end(self, trainer):
            steps.append(trainer.stepped)

    fit(model, loader(80, batch_size=16), epochs=2, accumulate=2, callbacks=[Count()])
    assert steps == [False, True, False, True, True] * 2
    assert all(p.grad is None for p in model.parameters())


def test_callbacks_see_the_gradients_that_the_optimizer_uses():
    model = nn.Linear(2, 3)
    norms, steps = [], []

    class Look(Callback):
        def on_gradients(self, trainer):
            norms.append(np.sqrt(sum(float((p.grad.data**2).sum()) for p in trainer.model.parameters())))
            steps.append(trainer.step)

    fit(model, loader(80, batch_size=16), epochs=1, accumulate=2, clip=0.01, callbacks=[Look()])
    assert steps == [2, 4, 5]
    assert norms == pytest.approx([0.01] * 3, rel=1e-3)


def test_clip_and_penalty():
    model = nn.Linear(2, 3)
    norms = []

    class Norm(SGD):
        def step(self, closure=None):
            norms.append(np.sqrt(sum(float((p.grad.data**2).sum()) for p in model.parameters())))
            return super().step(closure)

    fit(model, loader(), epochs=1, optimizer=Norm(model.parameters(), lr=0.1), clip=0.01)
    assert max(norms) <= 0.01 * (1 + 1e-5)
    plain, pulled = nn.Linear(2, 3), nn.Linear(2, 3)
    pulled.load_state_dict(plain.state_dict())
    for model, penalty in ((plain, None), (pulled, lambda m: (m.weight * m.weight).sum() * 0.1)):
        fit(model, loader(shuffle=False), epochs=5, optimizer=SGD(model.parameters(), 0.1), penalty=penalty)
    assert np.abs(pulled.weight.data).sum() < 0.7 * np.abs(plain.weight.data).sum()


@pytest.mark.parametrize("arguments", [{"epochs": 0}, {"accumulate": 0}, {"clip": 0.0}, {"clip": float("nan")}])
def test_numbers_out_of_range_are_refused(arguments):
    model = network()
    before = weights(model)
    with pytest.raises(ValueError, match=next(iter(arguments))):
        fit(model, loader(), **arguments)
    assert same(weights(model), before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(bad):
    x, y = blobs(64)
    x[40] = bad
    model = nn.Linear(2, 3)
    seen = []

    class Remember(Callback):
        def on_step_end(self, trainer):
            seen.append(weights(model))

    data = DataLoader(TensorDataset(x, y), 16)
    with pytest.raises(FloatingPointError, match="at step 2"), np.errstate(invalid="ignore"):
        fit(model, data, epochs=1, callbacks=[Remember()])
    assert len(seen) == 2
    assert same(weights(model), seen[-1])


def test_after_an_error_the_last_good_checkpoint_stays():
    """A step whose gradient overflows spoils the weights before any loss shows it: they must not be saved."""
    model, saved = nn.Linear(2, 3), []

    class Spoil(Callback):
        def on_step_end(self, trainer):
            if trainer.step == 6:
                model.weight.data = np.full((3, 2), np.nan, np.float32)

    keep = Checkpoint(lambda: saved.append(weights(model)), lambda: None, "train_accuracy")
    with pytest.raises(FloatingPointError, match="at step 6"):
        fit(model, loader(64), epochs=3, callbacks=[Spoil(), keep])
    assert len(saved) == 1
    assert all(np.isfinite(array).all() for array in saved[0].values())


class StopAt(Callback):
    """Sends a signal to this process after some step."""

    def __init__(self, step, number=signal.SIGINT):
        self.step, self.number = step, number

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("step", [5, 13, 20])  # in the first epoch, on its last batch, in the second
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, step, number):
    def setup():
        model = network(3, dropout=0.3)
        data = loader()
        optimizer = Adam(model.parameters(), lr=0.01)
        schedule = OneCycleLR(optimizer, 0.01, total_steps=3 * len(data))
        ema = EMA(model, 0.9)
        parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "loader": data, "ema": ema}
        return parts, [Average(ema), Schedule(schedule, "step")]

    def trainer(parts, callbacks):
        parts["trainer"] = Trainer(parts["model"], parts["optimizer"], callbacks=callbacks)
        return parts["trainer"]

    validation = loader(40, 1, shuffle=False)
    whole, callbacks = setup()
    history = trainer(whole, callbacks).fit(whole["loader"], 3, validation)

    path = tmp_path / "last.safetensors"
    first, callbacks = setup()
    save = Checkpoint(lambda: checkpoint.save(checkpoint.capture(**first), path), lambda: None)
    running = trainer(first, [*callbacks, StopAt(step, number), save])
    with pytest.raises(Interrupted) as stopped:
        running.fit(first["loader"], 3, validation)
    assert stopped.value.signal == number
    assert running.step == step

    second, callbacks = setup()
    tinydl.manual_seed(99)
    resumed = trainer(second, callbacks)
    checkpoint.restore(checkpoint.load(path), **second)
    resumed.fit(second["loader"], 3, validation)
    assert same(weights(first["model"]), weights(second["model"])) is False
    assert same(weights(whole["model"]), weights(second["model"]))
    assert all(np.array_equal(whole["ema"].average[k], second["ema"].average[k]) for k in whole["ema"].average)
    figures = [{k: v for k, v in row.items() if k != "images_per_second"} for row in history]
    assert figures == [{k: v for k, v in row.items() if k != "images_per_second"} for row in resumed.history]


def test_a_second_ctrl_c_leaves_now():
    class Twice(Callback):
        def on_step_end(self, trainer):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    model = network()
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(model, loader(), epochs=1, callbacks=[Twice()])
    assert signal.getsignal(signal.SIGINT) is handler


def test_early_stopping():
    class Worse(Callback):
        def on_epoch_end(self, trainer):
            trainer.history[-1]["validation_loss"] = [3.0, 2.0, 2.5, 2.5, 2.5, 0.0][trainer.epoch - 1]

    history = fit(network(), loader(32), epochs=6, callbacks=[Worse(), EarlyStopping(patience=2)])
    assert len(history) == 5
    with pytest.raises(ValueError, match="mode"):
        EarlyStopping(mode="up")
    with pytest.raises(ValueError, match="patience"):
        EarlyStopping(patience=-1)


def test_checkpoint_knows_the_best():
    saved = []

    class Figures(Callback):
        def on_epoch_end(self, trainer):
            trainer.history[-1]["validation_accuracy"] = [0.5, 0.9, 0.7, 0.95][trainer.epoch - 1]

    keep = Checkpoint(lambda: saved.append("last"), lambda: saved.append("best"))
    fit(network(), loader(32), epochs=4, callbacks=[Figures(), keep])
    assert saved == ["best", "last", "best", "last", "last", "best", "last"]


def test_csv_and_progress(tmp_path, capsys):
    lines, shown = [], []
    progress = Progress(True, lines.append)

    class Look(Callback):
        def on_step_end(self, trainer):
            shown.append((progress.bar.n, progress.bar.total, progress.bar.postfix))

    path = tmp_path / "history.csv"
    fit(
        network(),
        loader(64),
        epochs=2,
        validation=loader(32, shuffle=False),
        callbacks=[CSVLog(path), progress, Look()],
    )
    rows = path.read_text().splitlines()
    assert rows[0].startswith("epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr")
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2"]
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2: loss ")
    assert [n for n, _, _ in shown] == [1, 2, 3, 4] * 2
    assert shown[0][1] == 4
    assert re.fullmatch(r"loss \d\.\d{4}, accuracy \d+\.\d\d%, [\d,]+ images/s", shown[-1][2])
    assert "epoch 1/2" in capsys.readouterr().err


def test_schedules_step_when_told():
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    plateau = ReduceLROnPlateau(optimizer, patience=0, threshold=1e9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model, loader(32), epochs=3, optimizer=optimizer, callbacks=[Schedule(plateau, monitor="train_loss")])
    assert optimizer.param_groups[0]["lr"] < 0.1
    with pytest.raises(ValueError, match="every"):
        Schedule(plateau, every="minute")


def test_average_is_what_is_validated():
    model = network()
    ema = EMA(model, 0.999)
    history = fit(
        model, loader(), epochs=1, validation=loader(100, 1, shuffle=False), optimizer=SGD(model.parameters(), 0.5),
        callbacks=[Average(ema)],
    )  # fmt: skip
    with ema.applied():
        averaged = evaluate(model, loader(100, 1, shuffle=False))
    assert history[0]["validation_loss"] == averaged.loss
    assert history[0]["validation_loss"] != evaluate(model, loader(100, 1, shuffle=False)).loss
