"""Every network runs at its own resolution, and its parameters, buffers and multiply-adds are the published ones."""

from functools import cache

import pytest

from tinydl import kernels, zoo
from tinydl.cost import Summary, summary

COUNTS = {  # parameters, batch norm's running means and variances, multiply-adds
    "mlp": (235_146, 0, 234_752),
    "cnn1": (693_962, 0, 888_192),
    "cnn3": (93_322, 0, 2_794_240),
    "lenetish": (21_840, 0, 480_500),
    "mobile": (36_874, 1_472, 922_336),
    "convnet": (29_178, 224, 1_924_992),
    "lenet_300_100": (266_610, 0, 266_200),
    "lenet5": (431_080, 0, 2_293_000),
    "mobilenet_v1": (4_231_976, 21_888, 568_740_352),
    "mobilenet_v2": (3_504_872, 34_112, 300_774_272),
    "mobilenet_v3_small": (2_542_856, 12_112, 56_510_400),
    "mobilenet_v3_large": (5_483_032, 24_400, 216_589_760),
    "shufflenet_v1": (1_865_728, 24_480, 137_460_672),
    "shufflenet_v2_x0_5": (1_366_792, 7_952, 40_476_448),
    "shufflenet_v2_x1_0": (2_278_604, 16_180, 144_907_992),
    "shufflenet_v2_x1_5": (3_503_624, 23_440, 295_759_392),
    "shufflenet_v2_x2_0": (7_393_996, 33_716, 583_253_464),
    "squeezenet1_0": (1_248_424, 0, 818_924_576),
    "squeezenet1_1": (1_235_496, 0, 349_151_936),
    "xception": (22_855_952, 54_528, 8_357_403_496),
    "resnet18": (11_689_512, 9_600, 1_814_073_344),
    "efficientnet_b0": (5_288_548, 42_016, 385_814_752),
    "efficientnet_b1": (7_794_184, 62_048, 686_802_832),
    "efficientnet_b2": (9_109_994, 67_568, 993_561_872),
    "efficientnet_b3": (12_233_232, 87_296, 1_827_141_392),
    "efficientnet_b4": (19_341_616, 125_200, 4_393_771_024),
    "efficientnet_b5": (30_389_784, 172_736, 10_266_384_752),
    "efficientnet_b6": (43_040_704, 224_432, 19_067_593_536),
    "efficientnet_b7": (66_347_960, 310_720, 37_745_884_192),
}

VARIANTS = [  # as their authors' tables have them, where those say it exactly
    ("mobilenet_v1", {"width": 0.75}, 2_585_560, 325_400_448),
    ("mobilenet_v1", {"width": 0.5}, 1_331_592, 149_497_088),
    ("mobilenet_v1", {"width": 0.25}, 470_072, 41_030_272),
    ("mobilenet_v2", {"width": 1.4}, 6_108_776, 582_195_824),
    ("mobilenet_v2", {"width": 0.5}, 1_968_680, 97_131_840),
    ("mobilenet_v3_large", {"width": 0.75}, 3_993_528, 154_560_624),
    ("mobilenet_v3_small", {"width": 0.75}, 2_041_872, 43_399_344),
    ("shufflenet_v1", {"groups": 1}, 1_531_936, 143_078_976),
    ("shufflenet_v1", {"groups": 2}, 1_733_848, 140_836_512),
    ("shufflenet_v1", {"groups": 4}, 1_968_344, 134_339_776),
    ("shufflenet_v1", {"groups": 8}, 2_434_768, 138_365_952),
    ("shufflenet_v1", {"width": 0.5}, 718_324, 37_589_856),
    ("shufflenet_v1", {"groups": 8, "width": 0.5}, 1_011_448, 40_469_760),
]


@cache
def measure(name: str, **settings: object) -> tuple[Summary, int]:
    """Return what one image of the paper's size costs, and how many numbers batch norm keeps; runs the network once."""
    model = zoo.build(name, **settings)
    statistics = [b.numel() for key, b in model.named_buffers() if not key.endswith("num_batches_tracked")]
    return summary(model, zoo.paper(name).input), sum(statistics)


LARGE = "efficientnet_b6", "efficientnet_b7"
"""16 s of the suite's time on the reference kernels, where they would try nothing that B0 does not."""

NETWORKS = [name for name in zoo.names() if name not in LARGE or kernels.active() != "reference"]


@pytest.mark.parametrize("name", NETWORKS)
def test_counts(name):
    found, statistics = measure(name)
    assert (found.params, statistics, found.macs) == COUNTS[name]
    assert sum(row.params for row in found.rows) == found.params
    assert found.rows[-1].shape[0] == (1000 if zoo.paper(name).input[0] == 3 else 10)


@pytest.mark.parametrize("name, settings, params, macs", VARIANTS)
def test_variants(name, settings, params, macs):
    found, _ = measure(name, **settings)
    assert (found.params, found.macs) == (params, macs)


@pytest.mark.parametrize("groups, millions", [(1, 143), (2, 140), (3, 137), (4, 133), (8, 137)])
def test_shufflenet_as_its_paper_counts(groups, millions):
    """Table 1 of the paper leaves out the dense layer."""
    found, _ = measure("shufflenet_v1", groups=groups)
    assert round((found.macs - found.rows[-1].macs) / 1e6) == millions


@pytest.mark.parametrize("name", NETWORKS)
def test_papers_round_to_what_is_counted(name):
    """Within 5 %: papers round, and some leave the last layer out of their multiply-adds."""
    reported, (found, _) = zoo.paper(name), measure(name)
    if reported.params is not None:
        assert found.params == pytest.approx(reported.params, rel=0.05)
    if reported.macs is not None:
        assert found.macs == pytest.approx(reported.macs, rel=0.05)


ALIKE = [f"efficientnet_b{i}" for i in range(1, 8)]  # they have B0's strides


@pytest.mark.parametrize("name", [name for name in zoo.names() if "small" in zoo.options(name) and name not in ALIKE])
def test_small_images(name):
    """The stem keeps the resolution, and the last map before the mean is 4×4 (SqueezeNet's for 28×28: 3×3)."""
    model = zoo.build(name, num_classes=7, in_channels=1, small=True)
    for side in (28, 32):
        rows = summary(model, (1, side, side)).rows
        pooled = max(i for i, row in enumerate(rows) if row.kind == "AdaptiveAvgPool2d")
        last = 3 if name.startswith("squeezenet") and side == 28 else 4
        assert rows[0].shape[1:] == (side, side)
        assert rows[pooled - 1].shape[1:] == (last, last)
        assert rows[-1].shape[0] == 7
