import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.factorize import channel_pair, linear_pair, spatial_pair
from tinydl.random import manual_seed

CONVS = [
    nn.Conv2d(3, 5, 3),
    nn.Conv2d(3, 5, (3, 5), (2, 1), padding=(1, 2), bias=False),
    nn.Conv2d(3, 5, 3, padding="same", dilation=2),
    nn.Conv2d(3, 5, 5, padding="valid"),
    nn.Conv2d(3, 5, (5, 3), stride=(1, 3), padding=(2, 1), dilation=(1, 2), padding_mode="reflect"),
    nn.Conv2d(3, 5, 3, padding=1, padding_mode="replicate"),
    nn.Conv2d(3, 5, 1, stride=2, padding=1),
]


@pytest.mark.parametrize("conv", CONVS, ids=range(len(CONVS)))
@pytest.mark.parametrize("make", [channel_pair, spatial_pair])
def test_full_rank_computes_the_same(backend, same, make, conv):
    pair = make(conv)
    two = pair.build(pair.svd.full)
    same(conv, two, 2, 3, 9, 11)
    assert sum(layer.weight.numel() for layer in two) == pair.svd.full * pair.weights_per_rank
    assert two[0].bias is None
    assert (two[1].bias is None) == (conv.bias is None)


def test_full_rank_of_a_linear_layer_computes_the_same(backend, same):
    for layer in (nn.Linear(7, 4), nn.Linear(4, 7, bias=False)):
        pair = linear_pair(layer)
        same(layer, pair.build(4), 3, layer.in_features)
        assert pair.weights_per_rank == 11


def test_a_spatial_kernel_of_rank_one_is_found(same):
    manual_seed(0)
    conv = nn.Conv2d(1, 1, 5)
    conv.weight.data[...] = np.outer([1, 2, 3, 2, 1], [1, 0, -1, 0, 2])
    pair = spatial_pair(conv)
    assert pair.svd.rank_for(0.999999) == 1
    same(conv, pair.build(1), 1, 1, 8, 8)


@pytest.mark.parametrize("make", [channel_pair, spatial_pair])
def test_the_weights_are_as_close_as_the_energy_says(make):
    conv = nn.Conv2d(3, 5, 3, bias=False)
    pair = make(conv)
    first, second = (layer.weight.data for layer in pair.build(2))
    if make is channel_pair:
        product = np.einsum("orxy,rcij->ocij", second, first)
    else:
        product = np.einsum("rcix,oryj->ocij", first, second)
    missed = np.sum((product - conv.weight.data) ** 2) / np.sum(conv.weight.data**2)
    assert 1 - missed == pytest.approx(pair.svd.energy(2), abs=1e-5)
    assert missed > 0.01


def test_dtype_mode_and_frozen_weights_stay():
    conv = nn.Conv2d(3, 5, 3).double().requires_grad_(False).eval()
    two = spatial_pair(conv).build(2)
    assert {p.dtype for p in two.parameters()} == {np.dtype(np.float64)}
    assert not any(p.requires_grad for p in two.parameters())
    assert not two.training
    assert two[1].bias is not conv.bias


class Scaled(nn.Conv2d):
    def forward(self, input):
        return 2 * super().forward(input)


@pytest.mark.parametrize("make", [channel_pair, spatial_pair])
def test_other_layers_are_refused(make):
    with pytest.raises(ValueError, match="layer must have groups=1, got 4"):
        make(nn.DepthwiseConv2d(4, 3))
    for layer in (nn.Linear(2, 2), Scaled(2, 2, 3), nn.ConvTranspose2d(2, 2, 3)):
        with pytest.raises(TypeError, match="layer must be a Conv2d"):
            make(layer)
    with pytest.raises(TypeError, match="layer must be a Linear"):
        linear_pair(nn.Conv2d(2, 2, 1))
