"""Receptive fields against what is measured: where a NaN shows in the result, and where a gradient is not 0."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl import Tensor, nn, ops, zoo
from tinydl.autograd import grad
from tinydl.cost import summary
from tinydl.cost.field import POINTWISE, RULES, Tracker
from tinydl.cost.window import Seen, Window
from tinydl.modes import observe
from tinydl.op import FUSED, OPS
from tinydl.train import evaluating


def windows_of(model, shape):
    return summary(model, shape).rows[-1].field


def seen_by_nan(model, shape, axis):
    """Return, for each line of pixels across `axis`, which positions along that axis of the result turn NaN."""
    lines = np.random.default_rng(0).random((shape[axis], *shape), np.float32) + 0.1
    for i, image in enumerate(lines):
        np.moveaxis(image, axis, 0)[i] = np.nan
    with evaluating(model):
        y = np.isnan(model(Tensor(lines)).data)
    return y.any(axis=tuple(a for a in range(1, y.ndim) if a != axis + 1)) if y.ndim == 4 else y.any(axis=1)[:, None]


def check(model, shape, exact=True):
    """Each position sees nothing outside of its window; one whose window lies on the image sees both of its ends."""
    complete = 0
    for axis, window in zip((1, 2), windows_of(model, shape)):
        seen = seen_by_nan(model, shape, axis)
        for i in range(seen.shape[1]):
            first = window.start + i * window.jump
            pixels = np.flatnonzero(seen[:, i])
            if not pixels.size:
                assert first + window.size <= 0 or first >= shape[axis], "only padding may be all there is to see"
                continue
            assert first <= pixels[0] <= pixels[-1] <= first + window.size - 1
            if exact and first >= 0 and first + window.size <= shape[axis]:
                assert (pixels[0], pixels[-1]) == (first, first + window.size - 1)
                complete += 1
    return complete


@st.composite
def layers(draw):
    """Return a window layer of 2 channels."""
    kind = draw(st.sampled_from(["conv", "depthwise", "max", "avg"]))
    k = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    s = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    d = draw(st.integers(1, 2))
    p = tuple(draw(st.integers(0, n // 2)) for n in k)
    if kind == "max":
        return nn.MaxPool2d(k, s, p, d, ceil_mode=draw(st.booleans()))
    if kind == "avg":
        return nn.AvgPool2d(k, s, p)
    return nn.Conv2d(2, 2, k, s, p, d, groups=2 if kind == "depthwise" else 1)


@settings(deadline=None, max_examples=40)
@given(st.lists(layers(), min_size=1, max_size=4))
def test_chains_are_exact(chain):
    check(nn.Sequential(*chain, nn.BatchNorm2d(2), nn.ReLU6()), (2, 63, 61))


def test_most_positions_of_a_chain_are_checked_to_the_pixel(backend):
    assert check(nn.Sequential(nn.Conv2d(1, 2, 5, 2, 2), nn.MaxPool2d(3, 2), nn.Conv2d(2, 2, 3)), (1, 33, 29)) > 4


class Cat(nn.Module):
    def __init__(self, *branches):
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return ops.cat([branch(x) for branch in self.branches], 1)


class Shuffled(nn.Module):
    """The basic unit of ShuffleNetV2."""

    def __init__(self):
        self.branch = nn.Conv2d(2, 2, 3, padding=1, groups=2)

    def forward(self, x):
        left, right = ops.chunk(x, 2, 1)
        return ops.channel_shuffle(ops.cat([left, self.branch(right)], 1), 2)


class Excited(nn.Module):
    def __init__(self):
        self.conv, self.squeeze = nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = self.conv(x)
        return x * ops.sigmoid(self.squeeze(x))


class Function(nn.Module):
    def __init__(self, function):
        self.forward = function


def conv(inputs, outputs, *sizes):
    return nn.Conv2d(inputs, outputs, *sizes)


@pytest.mark.parametrize(
    "model",
    [
        nn.Residual(nn.Sequential(conv(1, 1, 3, 1, 1), nn.Hardswish(), conv(1, 1, 5, 1, 2))),
        nn.Sequential(conv(1, 2, 3, 2), nn.Residual(conv(2, 2, 1), conv(2, 2, 3, 1, 1))),
        Cat(conv(1, 1, 1), nn.Sequential(conv(1, 1, 3, 1, 1), conv(1, 1, (1, 7), 1, (0, 3)))),
        nn.Sequential(conv(1, 4, 3), Shuffled(), Shuffled(), nn.MaxPool2d(2)),
        Function(lambda x: ops.permute(ops.avg_pool2d(ops.permute(x, (2, 1, 0, 3)), (1, 3)), (2, 1, 0, 3))),
        Function(lambda x: ops.avg_pool2d(ops.pad(x, (1, 2, 3, 0)), 3)),
        Function(lambda x: x[:, :, 1:-2, ::3] + 1.0),
        Function(lambda x: x[..., :5]),
        Function(lambda x: ops.adaptive_avg_pool2d(x, (6, 4))),
    ],
)
def test_branches_and_movements(model, backend):
    check(model, (1, 18, 20), exact=not isinstance(model, Function))


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(conv(1, 2, 3), nn.AdaptiveAvgPool2d(1)),
        nn.Sequential(conv(1, 2, 3), nn.Flatten(), nn.Linear(2 * 16 * 18, 3)),
        nn.Sequential(conv(1, 2, 3), nn.GroupNorm(1, 2)),
        Function(lambda x: x.mean((2, 3))),
        Function(lambda x: x.sum((-1, -2), keepdim=True) * x),
        Excited(),
        Function(lambda x: ops.softmax(ops.flatten(x, 1), 1)),
    ],
)
def test_what_is_mixed_sees_the_whole_image(model, backend):
    for window, n in zip(windows_of(model, (1, 18, 20)), (18, 20)):
        assert (window.size, window.jump, window.start) == (n, 0, 0)
    assert str(summary(model, (1, 18, 20))).splitlines()[-7].split()[3] == "all"
    check(model, (1, 18, 20))


def test_the_classics():
    """LeNet's second pooling sees 16 pixels in steps of 4; the last convolutions of a small MobileNetV1 see 43."""
    rows = {row.name: row.field for row in summary(zoo.lenetish(), (1, 28, 28)).rows}
    assert rows["4"] == ((16, 4, 0), (16, 4, 0))
    assert {row.field[0].size for row in summary(zoo.mobile(), (1, 28, 28)).rows[27:33]} == {43}


