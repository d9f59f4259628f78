import numpy as np
import pytest

from tinydl import nn, zoo
from tinydl.compress.prune.targets import matching, targets


def names(model, **options):
    return [target.name for target in targets(model, **options)]


def test_conv_and_linear_weights_in_the_order_of_the_network(network):
    assert names(network) == ["0.weight", "1.weight", "4.weight", "6.weight"]
    assert all(t.parameter is t.module.weight for t in targets(network))


def test_by_name_pattern_and_type(network):
    assert names(network, layers="6") == ["6.weight"]
    assert names(network, layers=["[04]", "1.weight"]) == ["0.weight", "1.weight", "4.weight"]
    assert names(network, types=(nn.Linear,)) == ["6.weight"]
    assert names(nn.LSTM(3, 4), types=(nn.LSTM,)) == ["weight_ih_l0", "weight_hh_l0"]
    assert names(nn.Linear(2, 2)) == ["weight"]


def test_depthwise_kernels_are_included_skipped_or_refused(network):
    assert [t.depthwise for t in targets(network)] == [False, True, False, False]
    assert names(network, depthwise="skip") == ["0.weight", "4.weight", "6.weight"]
    with pytest.raises(ValueError, match=r"depthwise kernels are not to be pruned.*got 1\.weight"):
        targets(network, depthwise="refuse")
    assert names(network, layers="4", depthwise="refuse") == ["4.weight"]
    with pytest.raises(ValueError, match="nothing to prune"):
        targets(network, layers="1", depthwise="skip")


def test_every_depthwise_kernel_of_the_zoo_is_seen():
    model = zoo.mobilenet_v2(width=0.25, num_classes=10, in_channels=1, small=True)
    assert sum(t.depthwise for t in targets(model)) == 17


def test_a_shared_weight_comes_once():
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    assert names(tied) == ["0.weight"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layers": "conv*"}, r"'conv\*' fits none of 0.weight, 1.weight"),
        ({"layers": ["0", "9"]}, "'9' fits none"),
        ({"layers": []}, "layers is empty"),
        ({"layers": "2"}, "'2' fits none"),
        ({"types": (nn.LSTM,)}, "no weight of the types LSTM"),
        ({"depthwise": "sometimes"}, "depthwise must be one of"),
    ],
)
def test_what_names_nothing_is_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        targets(network, **options)


def test_matching_keeps_the_order_of_the_names():
    assert matching(["b.w", "a.w", "ab.w"], ["a*", "b"]) == ["b.w", "a.w", "ab.w"]
    assert np.array_equal(matching(["w"], ""), ["w"])
