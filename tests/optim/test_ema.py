import numpy as np
import pytest

from tinydl.nn.module import Module, Parameter
from tinydl.optim import EMA
from tinydl.tensor import Tensor


class Net(Module):
    def __init__(self, dtype=np.float32):
        super().__init__()
        rng = np.random.default_rng(2)
        self.weight = Parameter(rng.standard_normal((2, 3)).astype(dtype))
        self.bias = Parameter(rng.standard_normal(2).astype(dtype))
        self.register_buffer("mean", Tensor(np.zeros(2, dtype)))
        self.register_buffer("count", Tensor(np.array(0)))


def change(model, rng):
    for p in model.parameters():
        p.data = np.asarray(rng.standard_normal(p.shape), p.dtype)
    for b in model.buffers():
        b.data = np.asarray(b.data + 1, b.dtype)


def values(model):
    return {k: np.array(v.data) for k, v in [*model.named_parameters(), *model.named_buffers()]}


@pytest.mark.parametrize("warmup", [False, True])
def test_follows_the_formula(backend, warmup):
    model, rng = Net(np.float64), np.random.default_rng(3)
    ema, expected = EMA(model, decay=0.9, warmup=warmup), None
    for t in range(1, 16):
        change(model, rng)
        ema.update()
        decay = min(0.9, (1 + t) / (10 + t)) if warmup else 0.9
        now = {k: p.data.copy() for k, p in model.named_parameters()}
        expected = now if t == 1 else {k: decay * expected[k] + (1 - decay) * now[k] for k in now}
        for name, want in expected.items():
            np.testing.assert_allclose(ema.average[name], want, rtol=1e-12)
    assert ema.average["mean"].tolist() == [15, 15]
    assert ema.average["count"] == 15
    assert ema.average["count"].dtype == np.int64


def test_keeps_float32(backend):
    model = Net()
    ema = EMA(model, decay=0.5)
    ema.update()
    ema.update()
    assert {name: array.dtype for name, array in ema.average.items()} == {
        "weight": np.float32,
        "bias": np.float32,
        "mean": np.float32,
        "count": np.int64,
    }


def test_applied_swaps_in_and_out():
    model, rng = Net(), np.random.default_rng(4)
    ema = EMA(model, decay=0.5)
    for _ in range(3):
        change(model, rng)
        ema.update()
    change(model, rng)
    live, averages = values(model), {k: v.copy() for k, v in ema.average.items()}
    arrays = {k: p.data for k, p in model.named_parameters()}
    version = model.weight._version.count
    with ema.applied():
        inside = values(model)
        model.weight.data[...] = 7  # lost at the end
        assert model.weight._version.count > version
    for name in live:
        assert np.array_equal(inside[name], averages[name])
        assert np.array_equal(values(model)[name], live[name])
        assert np.array_equal(ema.average[name], averages[name])
    assert all(p.data is arrays[k] for k, p in model.named_parameters())
    assert model.weight._version.count > version + 1


def test_applied_is_undone_by_exceptions_and_may_be_nested():
    model, rng = Net(), np.random.default_rng(4)
    ema = EMA(model, decay=0.5)
    change(model, rng)
    live = values(model)
    with pytest.raises(KeyboardInterrupt), ema.applied(), ema.applied():
        raise KeyboardInterrupt
    assert all(np.array_equal(values(model)[name], live[name]) for name in live)
    ema.update()  # the mark of being applied is gone, too
    assert all(np.array_equal(ema.average[name], live[name]) for name in live)


def test_applied_is_undone_when_swapping_in_fails():
    p, q = Tensor(np.zeros(2)), Tensor(np.zeros(3))
    ema = EMA([p, q], decay=0.5)
    ema.average["0"][...] = 5
    ema.average["1"] = np.zeros(7)
    with pytest.raises(ValueError, match="broadcast"), ema.applied():
        pass
    assert p.tolist() == [0, 0]


def test_update_inside_applied_is_refused():
    ema = EMA([Tensor([1.0])], decay=0.5)
    with ema.applied(), pytest.raises(RuntimeError, match="inside applied"):
        ema.update()
    assert ema.updates == 0


def test_takes_tensors_and_named_tensors():
    p, q = Tensor([1.0]), Tensor([2.0])
    assert list(EMA(iter([p, q]), 0.5).average) == ["0", "1"]
    assert list(EMA([("w", p), ("b", q)], 0.5).average) == ["w", "b"]


def test_a_loaded_average_goes_on_bit_for_bit(backend):
    model, rng = Net(), np.random.default_rng(5)
    ema = EMA(model, decay=0.9, warmup=True)
    for _ in range(4):
        change(model, rng)
        ema.update()
    state = ema.state_dict()
    other = EMA(Net(), decay=0.9, warmup=True)
    other.load_state_dict(state)
    other._source = model
    for _ in range(4):
        change(model, rng)
        ema.update()
        other.update()
    assert other.updates == 8
    assert state["updates"] == 4
    for name, array in ema.average.items():
        assert np.array_equal(array, other.average[name])
        assert name in ("mean", "count") or not np.array_equal(state["average"][name], array)


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda s: s.update(decay=0.5), "decay: 0.9 here, 0.5 in the state"),
        (lambda s: s.pop("updates"), "updates"),
        (lambda s: s["average"].pop("bias"), "bias'.: missing"),
        (lambda s: s["average"].update(more=np.zeros(1)), "more'.: not known"),
        (lambda s: s["average"].update(bias=np.zeros(3, np.float32)), r"float32 \(2,\) here, float32 \(3,\)"),
        (lambda s: s["average"].update(bias=np.zeros(2)), r"float64 \(2,\) in the state"),
    ],
)
def test_a_state_that_differs_is_refused_and_nothing_changes(spoil, words):
    ema = EMA(Net(), decay=0.9)
    state = ema.state_dict()
    for array in state["average"].values():
        array += 1
    spoil(state)
    before = {k: v.copy() for k, v in ema.average.items()}
    with pytest.raises(ValueError, match=words):
        ema.load_state_dict(state)
    assert all(np.array_equal(ema.average[k], before[k]) for k in before)


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_refuses_decay_out_of_range(decay):
    with pytest.raises(ValueError, match="decay"):
        EMA([Tensor([1.0])], decay)


def test_refuses_what_cannot_be_averaged():
    with pytest.raises(ValueError, match="no parameters"):
        EMA([], 0.5)
    with pytest.raises(TypeError, match="place 1"):
        EMA([Tensor([1.0]), np.ones(2)], 0.5)
