import numpy as np
import pytest

from tinydl import nn
from tinydl.callbacks import Callback
from tinydl.compress import Ledger, coding, integer, pipeline, stages
from tinydl.data import DataLoader
from tinydl.data.dataset import TensorDataset
from tinydl.optim import Adam
from tinydl.random import manual_seed
from tinydl.train import evaluate, fit


def network(seed=0):
    manual_seed(seed)
    first = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU()
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(128, 30), nn.ReLU(), nn.Linear(30, 3))


def loader(n=60):
    x = np.random.default_rng(0).standard_normal((n, 1, 6, 6)).astype(np.float32)
    return DataLoader(TensorDataset(x, (x[:, 0, :3].sum((1, 2)) > 0).astype(np.int64)), 20)


@pytest.fixture(scope="module")
def trained():
    model = network()
    fit(model, loader(), epochs=15, optimizer=Adam(model.parameters(), 0.01))
    return model


def test_deep_compression_end_to_end(backend, trained, tmp_path):
    """Prune, train on, share, train on, code: the order of Han et al. 2016."""
    ledger = Ledger((1, 6, 6), loader(), rounds=1)
    recipe = pipeline(
        [
            stages.prune(0.8),
            stages.finetune(loader(), 10, lr=0.01),
            stages.share(3),
            stages.finetune(loader(), 3),
            stages.code(),
        ]
    )
    model = recipe(trained, ledger)
    assert [row.name for row in ledger.rows[1:]] == ["prune 0.8", "finetune 10", "share 3", "finetune 3", "code"]
    weights = 8 * 9 + 128 * 30 + 30 * 3
    assert ledger.rows[1].nonzero == ledger.rows[0].nonzero - round(0.8 * weights)
    assert [row.params for row in ledger.rows] == [ledger.rows[0].params] * 6
    assert ledger.rows[-1].nonzero <= ledger.rows[1].nonzero
    assert ledger.rows[-1].bytes < ledger.rows[0].bytes / 8
    assert ledger.rows[-1].accuracy > 0.9
    file = recipe.save(model, tmp_path / "model")
    assert (file.name, file.stat().st_size) == ("model.tdl", ledger.rows[-1].bytes)
    again = coding.load(file)
    assert all(np.array_equal(again[name], value.data) for name, value in model.state_dict().items())


def test_the_student_learns_from_the_teacher(trained):
    student = network(1)
    step = stages.learn(loader(), trained, 20, lr=0.01, alpha=1.0)
    assert step.name == "learn 20"
    assert evaluate(step(student), loader()).accuracy > 0.9


def test_fold_factorize_and_fuse(trained):
    names = []
    model = trained
    for step in (stages.fold(), stages.factorize(budget=0.5), stages.fuse()):
        model = step(model)
        names.append(step.name)
    assert names == ["fold", "factorize budget 0.5", "fuse"]
    kinds = [type(module).__name__ for module in model.modules()]
    assert "BatchNorm2d" not in kinds
    assert sum(p.numel() for p in model.parameters()) <= 0.5 * sum(p.numel() for p in trained.parameters())


def test_fewer_channels_then_integers(trained, tmp_path):
    ledger = Ledger((1, 6, 6), loader(), rounds=1)
    recipe = pipeline([stages.shrink(0.5, (1, 6, 6)), stages.finetune(loader(), 3), stages.quantize(loader())])
    model = recipe(trained, ledger)
    first, shrunk, tuned, integers = ledger.rows
    assert 0.25 * first.macs < shrunk.macs <= 0.5 * first.macs
    assert shrunk.params < first.params
    assert (integers.macs, integers.name) == (tuned.macs, "quantize")
    assert integers.activation < tuned.activation / 3
    assert integers.accuracy > 0.9
    file = recipe.save(model, tmp_path / "model")
    assert (file.name, file.stat().st_size) == ("model.safetensors", integers.bytes)
    x = next(iter(loader()))[0]
    assert np.array_equal(integer.load(file)(x).data, model(x).data)


def test_integers_are_coded_with_their_structure(trained, tmp_path):
    ledger = Ledger((1, 6, 6), loader(), rounds=1)
    recipe = pipeline([stages.fold(), stages.quantize(loader()), stages.code()])
    model = recipe(trained, ledger)
    *_, whole, coded = ledger.rows
    assert coded.bytes < 0.85 * whole.bytes
    file = recipe.save(model, tmp_path / "model")
    assert (file.name, file.stat().st_size) == ("model.tdl", coded.bytes)
    x = next(iter(loader()))[0]
    assert np.array_equal(integer.load(file)(x).data, model(x).data)


def test_frozen_parameters_are_left_alone_and_callbacks_are_made_for_each_run(trained):
    made = []

    def callbacks():
        made.append(Callback())
        return made[-1:]

    model = network()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.data.copy()
    step = stages.finetune(loader(), 1, callbacks=callbacks)
    step(step(model))
    assert len(made) == 2
    assert np.array_equal(model[0].weight.data, before)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: stages.prune(1.0), "sparsity must be in"),
        (lambda: stages.prune(0.5, "model"), "scope must be one of"),
        (lambda: stages.finetune(loader(), 0), "epochs must be at least 1"),
        (lambda: stages.finetune(loader(), 1, lr=0.0), "lr must be in"),
        (lambda: stages.learn(loader(), network(), 1, temperature=0), "temperature must be in"),
        (lambda: stages.shrink(1.5, (1, 6, 6)), "budget must be in"),
        (lambda: stages.quantize(loader(), 0), "batches must be at least 1"),
        (lambda: stages.share(0), "bits must be at least 1"),
    ],
)
def test_bad_settings_are_refused_when_the_step_is_made(build, message):
    with pytest.raises(ValueError, match=message):
        build()
