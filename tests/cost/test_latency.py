"""Times on a clock that only ops move, by so many milliseconds each; then on the real one."""

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from tinydl import Tensor, nn, ops, random, zoo
from tinydl.autograd import grad
from tinydl.cost import clock, profile, rounds
from tinydl.modes import enable_grad
from tinydl.nn import fusion
from tinydl.op import Op

RUN = {"linear": 10, "relu": 3, "mul": 2, "add": 1}
PULL = {"linear": 500, "relu": 70, "mul": 20, "add": 5}


@pytest.fixture
def ticking(monkeypatch):
    """Let each op of `RUN` take that many ms forward, and each of `PULL` that many backward."""
    now = [0]
    run, pull = Op.run, Op.pull

    def slow_run(self, *args):
        now[0] += 1_000_000 * RUN.get(self.name, 0)
        return run(self, *args)

    def slow_pull(self, *args):
        now[0] += 1_000_000 * PULL.get(self.name, 0)
        with monkeypatch.context() as inside:
            inside.setattr(Op, "run", run)
            return pull(self, *args)

    monkeypatch.setattr(Op, "run", slow_run)
    monkeypatch.setattr(Op, "pull", slow_pull)
    for module in (clock, rounds):
        monkeypatch.setattr(module, "perf_counter_ns", lambda: now[0])


def x_of(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def times(found):
    return [(row.name, *row.ms) for row in found.rows]


class Net(nn.Module):
    """A layer called twice, two inputs and two outputs, and work of the net's own."""

    def __init__(self):
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.Identity(), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, x, y):
        x = self.inner(x) * self.inner(y)
        return self.head(x), x + 1.0


@pytest.mark.usefixtures("ticking")
def test_each_layer_gets_the_time_of_its_own_ops():
    found = profile(Net(), (x_of(2, 4), x_of(2, 4)), rounds=3, warmup=1)
    assert times(found) == [
        ("inner.0", 10, 10, 500),
        ("inner.1", 0, 0, 0),
        ("inner.2", 3, 3, 70),
        ("inner.0", 10, 10, 500),
        ("inner.1", 0, 0, 0),
        ("inner.2", 3, 3, 70),
        ("head", 10, 10, 500),
        ("Net", 3, 3, 25),
    ]
    assert found.whole == found.watched == (39, 39, 1665)
    assert found.whole.step == 39 + 1665
    assert found.rest == (0, 0, 0)
    assert found.batch == 2
    assert [row.macs for row in found.rows] == [32, 0, 0, 32, 0, 0, 24, 0]
    assert found.rows[0].gflops == pytest.approx(2 * 32 / 0.010 / 1e9)


@pytest.mark.usefixtures("ticking")
def test_fused_layers_stay_fused_in_inference(monkeypatch):
    now = clock.perf_counter_ns
    kernel, extra = fusion.linear_clamped, [0]

    def slow(*args):
        extra[0] += 4_000_000
        return kernel(*args)

    def chain(x, layers):
        extra[0] += 6_000_000
        return in_a_row(x, layers)

    in_a_row = fusion.linear_chain
    monkeypatch.setattr(fusion, "linear_clamped", slow)
    monkeypatch.setattr(fusion, "linear_chain", chain)
    for module in (clock, rounds):
        monkeypatch.setattr(module, "perf_counter_ns", lambda: now() + extra[0])
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    found = profile(model, x_of(1, 2), rounds=2)
    assert times(found) == [("0", 4, 10, 500), ("1", 0, 3, 70), ("2", 4, 10, 500), ("3", 0, 3, 70), ("4", 10, 10, 500)]
    assert [row.fused_inference for row in found.rows] == [False, True, False, True, False]
    assert found.watched.inference == 18
    assert found.whole.inference == 6, "where nobody watches, linear layers in a row are one kernel"
    assert [line.split()[3] for line in str(found).splitlines()[2:7]] == ["4.000", "fused", "4.000", "fused", "10.000"]


@pytest.mark.usefixtures("ticking")
def test_fused_layers_stay_fused_in_training(monkeypatch):
    monkeypatch.setitem(RUN, "batch_norm_relu_train", 6)
    monkeypatch.setitem(PULL, "batch_norm_relu_train", 60)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.ReLU())
    found = profile(model, x_of(4, 2), rounds=2)
    assert times(found) == [("0", 10, 10, 500), ("1", 0, 6, 60), ("2", 3, 0, 0), ("3", 3, 3, 70)]
    assert [row.fused_training for row in found.rows] == [False, False, True, False]
    assert found.whole == found.watched == (16, 19, 630)
    assert "fused" in str(found).splitlines()[4]


