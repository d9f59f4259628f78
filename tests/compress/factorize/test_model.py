import numpy as np
import pytest

from tinydl import nn, zoo
from tinydl.compress.factorize import factorize, plan
from tinydl.cost import summary
from tinydl.random import manual_seed


def named(**settings):
    return plan(zoo.lenetish(), **settings)


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 6, 3, padding=1)
        self.depthwise = nn.DepthwiseConv2d(6, 3, padding=1)
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, input):
        return self.last(self.first(self.depthwise(self.first(input)[:, :6]).relu()[:, :2]))


@pytest.mark.parametrize("conv", ["spatial", "channel"])
@pytest.mark.parametrize(
    "name",
    ["lenetish", "mobile", "mobilenet_v3_small", "shufflenet_v1", "squeezenet1_1", "resnet18", "efficientnet_b0"],
)
def test_full_rank_of_whole_networks_computes_the_same(same, name, conv):
    manual_seed(0)
    settings = {"small": True, "width": 0.125} if "small" in zoo.options(name) else {}
    model = zoo.build(name, num_classes=10, in_channels=1, **settings).eval()
    full = {row.name: row.pair.svd.full for row in plan(model, energy=1e-6, conv=conv).rows if row.pair is not None}
    assert full
    new = factorize(model, ranks=full, conv=conv)
    assert type(new) is type(model)
    same(model, new, 2, 1, 28, 28, tolerance=1e-4)


def test_attributes_and_modules_used_twice_are_replaced_everywhere(same):
    model = Own()
    new = factorize(model, ranks={"first": 6})
    assert [type(layer).__name__ for layer in (new.first, new.depthwise, new.last)] == [
        "Sequential",
        "DepthwiseConv2d",
        "Conv2d",
    ]
    same(model, new, 2, 2, 6, 6)
    assert isinstance(model.first, nn.Conv2d)


def test_a_layer_may_be_the_model(same):
    layer = nn.Linear(6, 5)
    same(layer, factorize(layer, ranks={"": 5}), 3, 6)


def test_energy_takes_apart_what_becomes_smaller():
    found = named(energy=0.5)
    kinds = {row.name: row.pair.kind for row in found.rows if row.pair}
    assert kinds["7"] == "linear"
    for row in found.rows:
        if row.pair is not None:
            assert row.energy >= 0.5
            assert row.weights_after < row.weights
    new = found.apply()
    counted = sum(p.numel() for p in new.parameters())
    before = sum(p.numel() for p in found.model.parameters())
    assert before - counted == sum(row.weights - row.weights_after for row in found.rows)
    assert all(row.pair is None for row in named(energy=1.0, layers="7").rows)


@pytest.mark.parametrize("of", ["params", "macs"])
@pytest.mark.parametrize("budget", [0.2, 0.5])
def test_a_budget_is_met_and_used(of, budget):
    found = named(budget=budget, of=of, input_shape=(1, 28, 28))
    before, after = (getattr(summary(model, (1, 28, 28)), of) for model in (found.model, found.apply()))
    assert 0.75 * budget * before < after <= budget * before


def test_depthwise_grouped_transposed_and_shared_layers_stay_and_the_plan_says_so():
    one, two = nn.Linear(4, 4), nn.Linear(4, 4)
    two.weight = one.weight
    model = nn.Sequential(nn.DepthwiseConv2d(4, 3), nn.Conv2d(4, 4, 3, groups=2), nn.ConvTranspose2d(4, 4, 3), one, two)
    text = str(plan(model, energy=0.1))
    for reason in ("stays: depthwise", "stays: 2 groups", "stays: transposed", "stays: its weight is another layer's"):
        assert reason in text
    assert text.splitlines()[-2].split() == ["total", *2 * [f"{36 + 72 + 144 + 16 + 16}"]]


def test_the_plan_prints_ranks_and_totals():
    found = named(ranks={"7": 10})
    lines = str(found).splitlines()
    assert lines[2].split()[:4] == ["7", "linear", "10", "50"]
    assert lines[2].split()[-2:] == ["16,000", "3,700"]
    assert "<table>" in found._repr_html_()


def test_the_model_stays_as_it_was_and_the_copy_is_its_own():
    model = zoo.lenetish()
    before = {name: value.data.copy() for name, value in model.state_dict().items()}
    new = factorize(model, energy=0.3)
    for p in new.parameters():
        p.data[...] = 0
    assert all(np.array_equal(before[name], value.data) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give one of energy, ranks and budget; got none"),
        ({"energy": 0.5, "budget": 0.5}, "got energy and budget"),
        ({"energy": 0.0}, "energy must be in"),
        ({"energy": 0.5, "conv": "tucker"}, "conv must be one of 'spatial', 'channel'"),
        (
            {"energy": 0.5, "layers": ["7", "features.*"]},
            r"no linear layer .* has a name like 'features.\*'",
        ),
        ({"ranks": {"6": 3}}, "no linear layer or convolution has a name like '6'"),
        ({"ranks": {"7": 51}}, r"ranks\['7'\] must be at most 50, got 51"),
        ({"ranks": {"7": 0}}, r"ranks\['7'\] must be at least 1"),
        ({"budget": 1.0}, "budget must be in"),
        ({"budget": 0.5, "of": "macs"}, "input_shape must be given"),
        ({"budget": 0.5, "of": "bytes"}, "of must be one of"),
        ({"budget": 0.01}, "budget: rank 1 everywhere costs"),
    ],
)
def test_refuses_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        named(**settings)


def test_a_named_layer_that_cannot_be_taken_apart_is_refused():
    with pytest.raises(ValueError, match="'0' cannot be taken apart, it stays: depthwise"):
        plan(nn.Sequential(nn.DepthwiseConv2d(4, 3)), ranks={"0": 1})