@pytest.mark.parametrize("side", [31, 32])
def test_the_gradient_of_the_middle_is_not_0_exactly_within_the_window(side, backend):
    """Positive weights and averages, so that nothing cancels."""
    model = nn.Sequential(
        conv(1, 3, 3, 2, 1), nn.ReLU(), nn.Residual(conv(3, 3, (3, 5), 1, (1, 2))), nn.AvgPool2d(2), conv(3, 2, 2)
    )
    for p in model.parameters():
        p.data[...] = np.abs(p.data) + 0.01
    x = Tensor(np.ones((1, 1, side, side), np.float32), requires_grad=True)
    y = model(x)
    i, j = (n // 2 for n in y.shape[2:])
    (gx,) = grad(y[0, 0, i, j], x)
    touched = np.nonzero(gx.data[0, 0])
    for places, window, at in zip(touched, windows_of(model, (1, side, side)), (i, j)):
        first = window.start + at * window.jump
        assert (places.min(), places.max()) == (first, first + window.size - 1)
        assert set(places) == set(range(first, first + window.size))


def test_vectors_have_no_field():
    assert all(row.field is None for row in summary(zoo.mlp(), (784,)).rows)
    assert all(row.field is None for row in summary(nn.Linear(4, 2), (3, 4)).rows)


def test_rules_belong_to_ops():
    assert RULES.keys() | POINTWISE <= OPS.keys() | FUSED.keys()
    assert not RULES.keys() & POINTWISE


# ---- the rules one by one, axes wherever they go


def field_of(function, x):
    """Return the field of `function(x)`."""
    tracker = Tracker()
    tracker.image(x.data)
    with observe(lambda op, arrays, options, y, kept: tracker.follow(op, arrays, options, y)):
        y = function(x)
    return tracker.of(y.data)


def seen_along(function, x, image_axis, axis):
    """Return for each position along `axis` of the result (the only one for None) the lines that turn it NaN."""
    seen = []
    for line in range(x.shape[image_axis]):
        image = x.data.copy()
        np.moveaxis(image, image_axis, 0)[line] = np.nan
        y = np.isnan(function(Tensor(image)).data)
        seen.append(y.any()[None] if axis is None else y.any(axis=tuple(a for a in range(y.ndim) if a != axis)))
    return [np.flatnonzero(column).tolist() for column in np.array(seen).T]


ROW = Tensor(np.ones((3, 2, 1, 3), np.float32))
POINT = Tensor(np.ones((3, 4, 1, 1), np.float32))
ZEROS = Tensor(np.zeros((1, 1, 4, 6), np.float32))


@pytest.mark.parametrize(
    ("function", "axes"),
    [
        (lambda x: ops.cat([x, x * 2.0], 2), (None, 3)),
        (lambda x: ops.cat([x, x * 2.0], 1), (2, 3)),
        (lambda x: ops.cat([x[:, :1], ZEROS], 1), (2, 3)),
        (lambda x: x.sum(1), (1, 2)),
        (lambda x: x.mean((0, 1)), (0, 1)),
        (lambda x: ops.amax(x, 3), (2, None)),
        (lambda x: x.sum((1, 3), keepdim=True), (2, None)),
        (lambda x: ops.permute(x, (3, 0, 2, 1)), (2, 0)),
        (lambda x: ops.permute(x, (-1, 0, 1, 2)), (3, 0)),
        (lambda x: ops.reshape(x, (2, 4, 6)), (1, 2)),
        (lambda x: ops.reshape(x, (2, 2, 2, 6)), (None, 3)),
        (lambda x: ops.flatten(x, 2), (None, None)),
        (lambda x: x.unsqueeze(2), (3, 4)),
        (lambda x: x[0], (1, 2)),
        (lambda x: x[:, 1, 2], (None, 1)),
        (lambda x: x[:, :, -1], (None, 2)),
        (lambda x: x[:, :, 1::2, 2:5], (2, 3)),
        (lambda x: ops.pad(x, (-1, 2, 1, 0)), (2, 3)),
        (lambda x: ops.expand(x.sum(3, keepdim=True), (1, 2, 4, 5)), (2, None)),
        (lambda x: x.mean(1) * x[0], (1, 2)),
        (lambda x: ops.channel_shuffle(x, 2), (2, 3)),
        (lambda x: ops.channel_shuffle(ops.permute(x, (0, 2, 1, 3)), 2), (None, 3)),
        (lambda x: ops.conv2d(ops.permute(x, (2, 1, 0, 3)), ROW), (0, 3)),
        (lambda x: ops.conv2d(ops.permute(x, (0, 2, 1, 3)), POINT), (None, 3)),
        (lambda x: ops.conv2d(x, x[:, :, 1:, :5]), (None, None)),
        (lambda x: ops.adaptive_avg_pool2d(x, (2, 6)), (2, 3)),
        (lambda x: ops.adaptive_avg_pool2d(x, (3, 1)), (None, None)),
        (lambda x: ops.adaptive_avg_pool2d(ops.permute(x, (0, 2, 1, 3)), (1, 3)), (1, 3)),
    ],
)
def test_rules(function, axes, backend):
    x = Tensor(np.random.default_rng(0).random((1, 2, 4, 6), np.float32) + 0.1)
    for image_axis, seen, axis in zip((2, 3), field_of(function, x), axes):
        assert seen.axis == axis
        for i, pixels in enumerate(seen_along(function, x, image_axis, axis)):
            first = seen.window.start + i * seen.window.jump
            inside = [p for p in range(first, first + seen.window.size) if 0 <= p < x.shape[image_axis]]
            assert (pixels[:1], pixels[-1:]) == (inside[:1], inside[-1:])


def test_unknown_ops_and_odd_indices_mix_everything():
    x = Tensor(np.ones((1, 2, 4, 6), np.float32))
    for function in (lambda x: ops.flip(x, 3), lambda x: x[..., [5, 0]], lambda x: x[..., :2], lambda x: x[:, None]):
        assert field_of(function, x) == (Seen(None, Window(4, 0, 0)), Seen(None, Window(6, 0, 0)))


def test_what_does_not_come_from_the_image_has_no_field():
    x = Tensor(np.ones((1, 2, 4, 6), np.float32))
    assert field_of(lambda x: Tensor(np.ones(3)) * 2.0, x) is None
    pixel = Seen(2, Window(1, 1, 0)), Seen(3, Window(1, 1, 0))
    assert field_of(lambda x: ops.where(Tensor(np.ones(6, bool)), x, Tensor(0.0)), x) == pixel


def test_fields_are_forgotten_with_their_arrays():
    tracker, x = Tracker(), Tensor(np.ones((1, 2, 4, 6), np.float32))
    tracker.image(x.data)
    with observe(lambda op, arrays, options, y, kept: tracker.follow(op, arrays, options, y)):
        for _ in range(10):
            x * 2.0
    assert len(tracker._known) == 1
