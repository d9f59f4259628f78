import numpy as np
import pytest

from tinydl import nn, no_grad, ops
from tinydl.compress import structured
from tinydl.cost import summary
from tinydl.nn.functional import cross_entropy
from tinydl.optim import Adam
from tinydl.tensor import Tensor

FAMILIES = [
    *("mlp", "cnn1", "cnn3", "lenetish", "mobile", "convnet", "lenet5", "lenet_300_100"),
    *("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v1"),
    *("shufflenet_v2_x0_5", "squeezenet1_0", "squeezenet1_1", "xception", "resnet18", "efficientnet_b0"),
]

IMAGE = (1, 28, 28)


def draw():
    return structured.random(np.random.default_rng(3))


def outputs(model, x):
    with no_grad():
        return model.eval()(Tensor(x)).data


def assert_equals_masked(plan, image):
    """The smaller network gives what the full one gives with the same channels at zero, and that is not nothing."""
    before = {name: tensor.data.copy() for name, tensor in plan.model.state_dict().items()}
    smaller, x = plan.apply(), image(3, *IMAGE)
    (masked,) = plan.masked(x)
    found = outputs(smaller, x)
    assert masked.std() > 0
    assert np.abs(found - masked).max() <= 1e-5 * np.abs(masked).max()
    assert np.abs(found - outputs(plan.model, x)).max() > 0.01 * np.abs(masked).max()
    assert all(np.array_equal(before[name], tensor.data) for name, tensor in plan.model.state_dict().items())
    assert_consistent(plan.model, smaller)
    assert summary(smaller, IMAGE).macs == plan.macs[1] < plan.macs[0] == summary(plan.model, IMAGE).macs
    return smaller


def assert_consistent(model, smaller):
    """Each layer is what its constructor would have made of its settings."""
    assert type(smaller) is type(model)
    assert list(smaller.state_dict()) == list(model.state_dict())
    for full, narrow in zip(model.modules(), smaller.modules()):
        assert type(full) is type(narrow)
        if isinstance(narrow, nn.Conv2d):
            like = nn.Conv2d(narrow.in_channels, narrow.out_channels, narrow.kernel_size, groups=narrow.groups)
            assert narrow.weight.shape == like.weight.shape
            depthwise = full.groups == full.in_channels > 1
            assert narrow.groups == (narrow.in_channels if depthwise else full.groups)
            assert narrow.bias is None or narrow.bias.shape == like.bias.shape
        elif isinstance(narrow, nn.Linear):
            assert narrow.weight.shape == (narrow.out_features, narrow.in_features)
        elif isinstance(narrow, nn.BatchNorm2d):
            tensors = narrow.running_mean, narrow.running_var, narrow.weight, narrow.bias
            assert {tensor.shape for tensor in tensors} == {(narrow.num_features,)}
    for a, b in zip(model.parameters(), smaller.parameters()):
        assert a.dtype == b.dtype
        assert a.requires_grad == b.requires_grad
        assert not np.may_share_memory(a.data, b.data)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_shrinks_to_what_it_was_masked(small, image, name):
    assert_equals_masked(structured.plan(small(name), IMAGE, 0.5, importance=draw()), image)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "resnet18", "squeezenet1_1", "shufflenet_v2_x1_0", "convnet"])
def test_so_it_does_by_one_ranking_of_all_channels(small, image, name):
    plan = structured.plan(small(name), IMAGE, 0.3, scope="global", importance=draw())
    assert_equals_masked(plan, image)


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_groups_of_convolutions_stay_equal(small, image, groups):
    model = small("shufflenet_v1", groups=groups, width=0.25)
    smaller = assert_equals_masked(structured.plan(model, IMAGE, 0.5, importance=draw()), image)
    assert any(m.groups == groups and m.in_channels > groups for m in smaller.modules() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.7, 0.9])
def test_splits_and_shuffles_keep_the_ways_of_channels(small, image, ratio):
    model = small("shufflenet_v2_x1_0")
    assert_equals_masked(structured.plan(model, IMAGE, ratio, importance=draw()), image)


@pytest.mark.usefixtures("backend")
def test_both_backends_agree(small, image):
    assert_equals_masked(structured.plan(small("mobile"), IMAGE, 0.5), image)


def test_the_best_channels_stay_in_their_order(small):
    model = small("convnet")
    plan = structured.plan(model, IMAGE, {"4": 0.75}, importance=lambda slices: np.arange(32.0) % 5)
    smaller = plan.apply()
    best = [4, 9, 14, 19, 24, 29, 3, 8]
    assert np.array_equal(smaller[4].weight.data, model[4].weight.data[sorted(best)])
    assert np.array_equal(smaller[8].weight.data, model[8].weight.data[:, sorted(best)])
    assert np.array_equal(smaller[5].running_var.data, model[5].running_var.data[sorted(best)])
    assert np.array_equal(smaller[0].weight.data, model[0].weight.data)


