import numpy as np
import pytest

from tinydl import Tensor, nn, no_grad, ops, zoo
from tinydl.compress.flow import flow
from tinydl.compress.steps import Constant, Given, Made, Stored
from tinydl.op import FUSED, OPS
from tinydl.random import manual_seed

NETWORKS = [name for name in zoo.names() if not name.startswith("efficientnet")] + ["efficientnet_b0"]


def small(name):
    manual_seed(0)
    has = zoo.options(name)
    settings = {"small": True, "width": 0.1 if name == "xception" else 0.25} if "width" in has else {}
    return zoo.build(name, num_classes=10, in_channels=1, **settings)


def image(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def replay(found, *inputs):
    """Run the steps of a flow on their own: what it says is then all that there is."""
    made = []

    def value(source):
        if isinstance(source, Made):
            return made[source.step]
        if isinstance(source, Given):
            return inputs[source.number]
        if isinstance(source, Stored):
            return found.stored[source.name].data
        return None if source is None else source.value

    for step in found.steps:
        operands = [value(source) for source in step.operands.values()]
        if step.op in FUSED:
            y = FUSED[step.op](*operands, *step.options.values())
        else:
            op = OPS[step.op]
            y = op(operands, **step.options) if op.variadic else op(*operands, **step.options)
        assert (y.shape, y.dtype) == (step.shape, step.dtype)
        made.append(y)
    return [value(source) for source in found.outputs]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_run_from_its_steps(name):
    model, x = small(name).train(), image(2, 1, 28, 28)
    before = {key: value.data.copy() for key, value in model.state_dict().items()}
    found = flow(model, np.zeros_like(x))
    assert model.training
    assert all(np.array_equal(before[key], value.data) for key, value in model.state_dict().items())
    assert all(module._hooks is None for module in model.modules())
    (y,) = replay(found, x)
    with no_grad():
        expected = model.eval()(Tensor(x)).data
    assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()
    for step in found.steps:
        assert model.get_submodule(step.name) is step.module
        layer = isinstance(step.module, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
        assert layer == (step.op in ("cross_correlation", "linear", "batch_norm_eval"))


def test_views_are_followed_and_everything_else_that_ops_take():
    class Net(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(np.ones((3, 4), np.float32))
            self.register_buffer("shift", Tensor(np.ones(3, np.float32)))
            self.same = nn.Sequential(nn.Identity(), nn.Dropout(0.5))

        def forward(self, a, b):
            y = ops.transpose(ops.flatten(a, 1), 0, 1) * 2.0
            y = self.same(y) @ self.scale.T + self.shift
            return {"y": ops.relu(y), "b": [b, Tensor(np.arange(3.0, dtype=np.float32)) - y[:, :1]]}

    net = Net()
    found = flow(net, image(4, 1, 2), image(5))
    kinds = [(step.op, [str(source) for source in step.operands.values()]) for step in found.steps]
    assert kinds == [
        ("reshape", ["input 0"]),
        ("permute", ["%0"]),
        ("mul", ["%1", "2.0"]),
        ("permute", ["scale"]),
        ("bmm", ["%2", "%3"]),
        ("add", ["%4", "shift"]),
        ("relu", ["%5"]),
        ("pick", ["%5"]),
        ("sub", ["constant 3", "%7"]),
    ]
    assert [str(source) for source in found.outputs] == ["%6", "input 1", "%8"]
    assert [found.shape(s) for s in (Made(0), Given(1), Stored("scale"), Constant(2.0))] == [(4, 2), (5,), (3, 4), ()]
    assert [step.number for step in found.users(Made(5))] == [6, 7]
    assert found.steps[7].options == {"index": (slice(None), slice(None, 1))}
    assert {step.name for step in found.steps} == {""}
    assert "[:, :1]" in str(found)
    assert "constant 3" in found._repr_html_()
    with no_grad():
        out = net.eval()(Tensor(image(4, 1, 2)), Tensor(image(5)))
    expected = [out["y"].data, *(y.data for y in out["b"])]
    assert all(np.array_equal(a, b) for a, b in zip(replay(found, image(4, 1, 2), image(5)), expected))


def test_options_are_complete_and_a_module_called_twice_gives_two_steps():
    class Twice(nn.Module):
        def __init__(self):
            self.conv = nn.Conv2d(2, 2, 3, stride=(1, 2), padding=1, groups=2, bias=False)
            self.pool = nn.MaxPool2d(2, ceil_mode=True)

        def forward(self, x):
            return self.pool(self.conv(self.conv(x)))

    model = Twice()
    found = flow(model, image(1, 2, 5, 6))
    first, second, pool = found.steps
    assert dict(first.options) == {"stride": (1, 2), "padding": (1, 1), "dilation": (1, 1), "groups": 2}
    assert [(s.name, s.call, s.module) for s in (first, second)] == [("conv", 0, model.conv), ("conv", 1, model.conv)]
    assert list(second.operands) == ["x", "weight", "bias"]
    assert list(second.operands.values()) == [Made(0), Stored("conv.weight"), None]
    assert pool.options["out_size"] == (3, 1)
    assert pool.at == "max_pool (step 2, pool)"
    assert "%0, .weight, -" in str(found)


def test_nothing_is_fused_and_norms_know_their_numbers():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, eps=0.5), nn.ReLU6())
    found = flow(model, image(1, 1, 4, 4))
    assert [step.op for step in found.steps] == ["cross_correlation", "batch_norm_eval", "relu6"]
    norm = found.steps[1]
    assert norm.options == {"eps": 0.5}
    assert list(norm.operands) == ["x", "mean", "var", "weight", "bias"]
    assert norm.operands["mean"] == Stored("1.running_mean")


def test_shared_parameters_go_by_their_first_name_and_identity_models_have_no_steps():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    found = flow(model, image(1, 2))
    assert found.steps[1].operands["weight"] == Stored("0.weight")
    assert found.steps[1].operands["bias"] == Stored("1.bias")
    nothing = flow(nn.Identity(), image(1, 2))
    assert (nothing.steps, nothing.outputs) == ([], [Given(0)])
    assert "returns" in str(nothing)


def test_integers_stay_in_their_range():
    found = flow(Calling(lambda labels: ops.pick(Tensor(np.eye(3)), (0,)) * labels), np.array([[0, 2]] * 3).T)
    assert found.outputs == [Made(len(found.steps) - 1)]


class Calling(nn.Module):
    """A model of one function."""

    def __init__(self, function):
        self.function = function

    def forward(self, x):
        return self.function(x)


def write(x):
    y = x * 2.0
    y += 1.0
    return y


def write_into_a_view(x):
    y = x * 2.0
    ops.reshape(y, (-1,))[...] = 0.0
    return y


def random_mask(x):
    return x * Tensor(np.random.default_rng().standard_normal(x.shape).astype(np.float32))


@pytest.mark.parametrize(
    "function, message",
    [
        (write, r"add \(step 1, the model itself\) changes %0 in place"),
        (write_into_a_view, "changes %. in place"),
        (lambda x: x + Tensor(x.data.mean(keepdims=True)), "add .* takes numbers that differ from run to run"),
        (lambda x: x * float(x.data.sum()), "mul .* differ from run to run"),
        (random_mask, "drawn at random"),
        (lambda x: Tensor(x.data[:, :1]) + 1.0, "takes a view of input 0 that no op made"),
        (lambda x: Tensor((x * 2.0).data.T) + 1.0, "takes a view of %0 that no op made"),
        (lambda x: x * 2.0 if x.data.sum() == 0 else x + 2.0, "once mul .*, once add"),
        (lambda x: x * 2.0 if x.data.sum() == 0 else x * 2.0 * 2.0, "number of steps"),
        (lambda x: x[:, [int(x.data.max() > 0)]], "pick .* differ from run to run"),
        (lambda x: x.data, "returns a Tensor, got ndarray"),
        (lambda x: Tensor(x.data + 1), "number of steps, or what is returned"),
    ],
)
def test_what_cannot_be_followed_is_refused(function, message):
    model = Calling(function)
    with pytest.raises((TypeError, ValueError), match=message):
        flow(model, np.zeros((1, 2, 4, 4), np.float32))
    assert model._hooks is None


def test_the_input_is_left_alone():
    x = image(1, 3)
    model = Calling(lambda x: x.add_(1.0))
    with pytest.raises(ValueError, match="changes input 0 in place"):
        flow(model, x)
    assert np.array_equal(x, image(1, 3))
