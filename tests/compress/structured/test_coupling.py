import numpy as np

from tinydl import nn, ops
from tinydl.compress.flow import flow
from tinydl.compress.structured.coupling import couple, tied


class Residual(nn.Module):
    def __init__(self):
        self.a, self.b, self.c = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        y = self.a(x)
        return self.c(y + self.b(y))


def zeros(*shape):
    return np.zeros(shape, np.float32)


def by_axis(coupling):
    return {(axis.tensor, axis.axis): axis.labels.tolist() for axis in coupling.axes}


def test_a_sum_joins_what_its_operands_make():
    coupling = couple(flow(Residual(), zeros(2, 1, 3, 3)))
    axes = by_axis(coupling)
    same = axes["a.weight", 0]
    assert len(set(same)) == 4
    for place in (("a.bias", 0), ("b.weight", 1), ("b.weight", 0), ("b.bias", 0), ("c.weight", 1)):
        assert axes[place] == same
    assert set(axes["c.weight", 0]) <= coupling.pinned
    assert set(axes["a.weight", 1]) <= coupling.pinned
    (kinds,) = list(tied(coupling))
    assert [kind.tolist() for kind in kinds] == [same]
    assert coupling.results[3][:, 0, 0].tolist() == axes["c.weight", 0]


def test_channels_that_go_other_ways_are_other_kinds():
    class Halves(nn.Module):
        def __init__(self):
            self.a, self.b, self.c = nn.Conv2d(1, 4, 1), nn.Conv2d(2, 3, 1), nn.Conv2d(5, 2, 1)

        def forward(self, x):
            first, second = ops.chunk(self.a(x), 2, 1)
            return self.c(ops.cat((first, self.b(second)), 1))

    coupling = couple(flow(Halves(), zeros(2, 1, 3, 3)))
    axes = by_axis(coupling)
    made = axes["a.weight", 0]
    assert axes["b.weight", 1] == made[2:]
    assert axes["c.weight", 1] == made[:2] + axes["b.weight", 0]
    assert [[kind.tolist() for kind in kinds] for kinds in tied(coupling)] == [
        [made[:2], made[2:]],
        [axes["b.weight", 0]],
    ]


def test_groups_of_a_convolution_are_kinds_and_depthwise_ties_instead():
    grouped = couple(
        flow(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 6, 1, groups=2), nn.Flatten()), zeros(2, 1, 1, 1))
    )
    (kinds,) = list(tied(grouped))
    assert [len(kind) for kind in kinds] == [2, 2]
    assert next(axis for axis in grouped.axes if axis[:2] == ("1.weight", 1)).groups == 2
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.DepthwiseConv2d(4, 1), nn.Conv2d(4, 2, 1))
    depthwise = couple(flow(net, zeros(2, 1, 3, 3)))
    axes = by_axis(depthwise)
    assert axes["1.weight", 0] == axes["0.weight", 0] == axes["2.weight", 1]
    assert ("1.weight", 1) not in axes
    assert depthwise.depthwise == {1}


def test_one_channel_can_be_told_to_be_depthwise():
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 2, 1))
    found = flow(net, zeros(2, 1, 3, 3))
    assert len(list(tied(couple(found)))) == 2
    assert len(list(tied(couple(found, frozenset({1}))))) == 1


def test_flattened_channels_have_all_their_places():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(8, 3))
    axes = by_axis(couple(flow(net, zeros(2, 1, 2, 2))))
    a, b = axes["0.weight", 0]
    assert axes["2.weight", 1] == [a] * 4 + [b] * 4


def test_a_grouped_convolution_with_few_channels_stays_one():
    found = flow(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 4, 1, groups=2)), zeros(2, 1, 3, 3))
    assert ("1.weight", 1) not in by_axis(couple(found))
    assert ("1.weight", 1) in by_axis(couple(found, frozenset()))