@pytest.mark.parametrize(
    "settings", [{}, {"scope": "global"}, {"multiple": 4}, {"scope": "global", "normalize": False}]
)
@pytest.mark.parametrize("name", ["mobile", "shufflenet_v2_x0_5"])
def test_a_budget_of_multiply_adds_is_met_and_used(small, name, settings):
    model = small(name)
    full = summary(model, IMAGE).macs
    smaller = structured.prune_to(model, IMAGE, full // 4, importance=draw(), **settings)
    assert 0.6 * full // 4 < summary(smaller, IMAGE).macs <= full // 4


def test_a_budget_that_is_met_already_changes_nothing(small):
    model = small("lenetish")
    smaller = structured.prune_to(model, IMAGE, summary(model, IMAGE).macs)
    assert repr(smaller) == repr(model)
    assert smaller is not model


def test_groups_can_be_skipped_and_multiples_asked_for(small):
    model = small("mobile")
    smaller = structured.prune_channels(model, IMAGE, 0.6, skip=["0"], multiple=8)
    assert smaller[0].out_channels == 16
    sizes = {m.out_channels for m in smaller.modules() if isinstance(m, nn.Conv2d)}
    assert sizes < {8, 16, 24, 32, 40, 48, 56}


def test_the_smaller_network_learns(small, image):
    smaller = structured.prune_channels(small("shufflenet_v2_x0_5"), IMAGE, 0.5).train()
    labels, optimizer = Tensor(np.arange(8) % 10), Adam(smaller.parameters(), 0.01)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = cross_entropy(smaller(Tensor(image(8, *IMAGE))), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_frozen_parameters_and_double_precision_stay_so(small):
    model = small("lenetish").double()
    model[0].requires_grad_(False)
    smaller = structured.prune_channels(model, IMAGE, 0.5)
    assert [p.requires_grad for p in smaller.parameters()] == [p.requires_grad for p in model.parameters()]
    assert {p.dtype for p in smaller.parameters()} == {np.dtype(np.float64)}


class Fixed(nn.Module):
    """The size of its flattened vector is written into its forward, as in many tutorials."""

    def __init__(self):
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(16, 2)

    def forward(self, x):
        return self.fc(ops.reshape(self.conv(x), (x.shape[0], 16)))


class Deciding(nn.Module):
    """It does something else when it is narrow."""

    def __init__(self):
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        y = self.a(x)
        return self.b(y if y.shape[1] == 4 else ops.relu(y))


@pytest.mark.parametrize(
    "model, arguments, error, message",
    [
        (Fixed(), {"ratio": 0.5}, ValueError, "forward does not run with fewer channels; are sizes fixed in it"),
        (Deciding(), {"ratio": 0.5}, ValueError, "with fewer channels its forward takes other steps"),
        (nn.Conv2d(1, 4, 3), {"ratio": 0.5}, ValueError, "this Conv2d has no channels to remove"),
        (None, {"ratio": 1.0}, ValueError, r"ratio must be in \[0, 1\), got 1.0"),
        (None, {"ratio": -0.1}, ValueError, "ratio must be in"),
        (None, {"ratio": "half"}, TypeError, "ratio must be a number"),
        (None, {}, ValueError, "ratio, macs: give one of the two"),
        (None, {"ratio": 0.5, "macs": 100}, ValueError, "ratio, macs: give one of the two"),
        (None, {"macs": 0}, ValueError, "macs must be at least 1"),
        (None, {"macs": 10}, ValueError, "macs: the least that this way of pruning leaves is 44, got 10"),
        (None, {"ratio": {"9": 0.5}}, ValueError, "no group is called '9'; there are 0"),
        (None, {"ratio": {"0": 1.5}}, ValueError, r"ratio\['0'\] must be in"),
        (None, {"ratio": {"0": 0.5}, "scope": "global"}, ValueError, 'a ratio for each group needs scope="group"'),
        (None, {"ratio": 0.5, "scope": "layer"}, ValueError, "scope must be"),
        (None, {"ratio": 0.5, "multiple": 0}, ValueError, "multiple must be at least 1"),
        (None, {"ratio": 0.5, "skip": ["0"]}, ValueError, r"no channels to remove, skip being \['0'\]"),
        (None, {"ratio": 0.5, "skip": ["x"]}, ValueError, "no group is called 'x'"),
    ],
)
def test_bad_input_is_refused_and_the_model_untouched(model, arguments, error, message):
    model = model or nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.Flatten(), nn.Linear(16, 2))
    before = {name: tensor.data.copy() for name, tensor in model.state_dict().items()}
    with pytest.raises(error, match=message):
        structured.plan(model, (1, 4, 4), **arguments)
    assert all(np.array_equal(before[name], tensor.data) for name, tensor in model.state_dict().items())