@pytest.mark.usefixtures("ticking")
def test_time_between_layers_is_the_rest():
    class Slow(nn.Sequential):
        def forward(self, x):
            RUN["mul"], usual = 40, RUN["mul"]
            np.multiply(1.0, ops.mul(np.ones(1), 2.0))  # no Tensor: no op of the model
            RUN["mul"] = usual
            return super().forward(x)

    found = profile(Slow(nn.Linear(2, 2), nn.Sequential(nn.ReLU())), x_of(1, 2), rounds=1)
    assert times(found) == [("0", 10, 10, 500), ("1.0", 3, 3, 70)]
    assert found.rest == (40, 40, 0)


@pytest.mark.usefixtures("ticking")
def test_medians_of_rounds_without_the_warmup(monkeypatch):
    taken = iter([900] * 3 + [1, 1, 7, 7, 3, 3])

    class Varying(nn.Module):
        def forward(self, x):
            monkeypatch.setitem(RUN, "add", next(taken))
            return x + 1.0

    found = profile(Varying(), x_of(1, 2), rounds=3, warmup=1, training=False)
    assert times(found)[0][1] == 3
    assert found.whole.inference == found.watched.inference == 3


@pytest.mark.usefixtures("ticking")
def test_inner_gradients_are_forward_time():
    class Slope(nn.Module):
        def __init__(self):
            self.w = nn.Parameter([2.0])

        @enable_grad()
        def forward(self, x):
            x = x.detach().requires_grad_()
            (gx,) = grad((x * self.w).sum(), x, create_graph=True)
            return gx + self.w

    (row,) = profile(Slope(), x_of(1), rounds=2).rows
    assert row.ms.forward == RUN["mul"] + PULL["mul"] + RUN["add"]
    assert row.ms.backward == PULL["add"] + PULL["mul"], "the second of which is that of the product w · g"


def test_nothing_stays_behind(backend):
    model = zoo.convnet(dropout=0.5)
    g = model[0].weight.grad = Tensor(np.ones_like(model[0].weight.data))
    before = {name: value.data.tobytes() for name, value in model.state_dict().items()}
    draws = random.get_state()
    profile(model, x_of(2, 1, 28, 28), rounds=1, warmup=0)
    assert {name: value.data.tobytes() for name, value in model.state_dict().items()} == before
    assert random.get_state() == draws
    assert model[0].weight.grad is g
    assert all(module._hooks is None and module.training for module in model.modules())
    assert isinstance(model(Tensor(x_of(2, 1, 28, 28)))._node.op, Op)


def test_real_times_add_up(backend):
    found = profile(zoo.lenetish(), x_of(4, 1, 28, 28), rounds=3)
    assert [row.macs for row in found.rows if row.macs] == [4 * n for n in (144_000, 320_000, 16_000, 500)]
    for kind in ("inference", "forward", "backward"):
        rows = [getattr(row.ms, kind) for row in found.rows]
        assert min(rows) >= 0
        # far apart, for other programs may take the processor in between; seconds for milliseconds would show
        assert 0.01 < (sum(rows) + getattr(found.rest, kind)) / getattr(found.watched, kind) < 100
        assert getattr(found.whole, kind) > 0
    assert all(row.ms.backward > 0 for row in found.rows if row.kind in ("Conv2d", "Linear"))
    assert all(row.fused_inference and row.fused_training for row in found.rows if row.kind == "MaxPool2d")


def test_text_and_html():
    found = profile(zoo.lenetish(), x_of(4, 1, 28, 28), rounds=1)
    lines = str(found).splitlines()
    head = "layer kind MACs inference share GFLOP/s forward backward of step"
    assert " ".join(lines[0].split()) == head
    assert lines[2].split()[:3] == ["0", "Conv2d", "576,000"]
    assert lines[-7].startswith("between layers")
    assert lines[-5].split()[:2] == ["total", "1,922,000"]
    assert lines[-1].startswith("engine: ")
    assert "batch: 4" in lines[-1]
    root = ElementTree.fromstring(found._repr_html_().replace("details open", "details"))
    assert "ms an inference, batch 4" in root.find("summary/b").text
    assert len(root.findall(".//tr")) == len(found.rows) + 3


def test_without_training_there_are_no_training_times():
    found = profile(nn.Sequential(nn.ReLU(), nn.Flatten()), x_of(1, 2, 3), rounds=1, training=False)
    assert math.isnan(found.whole.forward)
    assert math.isnan(found.rows[0].ms.backward)
    assert str(found).splitlines()[0].split()[-1] == "GFLOP/s"
    assert "backward" not in str(found)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"rounds": 0}, ValueError, "rounds must be at least 1, got 0"),
        ({"rounds": 1.5}, TypeError, "rounds must be an integer"),
        ({"warmup": -1}, ValueError, "warmup must be at least 0, got -1"),
        ({}, ValueError, "no output of the model needs a gradient; use training=False"),
    ],
)
def test_refuses_by_name(kwargs, error, message):
    model = nn.ReLU()
    with pytest.raises(error, match=message):
        profile(model, x_of(2), **kwargs)
    assert model.training
    assert model._hooks is None
