import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.prune import NM, Block, Channel, Filter, Granularity, Kernel, Pruner, Weight, sparsify
from tinydl.compress.prune.targets import targets


def units(granularity, layer):
    (target,) = targets(layer)
    return granularity.units(target)


def pruned(granularity, layer, sparsity):
    """Return where the weight is zero after pruning."""
    sparsify(layer, sparsity, granularity=granularity)
    return layer.weight.data == 0


LAYERS = [
    nn.Linear(8, 4),
    nn.Conv2d(4, 8, (3, 2)),
    nn.Conv2d(8, 8, 3, groups=2),
    nn.DepthwiseConv2d(4, 3, multiplier=2),
    nn.ConvTranspose2d(4, 8, 2),
    nn.ConvTranspose2d(4, 8, 2, groups=2),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("granularity", [Weight, lambda: Block(2, 1), Kernel, Filter, Channel, lambda: NM(1, 1)])
def test_every_weight_is_in_exactly_one_unit(layer, granularity):
    if granularity is Kernel and isinstance(layer, nn.Linear):
        return  # refused, see below
    found = units(granularity(), layer)
    assert sorted(found.ravel()) == list(range(layer.weight.numel()))


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_filters_and_channels_are_outputs_and_inputs(layer):
    """Without the weights of an output its result is constant; without those of an input the result ignores it."""
    draw = np.random.default_rng(0)
    linear = isinstance(layer, nn.Linear)
    inputs = layer.in_features if linear else layer.in_channels
    x = draw.standard_normal((1, inputs) if linear else (1, inputs, 5, 5)).astype(np.float32)
    for granularity, count in ((Filter(), layer.bias.numel()), (Channel(), inputs)):
        found = units(granularity, layer)
        assert len(found) == count
        whole = layer(x).data
        for i, members in enumerate(found):
            before = layer.weight.data.copy()
            layer.weight.data.reshape(-1)[members] = 0
            changed = layer(x).data
            layer.weight.data[...] = before
            if isinstance(granularity, Filter):
                np.testing.assert_array_equal(changed[:, i], np.broadcast_to(layer.bias.data[i], changed[:, i].shape))
                rest = [j for j in range(count) if j != i]
                np.testing.assert_allclose(changed[:, rest], whole[:, rest], rtol=1e-5, atol=1e-5)
            else:
                silent = x.copy()
                silent[:, i] = 0
                np.testing.assert_allclose(changed, layer(silent).data, rtol=1e-5, atol=1e-5)


def test_blocks_tile_the_matrix():
    assert units(Block(2, 2), nn.Linear(4, 2)).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    zero = pruned(Block(2, 4), nn.Conv2d(4, 4, 2), 0.5).reshape(2, 2, 4, 4).transpose(0, 2, 1, 3).reshape(8, 8)
    assert sorted(zero.sum(axis=1)) == [0] * 4 + [8] * 4


def test_kernels_are_whole():
    zero = pruned(Kernel(), nn.Conv2d(4, 6, 3), 0.25).reshape(24, 9).sum(axis=1)
    assert sorted(zero) == [0] * 18 + [9] * 6


@pytest.mark.parametrize("layer", [nn.Linear(8, 3), nn.Conv2d(8, 3, (2, 3))], ids=str)
def test_n_of_every_m_inputs_survive(layer):
    magnitude = np.moveaxis(np.abs(layer.weight.data), 1, -1).reshape(-1, 4).copy()
    zero = np.moveaxis(pruned(NM(1, 4), layer, None), 1, -1).reshape(-1, 4)
    assert (zero.sum(axis=1) == 3).all()
    np.testing.assert_array_equal((~zero).argmax(axis=1), magnitude.argmax(axis=1))


def test_n_of_m_has_one_sparsity():
    layer = nn.Linear(8, 2)
    pruner = Pruner(layer, granularity=NM(2, 4), scope="global")
    with pytest.raises(ValueError, match=r"2:4 is 0\.5, got 0\.4"):
        pruner.prune(0.4)
    assert layer.weight.mask is None
    pruner.prune(0.5)
    assert pruner.sparsity == 0.5


@pytest.mark.parametrize(
    "granularity, layer, message",
    [
        (NM(2, 4), nn.Linear(6, 2), "weight: 2:4 needs a multiple of 4 inputs, got 6"),
        (NM(2, 4), nn.DepthwiseConv2d(4, 3), "got 1"),
        (Block(3, 1), nn.Linear(4, 4), "4 × 4 does not divide into blocks of 3 × 1"),
        (Block(1, 5), nn.Conv2d(2, 2, 3), "2 × 18 does not divide"),
        (Kernel(), nn.Linear(4, 4), "slices of convolutions"),
    ],
)
def test_what_does_not_divide_is_refused(granularity, layer, message):
    with pytest.raises(ValueError, match=message):
        Pruner(layer, granularity=granularity)


def test_sizes_out_of_range_are_refused():
    for wrong in (lambda: Block(0, 1), lambda: Block(1, -1), lambda: NM(0, 4), lambda: NM(5, 4)):
        with pytest.raises(ValueError, match=r"at (least|most)"):
            wrong()
    with pytest.raises(TypeError, match="integer"):
        NM(1.5, 4)
    with pytest.raises(NotImplementedError, match="units"):
        Granularity().units(targets(nn.Linear(1, 1))[0])
