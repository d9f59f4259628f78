import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinydl import nn, zoo
from tinydl.compress.prune import Block, Channel, Filter, Magnitude, Pruner, Random, Weight, masks, sparsify
from tinydl.tensor import Tensor

FAMILIES = ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v1", "shufflenet_v2_x0_5"]
FAMILIES += ["squeezenet1_1", "xception", "resnet18", "efficientnet_b0"]


def ties(rows, columns):
    layer = nn.Linear(columns, rows)
    layer.weight.data = np.ones((rows, columns), np.float32)
    return layer


@given(st.integers(1, 6), st.integers(1, 6), st.floats(0, 1, exclude_max=True))
def test_the_sparsity_is_exact_whatever_ties_there_are(rows, columns, sparsity):
    layer = ties(rows, columns)
    sparsify(layer, sparsity)
    count = round(sparsity * rows * columns)
    assert (layer.weight.data.ravel() == 0).tolist() == [True] * count + [False] * (rows * columns - count)


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gets_the_sparsity_asked_for(name, scope):
    model = zoo.build(name, num_classes=10, in_channels=1, small=True, width=0.1 if name == "xception" else 0.25)
    kinds = [type(module) for module in model.modules()]
    pruner = sparsify(model, 0.7, scope=scope)
    assert [type(module) for module in model.modules()] == kinds
    counts = [(target.parameter.numel(), np.sum(target.parameter.data == 0)) for target in pruner.targets]
    if scope == "layer":
        assert all(zeros == round(0.7 * n) for n, zeros in counts)
    else:
        assert sum(zeros for _, zeros in counts) == round(0.7 * sum(n for n, _ in counts))
    assert any(target.depthwise for target in pruner.targets) == (name not in ("squeezenet1_1", "resnet18"))
    model.eval()(Tensor(np.zeros((1, 1, 28, 28), np.float32)))


def test_ties_across_layers_go_by_the_order_of_the_network():
    model = nn.Sequential(ties(2, 3), ties(2, 3))
    sparsify(model, 0.75, scope="global")
    assert not model[0].weight.data.any()
    assert model[1].weight.data.ravel().tolist() == [0, 0, 0, 1, 1, 1]


def test_what_is_pruned_stays_pruned():
    layer = ties(4, 5)
    draw = np.random.default_rng(0)
    pruner = Pruner(layer, Random(draw))
    before = np.ones((4, 5), bool)
    for sparsity in (0.2, 0.5, 0.5, 0.9):
        pruner.prune(sparsity)
        mask = layer.weight.mask.data
        assert not (mask & ~before).any()
        assert (~mask).sum() == round(20 * sparsity)
        before = mask.copy()


def test_less_than_is_pruned_already_is_refused():
    layer = ties(2, 5)
    pruner = sparsify(layer, 0.5)
    with pytest.raises(ValueError, match="2 of 10 units are to be pruned, but 5 are already"):
        pruner.prune(0.2)
    assert pruner.sparsity == 0.5


def test_masks_of_another_granularity_are_kept():
    layer = nn.Linear(4, 4, generator=np.random.default_rng(0))
    sparsify(layer, 0.5)
    fine = layer.weight.mask.data.copy()
    pruner = sparsify(layer, 0.25, granularity=Filter())
    assert not (layer.weight.mask.data & ~fine).any()
    assert pruner.sparsity == 0.25


def test_only_what_is_named_is_pruned(network):
    sparsify(network, 0.5, layers=["4", "6.weight"])
    assert list(masks(network)) == ["4.weight", "6.weight"]
    assert all(p.data.all() for name, p in network.named_parameters() if name in ("0.weight", "1.weight"))


def test_the_copy_of_a_pruned_network_is_pruned_by_itself(network):
    sparsify(network, 0.5)
    copied = copy.deepcopy(network)
    sparsify(copied, 0.75)
    assert all(np.mean(mask) == 0.5 for mask in masks(network).values())
    assert all(np.mean(mask) == pytest.approx(0.25, abs=0.03) for mask in masks(copied).values())


def test_forward_uses_the_zeros(network, backend):
    x = Tensor(np.random.default_rng(1).standard_normal((2, 1, 6, 6)).astype(np.float32))
    sparsify(network, 0.5, granularity=Weight(), scope="global")
    plain = copy.deepcopy(network)
    for target in Pruner(plain).targets:
        target.parameter.mask = None
    np.testing.assert_array_equal(network.eval()(x).data, plain.eval()(x).data)


@pytest.mark.parametrize("granularity", [Block(1, 3), Filter(), Channel()])
def test_counts_are_of_units(granularity):
    conv = nn.Conv2d(6, 6, 3, generator=np.random.default_rng(0))
    pruner = sparsify(conv, 1 / 3, granularity=granularity)
    assert pruner.sparsity == pytest.approx(1 / 3)
    assert np.sum(conv.weight.data == 0) == 6 * 6 * 9 // 3


@pytest.mark.parametrize("sparsity", [-0.1, 1, 1.5, float("nan"), float("inf")])
def test_sparsities_out_of_range_are_refused(sparsity):
    layer = ties(2, 2)
    with pytest.raises(ValueError, match=r"sparsity must be in \[0, 1\)"):
        sparsify(layer, sparsity)
    assert layer.weight.mask is None


@pytest.mark.parametrize("sparsity", [None, "half", True])
def test_what_is_no_sparsity_is_refused(sparsity):
    with pytest.raises(TypeError, match="sparsity must be a number"):
        sparsify(ties(2, 2), sparsity)


def test_scores_that_are_not_finite_are_refused():
    model = nn.Sequential(ties(2, 2), ties(2, 2))
    model[1].weight.data[0, 0] = np.nan
    with pytest.raises(FloatingPointError, match=r"Magnitude: scores of 1\.weight are not finite"):
        sparsify(model, 0.5, Magnitude())
    assert not masks(model)


def test_an_unknown_scope_is_refused():
    with pytest.raises(ValueError, match="scope must be one of"):
        Pruner(ties(2, 2), scope="network")
