"""What a mask prunes is exactly zero after every step of every optimizer, and in every average."""

import numpy as np
import pytest

from tinydl import optim
from tinydl.nn import Linear, Module, Parameter
from tinydl.optim import EMA, SGD, Adam, AdamW, Optimizer, RMSprop
from tinydl.tensor import Tensor

OPTIMIZERS = [
    (SGD, {}),
    (SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    (SGD, {"momentum": 0.9, "nesterov": True, "maximize": True}),
    (Adam, {}),
    (Adam, {"betas": (0.5, 0.9), "weight_decay": 0.1}),
    (AdamW, {"weight_decay": 0.1}),
    (RMSprop, {"centered": True, "momentum": 0.9, "weight_decay": 0.1}),
]


class Net(Module):
    def __init__(self, dtype=np.float32):
        draw = np.random.default_rng(0)
        self.weight = Parameter(draw.standard_normal((4, 6, 3)).astype(dtype).transpose(0, 2, 1))
        self.bias = Parameter(draw.standard_normal(4).astype(dtype))


def gradients(model, draw):
    for p in model.parameters():
        p.grad = Tensor(draw.standard_normal(p.shape).astype(p.dtype))


def test_every_optimizer_is_tried():
    classes = {c for c in vars(optim).values() if isinstance(c, type) and issubclass(c, Optimizer)}
    assert {c for c, _ in OPTIMIZERS} == classes - {Optimizer}


@pytest.mark.parametrize("optimizer_class, options", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_after_every_step_and_the_rest_as_without_a_mask(backend, optimizer_class, options, dtype):
    model, dense, draw = Net(dtype), Net(dtype), np.random.default_rng(1)
    optimizers = [optimizer_class(net.parameters(), lr=0.1, **options) for net in (model, dense)]
    for step in range(12):
        if step == 4:  # momentum is under way
            model.weight.mask = draw.random(model.weight.shape) < 0.5
        for net in (model, dense):
            gradients(net, np.random.default_rng(step))
        for optimizer in optimizers:
            optimizer.step()
        if step >= 4:
            mask = model.weight.mask.data
            assert not model.weight.data[~mask].any()
            np.testing.assert_array_equal(model.weight.data[mask], dense.weight.data[mask])
            assert dense.weight.data.all()


def test_optimizers_written_by_others_keep_the_zeros():
    class Sign(Optimizer):
        def update(self, p, g, state, group):
            p.data[...] -= np.sign(g)

    layer = Linear(2, 1)
    layer.weight.mask = [[True, False]]
    layer.weight.grad = Tensor([[1.0, 1.0]])
    Sign(layer.parameters(), {}).step()
    assert layer.weight.data[0, 1] == 0


@pytest.mark.parametrize("warmup", [False, True])
def test_the_average_is_zero_where_the_mask_prunes(backend, warmup):
    model, draw = Net(), np.random.default_rng(2)
    ema = EMA(model, decay=0.9, warmup=warmup)
    for step in range(6):
        if step == 3:
            model.weight.mask = draw.random(model.weight.shape) < 0.5
        for p in model.parameters():
            p.data = draw.standard_normal(p.shape).astype(p.dtype)
        ema.update()
    mask = model.weight.mask.data
    assert not ema.average["weight"][~mask].any()
    assert ema.average["weight"][mask].all()
    model.weight.mask = draw.random(model.weight.shape) < 0.2  # chosen anew, with no update since
    mask = model.weight.mask.data
    with ema.applied():
        assert not model.weight.data[~mask].any()
    assert not ema.state_dict()["average"]["weight"][~mask].any()


def test_an_average_is_a_state_of_the_pruned_model():
    model = Net()
    model.weight.mask = np.random.default_rng(3).random(model.weight.shape) < 0.5
    ema = EMA(model)
    ema.update()
    fresh = Net()
    fresh.load_state_dict(ema.state_dict()["average"])
    np.testing.assert_array_equal(fresh.weight.mask.data, model.weight.mask.data)
    model.load_state_dict(ema.state_dict()["average"])


@pytest.mark.parametrize("masked_first", [False, True])
def test_an_average_goes_back_before_or_after_the_masks(masked_first):
    model = Net()
    model.weight.mask = np.random.default_rng(3).random(model.weight.shape) < 0.5
    ema = EMA(model, decay=0.5)
    ema.update()
    fresh = Net()
    if masked_first:
        fresh.load_state_dict(model.state_dict())
    other = EMA(fresh, decay=0.5)
    other.load_state_dict(ema.state_dict())
    np.testing.assert_array_equal(other.average["weight"], ema.average["weight"])
    assert other.average.keys() == {"weight", "bias"}
