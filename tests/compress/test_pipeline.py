import numpy as np
import pytest

from tinydl import nn
from tinydl.checkpoint import load_weights
from tinydl.compress import Ledger, Step, fuse_linear, pipeline
from tinydl.compress.pipeline import step_name


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.Linear(9, 3))


def halve(model):
    for p in model.parameters():
        p.data[...] = p.data * 0.5
    return model


def five_bytes(model, path):
    path.write_bytes(b"12345")


def test_each_step_gets_the_last_ones_model_and_a_row():
    model, ledger, said = network(), Ledger((3, 4), rounds=1), []
    before = {name: value.data.copy() for name, value in model.state_dict().items()}
    steps = [halve, halve, Step("write", lambda m: m, five_bytes), fuse_linear]
    new = pipeline(steps)(model, ledger, said.append)
    assert [row.name for row in ledger.rows] == ["as it came", "halve", "halve (2)", "write", "fuse_linear"]
    assert said == ledger.rows
    assert [row.bytes == 5 for row in ledger.rows] == [False, False, False, True, True]
    assert ledger.rows[-1].params == 12 * 3 + 3
    product = before["2.weight"] @ before["1.weight"] / 16
    assert np.allclose(new[1].weight.data, product, atol=1e-7)
    assert all(np.array_equal(before[name], value.data) for name, value in model.state_dict().items())


def test_it_works_without_a_ledger_and_knows_how_to_save(tmp_path):
    steps = pipeline([Step("write", halve, five_bytes, ".five"), halve])
    model = steps(network())
    assert steps.save(model, tmp_path / "v1.0").name == "v1.0.five"
    assert (tmp_path / "v1.0.five").read_bytes() == b"12345"
    file = pipeline([halve]).save(model, tmp_path / "model")
    assert file.name == "model.safetensors"
    assert set(load_weights(file)) == set(model.state_dict())
    assert str(steps) == "write, halve"


class Doubling:
    def __call__(self, model):
        return model


def test_names():
    assert [step_name(step) for step in (Step("a b", halve), halve, Doubling())] == ["a b", "halve", "Doubling"]


def test_refuses():
    with pytest.raises(ValueError, match="steps must be one or more"):
        pipeline([])
    with pytest.raises(TypeError, match="steps must be callables"):
        pipeline([halve, 3])
    ledger = Ledger((3, 4), rounds=1)
    with pytest.raises(TypeError, match="step '<lambda>' must return a Module, got NoneType"):
        pipeline([halve, lambda model: None])(network(), ledger)
    assert [row.name for row in ledger.rows] == ["as it came", "halve"]
