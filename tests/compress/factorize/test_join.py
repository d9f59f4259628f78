import pytest

from tinydl import nn
from tinydl.compress import fold_batch_norm
from tinydl.compress.factorize import channel_pair, fuse_linear, stacked_pair


def kinds(model):
    return [type(module).__name__ for module in model]


@pytest.mark.parametrize("bias", [(True, True), (True, False), (False, True), (False, False)])
def test_linear_layers(backend, same, bias):
    model = nn.Sequential(nn.Linear(4, 9, bias=bias[0]), nn.Linear(9, 3, bias=bias[1]))
    new = fuse_linear(model)
    assert kinds(new) == ["Linear", "Identity"]
    assert (new[0].bias is not None) == any(bias)
    same(model, new, 2, 4)
    assert kinds(model) == ["Linear", "Linear"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (nn.Conv2d(2, 9, 1), nn.Conv2d(9, 3, 1)),
        (nn.Conv2d(2, 40, 3, padding=1), nn.Conv2d(40, 3, 3, stride=2)),
        (nn.Conv2d(2, 9, (3, 2), stride=(2, 1), padding=1, bias=False), nn.Conv2d(9, 3, 1, stride=(1, 2))),
        (nn.Conv2d(2, 9, 1, bias=False), nn.Conv2d(9, 3, 3, stride=2, padding=1)),
    ],
)
def test_convolutions(backend, same, first, second):
    model = nn.Sequential(first, second)
    new = fuse_linear(model)
    assert kinds(new) == ["Conv2d", "Identity"]
    same(model, new, 2, 2, 8, 9)


def test_a_whole_row_becomes_one(same):
    model = nn.Sequential(nn.Linear(4, 9), nn.Identity(), nn.Linear(9, 8), nn.Linear(8, 3))
    new = fuse_linear(model)
    assert kinds(new) == ["Linear", "Identity", "Identity", "Identity"]
    same(model, new, 2, 4)


def test_a_factorization_is_undone_when_asked(same):
    conv = nn.Conv2d(3, 6, 3, padding=1)
    pair = channel_pair(conv).build(2)
    assert kinds(fuse_linear(pair)) == ["Conv2d", "Conv2d"]
    new = fuse_linear(pair, only_smaller=False)
    assert kinds(new) == ["Conv2d", "Identity"]
    same(pair, new, 2, 3, 7, 7)
    two, _ = stacked_pair(nn.Conv2d(2, 3, 5, padding=2), 3)
    same(two, fuse_linear(two, only_smaller=False), 2, 2, 7, 7)


def test_after_folding_there_may_be_more_to_fuse(same):
    model = nn.Sequential(nn.Conv2d(2, 9, 1), nn.BatchNorm2d(9), nn.Conv2d(9, 3, 1)).eval()
    new = fuse_linear(fold_batch_norm(model))
    assert kinds(new) == ["Conv2d", "Identity", "Identity"]
    same(model, new, 2, 2, 5, 5)


class Backwards(nn.Sequential):
    def forward(self, input):
        return self[0](self[1](input))


def twice(layer):
    return nn.Sequential(layer, layer)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)),
        nn.Sequential(nn.Conv2d(2, 9, 3, padding=1), nn.Conv2d(9, 2, 3, padding=1)),
        nn.Sequential(nn.Conv2d(2, 9, 1), nn.Conv2d(9, 2, 3, padding=1)),
        nn.Sequential(nn.Conv2d(2, 9, 3, stride=2), nn.Conv2d(9, 2, 3)),
        nn.Sequential(nn.Conv2d(2, 9, 3, dilation=2), nn.Conv2d(9, 2, 1)),
        nn.Sequential(nn.DepthwiseConv2d(2, 3), nn.Conv2d(2, 2, 1)),
        nn.Sequential(nn.Conv2d(2, 9, 3, padding="same"), nn.Conv2d(9, 2, 1)),
        Backwards(nn.Linear(4, 4), nn.Linear(4, 4)),
        twice(nn.Linear(4, 4)),
    ],
)
def test_what_is_not_the_same_stays(model):
    assert kinds(fuse_linear(model, only_smaller=False)) == kinds(model)


def test_a_layer_with_a_hook_stays():
    model = nn.Sequential(nn.Linear(4, 9), nn.Linear(9, 3))
    model[0].register_forward_hook(lambda module, args, output: None)
    assert kinds(fuse_linear(model)) == kinds(model)
