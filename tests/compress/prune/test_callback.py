import numpy as np
import pytest

from tinydl import checkpoint, nn
from tinydl.callbacks import Average
from tinydl.compress.prune import (
    AGP,
    Constant,
    Magnitude,
    OneShot,
    PolynomialDecay,
    Pruner,
    Pruning,
    Random,
    Steps,
    masks,
)
from tinydl.data import DataLoader, TensorDataset
from tinydl.optim import EMA, SGD, Adam
from tinydl.random import manual_seed
from tinydl.train import Callback, Trainer, fit

BATCHES = 10


def loader(shuffle=False):
    draw = np.random.default_rng(0)
    x = draw.standard_normal((BATCHES * 4, 8)).astype(np.float32)
    return DataLoader(TensorDataset(x, (x[:, 0] > 0).astype(np.int64)), 4, shuffle=shuffle)


def model(seed=0):
    manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 20), nn.ReLU(), nn.Linear(20, 2))


class Watch(Callback):
    """Notes the sparsity that batch t + 1 meets, and what is zero."""

    def __init__(self, pruner):
        self.pruner, self.seen = pruner, []

    def on_gradients(self, trainer):
        self.seen.append(self.pruner.sparsity)

    def on_step_end(self, trainer):
        for target in self.pruner.targets:
            mask = target.parameter.mask
            assert mask is None or not target.parameter.data[~mask.data].any()


def run(schedule, epochs=2, **options):
    net = model()
    pruner = Pruner(net)
    watch = Watch(pruner)
    optimizer = SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-3)
    callbacks = [Pruning(pruner, schedule, **options), watch]
    fit(net, loader(), epochs=epochs, optimizer=optimizer, callbacks=callbacks)
    return [*watch.seen, pruner.sparsity]


def test_it_follows_the_schedule_step_by_step():
    schedule = PolynomialDecay(0.0, 0.8, 3, 15)
    assert run(schedule) == pytest.approx([schedule(t) for t in range(21)], abs=0.5 / 40)


def test_one_shot_before_the_first_step():
    assert run(OneShot(0.5)) == [0.5] * 21
    assert run(OneShot(0.5, 4)) == [0.0] * 4 + [0.5] * 17


def test_steps_and_agp():
    assert run(Steps({0: 0.25, 7: 0.5})) == [0.25] * 7 + [0.5] * 14
    assert run(AGP(0.8, 0, 20, every=10))[9:11] == [0, pytest.approx(0.7)]


def test_the_end_is_reached_whatever_the_frequency():
    seen = run(PolynomialDecay(0.0, 0.8, 1, 12), frequency=7)
    assert seen[7] == 0
    assert 0 < seen[8] == seen[11] < 0.8
    assert seen[12:] == [0.8] * 9


def test_by_epoch_before_the_validation():
    assert run(PolynomialDecay(0.0, 0.8, 0, 2, power=1), every="epoch") == [0.0] * 10 + [0.4] * 10 + [0.8]


def test_constant_goes_on_choosing():
    class Changing(Random):
        regrows = True

    net = model()
    pruner = Pruner(net, Changing(np.random.default_rng(0)))
    first = []
    for end in (4, 3):
        callback = Pruning(pruner, Constant(0.5, 0, end), frequency=2)
        fit(net, loader(), epochs=1, callbacks=[callback])
        first.append(masks(net)["0.weight"].copy())
    assert not np.array_equal(*first)
    assert pruner.sparsity == 0.5


def test_averaged_weights_are_as_sparse():
    net = model()
    pruner = Pruner(net)
    ema = EMA(net, 0.9)
    callbacks = [Average(ema), Pruning(pruner, PolynomialDecay(0.0, 0.8, 0, 19))]
    fit(net, loader(), epochs=2, validation=loader(), callbacks=callbacks)
    with ema.applied():
        assert pruner.report().sparsity == pytest.approx(0.8)


def test_a_resumed_run_goes_on_bit_for_bit(tmp_path):
    def parts(seed):
        net = model(seed)
        optimizer = Adam(net.parameters(), 0.01)
        schedule = PolynomialDecay(0.0, 0.8, 2, 25)
        data = loader(shuffle=True)
        trainer = Trainer(net, optimizer, callbacks=[Pruning(Pruner(net), schedule, frequency=3)])
        return net, trainer, data, {"model": net, "optimizer": optimizer, "trainer": trainer, "loader": data}

    whole, trainer, data, _ = parts(1)
    trainer.fit(data, 3)
    _, trainer, data, state = parts(1)
    trainer.fit(data, 1)
    checkpoint.save(checkpoint.capture(**state), tmp_path / "c")
    resumed, trainer, data, state = parts(2)
    checkpoint.restore(checkpoint.load(tmp_path / "c"), **state)
    trainer.fit(data, 3)
    assert masks(whole).keys() == masks(resumed).keys()
    for name, value in whole.state_dict().items():
        assert np.array_equal(value.data, resumed.state_dict()[name].data)


def test_bad_options_are_refused():
    pruner = Pruner(model())
    with pytest.raises(ValueError, match="every must be one of 'step', 'epoch'"):
        Pruning(pruner, OneShot(0.5), every="batch")
    with pytest.raises(ValueError, match="frequency must be at least 1"):
        Pruning(pruner, OneShot(0.5), frequency=0)


def test_scores_are_asked_for_only_when_something_may_change():
    asked = []

    class Counting(Magnitude):
        def scores(self, *args):
            asked.append(1)
            return super().scores(*args)

    net = model()
    pruner = Pruner(net, Counting())
    callback = Pruning(pruner, Constant(0.5))
    for n in (1, 2):
        fit(net, loader(), epochs=2, callbacks=[callback])
        assert len(asked) == n
