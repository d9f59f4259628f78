import numpy as np
import pytest

from tinydl import nn, no_grad
from tinydl.compress import structured
from tinydl.cost import summary
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
    model = small("shufflenet_v1", groups=groups)
    smaller = assert_equals_masked(structured.plan(model, IMAGE, 0.5, importance=draw()), image)
    assert any(m.groups == groups and m.in_channels > groups for m in smaller.modules() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.7, 0.9])
def test_splits_and_shuffles_keep_the_ways_of_channels(small, image, ratio):
    model = small("shufflenet_v2_x1_0")
    assert_equals_masked(structured.plan(model, IMAGE, ratio, importance=draw()), image)


@pytest.mark.usefixtures("backend")
def test_both_backends_agree(small, image):
    assert_equals_masked(structured.plan(small("mobile"), IMAGE, 0.5), image)
