import numpy as np
import pytest

from tinydl import nn, zoo
from tinydl.zoo.registry import network


def test_every_network_of_the_package_is_registered():
    functions = {name for name in zoo.__all__ if name.islower()} - {"blocks", "build", "names", "options", "paper"}
    assert functions == set(zoo.names())


def test_build_is_the_constructor():
    model = zoo.build("mobilenet_v2", num_classes=7, in_channels=1, width=0.35, small=True)
    assert isinstance(model, zoo.MobileNetV2)
    assert model.eval()(np.zeros((2, 1, 28, 28), np.float32)).shape == (2, 7)


@pytest.mark.parametrize("name", zoo.names())
def test_settings_in_common(name):
    taken = zoo.options(name)
    assert {"num_classes", "in_channels", "dropout", "weights"} <= taken
    assert zoo.paper(name).input[0] == 1 or {"width", "small"} <= taken


def test_unknown_names_and_settings_are_refused():
    with pytest.raises(ValueError, match=r"no network is called 'mobilenetv2'; did you mean .*mobilenet_v2"):
        zoo.build("mobilenetv2")
    for function in (zoo.build, zoo.paper, zoo.options):
        with pytest.raises(ValueError, match=r"no network is called '☃'; there are .*resnet18"):
            function("☃")
    with pytest.raises(TypeError, match="mlp takes dropout, in_channels, num_classes, weights; got small, width"):
        zoo.build("mlp", width=2.0, small=True)


@pytest.mark.parametrize("name", [name for name in zoo.names() if "width" in zoo.options(name)])
@pytest.mark.parametrize("width", [0, -1.0, float("nan"), float("inf"), "1"])
def test_bad_widths_are_named(name, width):
    with pytest.raises((TypeError, ValueError), match="width must be"):
        zoo.build(name, width=width)


@pytest.mark.parametrize("name", ["mobilenet_v1", "shufflenet_v2_x0_5", "squeezenet1_1", "efficientnet_b0", "resnet18"])
def test_bad_sizes_are_named(name):
    with pytest.raises(ValueError, match="in_channels must be at least 1"):
        zoo.build(name, in_channels=0)
    with pytest.raises(ValueError, match=r"out_(features|channels) must be at least 1"):
        zoo.build(name, num_classes=0)
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\]"):
        zoo.build(name, dropout=1.5)


def test_groups_depths_and_rates_are_checked():
    with pytest.raises(ValueError, match="groups must be one of 1, 2, 3, 4, 8, got 5"):
        zoo.shufflenet_v1(groups=5)
    with pytest.raises(ValueError, match="version must be one of"):
        zoo.SqueezeNet("1.2")
    with pytest.raises(ValueError, match="depth must be in"):
        zoo.EfficientNet(depth=0)
    with pytest.raises(ValueError, match="stochastic_depth must be in"):
        zoo.efficientnet_b0(stochastic_depth=1.5)


@pytest.mark.parametrize("name", zoo.names())
def test_dropout_reaches_every_dropout(name):
    narrow = {"width": 0.1} if "width" in zoo.options(name) else {}
    model = zoo.build(name, dropout=0.75, **narrow)
    assert {layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)} == {0.75}


def test_a_name_is_taken_once():
    def mlp() -> nn.Module:
        return nn.Identity()

    with pytest.raises(AssertionError, match="registered twice"):
        network(zoo.Paper("none", (1, 28, 28)))(mlp)
    assert zoo.build("mlp") is not None
