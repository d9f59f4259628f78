"""What each op does to channels, seen in the groups of a network made of it between two convolutions."""

import numpy as np
import pytest

from tinydl import Tensor, nn, ops
from tinydl.compress import structured
from tinydl.compress.structured.rules import RULES
from tinydl.op import OPS

SHAPE = (2, 6, 6)


class Between(nn.Module):
    """A convolution, some ops on its 6 channels, and a convolution of what they make."""

    def __init__(self, function, outputs=6, **parts):
        self.first = nn.Conv2d(2, 6, 3, padding=1)
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)
        self.last = nn.Conv2d(outputs, 4, 1)

    def forward(self, x):
        return self.last(self.function(self, self.first(x)))


def pruned(lived_in, image, model, ratio=0.5):
    """Prune, and compare with the masked network; return the smaller one."""
    plan = structured.plan(lived_in(model), SHAPE, ratio, importance=structured.random(np.random.default_rng(2)))
    smaller, x = plan.apply(), image(2, *SHAPE)
    (masked,) = plan.masked(x)
    assert np.abs(smaller.eval()(Tensor(x)).data - masked).max() <= 1e-5 * np.abs(masked).max()
    return smaller


def per_channel(*shape):
    return nn.Parameter(np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape).astype(np.float32))


def shuffled(self, y):
    n, c, h, w = y.shape
    return ops.reshape(ops.transpose(ops.reshape(y, (n, 2, c // 2, h, w)), 1, 2), (n, c, h, w))


KEEPING = {
    "activations": lambda self, y: ops.sigmoid(ops.hardswish(ops.relu(y)) * 2.0 + 1.0),
    "two of them": lambda self, y: ops.maximum(ops.clamp(y, -1.0, 2.0), 0.1 * y) / (1.0 + ops.abs(y)),
    "pools": lambda self, y: ops.max_pool2d(y, 2) + ops.avg_pool2d(y, 2) - ops.adaptive_avg_pool2d(y, 3),
    "norm": lambda self, y: self.norm(y),
    "depthwise": lambda self, y: self.depthwise(y),
    "a parameter": lambda self, y: y * self.scale,
    "padding": lambda self, y: ops.pad(y, (1, 2, 0, 1), value=0.5),
    "cropping": lambda self, y: y[:, :, 1:-1, ::2],
    "squeeze and excite": lambda self, y: y * ops.sigmoid(self.gate(ops.mean(y, (2, 3), keepdim=True))),
    "rounded trip": lambda self, y: ops.reshape(ops.flatten(y, 2), y.shape),
    "axes exchanged and back": lambda self, y: ops.permute(ops.permute(y, (0, 2, 3, 1)), (0, 3, 1, 2)),
    "flip": lambda self, y: ops.flip(y, (1, 3)),
    "a deal": lambda self, y: ops.channel_shuffle(y, 3),
    "a deal by hand": shuffled,
    "split and joined": lambda self, y: ops.cat(ops.chunk(y, 2, 1)[::-1], 1),
    "joined": lambda self, y: ops.cat((y, ops.relu(y)), 1)[:, :],
}


@pytest.mark.parametrize("name", KEEPING)
def test_channels_go_through(lived_in, image, name):
    parts = {
        "norm": nn.BatchNorm2d(6),
        "depthwise": nn.DepthwiseConv2d(6, 3, padding=1, multiplier=2),
        "scale": per_channel(6, 1, 1),
        "gate": nn.Conv2d(6, 6, 1),
    }
    outputs = 12 if name in ("joined", "depthwise") else 6
    smaller = pruned(lived_in, image, Between(KEEPING[name], outputs, **parts))
    assert smaller.first.out_channels in (2, 3, 4)
    assert smaller.last.in_channels == smaller.first.out_channels * outputs // 6
    if name == "depthwise":
        assert (smaller.depthwise.groups, smaller.depthwise.out_channels) == (3, 6)
    if name == "a parameter":
        assert smaller.scale.shape == (3, 1, 1)


STAYING = {
    "a constant for each channel": lambda self, y: y * Tensor(np.linspace(1, 2, 6).astype(np.float32)[:, None, None]),
    "a parameter along two axes": lambda self, y: y * self.two,
    "a computed parameter": lambda self, y: y * ops.reshape(self.scale, (1, 6, 1, 1)),
    "a softmax over channels": lambda self, y: ops.softmax(y, 1),
    "a mean over channels": lambda self, y: y - ops.mean(y, 1, keepdim=True),
    "the input added": lambda self, y: y + ops.cat((self.x, self.x, self.x), 1),
}


@pytest.mark.parametrize("name", STAYING)
def test_channels_stay_where_all_of_them_are_needed(lived_in, name):
    model = Between(STAYING[name], scale=per_channel(6), two=per_channel(6, 6, 1))
    model.register_forward_pre_hook(lambda module, args: setattr(module, "x", args[0]))
    assert not structured.dependencies(model, SHAPE).groups
    with pytest.raises(ValueError, match="no channels to remove"):
        structured.plan(model, SHAPE, 0.5)


def test_a_map_for_all_channels_stays_one_map(lived_in, image):
    """Spatial attention: one channel times all of them ties nothing, and cannot go."""
    model = Between(lambda self, y: y * ops.sigmoid(self.map(y)), map=nn.Conv2d(6, 1, 1))
    smaller = pruned(lived_in, image, model)
    assert (smaller.map.in_channels, smaller.map.out_channels, smaller.last.in_channels) == (3, 1, 3)


def test_tokens_are_followed_through_linear_layers(lived_in, image):
    class Tokens(nn.Module):
        def __init__(self):
            self.embed, self.mix, self.head = nn.Conv2d(2, 6, 2, 2), nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(ops.mean(ops.relu(self.mix(ops.transpose(ops.flatten(self.embed(x), 2), 1, 2))), 1))

    smaller = pruned(lived_in, image, Tokens())
    assert [tuple(p.shape) for p in (smaller.embed.weight, smaller.mix.weight, smaller.head.weight)] == [
        (3, 2, 2, 2),
        (4, 3),
        (3, 4),
    ]


def test_a_layer_that_is_used_twice_is_cut_once(lived_in, image):
    model = Between(lambda self, y: self.again(ops.relu(self.again(y))), again=nn.Conv2d(6, 6, 3, padding=1))
    smaller = pruned(lived_in, image, model)
    assert smaller.again.weight.shape == (3, 3, 3, 3)


class Weighted(nn.Module):
    def __init__(self):
        self.weight = nn.Parameter(np.ones((6, 6, 1, 1), np.float32))

    def forward(self, x):
        return ops.conv2d(x, self.weight * 2.0)


@pytest.mark.parametrize(
    "function, message",
    [
        (
            lambda self, y: ops.matmul(y, ops.transpose(y, 2, 3)),
            r"bmm \(step 2, the model itself\), in a Between, is an",
        ),
        (lambda self, y: self.part(y), r"reshape \(step 1, part\), in a GroupNorm, moves the batch"),
        (lambda self, y: ops.where(y > 0, y, 0.0), "where .* takes numbers that differ from run to run"),
        (lambda self, y: self.deconv(y), "conv2d_input_grad .* in a ConvTranspose2d"),
        (lambda self, y: self.weighted(y), "weighted.*takes a weight that is no parameter or buffer but %1"),
        (lambda self, y: y - ops.mean(y, 0, keepdim=True), "mean .* reduces the batch"),
        (lambda self, y: ops.softmax(y, 0), "softmax .* reduces the batch"),
        (lambda self, y: ops.permute(ops.permute(y, (1, 0, 2, 3)), (1, 0, 2, 3)), "permute .* moves the batch axis"),
        (lambda self, y: ops.reshape(ops.reshape(y, (-1, 6)), y.shape), "reshape .* moves the batch axis"),
        (lambda self, y: ops.flip(y, 0), "flip .* moves the batch axis"),
        (lambda self, y: ops.cat((y[:1], y[1:]), 0), "pick .* picks from the batch"),
        (lambda self, y: ops.cat((y, y), 0), "cat .* joins along the batch"),
        (lambda self, y: ops.pad(ops.pad(y, (0, 0, 0, 0, 0, 1)), (0, 0, 0, 0, 0, -1)), "crops channels"),
    ],
)
def test_what_channels_cannot_be_followed_through_is_refused(function, message):
    model = Between(function, part=nn.GroupNorm(2, 6), deconv=nn.ConvTranspose2d(6, 6, 1), weighted=Weighted())
    with pytest.raises(ValueError, match=message):
        structured.dependencies(model, SHAPE)


def test_rules_are_about_ops_that_there_are():
    assert set(RULES) - set(OPS) == {"batch_norm_eval"}
